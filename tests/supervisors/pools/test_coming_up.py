"""Who is waited for, and who is given up."""

from __future__ import annotations

import signal

import pytest

from supervisors.pools.coming_up import ComingUp
from supervisors.pools.worker_process import WorkerProcess
from tests.supervisors.pools.waiting import until


@pytest.fixture
def process():
    """A process that waits to be told what to do."""
    made = WorkerProcess.spawn()
    yield made
    made.popen.kill()
    made.popen.wait()
    made.close()


def test_one_that_says_nothing_and_does_nothing_is_given_up(process):
    coming = ComingUp(lambda _: 0.25)
    coming.watch(process, 10.0, 2.0)
    assert coming.timeout(10.5) == 1.5
    assert coming.given_up(11.9) == []
    assert coming.given_up(12.0) == []  # nobody knows yet whether it does anything
    assert coming.given_up(13.9) == []
    assert coming.given_up(14.0) == [process]
    assert coming.timeout(14.0) is None


def test_one_that_is_busy_has_more_time_until_it_is_not(process):
    work = [0.1, 0.2, 0.3, 0.3]
    coming = ComingUp(lambda _: work.pop(0))
    coming.watch(process, 0.0, 1.0)
    assert [coming.given_up(float(now)) for now in (1, 2, 3, 4)] == [[], [], [], [process]]


def test_what_a_process_has_used_of_the_processor_is_known_until_it_is_gone(process):
    until(process.cpu_seconds)  # it starts Python
    process.popen.kill()
    process.popen.wait()
    assert process.cpu_seconds() == 0.0


def test_one_that_has_heard_has_more_time(process):
    coming = ComingUp(lambda _: 0.25)
    coming.watch(process, 0.0, 2.0)
    process.has_heard = True
    assert [coming.given_up(now) for now in (2.0, 4.0, 6.0)] == [[], [], []]
    assert coming.timeout(6.0) == 2.0


def test_one_that_has_heard_and_was_stopped_is_given_up(process):
    coming = ComingUp()
    coming.watch(process, 0.0, 2.0)
    process.has_heard = True
    process.popen.send_signal(signal.SIGSTOP)
    until(process.is_stopped)
    assert coming.given_up(2.0) == [process]


def test_one_that_is_up_is_not_looked_at_any_more(process):
    coming = ComingUp()
    coming.watch(process, 0.0, 2.0)
    coming.forget(process)
    coming.forget(process)
    assert coming.given_up(100.0) == []
