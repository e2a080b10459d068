"""What is left of a session that sleeps, with its mailbox folded, and what others do to it meanwhile."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from contextlib import suppress

import pytest

from sessionactors import SessionOptions, SessionSystem
from sessionactors.errors import QuotaExceeded, SessionRefusal
from supervisors import Actor
from supervisors.inspection.weight import weight_of
from supervisors.runtime.cell import HAS_GIL
from supervisors.runtime.folding import is_folded
from tests.sessionactors.session_world import ends, entries, names, start_active, virtual
from tests.sessionactors.test_sleeping import is_asleep


@pytest.fixture
def system():
    with virtual() as made:
        yield made


def sleep_deeply(system, *session_ids):
    """Have sessions sleep, and others after them, who fold their mailboxes."""
    for each in session_ids:
        assert system.hibernate(each)
    start_active(system, "last", "very last")
    system.hibernate("last")
    system.hibernate("very last")
    if HAS_GIL:
        assert all(is_folded(system.directory.get(each)) for each in session_ids)


class Watcher(Actor):
    """Watches whom it is told to watch, and is linked to it."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if message == "heard":
            return sorted(self.heard)
        if message == "crash":
            raise ArithmeticError
        if isinstance(message, tuple):
            self.trap_exit(message[1])
            self.monitor(message[0])
            self.link(message[0])
        else:
            self.heard.append(type(message).__name__)
        return None


def watcher_of(system, session_id, *, traps):
    watcher = system.actors.start(Watcher)
    watcher.ask((system.directory.get(session_id), traps))
    system.actors.settle()
    return watcher


def test_questions_leave_it_asleep_and_its_mailbox_is_folded_again(system):
    start_active(system, "a", "b", "c")
    sleep_deeply(system, "a", "b", "c")
    for each in ("a", "b", "c"):
        system.get_info(each)
    assert all(is_asleep(system, each) for each in ("a", "b", "c"))
    assert is_folded(system.directory.get("a")) is HAS_GIL


def test_monitors_and_links_that_come_later_hear_of_its_end_and_wake_nobody(system):
    start_active(system, "a")
    sleep_deeply(system, "a")
    watcher = watcher_of(system, "a", traps=True)
    assert is_asleep(system)
    system.terminate("a")
    system.actors.settle()
    assert watcher.ask("heard") == ["Down", "Exited"]


def test_the_crash_of_somebody_linked_ends_it_once(system):
    start_active(system, "a")
    sleep_deeply(system, "a")
    watcher = watcher_of(system, "a", traps=False)
    watcher.tell("crash")
    system.actors.settle()
    assert system.state_of("a") == "terminated"
    assert ends(entries(system))["a"] == 1


def test_the_end_of_their_supervisor_ends_those_that_sleep(system):
    start_active(system, "a", "b")
    sleep_deeply(system, "a", "b")
    system.actors.whereis("sessions").kill()
    system.actors.settle()
    assert [system.state_of(each) for each in ("a", "b")] == ["terminated", "terminated"]
    assert [ends(entries(system))[each] for each in ("a", "b")] == [1, 1]
    assert system.hibernation_statistics().asleep == 0
    start_active(system, "a")
    assert system.get_state("a") == "active"


@pytest.mark.parametrize("name", ["rate_limiter", "isolation", "reaper"])
def test_a_service_that_is_restarted_wakes_nobody_and_goes_on_with_it(system, name):
    start_active(system, "a", ttl=50.0)
    sleep_deeply(system, "a")
    system.actors.whereis(name).kill()
    system.actors.settle()
    assert is_asleep(system)
    system.check_rate_limit("a")
    system.actors.advance(51.0)
    assert system.reap("expired") == 1
    assert system.state_of("a") == "terminated"


@pytest.mark.parametrize("verb", ["stop", "exit", "kill"])
def test_it_ends_once_however_it_is_told(system, verb):
    start_active(system, "a")
    sleep_deeply(system, "a")
    getattr(system.directory.get("a"), verb)()
    system.actors.settle()
    assert system.state_of("a") == "terminated"
    assert ends(entries(system))["a"] == 1


def test_who_looks_leaves_it_as_it_is(system):
    start_active(system, "a")
    sleep_deeply(system, "a")
    ref = system.directory.get("a")
    system.actors.dump()
    assert weight_of(ref) > 0
    assert ref.mailbox_length == 0
    assert is_folded(ref) is HAS_GIL


def test_a_quota_that_is_used_up_is_used_up_in_its_sleep_too(system):
    start_active(system, "a", quota={"max_requests": 2})
    system.update_resources("a", requests=2)
    sleep_deeply(system, "a")
    with pytest.raises(QuotaExceeded):
        system.update_resources("a", requests=1)


def test_each_timer_of_its_states_fires_while_it_sleeps(system):
    start_active(system, "a", idle_timeout=100.0, suspend_timeout=50.0)
    for seconds, state in ((100.1, "idle"), (100.1, "suspended"), (50.1, "terminated")):
        system.hibernate("a")
        system.actors.advance(seconds)
        assert system.state_of("a") == state
    assert ends(entries(system)) == {"a": 1}
    assert names(system, "a").count("idle_timeout") == 1


def test_to_sleep_and_wake_leaves_no_timer_behind(system):
    start_active(system, "a")
    pending = system.actors.timers.pending()
    for _ in range(20):
        system.hibernate("a")
        system.touch("a")
    assert system.actors.timers.pending() == pending
    system.hibernate("a")
    system.terminate("a")
    assert system.actors.timers.pending() <= pending


def test_many_threads_put_them_to_sleep_use_end_and_start_them_and_each_end_counts_once():
    ids = [f"s-{number}" for number in range(6)]
    refused, failed = Counter(), []
    options = SessionOptions(auth_required=False, idle_timeout=None, hibernate_after=0.001)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with SessionSystem(session=options) as system:

            def use(seed):
                draw = random.Random(seed)
                for _ in range(400):
                    try:
                        one_of(system, draw)(draw.choice(ids))
                    except SessionRefusal as refusal:
                        refused[refusal.code] += 1
                    except Exception as error:  # noqa: BLE001 - the test looks at what it is
                        failed.append(error)

            threads = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failed == []
            for each in ids:  # behind the last kill
                with suppress(SessionRefusal):
                    system.touch(each)
            log = entries(system)
            started = Counter(each.session for each in log if each.data.get("event") == "session_started")
            live = set(system.directory.ids())
            assert {each: started[each] - ends(log)[each] for each in ids} == {each: each in live for each in ids}
        assert system.hibernation_statistics().asleep == 0
    finally:
        sys.setswitchinterval(interval)


def one_of(system, draw):
    """Return what is done to a session next."""

    def start(session_id):
        system.start_session(session_id)
        system.activate(session_id)

    def kill(session_id):
        ref = system.directory.get(session_id)
        if ref is not None:
            ref.kill()

    often = [start, system.hibernate, system.hibernate, system.touch, system.get_info, system.check_rate_limit]
    seldom = [kill, system.terminate, lambda _: system.hibernate_idle_sessions(0.001), lambda _: system.list_sessions()]
    return draw.choice(often if draw.random() < 0.85 else seldom)
