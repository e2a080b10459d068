"""Which sessions belong to which user, and how many one user may have at the same time.

Sessions of nobody in particular ("anonymous") are not entered: they have no limit,
and there may be a million of them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.errors import TooManySessions

if TYPE_CHECKING:
    from collections.abc import Callable

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

        is_here: tells of a session id whether it is live or about to come back.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_is_here", "_kept", "_lock", "_sessions", "settings")

    def __init__(self, settings: UserSettings, is_here: Callable[[str], bool] = lambda _: False) -> None:
        self.settings = settings
        self._is_here = is_here
        self._lock = threading.Lock()  # guards all below; the directory may be asked meanwhile
        self._sessions: dict[str, dict[str, ActorRef[Any]]] = {}
        self._kept: dict[str, str] = {}  # the sessions among them that have crashed and are to come back: whose

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
                self._clear(sessions)
                surplus = len(sessions) - limit + 1
                victims = self._victims(sessions)[: max(0, surplus)]
                if len(victims) < surplus:
                    raise TooManySessions(user_id, limit)
                ending = [sessions.pop(each) for each in victims]
            was_of = self._kept.pop(session_id, user_id)
            if was_of != user_id:  # it has not come back: this is another one
                self._sessions.get(was_of, {}).pop(session_id, None)
            sessions[session_id] = ref
            return ending

    def _victims(self, sessions: dict[str, ActorRef[Any]]) -> list[str]:
        """Return who can make room for another one, oldest first; nobody where one too many is rejected.

        A session that is about to come back is none of them: nobody can end it now.
        """
        if self.settings.action == "reject":
            return []
        return [each for each in sessions if each not in self._kept]

    def _clear(self, sessions: dict[str, ActorRef[Any]]) -> None:
        """Free the places of those that did not come back after all."""
        for session_id in [each for each in sessions if each in self._kept and not self._is_here(each)]:
            del sessions[session_id], self._kept[session_id]

    def leave(self, user_id: str, session_id: str, ref: ActorRef[Any], *, returns: bool = False) -> None:
        """Take a session out that has ended or become another user's; nothing happens if it is not there.

        Args:
            user_id: whose it was.
            session_id: the session.
            ref: its actor.
            returns: it has crashed and is to come back; it keeps its place for as long as that may be.
        """
        with self._lock:
            sessions = self._sessions.get(user_id)
            if sessions is not None and sessions.get(session_id) is ref:
                if returns:
                    self._kept[session_id] = user_id
                    return
                del sessions[session_id]
                if not sessions:
                    del self._sessions[user_id]

    def gave_up(self, session_id: str) -> None:
        """Free the place of a session that was to come back and does not: its ref holds on to what it crashed of."""
        with self._lock:
            user_id = self._kept.pop(session_id, None)
            if user_id is not None:
                sessions = self._sessions[user_id]
                del sessions[session_id]
                if not sessions:
                    del self._sessions[user_id]

    def of(self, user_id: str) -> list[tuple[str, ActorRef[Any]]]:
        """Return ids and refs of a user's sessions, oldest first; also of those that are about to come back."""
        with self._lock:
            sessions = self._sessions.get(user_id, {})
            self._clear(sessions)
            if not sessions:
                self._sessions.pop(user_id, None)
            return list(sessions.items())

    def counts(self) -> dict[str, int]:
        """Return how many sessions each user has."""
        with self._lock:
            for sessions in self._sessions.values():
                self._clear(sessions)
            return {user_id: len(sessions) for user_id, sessions in self._sessions.items() if sessions}

    def __repr__(self) -> str:
        return f"<Users: {len(self._sessions)} have sessions>"
