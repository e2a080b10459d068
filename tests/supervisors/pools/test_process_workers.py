"""Workers that are processes: how they die, what that costs, and what cannot travel."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

from supervisors.errors import InvalidTypeError
from supervisors.pools import (
    Backlog,
    PoisonTaskError,
    PoolFailedError,
    Recycle,
    RemoteTaskError,
    Retry,
    TaskReturnedError,
    TaskTimeoutError,
    TransportError,
    WorkerDiedError,
    WorkerPool,
    process_workers,
)
from supervisors.process_actor import ProcessEnded
from supervisors.runtime.machine import OwnMachine
from supervisors.supervision.backoff import Backoff
from tests.supervisors.pools import jobs
from tests.supervisors.pools.waiting import until

SOON = Backoff(min_seconds=0.001, max_seconds=0.01)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def pool():
    """One worker that does whatever it is told, and no spare: most tests need none."""
    with WorkerPool(None, 1, kind="process", drain_timeout=10.0, warm_spares=0) as made:
        yield made
    assert not children_of_pools()


def children_of_pools():
    """Worker processes of ours that live."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and any("child.py" in each for each in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_task_runs_in_another_process(pool):
    assert pool.submit(jobs.pid).result(timeout=20) != os.getpid()


def test_results_come_back_as_they_are(pool):
    value = {"a": [1, (2, 3)], "b": b"x" * 300_000}
    assert pool.submit(jobs.same, value).result(timeout=20) == value


def test_a_task_that_is_larger_than_any_pipe_gets_there_and_back(pool):
    value = os.urandom(1 << 16) * 200
    tasks = [pool.submit(jobs.same, value) for _ in range(3)]
    assert all(task.result(timeout=60) == value for task in tasks)


def test_tasks_for_a_process_that_has_just_died_go_to_the_next_one(pool):
    for _ in range(5):
        os.kill(pool.submit(jobs.pid).result(timeout=20), signal.SIGKILL)
        # It is dead, or will be in a moment: whichever it is, this is done, or fails with the reason.
        error = pool.submit(jobs.same, 1).exception(timeout=20)
        assert error is None or isinstance(error, WorkerDiedError)


def test_what_a_manager_of_the_parent_shares_can_be_reached(pool):
    with multiprocessing.get_context("spawn").Manager() as manager:
        shared = manager.dict()
        pool.submit(jobs.note_in, shared, "mine").result(timeout=30)
        assert shared["mine"] != os.getpid()


def test_an_exception_comes_back_with_its_type_and_where_it_was_raised(pool):
    error = pool.submit(jobs.fail, "no").exception(timeout=20)
    assert type(error) is ValueError
    assert "in fail" in error.__notes__[0]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("exit", ProcessEnded(3, None)),
        ("segv", ProcessEnded(None, "SIGSEGV")),
        ("SIGKILL", ProcessEnded(None, "SIGKILL")),
        ("SIGTERM", ProcessEnded(None, "SIGTERM")),
    ],
)
def test_a_death_fails_its_own_task_with_the_reason_and_no_other(pool, how, reason):
    futures = [pool.submit(jobs.same, 1), pool.submit(jobs.die, how), pool.submit(jobs.same, 2)]
    error = futures[1].exception(timeout=20)
    assert isinstance(error, WorkerDiedError)
    assert error.reason == reason
    assert [futures[0].result(timeout=20), futures[2].result(timeout=20)] == [1, 2]


def test_a_death_among_tiny_tasks_costs_one_task_and_none_is_done_twice():
    with WorkerPool(jobs.die_if_seven, 1, kind="process") as pool:
        # So many that they are given ahead of time.
        outcomes = list(pool.map([*range(10, 500), 7, *range(500, 800)], return_exceptions=True))
        facts = pool.statistics()
    failed = [each for each in outcomes if isinstance(each, Exception)]
    assert len(failed) == 1
    assert isinstance(failed[0], WorkerDiedError)
    assert (facts.done, facts.failed, facts.died) == (790, 1, 1)


def test_leaving_by_sys_exit_fails_the_task_and_keeps_the_worker(pool):
    first = pool.submit(jobs.pid).result(timeout=20)
    with pytest.raises(SystemExit):
        pool.submit(jobs.leave).result(timeout=20)
    assert pool.submit(jobs.pid).result(timeout=20) == first


