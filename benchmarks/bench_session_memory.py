"""What does a session weigh while it sleeps, and do a million fit?

Workload, asleep: 100,000 active sessions with their records in all services and in the
memory log, as in `bench_sessions.weight`; the bytes that Python has allocated for them are
counted (not those of the process, which keeps what was free in between). A second goes by,
so that nobody has used up any of his rate limit any more, and the log is committed once more, as a
quiet one is; then all of them hibernate and the same is counted again. Then all are woken and
put to sleep. Workload, a million: a process of its own starts so many sessions, touches each
once and ends them, with the memory log; the peak of its memory is the figure. That is done once.

Does not show: sessions with metadata, history or user objects, which save more by sleeping.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping

from benchmarks.bench_sessions import live_system
from benchmarks.harness import Effort, Figure, benchmark, figure, seconds
from sessionactors import SessionSystem

__all__ = ["asleep", "million"]

_MILLION = 1_000_000
_MILLION_SECONDS_MAX = 1200.0


@benchmark("sessions")
def asleep(effort: Effort) -> Mapping[str, Figure]:
    """Count the bytes of live sessions, awake and asleep, and time falling asleep and waking."""
    count = effort.size(100_000, smoke=200)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]

    def weight() -> float:
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / count

    system, ids = live_system(count)
    try:
        for session_id in ids:
            system.check_rate_limit(session_id)
        system.commit_audit()
        awake = weight()
        system.actors.advance(1.0)
        system.commit_audit()
        sleep(system, ids)
        slept = weight()
        tracemalloc.stop()
        timed = effort.interleave({
            "wake": lambda: seconds(lambda: wake(system, ids)),
            "sleep": lambda: seconds(lambda: sleep(system, ids)),
        })  # fmt: skip
    finally:
        tracemalloc.stop()
        system.stop()
    return {
        "bytes_per_idle_session_traced": figure([awake], "bytes"),
        "bytes_per_hibernated_session": figure([slept], "bytes"),
        "session_hibernate_us": timed.figure("sleep", "us", scale=1e6 / count),
        "session_wake_us": timed.figure("wake", "us", scale=1e6 / count),
    }


def sleep(system: SessionSystem, ids: list[str]) -> None:
    """Have all of them sleep."""
    for session_id in ids:
        system.hibernate(session_id)


def wake(system: SessionSystem, ids: list[str]) -> None:
    """Wake all of them."""
    for session_id in ids:
        system.touch(session_id)


@benchmark("sessions")
def million(effort: Effort) -> Mapping[str, Figure]:
    """Start, touch and end very many sessions in a process of its own."""
    count = effort.size(_MILLION, smoke=200)
    keys = {step: f"live_sessions_1m_{step}_s" for step in ("start", "touch", "terminate")}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "benchmarks.live_sessions", str(count)],
        check=True,
        capture_output=True,
        text=True,
        timeout=_MILLION_SECONDS_MAX,
    )
    took = json.loads(done.stdout)
    return {
        "live_sessions_1m_gib": figure([took["peak"] / 2**30], "GiB"),
        **{key: figure([took[step]], "s") for step, key in keys.items()},
    }
