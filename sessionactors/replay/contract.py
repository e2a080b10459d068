"""What the replay driver needs of a session system, and nothing more.

The driver decides *when* something is asked of a session; everything that then
happens, the system decides. Whatever the report says about sessions therefore
comes out of `ReplaySystem.totals()` or out of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["ReplaySystem", "SystemTotals"]


@dataclass(frozen=True, slots=True)
class SystemTotals:
    """What the system counted from its start, crashes of its services notwithstanding.

    Attributes:
        sessions: sessions that were started.
        transitions: how often sessions went from one state to another, by
            `"from->to"`, as they themselves reported it. A session's start is
            no transition; its end is one, also when a crash ended it.
        reaped: sessions that the reaper ended.
        peak_live: the most sessions that were live at the same time.
        audit_events: entries of the audit log by type.
        audit_size: entries of the audit log.
        audit_root: hexadecimal digest that stands for the whole audit log.
    """

    sessions: int
    transitions: Mapping[str, int]
    reaped: int
    peak_live: int
    audit_events: Mapping[str, int]
    audit_size: int
    audit_root: str


class ReplaySystem(Protocol):
    """A session system on a clock that the driver moves.

    Times are seconds since 1970 UTC, in floats; both of the system's clocks
    begin at the time of the first event, at which the reaper is started too.

    Every call returns when all that follows from it without time passing has
    happened. Refusals are raised as `supervisors.errors.Refusal` with the
    specification's code.

    Order: timers fire by deadline. Of equal deadlines the sessions' timers come
    first and the sweep of the reaper last, whichever was armed first: a session
    whose idle timer and whose sweep fall on the same instant is reaped in the
    state that the timer leads to.

    Thread: everything is called from one thread.
    """

    def advance_to(self, time: float) -> None:
        """Move the clock, firing on the way every timer due at or before `time`."""
        ...

    def live_sessions(self) -> Collection[str]:
        """Return the ids of the sessions that have not ended, in order of their start.

        The length is asked for often and must be cheap; the ids rarely.
        """
        ...

    def state_of(self, session_id: str) -> str | None:
        """Return a session's state, `terminated` or None after its end, None if there never was one."""
        ...

    def start_session(self, session_id: str) -> None:
        """Start a session with the settings of this replay; it is `new`."""
        ...

    def init_session(self, session_id: str, metadata: Mapping[str, object]) -> object:
        """Add metadata to a new session."""
        ...

    def authenticate(self, session_id: str, auth_context: Mapping[str, object]) -> object:
        """Hand credentials to a session."""
        ...

    def activate(self, session_id: str) -> object:
        """Make a session with good credentials active."""
        ...

    def resume(self, session_id: str) -> object:
        """Make an idle or suspended session active."""
        ...

    def check_rate_limit(self, session_id: str, bucket: str, cost: float) -> tuple[bool, float]:
        """Take tokens from a bucket (`requests`, `messages`, `bytes`, `connections`).

        Returns:
            Whether there were enough, and the seconds until there are: 0.0 when
            there were, infinity when there never can be.
        """
        ...

    def update_resources(self, session_id: str, requests: int, size_bytes: int) -> object:
        """Add to what an active session has used, or refuse with `quota_exceeded`."""
        ...

    def log_event(self, session_id: str, event_type: str, data: Mapping[str, object], severity: str) -> None:
        """Add an entry about a session to the audit log."""
        ...

    def perform(self, session_id: str, op: str, arguments: Mapping[str, object]) -> object:
        """Make one call of the public functions and return its answer.

        Args:
            session_id: whose call it is; there may be no such session.
            op: a key of `json_lines.OPERATIONS` other than `check_rate_limit`,
                which is the name of a method of `SessionSystem`.
            arguments: that method's keyword arguments, checked.
        """
        ...

    def service_names(self) -> Sequence[str]:
        """Return the names of the service actors that can be crashed, in an order that does not change."""
        ...

    def crash_service(self, name: str) -> None:
        """Kill a service actor; return when its supervisor has put things right."""
        ...

    def crash_session(self, session_id: str) -> None:
        """Kill a session's actor; return when its end is accounted for."""
        ...

    def totals(self) -> SystemTotals:
        """Make the audit log durable, sign its head, and return what was counted."""
        ...
