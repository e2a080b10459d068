"""Join the parts of a replay: a log, a session system, a driver, a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors.replay.binding import open_replay_system
from sessionactors.replay.driver import ReplayDriver
from sessionactors.replay.pacer import Pacer
from sessionactors.replay.report import ReplayReport, make_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sessionactors.replay.settings import ReplaySettings
    from sessionactors.replay.source import Log
    from sessionactors.replay.stop import Stop
    from supervisors.clock import Clock

__all__ = ["replay_log"]


def replay_log(
    log: Log,
    settings: ReplaySettings,
    *,
    clock: Clock,
    directory: Path | None = None,
    speed: float | None = None,
    begun: float | None = None,
    stop: Stop | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[ReplayReport, bool]:
    """Drive a session system of its own with a log.

    Args:
        log: at least one event.
        settings: how the sessions behave.
        clock: real time, for pacing and for `wall_seconds`.
        directory: where the audit log goes, an existing folder without one;
            None keeps it in memory.
        speed: log seconds in one real second; None is as fast as it goes.
        begun: the clock's monotonic reading from which `wall_seconds` counts; None is now.
        stop: ends the run early once it is requested.
        on_progress: called now and then with the number of events handled.

    Returns:
        The report, and whether the run came to its end.

    Blocks: until the run has ended and the audit log is durable.
    """
    begun = clock.monotonic() if begun is None else begun
    start = log.events[0][0]
    if log.format == "sshd":
        settings = settings.as_sshd()
    with open_replay_system(settings, start=start, directory=directory, speed=speed) as system:
        pacer = None if speed is None else Pacer(clock, start=start, speed=speed)
        driver = ReplayDriver(system, settings, start=start, stop=stop, pacer=pacer, on_progress=on_progress)
        handled = driver.run(log.events)
        totals = system.totals()
        wall_seconds = clock.monotonic() - begun
    return make_report(log, handled, totals, wall_seconds=wall_seconds), handled.is_complete
