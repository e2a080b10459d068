from __future__ import annotations

import logging
import threading

import pytest

from supervisors import Refusal, VirtualClock
from supervisors.runtime.dead_letters import LOG_INTERVAL, DeadLetters
from tests.supervisors.actors import Doer, Echo


@pytest.fixture
def clock():
    return VirtualClock()


def test_each_is_published_with_its_receiver_until_unsubscribed(clock):
    letters, heard = DeadLetters(clock), []
    unsubscribe = letters.subscribe(lambda ref, message: heard.append((ref, message)))
    letters.add("ref", 1)
    unsubscribe()
    letters.add("ref", 2)
    assert heard == [("ref", 1)]
    assert letters.count == 2


def test_the_log_gets_one_line_in_a_while_that_counts_the_rest(clock, caplog):
    caplog.set_level(logging.INFO)
    letters = DeadLetters(clock)
    for _ in range(100):
        letters.add("ref", "x")
    clock.move_to(LOG_INTERVAL)
    letters.add("ref", "x")
    assert [record.args[-1] for record in caplog.records] == [1, 100]


def test_the_log_does_not_show_the_message(clock, caplog):
    caplog.set_level(logging.INFO)
    DeadLetters(clock).add("ref", "secret")
    assert "secret" not in caplog.text


def test_none_is_lost_to_the_count_among_threads(clock):
    letters = DeadLetters(clock)

    def add():
        for number in range(1000):
            letters.add("ref", number)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert letters.count == 4000


def test_a_late_reply_is_a_dead_letter_of_who_replied(system):
    heard = []
    system.on_dead_letter(lambda ref, message: heard.append((ref, message)))
    ref = system.start(Echo)
    ref.suspend()
    with pytest.raises(TimeoutError):
        ref.ask("late", timeout=1.0)
    ref.resume()
    assert heard == [(ref, "late")]


class Grumpy(Doer):
    crash_on_ask_error = False

    def on_receive(self, message):
        raise message


@pytest.mark.parametrize("error", [ValueError("too late"), Refusal("too late")])
def test_a_late_exception_is_a_dead_letter_too(system, error):
    heard = []
    system.on_dead_letter(lambda ref, message: heard.append((ref, message)))
    ref = system.start(Grumpy)
    ref.suspend()
    with pytest.raises(TimeoutError):
        ref.ask(error, timeout=1.0)
    ref.resume()
    assert heard == [(ref, error)]


def test_a_deferred_reply_that_comes_too_late_is_a_dead_letter_too(system):
    heard, owed = [], []
    system.on_dead_letter(lambda ref, message: heard.append((ref, message)))
    ref = system.start(Doer)
    with pytest.raises(TimeoutError):
        ref.ask(lambda self: owed.append(self.defer_reply()), timeout=1.0)
    assert owed[0].set("too late") is False
    assert heard == [(ref, "too late")]


def test_unread_news_of_other_ends_are_no_dead_letters(system):
    """EXIT-11: who has sent them does not wait for an effect, and every shutdown of a tree leaves some."""
    watcher, other = system.start(Doer, trap=True), system.start(Doer)

    def watch(self):
        self.link(other)
        self.monitor(other)

    watcher.ask(watch)
    watcher.suspend()
    other.kill()
    system.settle()
    assert watcher.mailbox_length == 2
    watcher.kill()
    system.settle()
    assert not watcher.is_alive()
    assert system.dead_letters == 0
