"""What a reaper leaves to the next one: schedule, settings, counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from sessionactors.expiry import ReapPolicy

if TYPE_CHECKING:
    from sessionactors.settings import ReaperSettings

__all__ = ["ReaperLedger", "ReaperStatistics"]


@dataclass(frozen=True, slots=True)
class ReaperStatistics:
    """What `get_stats` answers; times are monotonic seconds."""

    total_reaped: int
    last_reap_at: float | None
    last_reap_count: int
    interval: float
    paused: bool
    policy: str
    idle_threshold: float


@final
class ReaperLedger:
    """What must survive a crash of the reaper: its schedule, its settings, its counts.

    Attributes:
        settings: how it behaves; `policy` is the one in force.
        policy: which sessions go.
        epoch: monotonic seconds; it sweeps at `epoch + k * interval`.
        running_since: monotonic seconds; sweeps until then have been counted, or left out.
        paused: whether sweeps are left out.
        total_reaped: sessions that it has ended.
        last_reap_at: monotonic seconds of the last sweep, None before the first one.
        last_reap_count: sessions that it has ended then.
    """

    __slots__ = (
        "epoch",
        "last_reap_at",
        "last_reap_count",
        "paused",
        "policy",
        "running_since",
        "settings",
        "total_reaped",
    )

    def __init__(self, settings: ReaperSettings, epoch: float) -> None:
        self.settings = settings
        self.policy = ReapPolicy(settings.policy, settings.idle_threshold)
        self.epoch = epoch
        self.running_since = epoch
        self.paused = False
        self.total_reaped = 0
        self.last_reap_at: float | None = None
        self.last_reap_count = 0

    def sweep_number(self, moment: float) -> int:
        """Return the number of the first sweep at a moment, monotonic seconds, or later."""
        return math.ceil((moment - self.epoch) / self.settings.interval)

    def sweep_at(self, number: int) -> float:
        """Return when a sweep is due, monotonic seconds."""
        return self.epoch + number * self.settings.interval

    def last_sweep(self, now: float) -> int:
        """Return the number of the last sweep that is due by now."""
        number = math.floor((now - self.epoch) / self.settings.interval)
        while self.sweep_at(number) > now:  # what was divided may be rounded either way
            number -= 1
        while self.sweep_at(number + 1) <= now:
            number += 1
        return number

    def count_empty_sweeps(self, now: float) -> None:
        """Count the sweeps until now that were not run, because they could find nothing."""
        if not self.paused:
            interval = self.settings.interval
            at = self.epoch + math.floor((now - self.epoch) / interval) * interval
            if self.running_since < at <= now:
                self.running_since = self.last_reap_at = at
                self.last_reap_count = 0

    def begin_sweep(self, now: float) -> None:
        """Count a sweep that is run."""
        self.running_since = self.last_reap_at = now
        self.last_reap_count = 0

    def count_ends(self, count: int) -> None:
        """Count sessions that have ended in the last sweep."""
        self.total_reaped += count
        self.last_reap_count += count