@pytest.mark.parametrize("job", [jobs.touch_and_hang, jobs.spin])
def test_a_run_that_takes_too_long_ends_its_process(pool, tmp_path, job):
    path = tmp_path / "begun"
    late = pool.submit(job, str(path), timeout=0.3)
    other = pool.submit(jobs.pid)
    with pytest.raises(TaskTimeoutError):
        late.result(timeout=20)
    assert other.result(timeout=20)
    assert pool.statistics().killed == 1


def test_cancelling_a_running_task_ends_its_process(pool, tmp_path):
    first = pool.submit(jobs.pid).result(timeout=20)
    path = tmp_path / "begun"
    future = pool.submit(jobs.touch_and_hang, str(path))
    until(path.exists)
    assert future.cancel()
    assert pool.submit(jobs.pid).result(timeout=20) != first
    until(lambda: not psutil.pid_exists(first))


def test_cancelling_one_of_many_tiny_tasks_harms_no_other():
    with WorkerPool(jobs.same, 1, kind="process", warm_spares=0, backlog=Backlog(count_max=None)) as pool:
        pool.submit(0).result(timeout=20)
        for _ in range(3):
            futures = [pool.submit(number) for number in range(300)]
            cancelled = {number for number in range(0, 300, 7) if futures[number].cancel()}
            for number, future in enumerate(futures):
                if number not in cancelled:
                    assert future.result(timeout=20) == number
        facts = pool.statistics()
    assert facts.submitted == facts.done + facts.cancelled
    assert facts.died == 0


def test_tiny_tasks_do_not_wait_behind_one_that_takes_long(tmp_path):
    path = tmp_path / "begun"
    with WorkerPool(None, 2, kind="process", warm_spares=0, backlog=Backlog(count_max=None)) as pool:
        for _ in range(3):
            assert list(pool.map(range(200), function=jobs.same)) == list(range(200))
            before = [pool.submit(jobs.same, number) for number in range(20)]
            slow = pool.submit(jobs.touch_and_hang, str(path))
            after = [pool.submit(jobs.same, number) for number in range(200)]
            for futures in (before, after):
                assert [future.result(timeout=20) for future in futures] == list(range(len(futures)))
            assert slow.cancel()
        facts = pool.statistics()
    assert (facts.done, facts.cancelled, facts.died) == (3 * 420, 3, 0)


def test_a_task_that_kills_its_process_is_tried_again(pool, tmp_path):
    path = tmp_path / "count"
    future = pool.submit(jobs.die_until, str(path), 2, retry=Retry(times=2, backoff=SOON))
    assert future.result(timeout=30) == 2


def test_a_task_that_kills_every_process_is_quarantined():
    with WorkerPool(jobs.die, 1, kind="process", poison_after=2, retry=Retry(times=9, backoff=SOON)) as pool:
        with pytest.raises(PoisonTaskError) as caught:
            pool.submit("SIGKILL").result(timeout=30)
        assert caught.value.reason == ProcessEnded(None, "SIGKILL")
        assert pool.quarantined() == [(None, ("SIGKILL",), {})]


def test_an_idle_process_that_dies_is_replaced(pool):
    first = pool.submit(jobs.pid).result(timeout=20)
    os.kill(first, signal.SIGKILL)
    until(lambda: pool.statistics().died == 1)
    assert pool.submit(jobs.pid).result(timeout=20) != first


def test_a_stopped_process_is_ended_when_its_time_is_up(pool, tmp_path):
    first = pool.submit(jobs.pid).result(timeout=20)
    path = tmp_path / "begun"
    future = pool.submit(jobs.touch_and_hang, str(path), timeout=0.5)
    until(path.exists)
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(TaskTimeoutError):
        future.result(timeout=20)
    assert pool.submit(jobs.pid).result(timeout=20) != first


def spare_of(*pids):
    """The one process that is not at work."""
    until(lambda: len(children_of_pools()) == len(pids) + 1)
    (spare,) = (child for child in children_of_pools() if child.pid not in pids)
    return spare


