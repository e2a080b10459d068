"""Works through all buckets of the limiter, some in each turn, so that checks get in between.

Two jobs want that: forgetting buckets that nobody uses, and giving new defaults to
those that have the old ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.limiter_table import LimiterTable
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef

__all__ = ["CONTINUE", "IN_ONE_TURN", "LimiterUpkeep"]

CONTINUE: Final = "continue"
"""What the limiter tells itself until both jobs are done."""

IN_ONE_TURN: Final = 2000
"""Buckets that are looked at in one turn."""

_HURRY_INTERVAL: Final = 1.0  # seconds between sweeps that a full table asks for


@final
class LimiterUpkeep:
    """The jobs of one limiter; only its own turns call this.

    Args:
        table: what it has.
        around: the system around it.
        me: its ref.
        serve: called with a session and a type whose limits have changed.
    """

    __slots__ = ("_around", "_hurried_at", "_idle_after", "_me", "_renewal", "_serve", "_sweep", "_table")

    def __init__(
        self, table: LimiterTable, around: Surroundings, me: ActorRef[Any], serve: Callable[[str, str], object]
    ) -> None:
        self._table = table
        self._around = around
        self._me = me
        self._serve = serve
        self._sweep: Iterator[tuple[str, list[str]]] | None = None
        self._renewal: Iterator[tuple[str, list[str]]] | None = None
        self._idle_after = 0.0
        self._hurried_at = -math.inf

    def make_room(self, now: float) -> None:
        """Have full buckets swept out soon: whoever sprays ids pays for it, but not at each of them."""
        if now - self._hurried_at >= _HURRY_INTERVAL:
            self._hurried_at = now
            self.sweep(0.0)

    def sweep(self, idle_after: float) -> None:
        """Begin to forget buckets that nobody has used for so many seconds, unless that has begun."""
        self._table.tidy_rest(self._around.now())
        if self._sweep is None:
            self._idle_after = idle_after
            self._sweep = self._portions(is_first=self._renewal is None)

    def renew(self) -> None:
        """Begin, or begin again, to give the defaults of now to buckets that have older ones."""
        if self._table.outdated:
            self._renewal = self._portions(is_first=self._sweep is None and self._renewal is None)

    def go_on(self) -> None:
        """Do some of it; what is left is done when the message `CONTINUE` comes again."""
        if self._sweep is not None:
            portion = next(self._sweep, None)
            if portion is None:
                self._sweep = None
            else:
                self._table.tidy(*portion, self._around.now(), self._idle_after)
        if self._renewal is not None:
            portion = next(self._renewal, None)
            if portion is None:
                self._renewal = None
                self._table.outdated.clear()
            else:
                for session_id in self._table.renew(*portion, self._around.now()):
                    self._serve(session_id, portion[0])
        if self._sweep is not None or self._renewal is not None:
            self._me.send(CONTINUE)

    def _portions(self, *, is_first: bool) -> Iterator[tuple[str, list[str]]]:
        if is_first:  # else the message is on its way already
            self._me.send(CONTINUE)
        return _portions({known: list(buckets) for known, buckets in self._table.buckets.items()})


def _portions(ids: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    for quota_type, session_ids in ids.items():
        for first in range(0, len(session_ids), IN_ONE_TURN):
            yield quota_type, session_ids[first : first + IN_ONE_TURN]
