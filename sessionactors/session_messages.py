"""What can be asked of a session besides the operations, and what its subscribers are told.

Source: session system 1.1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, final

from sessionactors.errors import UnknownRequest
from sessionactors.expiry import ReapPolicy, entry_of
from sessionactors.session_data import SessionData, check_quota, history, info, metrics, resources_used

__all__ = ["PEEK", "QUERIES", "SUBSCRIBE", "UNSUBSCRIBE", "Reaping", "SessionEvent", "operation_name"]

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"

PEEK: Final = "peek"
"""Query of the reaper: everything that a policy may know, without touching."""

QUERIES: Final[Mapping[str, Callable[[SessionData, float], object]]] = {
    "get_state": lambda data, _now: data.state,
    "get_info": lambda data, _now: info(data),
    "get_metrics": metrics,
    "get_history": lambda data, _now: history(data),
    "get_resources_used": lambda data, _now: resources_used(data),
    "check_quota": lambda data, _now: check_quota(data),
    PEEK: lambda data, now: entry_of(data, now, is_alive=True),
}
"""What can be asked of a session in any live state, without counting as activity."""


def operation_name(given: object) -> str:
    """Return an operation as plain text: an object may have its own idea of equality, or none.

    Raises:
        UnknownRequest: it is no text.
    """
    if not isinstance(given, str):
        raise UnknownRequest("operation", given, "the name of an operation")
    return str.__str__(given)


class SessionEvent(NamedTuple):
    """What a subscriber gets.

    Attributes:
        session_id: whose event it is.
        event: what happened, in the specification's words: `session_activated`, ...
        detail: more about it, such as the reason of a suspension; or None.
    """

    session_id: str
    event: str
    detail: str | None


@final
class Reaping(NamedTuple):
    """What the reaper asks: judge yourself, and if you have to go, end, and say why in the log.

    Asking first and ending afterwards would be two turns, and between them the
    session might be used again. The answer is None from a session that has ended, else the
    earliest monotonic moment, seconds, at which it could have to go.

    Attributes:
        policy: decides, by the time without activity.
        seen: the activity after which somebody has decided that it goes, UTC seconds;
            it goes on if there has been another one. None lets the policy decide.
    """

    policy: ReapPolicy
    seen: float | None = None

    def spares(self, data: SessionData, now: float) -> float | None:
        """Return the earliest monotonic moment at which a session could have to go; None: it has to go now.

        Args:
            data: its record.
            now: monotonic seconds.
        """
        limit = self.policy.limit(data.options.ttl)
        if self.seen is None:
            if limit is not None and now - data.last_activity > limit:
                return None
        elif self.seen == data.last_activity + data.wall_offset:
            return None
        return now if limit is None else data.last_activity + limit
