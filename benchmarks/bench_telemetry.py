"""What do figures cost a session system: when nobody scrapes, and when somebody does each second?

Workload: the sessions of one system make transitions, as in `bench_sessions`, by turns
without telemetry and with one that nobody reads. A scrape, of all figures of the system,
its sessions and its process, is timed beside; somebody who scrapes once a second
takes that much out of each second.

Does not show: the time of HTTP, which another thread takes; scrapes in the middle of
the work of several threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.bench_sessions import live_system, round_trip
from benchmarks.harness import Effort, Figure, benchmark, figure, seconds
from sessionactors import SessionSystem
from sessionactors.daemon.metrics import SessionCollector
from supervisors.telemetry import Telemetry


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


def _telemetry(system: SessionSystem) -> Telemetry:
    telemetry = Telemetry(system.actors)
    telemetry.add(SessionCollector(system))
    return telemetry


def _percent(values: tuple[float, ...], baseline: tuple[float, ...]) -> Figure:
    return figure([(one / other - 1.0) * 100.0 for one, other in zip(values, baseline, strict=True)], "%")
