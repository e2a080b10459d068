"""Sessions that sleep: an idle one becomes a few bytes, and wakes with its next message.

What stays: the ref with its mailbox, links and monitors, the timer, the subscribers, the
id in the directory. What goes: the actor and the record of it. The user's own
state goes through `snapshot()` and `restore()`, where a class has the former; an object
of a class that has not, or that sets itself up in `on_start()`, is kept as it is.

A question (`get_state`, `get_info`, what a sweep wants to know) is answered from the
bytes and wakes nobody, or a monitor would keep a million sessions awake.

When it happens: `hibernate_after` seconds after the last activity or awakening, by the
session's one timer; or when somebody asks for it. A session with something in
hand (credentials that are being checked, a request that is a coroutine) goes on.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from sessionactors.effects import Wake
from sessionactors.errands import ACTOR_BYTES, Errand
from sessionactors.footprint import data_size, size_of
from sessionactors.metadata import check_metadata
from sessionactors.packing import pack, unpack
from sessionactors.session_code import SessionCode
from sessionactors.session_data import SessionData, deadline
from sessionactors.session_messages import QUERIES, Reaping
from sessionactors.session_saving import StoredSession
from sessionactors.states import TERMINATED
from supervisors.hibernation import Sleeper, fall_asleep, rebuilt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionactors.effects import Effect, Effects
    from sessionactors.requests import RequestLine
    from sessionactors.session_options import SessionOptions
    from sessionactors.surroundings import Surroundings
    from supervisors.actor import Actor
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply
    from supervisors.runtime.signals import MonitorRef
    from supervisors.timers.service import Timer

Subscribers: TypeAlias = "dict[object, MonitorRef | None] | None"
Connections: TypeAlias = "dict[str, tuple[ActorRef[Any] | None, MonitorRef | None]] | None"
_Rest: TypeAlias = "tuple[RestingSession | None, Subscribers, Connections]"

__all__ = ["Connections", "FallAsleep", "RestingSession", "SleepingSession", "Subscribers"]

logger = logging.getLogger("sessionactors.session")

_OBJECT_BYTES: Final = 128
"""The object that goes, with its attributes; ref and tables stay. Measured."""

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
    _timer: Timer | None

    @abstractmethod
    def apply(self, effects: Effects) -> None:
        """Do what an errand wants, and store what it changed."""

    @abstractmethod
    def _perform(self, effects: Iterable[Effect], now: float) -> None:
        """Do what a decision wants."""

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
            before += _OBJECT_BYTES + sum(size_of(self.__dict__[name]) for name in self._own_names())
        packed = pack(data, around.wall_offset, own_state, before)
        sleeper = SleepingSession(self, packed, kept)
        fall_asleep(ref, sleeper)
        around.hibernations.fell_asleep(before, sleeper.weight)
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
        self, data: SessionData, timer: Timer | None, subscribers: Subscribers, connections: Connections
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


@final
class SleepingSession(Sleeper):
    """What is left of a session that sleeps.

    Args:
        session: as it is, in its own turn.
        packed: its record.
        kept: the session itself, where it cannot be made again.
    """

    __slots__ = ("_around", "_options", "_packed", "_rest", "_timer", "session_id")

    crash_on_ask_error = True

    def __init__(self, session: RestingSession, packed: bytes, kept: RestingSession | None) -> None:
        super().__init__(session.actor_ref)
        data = session.data
        self.session_id = data.session_id
        self._options: SessionOptions = data.options
        self._around: Surroundings = session._around  # noqa: SLF001 - the two are one thing in two forms
        self._timer = session._timer  # noqa: SLF001 - likewise
        self._packed: bytes | None = packed
        # What hardly any session has: the object itself, and followers. Once awake: the user's own state.
        rest: _Rest = (kept, session._subscribers, session._connections)  # noqa: SLF001 - likewise
        self._rest: object = None if rest == (None, None, None) else rest
        if kept is not None:
            del kept.data

    @property
    def data(self) -> SessionData:
        """A copy of the record, for who only looks."""
        if self._packed is None:
            woken = self._woken
            assert isinstance(woken, RestingSession)
            return woken.data
        return unpack(self._packed, self.session_id, self._options, self._around.wall_offset)[0]

    @property
    def actor_ref(self) -> ActorRef[Any]:
        """The session's ref."""
        return self._ref

    @property
    def options(self) -> SessionOptions:
        """The session's options."""
        return self._options

    @property
    def weight(self) -> int:
        """Bytes that it takes, without what the session has awake as well."""
        return getsizeof(self) + getsizeof(self._packed)

    @property
    def footprint(self) -> int:
        """Bytes that it takes, with its ref and its entries in the tables of the system."""
        return ACTOR_BYTES - _OBJECT_BYTES + self.weight

    @property
    def connections(self) -> Connections:
        """What the session knows of its connections."""
        rest = cast("_Rest | None", self._rest)
        return None if rest is None else rest[2]

    def idle_time(self) -> float:
        """Return the seconds since the last activity."""
        return self._around.now() - self.data.last_activity

    def receive_ask(self, message: Any) -> Any:
        """Answer a question from the bytes; wake for anything else."""
        if self._packed is not None:
            if message.__class__ is str:
                query = QUERIES.get(message)
                if query is not None:
                    return query(self.data, self._around.now())
            elif message.__class__ is Reaping:
                moment = message.spares(self.data, self._around.now())
                if moment is not None:
                    return moment  # only who has to go wakes, to end as itself
            elif isinstance(message, Errand):
                seen = message.look(self)
                if seen is not NotImplemented:
                    return seen
        return self.wake().receive_ask(message)

    def receive_tell(self, message: Any) -> None:
        """Do an errand that needs no more than what is here; wake for anything else."""
        if self._packed is None or not isinstance(message, Errand) or message.look(self) is NotImplemented:
            self.wake().receive_tell(message)

    def remake(self, *, killed: bool) -> Actor:
        """Return the session as it was, but for what its own code does about it."""
        around, packed = self._around, self._packed
        assert packed is not None
        kept, subscribers, connections = cast("_Rest", self._rest or (None, None, None))
        data, (own_state, before) = unpack(packed, self.session_id, self._options, around.wall_offset)
        if kept is not None:
            session = kept
        else:
            cls: Any = self._ref.actor_class
            only = _without_own_code(cls) if killed else None
            session = rebuilt(self._ref, cls, self.session_id, self._options, around, only=only)
        session.take_up(data, self._timer, subscribers, connections)
        around.hibernations.woke(cast("int", before), self.weight)
        self._packed = self._timer = None
        self._rest = own_state
        return session

    def remade(self, actor: Actor) -> None:
        """Give the session its own state back, and let it be awake for a while."""
        assert isinstance(actor, RestingSession)
        own_state, self._rest = self._rest, None
        if own_state is not None:
            actor.restore(own_state)
        actor.stay_awake()


def _without_own_code(cls: type[RestingSession]) -> type[RestingSession]:
    """Return the class whose constructor makes a session, below all that users have derived from it."""
    return next(each for each in reversed(cls.__mro__) if issubclass(each, RestingSession) and "__init__" in vars(each))
