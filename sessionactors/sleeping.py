"""Sessions that sleep: an idle one becomes a few bytes, and wakes with its next message.

What stays: the ref with its mailbox, links and monitors, the timer, the subscribers, the
id in the directory. What goes: the actor and the record of it. The user's own
state goes through `snapshot()` and `restore()`, where a class has the former; an object
of a class that has not, or that sets itself up in `on_start()`, is kept as it is.

A question (`get_state`, `get_info`, what a sweep wants to know) is answered from the
bytes and wakes nobody, or a monitor would keep a million sessions awake.

One that is cold may be spilled on top (`sessionactors.spilling`): then a question, too, may
have to wait for the store.

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
from sessionactors.errors import PersistFailed, WakeFailed
from sessionactors.footprint import data_size, size_of
from sessionactors.metadata import check_metadata
from sessionactors.packing import pack, unpack
from sessionactors.session_code import NO_HOOKS, SessionCode
from sessionactors.session_data import SessionData, deadline
from sessionactors.session_messages import QUERIES, Reaping
from sessionactors.session_saving import StoredSession
from sessionactors.spilling import RETRY_AFTER, Fetch, Left, Spill, Spilled, fetch, left_of, outline, packed_in, row
from sessionactors.states import TERMINATED
from supervisors.errors import UsageError
from supervisors.hibernation import Sleeper, fall_asleep, handle_held, rebuilt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionactors.effects import Effect, Effects
    from sessionactors.requests import RequestLine
    from sessionactors.session_options import SessionOptions
    from sessionactors.surroundings import Surroundings
    from supervisors.actor import Actor
    from supervisors.runtime.futures import ScheduledFuture
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

    @abstractmethod
    def _account_for(self, reason: object, *, crash: bool) -> None:
        """See that the end is in the log."""

    def ending_away(self, reason: object, *, crash: bool) -> None:
        """Account for the end of a session that is spilled; its code has nothing to run on."""
        self._hooks = NO_HOOKS
        self._account_for(reason, crash=crash)

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
        sleeper.spill_later(data.last_activity)
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
class _Away:
    """Where a session is that is spilled.

    Attributes:
        left: what is in memory of it.
        epoch: under which the rest was stored.
        held: messages that wait for the rest, each with the reply that is owed.
        is_asked: the store has been asked for it.
    """

    __slots__ = ("epoch", "held", "is_asked", "left")

    def __init__(self, left: Left, epoch: int) -> None:
        self.left = left
        self.epoch = epoch
        self.held: list[tuple[Any, Reply | None]] | None = None
        self.is_asked = False


@final
class SleepingSession(Sleeper):
    """What is left of a session that sleeps.

    Args:
        session: as it is, in its own turn.
        packed: its record.
        kept: the session itself, where it cannot be made again.
    """

    __slots__ = ("_around", "_options", "_packed", "_rest", "_spill", "_timer", "session_id")

    crash_on_ask_error = True

    def __init__(self, session: RestingSession, packed: bytes, kept: RestingSession | None) -> None:
        super().__init__(session.actor_ref)
        data = session.data
        self.session_id = data.session_id
        self._options: SessionOptions = data.options
        self._around: Surroundings = session._around  # noqa: SLF001 - the two are one thing in two forms
        self._timer = session._timer  # noqa: SLF001 - likewise
        self._packed: bytes | None = packed
        # Not spilled: the timer until it is, or None.
        self._spill: Timer | _Away | None = None
        # What hardly any session has: the object itself, and followers. Once awake: the user's own state.
        rest: _Rest = (kept, session._subscribers, session._connections)  # noqa: SLF001 - likewise
        self._rest: object = None if rest == (None, None, None) else rest
        if kept is not None:
            del kept.data

    @property
    def data(self) -> SessionData:
        """A copy of the record, for who only looks; of one that is spilled, what is in memory."""
        if self._packed is None:
            away = self._spill
            if isinstance(away, _Away):
                return outline(away.left, self.session_id, self._options, self._around.wall_offset)
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
        return getsizeof(self) + (0 if self._packed is None else getsizeof(self._packed))

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
        if self._packed is None and isinstance(self._spill, _Away):
            return self._ask_away(self._spill, message)
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
        if self._packed is None and isinstance(self._spill, _Away):
            if not isinstance(message, Errand) or message.look(self) is NotImplemented:
                self._hold(self._spill, message, None)
        elif self._packed is None or not isinstance(message, Errand) or message.look(self) is NotImplemented:
            self.wake().receive_tell(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Wake the session for its cleanup; one that is spilled ends as it is, and runs nothing of its own."""
        if self._packed is None and isinstance(self._spill, _Away):
            cast("RestingSession", self.wake(killed=True)).ending_away(reason, crash=crash)
            return reason
        return super().ending(reason, crash=crash, by_signal=by_signal)

    # -- spilling ------------------------------------------------------------------

    def spill_later(self, last_activity: float) -> None:
        """Set the timer after which it is spilled, if there is to be one."""
        after = self._options.spill_after
        if after is not None and self._can_spill() and not isinstance(self._spill, _Away):
            if self._spill is not None:
                self._spill.cancel()
            due = max(last_activity + after, self._around.now() + RETRY_AFTER)
            self._spill = self._around.timers.send_at(due, self._ref, Spill(after))

    def spill(self) -> bool:
        """Hand the bytes to the store; True for one whose bytes are there already.

        An ask is answered when they are durable, or with the reason why they are not.
        """
        if isinstance(self._spill, _Away):
            return True
        packed, saves = self._packed, self._around.saves
        if packed is None or saves is None or not self._can_spill():
            return False
        data, (own_state, _) = unpack(packed, self.session_id, self._options, self._around.wall_offset)
        try:
            asker: Reply | None = self._ref.defer()
        except UsageError:  # it was its timer
            asker = None
        told = Spilled(self._ref, packed, saves.epoch, asker)
        if not saves.has_room():
            told.refuse(PersistFailed(f"{saves.queue_max} sessions wait for the store already"))
            return False
        try:
            record = row(data, own_state, self._ref.actor_class, packed, self._around)
        except PersistFailed as failed:
            told.refuse(failed)
        else:
            saves.persist(record, told, data.state)
        return False

    def spilled(self, told: Spilled) -> bool:
        """Let go of the bytes that are durable; return whether it is spilled now."""
        packed = self._packed
        if told.error is not None or packed is None or packed is not told.packed or isinstance(self._spill, _Away):
            if told.error is not None and packed is not None:
                self.spill_later(self._around.now())
            return isinstance(self._spill, _Away)
        data, (_, before) = unpack(packed, self.session_id, self._options, self._around.wall_offset)
        if self._spill is not None:
            self._spill.cancel()
        self._spill = _Away(left_of(data, cast("int", before)), told.epoch)
        self._packed = None
        self._around.hibernations.spilled(1, getsizeof(packed))
        return True

    def fetch(self) -> None:
        """Ask the store for the bytes, unless that has been done or nobody needs them."""
        away = self._spill
        if isinstance(away, _Away) and away.held and not away.is_asked:
            try:
                fetch(self.session_id, self._ref, self._around)
                away.is_asked = True
            except WakeFailed as failed:
                self._not_now(away, failed)

    def fetched(self, answer: ScheduledFuture[Any]) -> None:
        """Handle what has waited for the bytes, or refuse it because they cannot be had now."""
        away = self._spill
        if not isinstance(away, _Away) or self._packed is not None:
            return
        away.is_asked = False
        try:
            packed = packed_in(answer, away.epoch)
        except WakeFailed as failed:
            self._not_now(away, failed)
            return
        held, away.held = away.held or (), None
        self._packed = packed
        handle_held(self._ref, held)
        if self._spill is away and self._packed is packed:
            self._packed = None  # they were all questions

    def _not_now(self, away: _Away, failed: WakeFailed) -> None:
        held = away.held or ()
        away.held = [each for each in held if each[1] is None] or None
        for _, reply in held:
            if reply is not None:
                reply.refuse(failed)
        if away.held:
            self._around.timers.send_at(self._around.now() + RETRY_AFTER, self._ref, Fetch())

    def _ask_away(self, away: _Away, message: Any) -> Any:
        if message == "get_state":
            return away.left.state
        if message.__class__ is Reaping:
            moment = message.spares(self.data, self._around.now())
            if moment is not None:
                return moment
        elif isinstance(message, Errand):
            seen = message.look(self)
            if seen is not NotImplemented:
                return seen
        self._hold(away, message, self._ref.defer())
        return None

    def _hold(self, away: _Away, message: Any, reply: Reply | None) -> None:
        if away.held is None:
            away.held = []
        away.held.append((message, reply))
        self.fetch()

    def _can_spill(self) -> bool:
        options = self._options
        kept = None if self._rest is None else cast("_Rest", self._rest)[0]
        return options.persistent and options.backend is not None and kept is None

    def remake(self, *, killed: bool) -> Actor:
        """Return the session as it was, but for what its own code does about it."""
        around, packed, away = self._around, self._packed, self._spill
        kept, subscribers, connections = cast("_Rest", self._rest or (None, None, None))
        own_state: object = None
        if packed is not None:
            data, (own_state, before) = unpack(packed, self.session_id, self._options, around.wall_offset)
        else:
            assert isinstance(away, _Away)
            data, before = outline(away.left, self.session_id, self._options, around.wall_offset), away.left.before
        if kept is not None:
            session = kept
        else:
            cls: Any = self._ref.actor_class
            only = _without_own_code(cls) if killed else None
            session = rebuilt(self._ref, cls, self.session_id, self._options, around, only=only)
        session.take_up(data, self._timer, subscribers, connections)
        if packed is None:
            session._is_outline = True  # noqa: SLF001 - as in __init__()
        if isinstance(away, _Away):
            around.hibernations.spilled(-1, 0 if packed is None else getsizeof(packed))
        elif away is not None:
            away.cancel()
        around.hibernations.woke(cast("int", before), self.weight)
        self._spill = None
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
