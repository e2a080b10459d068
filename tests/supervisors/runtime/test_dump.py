"""Dumps that an operator asks for with a signal."""

from __future__ import annotations

import os
import queue
import signal
import threading

import pytest

from supervisors import ActorSystem, InvalidArgumentError, InvalidTypeError, UsageError
from tests.supervisors.actors import Echo


@pytest.fixture
def shown():
    return queue.SimpleQueue()


@pytest.fixture(autouse=True)
def _as_before():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_signal_writes_a_dump(real, shown):
    full = real.start(Echo)
    full.suspend()
    full.tell("x")
    end = real.dump_on_signal(write=shown.put)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert f"1 in that of {full}" in shown.get(timeout=10)
    end()


def test_it_does_not_need_the_locks_of_the_thread_that_was_interrupted(real, shown):
    end = real.dump_on_signal(write=shown.put)
    with real._lock:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert "busy:" in shown.get(timeout=10)
    end()


def test_it_can_be_another_signal(real, shown):
    end = real.dump_on_signal(signal.SIGUSR2, shown.put)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert "busy:" in shown.get(timeout=10)
    end()


def test_without_a_function_it_goes_to_standard_error(real, capsys, monkeypatch):
    end = real.dump_on_signal()
    os.kill(os.getpid(), signal.SIGUSR1)
    for thread in threading.enumerate():
        if thread.name == "supervisors-dump":
            thread.join(10)
    assert "longest mailboxes:" in capsys.readouterr().err
    end()


def test_ending_it_leaves_a_later_handler_alone(real):
    before = signal.getsignal(signal.SIGUSR1)
    end = real.dump_on_signal()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    end()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("number", [0, -1, 10_000, signal.SIGKILL])
def test_a_signal_that_cannot_be_handled_is_refused(real, number):
    with pytest.raises(InvalidArgumentError, match="number"):
        real.dump_on_signal(number)


@pytest.mark.parametrize("number", [True, "SIGUSR1", 1.5])
def test_what_is_no_signal_is_refused(real, number):
    with pytest.raises(InvalidTypeError, match="number"):
        real.dump_on_signal(number)


def test_what_cannot_be_called_is_refused(real):
    with pytest.raises(InvalidTypeError, match="write"):
        real.dump_on_signal(write="stderr")


def test_another_thread_is_told_that_it_cannot(real):
    seen = []

    def call():
        try:
            real.dump_on_signal()
        except UsageError as error:
            seen.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert seen == ["signals are handled in the main thread alone; call dump_on_signal() there"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_signal_dumps_all_systems_that_want_it_and_afterwards_does_what_it_did(order):
    before = signal.getsignal(signal.SIGUSR1)
    texts = queue.SimpleQueue()
    with ActorSystem() as first, ActorSystem() as second:
        ends = [
            first.dump_on_signal(write=lambda _: texts.put(first)),
            second.dump_on_signal(write=lambda _: texts.put(second)),
        ]
        os.kill(os.getpid(), signal.SIGUSR1)
        assert {texts.get(timeout=10), texts.get(timeout=10)} == {first, second}
        ends[order[0]]()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert texts.get(timeout=10) is (first, second)[order[1]]
        ends[order[1]]()
    assert signal.getsignal(signal.SIGUSR1) is before
