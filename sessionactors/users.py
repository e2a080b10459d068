"""Which sessions belong to which user, and how many one user may have at the same time.

Sessions of nobody in particular ("anonymous") are not entered: they have no limit,
and there may be a million of them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.errors import TooManySessions

if TYPE_CHECKING:
    from sessionactors.settings import UserSettings
    from supervisors.runtime.ref import ActorRef

__all__ = ["ANONYMOUS", "TOO_MANY_SESSIONS", "Users"]

ANONYMOUS: Final = "anonymous"
"""Whose sessions nobody counts."""

TOO_MANY_SESSIONS: Final = "too_many_sessions"
"""The reason with which a session ends that is one too many for its user."""


@final
class Users:
    """The live sessions of each user, in the order in which they became that user's.

    Args:
        settings: how many there may be, and what happens to one too many.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_sessions", "settings")

    def __init__(self, settings: UserSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()  # guards all below
        self._sessions: dict[str, dict[str, ActorRef[Any]]] = {}

    def enter(self, user_id: str, session_id: str, ref: ActorRef[Any], *, counts: bool = True) -> list[ActorRef[Any]]:
        """Enter a session of a user.

        Args:
            user_id: whose it is.
            session_id: the session.
            ref: its actor.
            counts: whether the limit applies; not to one that comes back from the store.

        Returns:
            The user's oldest sessions, which have to end because of this one; they are
            not counted any more.

        Raises:
            TooManySessions: the user has as many as may be, and the action is `reject`.
        """
        with self._lock:
            sessions = self._sessions.setdefault(user_id, {})
            limit = self.settings.max_sessions
            ending: list[ActorRef[Any]] = []
            if counts and limit is not None and session_id not in sessions and len(sessions) >= limit:
                if self.settings.action == "reject":
                    raise TooManySessions(user_id, limit)
                ending = [sessions.pop(oldest) for oldest in list(sessions)[: len(sessions) - limit + 1]]
            sessions[session_id] = ref
            return ending

    def leave(self, user_id: str, session_id: str, ref: ActorRef[Any]) -> None:
        """Take a session out that has ended or become another user's; nothing happens if it is not there."""
        with self._lock:
            sessions = self._sessions.get(user_id)
            if sessions is not None and sessions.get(session_id) is ref:
                del sessions[session_id]
                if not sessions:
                    del self._sessions[user_id]

    def of(self, user_id: str) -> list[tuple[str, ActorRef[Any]]]:
        """Return ids and refs of a user's sessions, oldest first."""
        with self._lock:
            return list(self._sessions.get(user_id, {}).items())

    def counts(self) -> dict[str, int]:
        """Return how many sessions each user has."""
        with self._lock:
            return {user_id: len(sessions) for user_id, sessions in self._sessions.items()}

    def __repr__(self) -> str:
        return f"<Users: {len(self._sessions)} have sessions>"
