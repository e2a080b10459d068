"""Which sessions there are: id to ref, and the ids that have ended.

Public calls look a session up here, from any thread, before they send it a
message. An ended id stays known for a while, so that a late call is told
`session_terminated` and not `not_found`, and an id can be used again only after
its session has ended.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors import identifiers
from sessionactors.errors import NotFound, SessionExists, SessionRecovering, SessionTerminated

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["ENDED_MAX", "Directory"]

ENDED_MAX: Final = 100_000
"""Ended ids that are remembered; the oldest are forgotten beyond that."""


@final
class Directory:
    """The live sessions of one session system, in order of their start.

    Attributes:
        live: their refs by id; others look one key up, for which no lock is needed, and change nothing.
        started: sessions started so far.
        peak_live: the most sessions that were live at the same time.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_ended", "_is_closed", "_lock", "_returned", "_returning", "live", "peak_live", "started")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards changes of everything below; reading one key needs no lock
        self.live: dict[str, ActorRef[Any]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._returning: set[str] = set()  # crashed, and about to be started again
        self._returned: set[str] = set()  # crashed, and live again
        self._is_closed = False
        self.started = 0
        self.peak_live = 0

    def add(self, session_id: str, ref: ActorRef[Any], *, returns: bool = False) -> None:
        """Enter a session that is starting.

        Args:
            session_id: its id.
            ref: its actor.
            returns: it comes back from the store.

        Raises:
            SessionExists: a live session has this id, or one that is about to come back.
            SessionTerminated: it was to come back, and has ended for good meanwhile: whoever
                looks through the store may have seen it there before.
        """
        with self._lock:
            if session_id in self.live:
                raise SessionExists(session_id)
            if returns and session_id in self._ended:
                raise SessionTerminated(session_id)
            if self._returning:
                if session_id in self._returning and not returns:
                    raise SessionExists(session_id)
                if session_id in self._returning:
                    self._returning.discard(session_id)
                    self._returned.add(session_id)
            self.live[session_id] = ref
            self._ended.pop(session_id, None)
            self.started += 1
            self.peak_live = max(self.peak_live, len(self.live))

    def remove(self, session_id: str, ref: ActorRef[Any], *, returns: bool = False) -> bool:
        """Enter the end of a session; False when it was not this one that was live.

        Args:
            session_id: its id.
            ref: its actor.
            returns: it is going to be started again from the store; until then its id is taken.
        """
        if self.live.get(session_id) is not ref:
            return False  # for good: a ref is entered once
        with self._lock:
            if self.live.get(session_id) is not ref:
                return False
            # In this order: who looks meanwhile without the lock finds it in one of the two.
            if returns and not self._is_closed:
                self._returning.add(session_id)
            else:
                self._end(session_id)
            self._returned.discard(session_id)
            del self.live[session_id]
            return True

    def withdraw(self, session_id: str, ref: ActorRef[Any]) -> None:
        """Take a session out that was entered and does not start after all: it never was one."""
        with self._lock:
            if self.live.get(session_id) is ref:
                del self.live[session_id]
                self._returned.discard(session_id)
                self.started -= 1

    def give_up(self, session_id: str) -> None:
        """Enter that a session does not come back after all."""
        with self._lock:
            if session_id in self._returning:
                self._end(session_id)
                self._returning.discard(session_id)

    def is_here(self, session_id: str) -> bool:
        """Tell whether a session is live or about to come back."""
        with self._lock:
            return session_id in self.live or session_id in self._returning

    def returning(self) -> list[str]:
        """Return the ids of the sessions that are about to come back."""
        with self._lock:
            return list(self._returning)

    def give_up_all(self) -> None:
        """Enter that none of those comes back that have not by now."""
        with self._lock:
            for session_id in self._returning:
                self._end(session_id)
            self._returning = set()

    def close(self) -> None:
        """Enter that nobody comes back any more, now or later: who would start them again has ended."""
        with self._lock:
            self._is_closed = True
        self.give_up_all()

    def _end(self, session_id: str) -> None:
        self._ended[session_id] = None
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def find(self, session_id: str | bytes) -> ActorRef[Any]:
        """Return the ref of a live session.

        Raises:
            SessionTerminated: the session has ended.
            SessionRecovering: it has crashed and is being started again.
            NotFound: there never was one, or it ended very long ago.
            InvalidKind, InvalidSessionId: this is no id.
        """
        if type(session_id) is str:  # anything else may have its own idea of a hash
            ref = self.live.get(session_id)
            if ref is not None:
                return ref
        session_id = identifiers.parse(session_id)
        ref = self.live.get(session_id)
        if ref is not None:
            return ref
        # With the lock, because one that comes back goes from one of these to another
        # meanwhile, and would be found in none of them.
        with self._lock:
            ref = self.live.get(session_id)
            if ref is not None:
                return ref
            if session_id in self._returning:
                raise SessionRecovering(session_id)
            if session_id in self._ended:
                raise SessionTerminated(session_id)
        raise NotFound(session_id)

    def gone(self, session_id: str | bytes) -> SessionTerminated | SessionRecovering:
        """Return what to tell somebody whose session ended before it answered.

        One that is live again was recovering when it did not answer.
        """
        session_id = identifiers.parse(session_id)  # as `find()` has taken it
        with self._lock:
            is_coming_back = session_id in self._returning or session_id in self._returned
        return (SessionRecovering if is_coming_back else SessionTerminated)(session_id)

    def get(self, session_id: str) -> ActorRef[Any] | None:
        """Return the ref of a live session, or None."""
        return self.live.get(session_id)

    def has_ended(self, session_id: str) -> bool:
        """Tell whether a session of this id has ended and none is live."""
        return session_id in self._ended

    def ids(self) -> list[str]:
        """Return the ids of the live sessions in order of their start."""
        with self._lock:
            return list(self.live)

    def items(self) -> list[tuple[str, ActorRef[Any]]]:
        """Return ids and refs of the live sessions in order of their start."""
        with self._lock:
            return list(self.live.items())

    def refs(self) -> list[ActorRef[Any]]:
        """Return the refs of the live sessions in order of their start."""
        with self._lock:
            return list(self.live.values())

    def __len__(self) -> int:
        """Return how many sessions are live."""
        return len(self.live)

    def __repr__(self) -> str:
        return f"<Directory of {len(self.live)} live sessions, {self.started} started>"
