"""What do figures cost a session system: when nobody scrapes, and when somebody does each second?

Workload: the sessions of one system make transitions, as in `bench_sessions`, by turns
without telemetry and with one that nobody reads. A scrape, of all figures of the system,
its sessions and its process, is timed beside; somebody who scrapes once a second
takes that much out of each second. So does somebody who watches with `top`: fifty looks
at the threads, and a frame.

Does not show: the time of HTTP, which another thread takes; scrapes in the middle of
the work of several threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.bench_sessions import live_system, round_trip
from benchmarks.harness import Effort, Figure, benchmark, figure, seconds
from sessionactors import SessionSystem
from sessionactors.daemon.metrics import SessionCollector
from supervisors.inspection import Inspector, Live
from supervisors.telemetry import Telemetry

_LOOKS = 50  # of `top` in a second


@benchmark("telemetry")
def overhead(effort: Effort) -> Mapping[str, Figure]:
    """Make transitions without telemetry, with telemetry, and with scrapes."""
    count = effort.size(100_000, smoke=200)
    system, ids = live_system(count)
    round_trip(system, ids)  # the first one makes what later ones use again

    def unread() -> float:
        telemetry = _telemetry(system)
        try:
            return seconds(lambda: round_trip(system, ids))
        finally:
            telemetry.close()

    def scrape() -> float:
        telemetry = _telemetry(system)
        try:
            return seconds(telemetry.exposition)
        finally:
            telemetry.close()

    try:
        compared = effort.interleave(
            {"plain": lambda: seconds(lambda: round_trip(system, ids)), "unread": unread, "scrape": scrape}
        )
    finally:
        system.stop()
    plain, idle, scrapes = (compared.values[name] or () for name in ("plain", "unread", "scrape"))
    # The work of a second and one scrape take this many seconds.
    busy = tuple(working * (1.0 + scraping) for working, scraping in zip(idle, scrapes, strict=True))
    return {
        "telemetry_idle_overhead_pct": _percent(idle, plain),
        "telemetry_overhead_pct": _percent(busy, plain),
        "telemetry_scrape_ms_100k": compared.figure("scrape", "ms", scale=1000.0),
    }


@benchmark("telemetry")
def inspection(effort: Effort) -> Mapping[str, Figure]:
    """Have somebody watch with `top`: fifty looks at all threads, and one frame, a second."""
    count = effort.size(100_000, smoke=200)
    system, _ = live_system(count)
    with Inspector(system.actors) as inspector:
        live = Live(inspector)

        def watch(sort: str) -> float:
            def one_second() -> None:
                for _ in range(_LOOKS):
                    live.look()
                live.frame(sort=sort)

            return seconds(one_second)

        try:
            compared = effort.interleave(
                {
                    "mailbox": lambda: watch("mailbox"),
                    "memory": lambda: watch("memory"),
                    "page": lambda: seconds(lambda: inspector.ps(limit=200)),
                }
            )
        finally:
            system.stop()
    return {
        # What a second of watching takes, as a share of that second.
        "inspection_top_overhead_pct": compared.figure("mailbox", "%", scale=100.0),
        "inspection_top_memory_overhead_pct": compared.figure("memory", "%", scale=100.0),
        "inspection_ps_page_ms_100k": compared.figure("page", "ms", scale=1000.0),
    }


def _telemetry(system: SessionSystem) -> Telemetry:
    telemetry = Telemetry(system.actors)
    telemetry.add(SessionCollector(system))
    return telemetry


def _percent(values: tuple[float, ...], baseline: tuple[float, ...]) -> Figure:
    return figure([(one / other - 1.0) * 100.0 for one, other in zip(values, baseline, strict=True)], "%")
