"""What do the services cost their callers?

Workload: 100,000 sessions with one bucket each are checked in turn, through the
limiter's actor and the public function, by one thread, beside the library `limits` called
directly, without an actor: memory storage, and its fastest strategy, which on this
workload is the fixed window. 50,000 idle sessions are reaped in one sweep; then again
in real time, while a second thread asks a session that stays, once a millisecond.
100,000 sessions are accounted for by isolation, with all defaults, and looked at for a
minute of virtual time; what that takes is related to the minute. Sessions are isolated in
processes of their own, one after the other, whenever there is one in reserve; then
one of them is asked.

Does not show: several callers at once, waiting in lines, limits other than requests,
what metering the turns of a busy session adds to them.
"""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping

from benchmarks.echo_handler import Echo
from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from sessionactors import LimiterSettings, ReaperSettings, SessionOptions, SessionSystem
from sessionactors.limits.token_bucket import BucketLimits, TokenBucket
from supervisors.clock import VirtualClock

try:
    import limits
    import limits.strategies
except ImportError:  # it comes with the extra "dev"
    limits = None  # type: ignore[assignment]  # stands for "not installed"


@benchmark("services")
def rate_checks(effort: Effort) -> Mapping[str, Figure]:
    """Check one bucket after the other: through the actor, without it, and by another library."""
    count = effort.size(100_000, smoke=200)
    keys = [f"session-{number}" for number in range(count)]
    bucket_limits = BucketLimits(1e9, 10.0)
    bare = {key: TokenBucket(bucket_limits, 0.0) for key in keys}
    with SessionSystem(limiter=LimiterSettings(capacity=1e9), clock=VirtualClock()) as system:
        check = system.check_rate_limit

        def through_actor() -> None:
            for key in keys:
                check(key)

        def without_actor() -> None:
            for key in keys:
                bare[key].check(1, 0.0)

        through_library = _library(keys)
        compared = effort.interleave(
            {
                "ours": lambda: rate(count, through_actor),
                "arithmetic": lambda: rate(count, without_actor),
                "limits": None if through_library is None else lambda: rate(count, through_library),
            }
        )
    return {
        "rate_checks_per_s_100k_keys": compared.figure("ours", "checks/s"),
        "rate_arithmetic_per_s_100k_keys": compared.figure("arithmetic", "checks/s"),
        "rate_limits_library_per_s_100k_keys": compared.figure("limits", "checks/s"),
        "rate_check_vs_limits_library": compared.ratio("ours", "limits"),
    }


def _library(keys: list[str]) -> Callable[[], None] | None:
    if limits is None:
        return None
    hit = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage()).hit
    item = limits.RateLimitItemPerHour(10**9)

    def through_library() -> None:
        for key in keys:
            hit(item, key)

    return through_library


@benchmark("services")
def bucket_memory(effort: Effort) -> Mapping[str, Figure]:
    """Weigh the limiter's entries, all of them used; the ids belong to the sessions."""
    count = effort.size(100_000, smoke=200)
    keys = [f"session-{number}" for number in range(count)]
    weights = []
    for _ in range(1 if effort.smoke else 3):
        with SessionSystem(clock=VirtualClock()) as system:
            system.check_rate_limit("one before", cost=0.5)
            system.actors.advance(1000.0)
            gc.collect()
            tracemalloc.start()
            try:
                for key in keys:
                    system.check_rate_limit(key)
                weights.append(tracemalloc.get_traced_memory()[0] / count)
            finally:
                tracemalloc.stop()
    return {"bytes_per_bucket": figure(weights, "bytes")}


@benchmark("services")
def reaping(effort: Effort) -> Mapping[str, Figure]:
    """End idle sessions in one sweep."""
    count = effort.size(50_000, smoke=200)
    rates = []
    for _ in range(1 if effort.smoke else 3):
        gc.collect()
        with SessionSystem(
            session=SessionOptions(auth_required=False, idle_timeout=None),
            reaper=ReaperSettings(interval=1e6, idle_threshold=10.0),
            clock=VirtualClock(),
        ) as system:
            for number in range(count):
                system.start_session(f"session-{number}")
            system.actors.advance(60.0)
            begun = time.perf_counter()
            ended = system.reap()
            rates.append(ended / (time.perf_counter() - begun))
            if ended != count:
                raise AssertionError(f"{ended} of {count} sessions were reaped")
    return {"reap_per_s": figure(rates, "sessions/s")}


