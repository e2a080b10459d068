"""What do figures cost a session system: when nobody scrapes, and when somebody does each second?

Workload: of 100,000 live sessions of one system, five hundred at a time make two transitions
each, and the audit log takes what that gave it. They do so by turns without telemetry,
with one that nobody reads, and with one that also times one message of 53; each turn
has other sessions, so all meet memory that is equally cold, and who comes first changes
from round to round. A run sums forty such turns of each, in CPU time of the thread that does it
all: other programs on the machine are hardly in it. Scrapes, of all figures of the system,
its sessions and its process, are timed beside, in CPU time as well: twenty of them, one each second
by the clock that the figures are read by, which takes its time from the machine and leaps to the next
second. What they take is taken out of twenty seconds. So does somebody who watches with `top`: fifty looks
at the threads, and a frame.

Does not show: the time of HTTP, which another thread takes; scrapes in the middle of
the work of several threads.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

from benchmarks.bench_sessions import live_system, round_trip
from benchmarks.harness import Effort, Figure, benchmark, figure
from sessionactors import SessionSystem
from sessionactors.daemon.metrics import SessionCollector
from sessionactors.session import Session
from supervisors.clock import SystemClock
from supervisors.inspection import Inspector, Live
from supervisors.telemetry import HandlerTimes, Telemetry

_LOOKS = 50  # of `top` in a second
_SLICE = 500  # sessions of one turn
_SCRAPES = 20
_EVERY = 53  # as the daemon's option has it


@benchmark("telemetry")
def overhead(effort: Effort) -> Mapping[str, Figure]:
    """Make transitions without telemetry, with telemetry, and with times of handlers; and scrape."""
    count = effort.size(100_000, smoke=200)
    turns = effort.size(40, smoke=1)
    # The log in memory would be sealed in the middle of somebody's turn.
    system, ids = live_system(count, audit={"max_events": None})
    clock = _Leaping()
    ways = {"plain": _nothing, "unread": lambda: _telemetry(system).close, "timed": lambda: _timed(system)}
    runs: list[dict[str, float]] = []
    scrapes: list[float] = []
    try:
        round_trip(system, ids)  # the first one makes what later ones use again
        system.commit_audit()
        slices = _slices(ids)
        for _ in range(effort.runs):
            runs.append(_run(system, slices, ways, turns))
            scrapes.append(_scrapes(system, clock))
    finally:
        system.stop()
    idle = [(run["unread"] / run["plain"] - 1.0) * 100.0 for run in runs]
    timed = [(run["timed"] / run["plain"] - 1.0) * 100.0 for run in runs]
    # The work of a second, and one scrape.
    busy = [(1.0 + each / 100.0) * (1.0 + scrape) * 100.0 - 100.0 for each, scrape in zip(idle, scrapes, strict=True)]
    return {
        "telemetry_idle_overhead_pct": figure(idle, "%"),
        "telemetry_overhead_pct": figure(busy, "%"),
        "telemetry_handler_times_overhead_pct": figure(timed, "%"),
        "telemetry_scrape_ms_100k": figure([each * 1000.0 for each in scrapes], "ms"),
    }


def _slices(ids: list[str]) -> Callable[[], list[str]]:
    """Return a function that gives the next few sessions, round and round."""
    at = 0

    def take() -> list[str]:
        nonlocal at
        found = ids[at : at + _SLICE]
        at = at + _SLICE if at + _SLICE < len(ids) else 0
        return found

    return take


def _run(
    system: SessionSystem,
    slices: Callable[[], list[str]],
    ways: Mapping[str, Callable[[], Callable[[], object]]],
    turns: int,
) -> dict[str, float]:
    """Return seconds of CPU time by way, after so many turns of each."""
    spent = dict.fromkeys(ways, 0.0)
    names = list(ways)
    gc.collect()
    gc.disable()  # a collection would go through all sessions, in whose turn it falls
    try:
        for turn in range(turns):
            for place in range(len(names)):
                name = names[(place + turn) % len(names)]
                ids = slices()
                end = ways[name]()
                began = time.thread_time()
                round_trip(system, ids)
                system.commit_audit()
                spent[name] += time.thread_time() - began
                end()
    finally:
        gc.enable()
    return spent


class _Leaping:
    """A clock that goes as the machine's does, and leaps to the next second when it is told to."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def next_second(self) -> None:
        self._ahead += 1.0


def _scrapes(system: SessionSystem, clock: _Leaping) -> float:
    """Return the seconds of CPU time that a scrape a second takes, of each second."""
    telemetry = _telemetry(system, clock.monotonic)
    gc.collect()
    spent = 0.0
    try:
        for _ in range(_SCRAPES):
            spent += _cpu_seconds(telemetry.exposition)
            clock.next_second()
    finally:
        telemetry.close()
    return spent / _SCRAPES


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

            return _cpu_seconds(one_second)

        try:
            compared = effort.interleave(
                {
                    "mailbox": lambda: watch("mailbox"),
                    "memory": lambda: watch("memory"),
                    "page": lambda: _cpu_seconds(lambda: inspector.ps(limit=200)),
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


def _cpu_seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _nothing() -> Callable[[], object]:
    return lambda: None


def _timed(system: SessionSystem) -> Callable[[], object]:
    telemetry = _telemetry(system)
    times = HandlerTimes(SystemClock(), every=_EVERY)
    times.measure(Session)

    def end() -> None:
        times.close()
        telemetry.close()

    return end


def _telemetry(system: SessionSystem, now: Callable[[], float] = time.monotonic) -> Telemetry:
    telemetry = Telemetry(system.actors, now=now)
    telemetry.add(SessionCollector(system, now=now))
    return telemetry
