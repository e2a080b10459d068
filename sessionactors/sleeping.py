"""Sessions that sleep: an idle one becomes a few bytes, and wakes with its next message.

What stays: the ref with its links and monitors, the timer, the subscribers, the id in
the directory. What goes: the actor and the record of it, the lists of its mailbox, and
what the rate limiter knows of it, if that is as good as new. The user's own
state goes through `snapshot()` and `restore()`, where a class has the former; an object
of a class that has not, or that sets itself up in `on_start()`, is kept as it is.

What sleeps is a `SleepingSession` (`sessionactors.sleeping_session`).

When it happens: `hibernate_after` seconds after the last activity or awakening, by the
session's one timer; or when somebody asks for it. A session with something in
hand (credentials that are being checked, a request that is a coroutine) goes on.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Wake
from sessionactors.errands import Errand
from sessionactors.footprint import data_size, size_of
from sessionactors.metadata import check_metadata
from sessionactors.packing import pack
from sessionactors.session_code import NO_HOOKS, SessionCode
from sessionactors.session_data import SessionData, deadline
from sessionactors.session_saving import StoredSession
from sessionactors.sleeping_session import OBJECT_BYTES, SleepingSession
from sessionactors.states import TERMINATED
from sessionactors.surroundings import RATE_LIMITER, REST
from supervisors.hibernation import fall_asleep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionactors.effects import Effect, Effects
    from sessionactors.requests import RequestLine
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply
    from supervisors.runtime.signals import MonitorRef

Subscribers: TypeAlias = "dict[object, MonitorRef | None] | None"
Connections: TypeAlias = "dict[str, tuple[ActorRef[Any] | None, MonitorRef | None]] | None"

__all__ = ["Connections", "FallAsleep", "RestingSession", "Subscribers"]

logger = logging.getLogger("sessionactors.session")

_MADE_OVER: Final = frozenset({"handle_request", "receive_ask"})
"""What only one object has: a meter, or its code in a process of its own."""

_MADE_AGAIN: Final = frozenset(
    {"_activation", "_actor_ref", "_around", "_connections", "_is_stored", "_subscribers", "_timer", "data", "requests"}
)


@final
class FallAsleep(Errand):
    """Have a session fall asleep, unless it is busy or was active too recently.

    Args:
        idle: seconds since its last activity that it takes at least.
        is_due: its own timer has sent this, and is set again if it comes to nothing.
    """

    __slots__ = ("idle", "is_due")

    def __init__(self, idle: float = 0.0, *, is_due: bool = False) -> None:
        self.idle = idle
        self.is_due = is_due

    def run(self, session: RestingSession) -> bool:
        """Return whether it sleeps now."""
        if session.idle_time() >= self.idle and session.fall_asleep():
            return True
        if self.is_due:
            session.stay_awake()
        return False

    def look(self, sleeper: SleepingSession) -> bool:
        """Return whether it has been idle for long enough: it sleeps already."""
        return sleeper.idle_time() >= self.idle


class RestingSession(StoredSession):
    """The half of a session that falls asleep and wakes."""

    requests: RequestLine | None

    _activation: Reply | None
    _connections: Connections
    _subscribers: Subscribers
    _timer: SleepingSession | None

    @abstractmethod
    def apply(self, effects: Effects) -> None:
        """Do what an errand wants, and store what it changed."""

    @abstractmethod
    def _perform(self, effects: Iterable[Effect], now: float) -> None:
        """Do what a decision wants."""

    def be_outline(self) -> None:
        """Know that this is made from what is in memory of a spilled session: to end, and nothing else.

        Its code has nothing to run on, and what is stored of it is better than this.
        """
        self._is_outline = True
        self._hooks = NO_HOOKS

    def idle_time(self) -> float:
        """Return the seconds since the last activity."""
        return self._around.now() - self.data.last_activity

    def fall_asleep(self) -> bool:
        """Become a few bytes; False for a session that has something in hand.

        Thread: the session's own turn.
        """
        data, around, ref = self.data, self._around, self._actor_ref
        requests = self.requests
        if (
            data.state == TERMINATED
            or data.question is not None
            or self._activation is not None
            or (requests is not None and requests.is_busy)
            or type(self) is not ref.actor_class  # somebody looks over its shoulder
        ):
            return False
        kept, own_state = self._own_state()
        before = data_size(data)
        if kept is None:
            before += OBJECT_BYTES + sum(size_of(self.__dict__[name]) for name in self._own_names())
        sleeper = self._timer
        if sleeper is None:
            sleeper = SleepingSession(ref, inf, around)
        packed = pack(data, around.wall_offset, own_state, before, timer_at=sleeper.deadline)
        sleeper.lie_down(self, packed, kept)
        fall_asleep(ref, sleeper)
        around.hibernations.fell_asleep(before, sleeper.weight)
        sleeper.spill_later(data.last_activity)
        around.folding.add(sleeper)
        around.send(RATE_LIMITER, (REST, data.session_id))
        return True

    def stay_awake(self) -> None:
        """Begin the time over after which the session falls asleep by itself."""
        now = self._around.now()
        data = self.data
        data.woken_at = now
        due = deadline(data)
        if due < data.wake_at:
            data.wake_at = due
            self._perform((Wake(due),), now)

    def take_up(
        self, data: SessionData, timer: SleepingSession, subscribers: Subscribers, connections: Connections
    ) -> None:
        """Be the session again that fell asleep."""
        self.data = data
        self._timer = timer
        if subscribers is not None:
            self._subscribers = subscribers
        if connections is not None:
            self._connections = connections

    def _own_names(self) -> list[str]:
        return [name for name in self.__dict__ if name not in _MADE_AGAIN]

    def _own_state(self) -> tuple[RestingSession | None, object]:
        """Return the object if it has to stay, because it cannot be made again; or what it has to be made from."""
        cls = type(self)
        if cls.snapshot is SessionCode.snapshot:
            return (self if self._own_names() else None), None
        if cls.on_start is not SessionCode.on_start or not _MADE_OVER.isdisjoint(self.__dict__):
            return self, None
        try:
            own_state = self.snapshot()
            check_metadata("snapshot", {"own": own_state})
        except Exception:
            logger.exception("%s.snapshot() has no plain data, so the object stays while it sleeps", self)
            return self, None
        return None, own_state
