"""Keeping a session in the store: its snapshots, and what is left there when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from sessionactors.effects import Audit
from sessionactors.errors import InvalidKind, InvalidValue, NoBackend, PersistFailed
from sessionactors.session_code import SessionCode
from sessionactors.snapshots import snapshot
from sessionactors.states import TERMINATED
from sessionactors.storage.codec import encode
from sessionactors.subscribers import MEANT_FOR_OTHERS
from supervisors.errors import Refusal, UsageError
from supervisors.exits import NORMAL, SHUTDOWN, Shutdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.effects import Persist
    from sessionactors.snapshots import Snapshot
    from sessionactors.storage.contract import Record
    from sessionactors.storage.intake import Asker
    from sessionactors.surroundings import Surroundings

__all__ = ["PLAIN", "StoredSession"]

logger = logging.getLogger("sessionactors.session")

PLAIN: Final = "Session"
"""What the store calls a session that is of no derived class."""


class StoredSession(SessionCode):
    """The half of a session that deals with the store.

    Snapshots go into a queue, and the session goes on; only `persist()` is answered
    when they are durable.
    """

    # Class attributes, because hardly any session ever has other values.
    _is_stored = False
    _comes_back = False
    _is_outline = False  # nothing describes it any more: most of it is in the store only, or its code may not run

    _around: Surroundings

    @classmethod
    def stored_name(cls) -> str:
        """Return what the store calls sessions of this class."""
        return f"{cls.__module__}:{cls.__qualname__}"

    def _can_be_stored(self) -> bool:
        """Tell whether the session's options and the system want it stored."""
        options = self.data.options
        return options.persistent and options.backend is not None and self._around.saves is not None

    def plain(self) -> Snapshot:
        """Return everything about the session as plain data, as it is stored; a new dict.

        Thread: the session's own turn.
        """
        around = self._around
        now = around.now()
        return {**snapshot(self.data, now, around.wall()), **(self._more() or {})}

    def described(self) -> Record:
        """Describe the session as it is now, in the form in which it is stored.

        Raises:
            PersistFailed: it holds something that cannot be stored.

        Thread: the session's own turn.
        """
        around = self._around
        now = around.now()
        try:
            return encode(self.data, now, around.wall(), self._more())
        except (InvalidKind, InvalidValue) as error:
            raise PersistFailed(str(error)) from error

    def _more(self) -> dict[str, object] | None:
        """Return what is stored of a derived class, or None."""
        name = self.stored_name()
        if name == PLAIN:
            return None
        own = self.snapshot()
        return {"class": name} if own is None else {"class": name, "user_state": own}

    def persist_for(self, asker: Asker | None, answer: str | None = None) -> None:
        """Have it stored at once, and somebody told when it is durable.

        Args:
            asker: who is told.
            answer: what; None for the session's state.

        Raises:
            NoBackend: there is no store.
            PersistFailed: it cannot be stored, or too many wait for that already.

        Thread: the session's own turn.
        """
        saves = self._around.saves
        if saves is None:
            raise NoBackend
        if not saves.has_room():
            raise PersistFailed(f"{saves.queue_max} sessions wait for the store already")
        record = self.described()
        if asker is None:
            saves.save(record)
        else:
            saves.persist(record, asker, self.data.state if answer is None else answer)

    def _persist(self, _effect: Persist) -> None:
        """Have a snapshot stored; the asker gets the answer when it is durable."""
        try:
            asker = self.defer_reply()
        except UsageError:  # it was told, and nobody waits
            asker = None
        try:
            self.persist_for(asker)
        except Refusal as refusal:
            if asker is None:
                raise
            asker.refuse(refusal)

    def _save(self) -> None:
        """Have it stored soon; nobody waits for that. When there is no room, the next change is stored."""
        saves = self._around.saves
        assert saves is not None
        if self.data.state != TERMINATED and saves.has_room():
            self._hand_to(saves.save)

    def _hand_to(self, saved: Callable[[Record], object]) -> None:
        """Hand a snapshot over; what cannot be stored is audited, and what was stored before stays."""
        if self._is_outline:
            return
        try:
            saved(self.described())
        except PersistFailed as failed:
            self._not_stored(failed.reason)

    def _hand_last(self) -> None:
        """Hand the last snapshot over. The session ends, and whatever its code raises, that is gone through with."""
        saves = self._around.saves
        assert saves is not None
        try:
            self._hand_to(saves.keep)
        except (Exception, *MEANT_FOR_OTHERS) as error:
            logger.exception("%s.snapshot() raised at the end; what was stored before stays", self)
            self._not_stored(f"snapshot() raised {type(error).__name__}")

    def _not_stored(self, reason: str) -> None:
        around = self._around
        event = Audit("error", "persist_failed", "error", {"reason": reason})
        around.audit.put((around.now(), self.data.session_id, event, None, "session"))

    def forget_stored(self) -> None:
        """Have deleted what is stored of it by now; what it changes from now on is stored again.

        Thread: the session's own turn.
        """
        saves = self._around.saves
        assert saves is not None
        saves.delete(self.data.session_id)

    def _prepare_return(self, reason: object, *, crash: bool) -> None:
        """Before an end that is not the session's own: see that it can come back."""
        if not crash and (reason == SHUTDOWN or isinstance(reason, Shutdown)):
            self._hand_last()
            self._comes_back = True
            self._is_stored = False  # nothing more is stored of it
        elif crash or reason != NORMAL:
            # Its own crash, or that of somebody it is linked to: its supervisor, for example.
            self._comes_back = True  # as it was stored last: what it is now may be the cause

    def _leave_store(self) -> None:
        """Have the stored copy deleted, unless the session comes back or the copy is to stay."""
        if self._comes_back:
            return
        if self.data.options.keep_persistent:
            self._hand_last()
            return
        saves = self._around.saves
        assert saves is not None
        saves.delete(self.data.session_id)
