"""Ending children: first ask, then wait, then kill (SUP-40 to SUP-46, DYN-9).

A `Termination` ends a set of children at the same time, each within its own limit.
A supervisor that ends its children one after the other uses one per child; a
dynamic one uses a single one for all: there, children with the same limit share a
timer, because they all got their signal at the same moment (SUP-46).

The end is awaited by a monitor and not by the link, so that a child that has
unlinked itself cannot hang its supervisor (SUP-41).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

from supervisors.exits import KILL, KILLED, SHUTDOWN, is_abnormal
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.effects import (
    ArmShutdownTimer,
    CancelShutdownTimer,
    Effect,
    MonitorChild,
    SendExit,
)
from supervisors.supervision.inputs import ChildDown, ShutdownTimeout

__all__ = ["Ended", "Termination", "is_expected_end"]


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """A child that is gone, and the reason it ended with."""

    ref: Any
    spec: ChildSpec
    reason: object


@final
class Termination:
    """The end of a set of children at the same time.

    Attributes:
        waiting: specifications of those not yet gone, by reference; done when empty.
        ended: those that are gone, by reference, in the order of their ends.
    """

    __slots__ = ("_groups", "_tokens", "_unread", "ended", "waiting")

    def __init__(self, unread: dict[Any, object], tokens: Iterator[int]) -> None:
        """Prepare.

        Args:
            unread: reasons of exit messages that came in but were not handled yet,
                by reference. Entries of these children are taken out.
            tokens: numbers for timers, never the same one twice.
        """
        self.waiting: dict[Any, ChildSpec] = {}
        self.ended: dict[Any, Ended] = {}
        self._unread = unread
        self._tokens = tokens
        self._groups: dict[int, list[Any]] = {}

    def begin(self, children: Iterable[tuple[Any, ChildSpec]], effects: list[Effect]) -> None:
        """Send every child its first signal.

        A child whose exit message is already there is not signalled: it counts as
        ended with that reason (SUP-45).
        """
        limits: dict[float, list[Any]] = {}
        for ref, spec in children:
            if ref in self._unread:
                self.ended[ref] = Ended(ref, spec, self._unread.pop(ref))
                continue
            self.waiting[ref] = spec
            effects.append(MonitorChild(ref))
            shutdown = spec.shutdown
            if shutdown == "brutal_kill":
                effects.append(SendExit(ref, KILL))
                continue
            effects.append(SendExit(ref, SHUTDOWN))
            if isinstance(shutdown, float):
                limits.setdefault(shutdown, []).append(ref)
        for seconds, refs in limits.items():
            if seconds == 0.0:
                # No time at all: the kill follows the request at once, in this order.
                effects.extend(SendExit(ref, KILL) for ref in refs)
            else:
                token = next(self._tokens)
                self._groups[token] = refs
                effects.append(ArmShutdownTimer(seconds, token))

    def down(self, news: ChildDown, effects: list[Effect]) -> None:
        """Take in the end of a child."""
        spec = self.waiting.pop(news.ref, None)
        if spec is None:
            return
        # The exit message is better informed: a child that was dead before the
        # monitor was set is `noproc` to the monitor.
        reason = self._unread.pop(news.ref, news.reason) if self._unread else news.reason
        self.ended[news.ref] = Ended(news.ref, spec, reason)
        if not self.waiting:
            effects.extend(map(CancelShutdownTimer, self._groups))
            self._groups.clear()

    def timeout(self, news: ShutdownTimeout, effects: list[Effect]) -> None:
        """Kill those that have not ended within their time; the wait for them has no limit."""
        late = self._groups.pop(news.token, ())
        effects.extend(SendExit(ref, KILL) for ref in late if ref in self.waiting)


def is_expected_end(spec: ChildSpec, reason: object) -> bool:
    """Tell whether a child that was ended did so as told (SUP-44)."""
    told = KILLED if spec.shutdown == "brutal_kill" else SHUTDOWN
    if isinstance(reason, str) and reason == told:
        return True
    return spec.restart != "permanent" and not is_abnormal(reason)
