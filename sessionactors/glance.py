"""Looking at sessions that may be busy: a record is read without its turn where that would have to be waited for.

A list of all sessions does not wait for one whose handler takes its time. Who is idle is asked,
which is as good as a function call. Of who is in a turn, what is in memory is read as it is. A decision may be
changing it at that very moment: each fact was true during the look, but two of them need not belong together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.errors import SessionTerminated, WakeFailed
from sessionactors.expiry import entry_of
from sessionactors.session_messages import PEEK
from sessionactors.sleeping_session import SleepingSession
from sessionactors.states import TERMINATED
from supervisors.runtime.fence import Fence
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.expiry import SessionEntry
    from sessionactors.session_data import SessionData
    from supervisors.runtime.ref import ActorRef

__all__ = ["Glance"]

_PATIENCE: Final = 0.25
"""Seconds for one that has just begun a turn, or for which no thread is free."""


@final
class Glance:
    """One look at many sessions. As soon as one has kept it waiting it waits for nobody any more.

    Args:
        now: reads the monotonic clock, seconds.
        store_patience: seconds for one that has to be read from the store; None is no limit.

    Attributes:
        unread: those of whom nothing can be told now, with the reason: the store has them.

    Thread: one at a time, any.
    """

    __slots__ = ("_is_patient", "_now", "_store_patience", "unread")

    def __init__(self, now: Callable[[], float], store_patience: float | None) -> None:
        self._now = now
        self._store_patience = store_patience
        self._is_patient = True
        self.unread: list[tuple[str, Exception]] = []

    def at(self, session_id: str, ref: ActorRef[Any]) -> SessionEntry | None:
        """Return the record of a session; None for one that has ended or cannot be read."""
        data = _in_memory(ref) if ref.is_taken else None
        if data is None:
            patience = self._store_patience if _is_spilled(ref) else _PATIENCE
            try:
                entry: SessionEntry = ref.ask(PEEK, timeout=patience if self._is_patient else 0.0)
            except (ActorDeadError, SessionTerminated):
                return None
            except (WakeFailed, AskTimeoutError) as error:
                if isinstance(error, AskTimeoutError):
                    self._is_patient = False
                data = _in_memory(ref)
                if data is None:
                    self.unread.append((session_id, error))
                    return None
            else:
                return entry
        return None if data.state == TERMINATED else entry_of(data, self._now(), is_alive=True)


def _inside(ref: ActorRef[Any]) -> object:
    inside = ref._actor  # noqa: SLF001 - there is no public way that does not ask
    return inside.actor if isinstance(inside, Fence) else inside


def _in_memory(ref: ActorRef[Any]) -> SessionData | None:
    """Return a session's record without its turn; None if it is not in memory, or just falls asleep or wakes."""
    inside = _inside(ref)
    if isinstance(inside, SleepingSession):
        return inside.glimpse()
    data: SessionData | None = getattr(inside, "data", None)
    return data


def _is_spilled(ref: ActorRef[Any]) -> bool:
    inside = _inside(ref)
    return isinstance(inside, SleepingSession) and inside.is_spilled
