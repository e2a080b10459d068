"""The restraints of sessions: throttles and blocks put on, timed, taken off and told.

What a restraint means is in `sessionactors.limits.guard`; here is when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

from sessionactors import bounds, identifiers
from sessionactors.limits.guard import DROP, REJECT, Throttle
from sessionactors.waiting_room import WaitingRoom, after

if TYPE_CHECKING:
    from sessionactors.effects import AuditType, Severity
    from sessionactors.limiter_table import LimiterTable
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef
    from supervisors.timers.service import Timer

__all__ = ["Restraints"]


@final
class Restraints:
    """The guards of the limiter's table, with a timer for each that ends by itself.

    Args:
        table: where the guards are.
        around: the system around the limiter.
        limiter: gets `("guard_due", session id)` when a restraint ends.
        room: whom those leave that must not wait any more.
        announce: tells of an event.

    Every function may change which guards there are.

    Thread: the limiter's own turn.
    """

    __slots__ = ("_announce", "_around", "_limiter", "_room", "_table", "_timers")

    def __init__(
        self,
        table: LimiterTable,
        around: Surroundings,
        limiter: ActorRef[Any],
        room: WaitingRoom,
        announce: Callable[[str, str, Mapping[str, object], AuditType, Severity], None],
    ) -> None:
        self._table = table
        self._around = around
        self._limiter = limiter
        self._room = room
        self._announce = announce
        self._timers: dict[str, Timer] = {}

    def close(self) -> None:
        """Leave no timer behind."""
        for timer in self._timers.values():
            timer.cancel()

    def count_violation(self, session_id: str, now: float) -> None:
        """Count a refusal, and block who has had too many."""
        settings = self._table.settings
        guard = self._table.guard(session_id)
        if guard.blocked_until <= now and guard.count_violation(now, self._table.violations, settings.abuse_block):
            self.watch(session_id)
            facts = {"violations": settings.abuse_violations, "block": settings.abuse_block}
            self._announce(session_id, "abuse_blocked", facts, "security", "warning")
            self._room.turn_away(session_id, settings.abuse_block)

    def forget(self, session_id: str) -> None:
        """Drop the timer of somebody whose guard is gone."""
        timer = self._timers.pop(session_id, None)
        if timer is not None:
            timer.cancel()

    def apply(self, session_id: str, action: str, duration: float | None = None) -> None:
        """Put a throttle on, in place of the one that is on.

        Args:
            session_id: whose; its session has not ended.
            action: one of `THROTTLE_ACTIONS`.
            duration: seconds; None: until it is cleared.
        """
        now = self._around.now()
        seconds = bounds.seconds_or_none("duration", duration)
        throttle = Throttle(action, math.inf if seconds is None else now + seconds)
        table = self._table
        if session_id not in table.guards:
            is_live = self._around.directory.get(session_id) is not None
            table.check_room(len(table.guards), is_live=is_live)
        table.guard(session_id).throttle = throttle
        self.watch(session_id)
        self._announce(session_id, "throttle_started", {"action": action, "duration": seconds}, "security", "warning")
        if action in (DROP, REJECT):
            is_dropped = action == DROP
            self._room.turn_away(session_id, math.inf if is_dropped else throttle.until - now, is_dropped=is_dropped)

    def clear(self, session_id: str) -> bool:
        """Take throttle and block off; False when there was nothing to take off."""
        session_id = identifiers.parse(session_id)
        guard = self._table.guards.get(session_id)
        self._table.refused_until.pop(session_id, None)
        if guard is None:
            return False
        was_blocked, was_throttled = guard.blocked_until > self._around.now(), guard.throttle is not None
        guard.blocked_until, guard.throttle = -math.inf, None
        self.watch(session_id)
        self._tell_ends(session_id, ["throttle"] * was_throttled + ["block"] * was_blocked)
        return was_throttled or was_blocked

    def press(self, session_id: str, is_pressed: bool) -> None:
        """Note that isolation sees the session over a soft limit, or not any more."""
        if is_pressed and self._around.directory.get(session_id) is not None:
            self._table.guard(session_id).is_pressed = True
        elif session_id in self._table.guards:
            self._table.guards[session_id].is_pressed = is_pressed
            self.watch(session_id)

    def due(self, session_id: str) -> None:
        """Take off what is over."""
        guard = self._table.guards.get(session_id)
        if guard is not None:
            ends = guard.end(self._around.now())
            self.watch(session_id)
            self._tell_ends(session_id, ends)

    def _tell_ends(self, session_id: str, ends: list[str]) -> None:
        for end in ends:
            event = "throttle_cleared" if end == "throttle" else "abuse_unblocked"
            self._announce(session_id, event, {}, "security", "info")

    def watch(self, session_id: str) -> None:
        """Arm the guard's one timer, or drop a guard that guards nothing."""
        timer = self._timers.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        guard = self._table.guards.get(session_id)
        if guard is None:
            return
        now = self._around.now()
        if guard.is_idle(now):
            del self._table.guards[session_id]
            return
        due = guard.next_end()
        if due < math.inf:
            message = ("guard_due", session_id)
            self._timers[session_id] = self._around.timers.send_at(after(now, due - now), self._limiter, message)