def test_nobody_waits_for_a_spare_that_was_stopped():
    with WorkerPool(None, 1, kind="process") as pool:
        first = pool.submit(jobs.pid).result(timeout=20)
        until(lambda: pool.statistics().spares == 1)
        spare = spare_of(first)
        spare.suspend()
        until(lambda: spare.status() == psutil.STATUS_STOPPED)
        os.kill(first, signal.SIGKILL)
        until(lambda: pool.statistics().died == 1)
        # Not after the sixty seconds that a setup may take.
        assert pool.submit(jobs.pid).result(timeout=20) not in {first, spare.pid}
        assert pool.statistics().start_failures == 0


def test_nobody_waits_for_a_spare_that_hangs_in_an_import(monkeypatch, tmp_path):
    monkeypatch.setattr(process_workers, "PATIENCE_SECONDS", 0.1)
    flag, hangs = tmp_path / "flag", tmp_path / "hangs"
    (tmp_path / "hangs_at_times.py").write_text(
        "import pathlib, threading\n"
        f"if pathlib.Path({str(flag)!r}).exists():\n"
        f"    pathlib.Path({str(hangs)!r}).write_text('yes')\n"
        "    threading.Event().wait(3600)\n"
        "from os import getpid\n"
        "def pid():\n"
        "    return getpid()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    hangs_at_times = importlib.import_module("hangs_at_times")
    with WorkerPool(hangs_at_times.pid, 1, kind="process") as pool:
        first = pool.submit().result(timeout=20)
        until(lambda: pool.statistics().spares == 1)
        flag.touch()
        os.kill(first, signal.SIGKILL)  # the spare, which has imported it, takes over; the next one hangs
        until(hangs.exists)
        flag.unlink()
        os.kill(pool.submit().result(timeout=20), signal.SIGKILL)
        until(lambda: pool.statistics().died == 2)
        assert pool.submit().result(timeout=20) != first
    del sys.modules["hangs_at_times"]


def test_a_kill_for_want_of_memory_is_told_as_one(monkeypatch):
    kills = iter([0, 1])
    monkeypatch.setattr(OwnMachine, "memory_kills", lambda _: next(kills))
    with WorkerPool(jobs.die, 1, kind="process", warm_spares=0) as pool:
        error = pool.submit("SIGKILL").exception(timeout=20)
    assert error.reason == ProcessEnded(None, "SIGKILL", out_of_memory=True)


# What cannot travel


def test_a_task_that_cannot_be_pickled_is_refused_at_once(pool):
    with pytest.raises(TransportError, match="pickle") as caught:
        pool.submit(jobs.same, threading.Lock())
    assert caught.value.what == "task"
    assert pool.statistics().submitted == 0


def test_a_task_that_cannot_be_unpickled_fails_alone(pool):
    with pytest.raises(TransportError, match="cannot be read") as caught:
        pool.submit(jobs.same, jobs.Unreadable()).result(timeout=20)
    assert caught.value.what == "task"
    assert pool.submit(jobs.same, 1).result(timeout=20) == 1


def test_a_result_that_cannot_be_pickled_fails_alone(pool):
    with pytest.raises(TransportError, match="pickle") as caught:
        pool.submit(jobs.unpicklable).result(timeout=20)
    assert caught.value.what == "result"
    assert pool.submit(jobs.same, 1).result(timeout=20) == 1


def test_a_result_that_is_too_large_fails_alone():
    with WorkerPool(jobs.double, 1, kind="process", warm_spares=0, result_bytes_max=1000) as pool:
        with pytest.raises(TransportError, match="result_bytes_max"):
            pool.submit(b"x" * 600).result(timeout=20)
        assert pool.submit(1).result(timeout=20) == 2


def test_an_exception_that_cannot_travel_is_told_in_words(pool):
    error = pool.submit(jobs.raise_unloadable).exception(timeout=20)
    assert isinstance(error, RemoteTaskError)
    assert error.kind == "Unloadable"
    assert "raise_unloadable" in error.trace


def test_a_worker_that_cannot_travel_is_refused_and_leaves_nothing_behind():
    with pytest.raises(TransportError, match="worker of the pool"):
        WorkerPool(lambda: 1, 1, kind="process")
    with pytest.raises(InvalidTypeError):
        WorkerPool(3, 1, kind="process")


# Workers with a state


def test_a_class_keeps_its_state_in_its_process():
    with WorkerPool(jobs.Counter, 1, kind="process", warm_spares=0) as pool:
        assert [pool.submit().result(timeout=20) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(ValueError, match="told to"):
            pool.submit("fail").result(timeout=20)
        assert pool.submit("log").result(timeout=20) == ["setup", "reset"]


def test_a_worker_whose_setup_fails_fails_the_pool_with_the_reason():
    with (
        WorkerPool(jobs.NoStart, 1, kind="process", warm_spares=0, start_failures_max=2, restart=SOON) as pool,
        pytest.raises(PoolFailedError, match="no database"),
    ):
        pool.submit("x").result(timeout=30)


def test_a_process_is_recycled_after_so_many_tasks():
    with WorkerPool(jobs.pid, 1, kind="process", recycle=Recycle(tasks=5, jitter=0.0)) as pool:
        pids = [pool.submit().result(timeout=20) for _ in range(15)]
    assert len(set(pids)) == 3
    assert pids == sorted(pids, key=pids.index)


def test_a_process_with_too_much_memory_is_recycled():
    limit = 80 * 1024 * 1024
    with WorkerPool(jobs.Hog, 1, kind="process", warm_spares=0, recycle=Recycle(rss_bytes=limit, jitter=0.0)) as pool:
        first = pool.submit(1).result(timeout=20)
        assert pool.submit(100 * 1024 * 1024).result(timeout=20) == first
        until(lambda: pool.statistics().recycled == 1)
        assert pool.submit(1).result(timeout=20) != first


# The end


def test_what_runs_when_the_time_is_up_is_ended_and_given_back(tmp_path):
    path = tmp_path / "begun"
    pool = WorkerPool(None, 1, kind="process", warm_spares=0)
    running = pool.submit(jobs.touch_and_hang, str(path))
    waiting = pool.submit(jobs.same, 4)
    until(path.exists)
    report = pool.close(drain_timeout=0.0)
    assert [(each.function, each.args, each.begun) for each in report.returned] == [
        (jobs.touch_and_hang, (str(path),), True),
        (jobs.same, (4,), False),
    ]
    for future in (running, waiting):
        with pytest.raises(TaskReturnedError):
            future.result(timeout=1)
    assert not children_of_pools()


def test_a_spare_that_is_ready_is_counted():
    with WorkerPool(None, 1, kind="process", warm_spares=1) as pool:
        until(lambda: pool.statistics().spares == 1)
    with WorkerPool(None, 1, kind="process", warm_spares=0) as pool:
        pool.submit(jobs.pid).result(timeout=30)
        assert pool.statistics().spares == 0


def test_a_pool_leaves_no_file_open():
    before = psutil.Process().num_fds()
    for _ in range(2):
        with WorkerPool(jobs.same, 2, kind="process") as pool:
            assert pool.submit(1).result(timeout=20) == 1
    assert psutil.Process().num_fds() <= before


PARENT = """
import sys, time
from supervisors.pools import WorkerPool
from tests.supervisors.pools import jobs

pool = WorkerPool(None, 2, kind="process")
pids = {pool.submit(jobs.pid).result(timeout=20) for _ in range(4)}
for path in sys.argv[1:]:
    pool.submit(jobs.spin, path)
print(*pids, flush=True)
sys.stdin.read()
"""


def test_the_processes_die_with_a_parent_that_is_killed(tmp_path):
    paths = [tmp_path / "one", tmp_path / "two"]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *map(str, paths)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        pids = [int(each) for each in parent.stdout.readline().split()]
        until(lambda: all(path.exists() for path in paths))  # both compute, and look at no pipe
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert {child.pid for child in children} >= set(pids)
    until(lambda: not any(is_alive(child) for child in children))


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


SCRIPT = """
from supervisors.pools import WorkerPool

def double(number):
    return 2 * number

{guard}
    with WorkerPool(double, 1, kind="process", warm_spares=0, start_failures_max=1, **{options}) as pool:
        print(pool.submit(21).result(timeout=20))
"""


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ('if __name__ == "__main__":', "42"),
        ("if True:", "__main__"),
    ],
)
def test_functions_of_the_main_program_work_and_a_missing_guard_is_told(tmp_path, guard, told):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(SCRIPT).replace("{guard}", guard).replace("**{options}", "drain_timeout=5.0"))
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told in done.stdout + done.stderr
    assert (done.returncode == 0) is (told == "42")
