"""How long is a task and its result in Celery, beside the process pool of this library?

Workload: a task that returns its argument, two worker processes each. *One by one*: a
caller sends a task and waits for its result, then the next one. *Many*: all are sent, then all results
are taken. Celery has a Redis server of its own on this machine, without persistence, as
its broker and for its results: the quickest set-up it supports. Both take turns.

Run it where both are installed (`pip install 'celery[redis]'`, Debian's `redis-server`):
`python -m benchmarks.peers_celery`. It is no contender of `make bench`, because it brings a server.

It does not show what Celery is made for: tasks that survive the end of everything, that
other machines do, that any language sends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from celery import Celery

from supervisors.pools import Backlog, WorkerPool

RUNS: Final = 8
ONE_BY_ONE: Final = 200
MANY: Final = 1_000
WORKERS: Final = 2
_SOCKET: Final = "PEERS_CELERY_SOCKET"

_where = os.environ.get(_SOCKET, "")
app: Final = Celery("peers", broker=f"redis+socket://{_where}", backend=f"redis+socket://{_where}")
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=4, task_ignore_result=False)


def same(value: Any) -> Any:
    """Do nothing: what is measured is everything around it."""
    return value


echo: Final = app.task(name="same")(same)


@contextlib.contextmanager
def celery_workers() -> Iterator[None]:
    """Have a server and workers while the block runs."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        where = Path(folder) / "redis"
        environment = {**os.environ, _SOCKET: str(where)}
        server = ["redis-server", "--port", "0", "--unixsocket", str(where), "--save", "", "--dir", folder]
        worker = [sys.executable, "-m", "celery", "-A", __spec__.name, "-q", "worker"]
        worker += [f"--concurrency={WORKERS}", "--without-gossip", "--without-mingle", "--loglevel=ERROR"]
        stack.enter_context(_running(server, environment))
        stack.enter_context(_running(worker, environment))
        app.conf.update(broker_url=f"redis+socket://{where}", result_backend=f"redis+socket://{where}")
        while not where.exists():
            time.sleep(0.05)
        echo.delay(0).get(timeout=60.0)
        yield


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            yield
        finally:
            process.terminate()


def _one_by_one(send: Callable[[int], Any], take: Callable[[Any], Any]) -> float:
    begun = time.perf_counter()
    for number in range(ONE_BY_ONE):
        take(send(number))
    return ONE_BY_ONE / (time.perf_counter() - begun)


def _many(send: Callable[[int], Any], take: Callable[[Any], Any]) -> float:
    begun = time.perf_counter()
    for result in [send(number) for number in range(MANY)]:
        take(result)
    return MANY / (time.perf_counter() - begun)


def main() -> None:
    """Measure both, in turns."""
    with celery_workers(), WorkerPool(same, WORKERS, kind="process", backlog=Backlog(count_max=None)) as pool:
        contenders: dict[str, tuple[Callable[[int], Any], Callable[[Any], Any]]] = {
            "supervisors": (pool.submit, lambda result: result.result(60.0)),
            "Celery, Redis": (echo.delay, lambda result: result.get(timeout=60.0)),
        }
        print("tasks a second: median, lowest and highest of", RUNS)
        for what, measure in (("one by one", _one_by_one), ("many", _many)):
            rates: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(RUNS):
                for name, (send, take) in contenders.items():
                    rates[name].append(measure(send, take))
            for name, found in rates.items():
                print(f"{what:11} {name:14} {median(found):10,.0f} {min(found):10,.0f} {max(found):10,.0f}")


if __name__ == "__main__":
    main()
