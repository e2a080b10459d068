"""Run tasks of which some crash, hang or kill their process, and account for every one.

    python examples/pool_flaky.py [--tasks 1000] [--share 0.05] [--workers 4] [--seed 1] [--stop-after SECONDS]

Each task has its fate drawn from the seed: most compute something; a share of them
raises, leaves by `os._exit`, is killed by SIGKILL or SIGSEGV, or hangs. At the end the
books must balance: every task is done, failed with a reason, or given back, exactly once.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import random
import signal
import sys
import threading
from collections import Counter

from supervisors.pools import Backlog, PoolStoppedError, TaskReturnedError, WorkerPool

FATES = ("raise", "exit", "sigkill", "sigsegv", "hang")


def main(arguments: list[str] | None = None) -> int:
    """Run the tasks and print the books; return 1 if they do not balance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.05, help="of tasks that go wrong, 0 to 1")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=0.5, help="seconds for one run")
    parser.add_argument("--stop-after", type=int, metavar="N", help="close the pool when N tasks have an outcome")
    options = parser.parse_args(arguments)
    numbers = random.Random(options.seed)
    fates = [numbers.choice(FATES) if numbers.random() < options.share else "work" for _ in range(options.tasks)]
    outcomes: Counter[str] = Counter()
    pool = WorkerPool(live, options.workers, kind="process", timeout=options.timeout, backlog=Backlog(count_max=None))
    with pool:
        futures = [pool.submit(fate, number) for number, fate in enumerate(fates)]
        for number, future in enumerate(futures):
            if options.stop_after is not None and number == options.stop_after:
                pool.close(drain_timeout=0.0)
            error = future.exception(timeout=120.0)
            outcomes["done" if error is None else type(error).__name__] += 1
            if error is None and future.result() != digest(number):
                print(f"task {number} has the result of another one", file=sys.stderr)
                return 1
            if fates[number] != "work" and error is None:
                print(f"task {number} was to {fates[number]}, and is done", file=sys.stderr)
                return 1
            if fates[number] == "work" and not isinstance(error, (TaskReturnedError, PoolStoppedError, type(None))):
                print(f"task {number} only worked, and yet: {error!r}", file=sys.stderr)
                return 1
    report = pool.close()
    for what, count in sorted(outcomes.items()):
        print(f"{count:8,} {what}")
    print(
        f"{report.submitted:8,} submitted = "
        f"{report.done} done + {report.failed} failed + {len(report.returned)} returned"
    )
    balanced = report.submitted == report.done + report.failed + len(report.returned) == options.tasks
    return 0 if balanced and sum(outcomes.values()) == options.tasks else 1


def live(fate: str, number: int) -> str:
    """Meet one's fate."""
    if fate == "raise":
        raise ValueError(f"task {number} was to raise")
    if fate == "exit":
        os._exit(3)
    if fate == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "sigsegv":
        ctypes.string_at(0)
    if fate == "hang":
        threading.Event().wait()
    return digest(number)


def digest(number: int) -> str:
    """Compute something."""
    return hashlib.sha256(str(number).encode() * 100).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