@benchmark("services")
def asking_while_reaping(effort: Effort) -> Mapping[str, Figure]:
    """Ask a session and the reaper itself while another thread's sweep ends many."""
    count = effort.size(50_000, smoke=500)
    session_waits, reaper_waits = [], []
    for _ in range(1 if effort.smoke else 3):
        gc.collect()
        with SessionSystem(
            session=SessionOptions(auth_required=False, idle_timeout=None),
            reaper=ReaperSettings(interval=1e6, idle_threshold=0.001),
        ) as system:
            for number in range(count):
                system.start_session(f"session-{number}")
            system.start_session("stays", {"ttl": None})
            sweeping = threading.Thread(target=system.reap, args=("all",))
            asked: dict[str, list[float]] = {"session": [], "reaper": []}
            calls: Mapping[str, Callable[[], object]] = {
                "session": lambda: system.check_rate_limit("somebody"),
                "reaper": system.reaper_statistics,
            }
            sweeping.start()
            while sweeping.is_alive():
                for name, call in calls.items():
                    begun = time.perf_counter()
                    call()
                    asked[name].append(time.perf_counter() - begun)
                time.sleep(0.001)
            sweeping.join()
        session_waits.append(_p99(asked["session"]))
        reaper_waits.append(_p99(asked["reaper"]))
    return {
        "ask_p99_ms_while_reaping": figure(session_waits, "ms"),
        "ask_reaper_p99_ms_while_reaping": figure(reaper_waits, "ms"),
    }


def _p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)] * 1000.0 if waits else 0.0


@benchmark("services")
def isolation(effort: Effort) -> Mapping[str, Figure]:
    """Account for very many sessions: how much of a core does it take to keep looking at them?"""
    count = effort.size(100_000, smoke=200)
    minute = 60.0
    with SessionSystem(
        session=SessionOptions(auth_required=False, idle_timeout=None, ttl=None),
        reaper=ReaperSettings(interval=1e6, idle_threshold=1e6),
        clock=VirtualClock(),
    ) as system:
        for number in range(count):
            system.start_session(f"session-{number}")
            system.isolate(f"session-{number}", message_limit=None)
        system.actors.advance(minute)
        shares = []
        for _ in range(1 if effort.smoke else 5):
            gc.collect()
            begun = time.thread_time()
            system.actors.advance(minute)
            shares.append(100.0 * (time.thread_time() - begun) / minute)
    return {"isolation_overhead_pct_100k": figure(shares, "percent of a core")}


@benchmark("services")
def processes(effort: Effort) -> Mapping[str, Figure]:
    """Isolate a session in a process of its own, and ask it there."""
    count = effort.size(20, smoke=2)
    calls = effort.size(2000, smoke=20)
    starts, asks = [], []
    with SessionSystem(session=SessionOptions(auth_required=False)) as system:
        system.start_session("first")
        system.isolate("first", isolated="process", handler=Echo)
        for number in range(count):
            name = f"session-{number}"
            system.start_session(name)
            time.sleep(0.0 if effort.smoke else 1.0)  # until there is one in reserve again, and it is ready
            begun = time.perf_counter()
            system.isolate(name, isolated="process", handler=Echo)
            starts.append((time.perf_counter() - begun) * 1000.0)
            system.terminate(name)
        for _ in range(1 if effort.smoke else 5):
            begun = time.perf_counter()
            for _ in range(calls):
                system.call_isolated("first", 1)
            asks.append((time.perf_counter() - begun) / calls * 1e6)
    return {"process_session_start_ms": figure(starts, "ms"), "process_ask_us": figure(asks, "us")}
