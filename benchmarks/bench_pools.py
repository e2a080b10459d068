"""What does a pool cost for each task, and how long is it short of a worker after a death?

Workload: tiny tasks (a function that returns its argument), 2 workers; all tasks are
submitted one by one, then all results are taken in order. For `map`, an iterable
instead. A kill: one task hangs past its timeout while another waits; timed is from the
timeout's moment to the result of the waiting one, with one worker and a spare ready.
Recovery: both workers of two are known to be up, one gets SIGKILL; timed is until tasks
have run in two processes again, for loky and the standard library with the executor made
anew, as their users do. In both, ours has its spare ready, as after any pause.

Peers: `concurrent.futures` (spawn), `multiprocessing.Pool` (spawn), loky and pebble. Those that
are not installed have empty rows.

Does not show: large tasks and results, many workers, work that takes long (where every pool
costs the same), pools under memory pressure.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self

from benchmarks.harness import Effort, Figure, benchmark, figure, rate, seconds
from supervisors.pools import Backlog, TaskTimeoutError, WorkerPool

WORKERS: Final = 2

UNBOUNDED: Final = Backlog(count_max=None)


def same(value: Any) -> Any:
    """Do nothing: what is measured is everything around it."""
    return value


def pid(_: Any = None) -> int:
    """Tell which process it is, late enough for others to be asked too."""
    time.sleep(0.002)
    return os.getpid()


def hang(_: Any = None) -> None:
    """Never return, as far as anybody waits."""
    threading.Event().wait(60.0)


def _peer(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _one_by_one(submit: Callable[[Any], Any], count: int) -> Callable[[], None]:
    def work() -> None:
        for future in [submit(number) for number in range(count)]:
            future.result()

    return work


@benchmark("pools")
def thread_tasks(effort: Effort) -> Mapping[str, Figure]:
    """Tiny tasks in threads."""
    count = effort.size(20_000, smoke=100)
    with (
        WorkerPool(same, WORKERS, backlog=UNBOUNDED) as ours,
        concurrent.futures.ThreadPoolExecutor(WORKERS) as futures,
    ):
        compared = effort.interleave(
            {
                "ours": lambda: rate(count, _one_by_one(ours.submit, count)),
                "futures": lambda: rate(count, _one_by_one(lambda number: futures.submit(same, number), count)),
            }
        )
    return {
        "pool_thread_tasks_per_s": compared.figure("ours", "tasks/s"),
        "futures_thread_tasks_per_s": compared.figure("futures", "tasks/s"),
        "pool_thread_tasks_per_s_vs_futures": compared.ratio("ours", "futures"),
    }


@contextlib.contextmanager
def _process_pools() -> Iterator[dict[str, Callable[[int], Callable[[], None]] | None]]:
    """Give, by name, what makes one run of so many tiny tasks; None for a peer that is missing."""
    spawn = multiprocessing.get_context("spawn")
    loky, pebble = _peer("loky"), _peer("pebble")
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(WorkerPool(same, WORKERS, kind="process", backlog=UNBOUNDED))
        futures = stack.enter_context(concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=spawn))
        pool = stack.enter_context(spawn.Pool(WORKERS))
        contenders: dict[str, Callable[[int], Callable[[], None]] | None] = {
            "ours": lambda count: _one_by_one(ours.submit, count),
            "futures": lambda count: _one_by_one(lambda number: futures.submit(same, number), count),
            "multiprocessing": lambda count: lambda: _taken([pool.apply_async(same, (n,)) for n in range(count)]),
            "loky": None,
            "pebble": None,
        }
        if loky is not None:
            executor = stack.enter_context(loky.ProcessPoolExecutor(WORKERS))
            contenders["loky"] = lambda count: _one_by_one(lambda number: executor.submit(same, number), count)
        if pebble is not None:
            other = stack.enter_context(pebble.ProcessPool(WORKERS, context=spawn))
            contenders["pebble"] = lambda count: _one_by_one(lambda number: other.schedule(same, (number,)), count)
        for make in contenders.values():
            if make is not None:
                make(10)()  # all are up before the first is timed
        yield contenders


def _taken(results: list[Any]) -> None:
    for result in results:
        result.get()


@benchmark("pools")
def process_tasks(effort: Effort) -> Mapping[str, Figure]:
    """Tiny tasks in processes."""
    count = effort.size(1_500, smoke=20)
    with _process_pools() as contenders:

        def run(make: Callable[[int], Callable[[], None]]) -> Callable[[], float]:
            return lambda: rate(count, make(count))

        compared = effort.interleave({name: make and run(make) for name, make in contenders.items()})
    figures = {"pool_process_tasks_per_s": compared.figure("ours", "tasks/s")}
    for peer in ("futures", "multiprocessing", "loky", "pebble"):
        figures[f"{peer}_process_tasks_per_s"] = compared.figure(peer, "tasks/s")
        figures[f"pool_process_tasks_per_s_vs_{peer}"] = compared.ratio("ours", peer)
    return figures


@benchmark("pools")
def map_overhead(effort: Effort) -> Mapping[str, Figure]:
    """What `map` adds to each item that does nothing, in processes."""
    count = effort.size(10_000, smoke=50)
    with WorkerPool(same, WORKERS, kind="process") as pool:
        list(pool.map(range(10)))
        compared = effort.interleave({"map": lambda: seconds(lambda: list(pool.map(range(count)))) / count})
    return {"pool_map_overhead_us": compared.figure("map", "us", scale=1e6)}


@benchmark("pools")
def kill_and_replace(effort: Effort) -> Mapping[str, Figure]:
    """From a run's timeout to the first result of the successor."""
    limit = 0.1
    times = []
    with WorkerPool(None, 1, kind="process") as pool:
        pool.submit(same, 1).result()
        for _ in range(effort.size(20, smoke=1)):
            _wait_for_spare(pool)
            begun = time.perf_counter()
            late = pool.submit(hang, timeout=limit)
            waiting = pool.submit(same, 2)
            waiting.result()
            times.append(time.perf_counter() - begun - limit)
            if late.exception().__class__ is not TaskTimeoutError:
                raise AssertionError("the task that hangs was not ended")
    return {"pool_kill_replace_ms": figure([each * 1e3 for each in times], "ms")}


