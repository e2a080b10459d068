"""Who is waited for, and who is given up."""

from __future__ import annotations

import signal

import pytest

from supervisors.pools.coming_up import ComingUp
from supervisors.pools.worker_process import WorkerProcess


@pytest.fixture
def process():
    """A process that waits to be told what to do."""
    made = WorkerProcess.spawn()
    yield made
    made.popen.kill()
    made.popen.wait()
    made.close()


def test_one_that_says_nothing_is_given_up_when_its_time_is_up(process):
    coming = ComingUp()
    coming.watch(process, 10.0, 2.0)
    assert coming.timeout(10.5) == 1.5
    assert coming.given_up(11.9) == []
    assert coming.given_up(12.0) == [process]
    assert coming.timeout(12.0) is None


def test_one_that_has_heard_has_more_time(process):
    coming = ComingUp()
    coming.watch(process, 0.0, 2.0)
    process.has_heard = True
    assert coming.given_up(2.0) == []
    assert coming.timeout(2.0) == 2.0


def test_one_that_has_heard_and_was_stopped_is_given_up(process):
    coming = ComingUp()
    coming.watch(process, 0.0, 2.0)
    process.has_heard = True
    process.popen.send_signal(signal.SIGSTOP)
    while not process.is_stopped():  # the kernel needs a moment, and no more
        pass
    assert coming.given_up(2.0) == [process]


def test_one_that_is_up_is_not_looked_at_any_more(process):
    coming = ComingUp()
    coming.watch(process, 0.0, 2.0)
    coming.forget(process)
    coming.forget(process)
    assert coming.given_up(100.0) == []
