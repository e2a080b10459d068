"""What do the services cost their callers?

Workload: 100,000 sessions with one bucket each are checked in turn, through the
limiter's actor and the public function, by one thread; and 50,000 idle sessions are
reaped in one sweep, while the reaper's answers to a question in between are timed.

Does not show: several callers at once, waiting in queues, limits other than requests.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping

from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from sessionactors import LimiterSettings, ReaperSettings, SessionOptions, SessionSystem
from sessionactors.limits.token_bucket import BucketLimits, TokenBucket
from supervisors.clock import VirtualClock


@benchmark("services")
def rate_checks(effort: Effort) -> Mapping[str, Figure]:
    """Check one bucket after the other, through the actor and without it."""
    count = effort.size(100_000, smoke=200)
    keys = [f"session-{number}" for number in range(count)]
    limits = BucketLimits(1e9, 10.0)
    bare = {key: TokenBucket(limits, 0.0) for key in keys}
    with SessionSystem(limiter=LimiterSettings(capacity=1e9), clock=VirtualClock()) as system:
        check = system.check_rate_limit

        def through_actor() -> None:
            for key in keys:
                check(key)

        def without_actor() -> None:
            for key in keys:
                bare[key].check(1, 0.0)

        compared = effort.interleave(
            {
                "ours": lambda: rate(count, through_actor),
                "arithmetic": lambda: rate(count, without_actor),
            }
        )
    return {
        "rate_checks_per_s_100k_keys": compared.figure("ours", "checks/s"),
        "rate_arithmetic_per_s_100k_keys": compared.figure("arithmetic", "checks/s"),
    }


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