def _wait_for_spare(pool: WorkerPool) -> None:
    """Give the pool the time that a program would between two such accidents."""
    deadline = time.monotonic() + 30.0
    while not pool.statistics().spares:
        if time.monotonic() > deadline:
            raise AssertionError("no spare process has come up within 30 seconds")
        time.sleep(0.01)


@benchmark("pools")
def recovery(effort: Effort) -> Mapping[str, Figure]:
    """From the SIGKILL of one of two workers to work in two processes again."""
    loky = _peer("loky")
    spawn = multiprocessing.get_context("spawn")
    with (
        WorkerPool(None, WORKERS, kind="process") as pool,
        _Anew(lambda: concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=spawn)) as futures,
        contextlib.ExitStack() as stack,
    ):
        theirs = None if loky is None else stack.enter_context(_Anew(lambda: loky.ProcessPoolExecutor(WORKERS)))
        compared = effort.interleave(
            {
                "ours": lambda: _recover_ours(pool),
                "futures": futures.recover,
                "loky": None if theirs is None else theirs.recover,
            }
        )
    return {
        "pool_recover_ms": compared.figure("ours", "ms", scale=1e3),
        "futures_recover_ms": compared.figure("futures", "ms", scale=1e3),
        "loky_recover_ms": compared.figure("loky", "ms", scale=1e3),
        "pool_recover_vs_loky": compared.ratio("loky", "ours"),
        "pool_recover_vs_futures": compared.ratio("futures", "ours"),
    }


def _full_strength(submit: Callable[..., Any]) -> set[int]:
    """Return the pids once tasks run in all workers."""
    while True:
        pids = {future.result() for future in [submit(pid) for _ in range(4 * WORKERS)]}
        if len(pids) == WORKERS:
            return pids


def _recover_ours(pool: WorkerPool) -> float:
    victim = _full_strength(pool.submit).pop()
    _wait_for_spare(pool)
    begun = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    while True:
        with contextlib.suppress(Exception):  # a task that the dead one had just begun
            if victim not in _full_strength(pool.submit):
                return time.perf_counter() - begun


class _Anew:
    """An executor that breaks when a worker dies, and is made anew then, for one run after the other."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._executor = make()

    def recover(self) -> float:
        """Kill a worker; return how long it takes until two are at work again."""
        victim = _full_strength(self._executor.submit).pop()
        begun = time.perf_counter()
        os.kill(victim, signal.SIGKILL)
        try:
            while victim in _full_strength(self._executor.submit):
                pass
        except Exception:  # noqa: BLE001 - broken, as it says; what it raises depends on the library
            self._executor.shutdown(wait=False)
            self._executor = self._make()
            _full_strength(self._executor.submit)
        return time.perf_counter() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
