"""Where requests wait until their bucket has enough: one line for each session and type.

A line is served when the tokens for its first are there, never earlier and never out
of turn: a large request at the front is not overtaken by small ones behind it.
Each line has one timer, set for the moment at which its first can be admitted or
somebody's deadline passes, whichever comes first.

The room belongs to the limiter's actor and ends with it; who waits then is told so
by the runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from sessionactors.errors import RateLimited, RequestDropped, SessionTerminated
from sessionactors.limits.waiting_line import Request, Waiting, WaitingLine

if TYPE_CHECKING:
    from sessionactors.limiter_table import LimiterTable
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply
    from supervisors.timers.service import Timer

__all__ = ["WaitingRoom", "after", "refused"]


def after(now: float, wait: float) -> float:
    """Return the moment a wait from now, but later than now in any case.

    A wait of a nanosecond may vanish when it is added to a large reading of the
    clock, and a timer that is set for now again and again would never let go.
    """
    due = now + wait
    return due if due > now else math.nextafter(now, math.inf)


def refused(wait: float, *, is_dropped: bool = False) -> RateLimited:
    """Return the refusal for a request that could not wait, or not any longer."""
    return RequestDropped() if is_dropped else RateLimited(wait)


@final
class WaitingRoom:
    """All lines of one limiter.

    Args:
        table: the buckets.
        around: clock and timers.
        owner: the limiter, which gets `("serve", id, type)` when a line is due.
        announce: audits and tells an event: id, name, facts, audit type, severity.

    Thread: the limiter's turn.
    """

    def __init__(
        self,
        table: LimiterTable,
        around: Surroundings,
        owner: ActorRef[Any],
        announce: Callable[[str, str, dict[str, object], Any, Any], None],
    ) -> None:
        self._table = table
        self._around = around
        self._owner = owner
        self._announce = announce
        self._lines: dict[str, dict[str, WaitingLine]] = {}  # by session, then by type; none is empty
        self._timers: dict[tuple[str, str], Timer] = {}
        self._waiting = 0

    # -- looking -----------------------------------------------------------------

    def waiting(self) -> int:
        """Return how many wait in all lines together."""
        return self._waiting

    def has_line(self, session_id: str, quota_type: str) -> bool:
        """Tell whether anybody waits for this bucket."""
        return quota_type in self._lines.get(session_id, ())

    def is_full(self, session_id: str, quota_type: str) -> bool:
        """Tell whether nobody else may wait for this bucket."""
        line = self._lines.get(session_id, {}).get(quota_type)
        return line is not None and len(line) >= self._table.settings.queue_max

    def wait_of_line(self, session_id: str, quota_type: str) -> float:
        """Return the seconds until the first of a line can be admitted; 0 when nobody waits."""
        line = self._lines.get(session_id, {}).get(quota_type)
        first = None if line is None else line.first()
        bucket = self._table.get(session_id, quota_type)
        if first is None or bucket is None:
            return 0.0
        return self._table.wait_for(bucket, quota_type, first.request.cost, self._around.now())

    # -- coming and going ----------------------------------------------------------

    def enter(self, session_id: str, request: Request, deadline: float, reply: Reply) -> None:
        """Let somebody wait until a deadline, monotonic seconds, and answer the reply when the wait is over."""
        quota_type = request.quota_type
        lines = self._lines.setdefault(session_id, {})
        line = lines.get(quota_type)
        if line is None:
            line = lines[quota_type] = WaitingLine(self._table.settings.age_after)
        line.add(Waiting(request, self._around.now(), deadline, reply))
        self._waiting += 1
        settings = self._table.settings
        if not line.is_pressed and len(line) * 100.0 >= settings.warn_at_percent * settings.queue_max:
            line.is_pressed = True
            self._table.pressed.add((session_id, quota_type))
            self._announce(
                session_id, "back_pressure", self._facts(session_id, quota_type, len(line)), "resource", "warning"
            )
        self._arrange(session_id, quota_type)

    def overflow(self, session_id: str, quota_type: str) -> None:
        """Tell that somebody had to be turned away, once until the line is empty."""
        line = self._lines[session_id][quota_type]
        if not line.has_overflowed:
            line.has_overflowed = True
            self._announce(
                session_id, "queue_overflow", self._facts(session_id, quota_type, len(line)), "resource", "warning"
            )

    def serve(self, session_id: str, quota_type: str) -> None:
        """Admit those whose tokens are there, and give up those who are late."""
        line = self._lines.get(session_id, {}).get(quota_type)
        bucket = self._table.get(session_id, quota_type)
        if line is None or bucket is None:
            return
        now = self._around.now()
        table = self._table
        self._give_up(line, session_id, quota_type, now)
        while (first := line.first()) is not None:
            allowed, wait = table.take(bucket, quota_type, first.request.cost, now)
            if allowed:
                self._leave(line, first)
                table.admitted += 1
                table.refused_until.pop(session_id, None)
                first.reply.set(now - first.since)
            elif wait == math.inf:  # the quota has become smaller than the request
                self._leave(line, first)
                table.refused += 1
                first.reply.refuse(RateLimited(wait))
            else:
                break
        # Whose deadline is this very moment was served if there was enough.
        self._give_up(line, session_id, quota_type, math.nextafter(now, math.inf))
        self._arrange(session_id, quota_type)

    def withdraw(self, session_id: str, request: Request) -> None:
        """Let somebody leave who has lost interest; nothing happens if they have left."""
        quota_type = request.quota_type
        line = self._lines.get(session_id, {}).get(quota_type)
        waiting = None if line is None else line.find(request)
        if line is not None and waiting is not None:
            self._leave(line, waiting)
            waiting.reply.refuse(RateLimited(math.inf))  # nobody listens
            self._arrange(session_id, quota_type)

    def turn_away(self, session_id: str, wait: float, *, is_dropped: bool = False) -> None:
        """Refuse everybody who waits in a session's lines, with a hint when to come back."""
        for quota_type, line in list(self._lines.get(session_id, {}).items()):
            for waiting in line:
                self._leave(line, waiting)
                self._table.refused += 1
                self._table.dropped += is_dropped
                waiting.reply.refuse(refused(wait, is_dropped=is_dropped))
            self._arrange(session_id, quota_type)

    def close_lines(self, session_id: str) -> None:
        """Answer everybody who waits for a session that has ended."""
        lines = self._lines.pop(session_id, None) if self._lines else None
        for quota_type, line in (lines or {}).items():
            self._stop_timer(session_id, quota_type)
            self._table.pressed.discard((session_id, quota_type))
            for waiting in line:
                self._leave(line, waiting)
                waiting.reply.refuse(SessionTerminated(session_id))

    def clear_old_pressure(self) -> None:
        """Tell those who were told of back-pressure by an earlier limiter that its lines are gone."""
        for session_id, quota_type in sorted(self._table.pressed):
            self._clear_pressure(session_id, quota_type)

    def close(self) -> None:
        """Leave no timer behind."""
        for timer in self._timers.values():
            timer.cancel()

    # -- inside ----------------------------------------------------------------------

    def _give_up(self, line: WaitingLine, session_id: str, quota_type: str, before: float) -> None:
        for waiting in line.late(before):
            self._waiting -= 1
            self._table.refused += 1
            bucket = self._table.get(session_id, quota_type)
            wait = math.inf
            if bucket is not None:
                wait = self._table.wait_for(bucket, quota_type, waiting.request.cost, self._around.now())
            waiting.reply.refuse(RateLimited(wait))

    def _leave(self, line: WaitingLine, waiting: Waiting) -> None:
        line.remove(waiting)
        self._waiting -= 1

    def _arrange(self, session_id: str, quota_type: str) -> None:
        """Set the line's timer for what comes next; a line that nobody waits in goes."""
        self._stop_timer(session_id, quota_type)
        line = self._lines[session_id][quota_type]
        if not len(line):
            del self._lines[session_id][quota_type]
            if not self._lines[session_id]:
                del self._lines[session_id]
            if line.is_pressed:
                self._clear_pressure(session_id, quota_type)
            return
        now = self._around.now()
        wait = min(self.wait_of_line(session_id, quota_type), line.next_deadline() - now)
        self._timers[session_id, quota_type] = self._around.timers.send_at(
            after(now, wait), self._owner, ("serve", session_id, quota_type)
        )

    def _stop_timer(self, session_id: str, quota_type: str) -> None:
        timer = self._timers.pop((session_id, quota_type), None)
        if timer is not None:
            timer.cancel()

    def _clear_pressure(self, session_id: str, quota_type: str) -> None:
        self._table.pressed.discard((session_id, quota_type))
        self._announce(session_id, "back_pressure_cleared", {"type": quota_type}, "resource", "info")

    def _facts(self, session_id: str, quota_type: str, waiting: int) -> dict[str, object]:
        most = self._table.settings.queue_max
        return {
            "type": quota_type,
            "waiting": waiting,
            "utilization_pct": 100.0 * waiting / most,
            "retry_after": self.wait_of_line(session_id, quota_type),
        }
