"""What is left of a session that sleeps.

A million sessions may sleep, so it is one object with as little in it as can be, and the
session's timer at the same time: a timer is there in any case, refers to the same ref, and
knows when something is due. While the session is awake it is a timer and nothing else.

A question (`get_state`, `get_info`, what a sweep wants to know) is answered from the
bytes and wakes nobody, or a monitor would keep a million sessions awake.

One that is cold may be spilled on top (`sessionactors.spilling`): then a question, too, may
have to wait for the store. When the store cannot give the bytes, all of that is refused but an end: who
has to go goes by what is in memory, and runs nothing of its own.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final, cast, final

from sessionactors.errands import ACTOR_BYTES, Errand
from sessionactors.errors import PersistFailed, SessionRefusal, WakeFailed
from sessionactors.expiry import is_expired
from sessionactors.lifecycle import FORCE_TERMINATE, TERMINATE, decide
from sessionactors.packing import unpack
from sessionactors.session_messages import PEEK, QUERIES, Reaping
from sessionactors.session_saving import StoredSession
from sessionactors.spilling import RETRY_AFTER, Fetch, Left, Spill, Spilled, fetch, left_of, outline, packed_in, row
from supervisors.errors import UsageError
from supervisors.hibernation import Sleeper, handle_held, rebuilt
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.timers.service import Alarm

if TYPE_CHECKING:
    from sessionactors.session_data import SessionData
    from sessionactors.session_options import SessionOptions
    from sessionactors.sleeping import Connections, RestingSession, Subscribers
    from sessionactors.surroundings import Surroundings
    from supervisors.actor import Actor
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply
    from supervisors.timers.service import Timer

__all__ = ["OBJECT_BYTES", "SleepingSession"]

_ENDING: Final = frozenset({TERMINATE, FORCE_TERMINATE})

OBJECT_BYTES: Final = 128
"""The object that goes, with its attributes; ref and tables stay. Measured."""


@final
class _Away:
    """Where a session is that is spilled.

    Attributes:
        left: what is in memory of it.
        epoch: under which the rest was stored.
        packed: the rest, for as long as it takes to handle what has waited for it.
        held: messages that wait for the rest, each with the reply that is owed.
        is_asked: the store has been asked for it.
    """

    __slots__ = ("epoch", "held", "is_asked", "left", "packed")

    def __init__(self, left: Left, epoch: int) -> None:
        self.left = left
        self.epoch = epoch
        self.packed: bytes | None = None
        self.held: list[tuple[Any, Reply | None]] | None = None
        self.is_asked = False


@final
class _Rest:
    """What hardly any session has.

    Attributes:
        kept: the object itself, where it cannot be made again.
        subscribers: of the session.
        connections: of the session.
        spill: the timer after which it is spilled.
        own_state: the user's own, between the making of the object and its getting it.
    """

    __slots__ = ("connections", "kept", "own_state", "spill", "subscribers")

    def __init__(self) -> None:
        self.kept: RestingSession | None = None
        self.subscribers: Subscribers = None
        self.connections: Connections = None
        self.spill: Timer | None = None
        self.own_state: object = None


_NOTHING: Final = _Rest()
"""What most have. It is never changed."""


@final
class SleepingSession(Alarm, Sleeper):
    """A session's timer; while it sleeps, also what stands in its mailbox.

    Args:
        ref: the session's.
        deadline: when the timer is due, monotonic seconds; one that is infinite is not to be set.
        around: the system around it.

    Attributes:
        session_id: of the session; only from when it fell asleep first.
    """

    __slots__ = ("_around", "_form", "_options", "_ref", "_rest", "session_id")

    _options: SessionOptions
    _rest: _Rest
    session_id: str

    crash_on_ask_error = True

    def __init__(self, ref: ActorRef[Any], deadline: float, around: Surroundings) -> None:
        self.deadline = deadline
        self.is_pending = False
        self._ref = ref
        self._around = around

    def lie_down(self, session: RestingSession, packed: bytes, kept: RestingSession | None) -> None:
        """Take over from the session.

        Args:
            session: as it is, in its own turn.
            packed: its record.
            kept: the session itself, where it cannot be made again.
        """
        data = session.data
        self.session_id = data.session_id
        self._options = data.options
        self._form: bytes | _Away | Actor | None = packed
        self._rest = _NOTHING
        subscribers, connections = session._subscribers, session._connections  # noqa: SLF001 - the two are one thing in two forms
        if kept is not None or subscribers is not None or connections is not None:
            rest = self._rest = _Rest()
            rest.kept, rest.subscribers, rest.connections = kept, subscribers, connections
        if kept is not None:
            del kept.data

    # -- as a timer ----------------------------------------------------------------

    @property
    def to(self) -> ActorRef[Any]:
        """The session's ref."""
        return self._ref

    @property
    def message(self) -> float:
        """The moment that the timer was set for: that is all that the session has to know."""
        return self.deadline

    def cancel(self) -> None:
        """Cancel it, if it is still to fire."""
        self._around.timers.cancel(self)

    # -- as a sleeper --------------------------------------------------------------

    @property
    def data(self) -> SessionData:
        """A copy of the record, for who only looks; of one that is spilled, what is in memory."""
        form = self._form
        if isinstance(form, _Away):
            if form.packed is None:
                return outline(form.left, self.session_id, self._options, self._around.wall_offset)
            form = form.packed
        if isinstance(form, bytes):
            return self._unpack(form)[0]
        return cast("RestingSession", self.awake).data

    def glimpse(self) -> SessionData | None:
        """Return a copy of the record; None for one that is spilled, or is just being woken.

        Thread: any.
        """
        form = self._form
        if isinstance(form, _Away):
            form = form.packed
        return self._unpack(form)[0] if isinstance(form, bytes) else None

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
        """Bytes that it takes on top of what the session has awake as well."""
        form = self._form
        if isinstance(form, _Away):
            form = form.packed
        return getsizeof(form) if isinstance(form, bytes) else 0

    @property
    def footprint(self) -> int:
        """Bytes that it takes, with its ref and its entries in the tables of the system."""
        return ACTOR_BYTES - OBJECT_BYTES + self.weight

    @property
    def connections(self) -> Connections:
        """What the session knows of its connections."""
        return self._rest.connections

    @property
    def is_spilled(self) -> bool:
        """Whether the store has most of it."""
        return isinstance(self._form, _Away)

    @property
    def has_expired(self) -> bool:
        """Whether its ttl is over; then who wants to see it wakes it, to end as itself."""
        return is_expired(self.data, self._around.now())

    def idle_time(self) -> float:
        """Return the seconds since the last activity."""
        return self._around.now() - self.data.last_activity

    def receive_ask(self, message: Any) -> Any:
        """Answer a question from the bytes; wake for anything else."""
        form = self._form
        if isinstance(form, _Away) and form.packed is None:
            self._around.folding.add(self)
            return self._ask_away(form, message)
        if self.awake is None:
            if message.__class__ is str:
                query = QUERIES.get(message)
                if query is not None and (message == PEEK or not self.has_expired):
                    self._around.folding.add(self)
                    return query(self.data, self._around.now())
            elif message.__class__ is Reaping:
                moment = message.spares(self.data, self._around.now())
                if moment is not None:
                    self._around.folding.add(self)
                    return moment  # only who has to go wakes, to end as itself
            elif isinstance(message, Errand) and not (message.is_use and self.has_expired):
                seen = message.look(self)
                if seen is not NotImplemented:
                    self._around.folding.add(self)
                    return seen
        return self.wake().receive_ask(message)

    def receive_tell(self, message: Any) -> None:
        """Do an errand that needs no more than what is here; wake for anything else."""
        form = self._form
        is_away = isinstance(form, _Away) and form.packed is None
        if (is_away or self.awake is None) and isinstance(message, Errand) and message.look(self) is not NotImplemented:
            self._around.folding.add(self)
        elif is_away:
            self._hold(cast("_Away", form), message, None)
        else:
            self.wake().receive_tell(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Wake the session for its cleanup; one that is spilled ends as it is, and runs nothing of its own."""
        form = self._form
        if isinstance(form, _Away) and form.packed is None:
            session = self._form = self.wake(killed=True)
            return session.ending(reason, crash=crash, by_signal=by_signal)
        return super().ending(reason, crash=crash, by_signal=by_signal)

    # -- spilling ------------------------------------------------------------------

    def spill_later(self, last_activity: float) -> None:
        """Set the timer after which it is spilled, if there is to be one."""
        after = self._options.spill_after
        if after is not None and self._can_spill() and not self.is_spilled:
            rest = self._rest
            if rest is _NOTHING:
                rest = self._rest = _Rest()
            elif rest.spill is not None:
                rest.spill.cancel()
            due = max(last_activity + after, self._around.now() + RETRY_AFTER)
            rest.spill = self._around.timers.send_at(due, self._ref, Spill(after))

    def spill(self) -> bool:
        """Hand the bytes to the store; True for one whose bytes are there already.

        An ask is answered when they are durable, or with the reason why they are not.
        """
        if self.is_spilled:
            return True
        packed, saves = self._form, self._around.saves
        if not isinstance(packed, bytes) or saves is None or not self._can_spill():
            return False
        data, (own_state, _) = self._unpack(packed)
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
        packed = self._form
        if isinstance(packed, _Away):
            return True
        if told.error is not None or not isinstance(packed, bytes) or packed is not told.packed:
            if told.error is not None and isinstance(packed, bytes):
                self.spill_later(self._around.now())
            return False
        data, (_, before) = self._unpack(packed)
        rest = self._rest
        if rest.spill is not None:
            rest.spill.cancel()
            rest.spill = None
            if rest.subscribers is None and rest.connections is None:
                self._rest = _NOTHING
        self._form = _Away(left_of(data, cast("int", before)), told.epoch)
        self._around.hibernations.spilled(1, getsizeof(packed))
        return True

    def fetch(self) -> None:
        """Ask the store for the bytes, unless that has been done or nobody needs them."""
        away = self._form
        if isinstance(away, _Away) and away.held and not away.is_asked:
            away.is_asked = True
            fetch(self.session_id, self._ref, self._around)

    def fetched(self, answer: ScheduledFuture[Any] | None) -> None:
        """Handle what has waited for the bytes, or refuse it because they cannot be had now."""
        away = self._form
        if not isinstance(away, _Away) or away.packed is not None:
            return
        away.is_asked = False
        try:
            packed = packed_in(answer, away.epoch)
        except WakeFailed as failed:
            self._not_now(away, failed)
            return
        held, away.held = away.held or (), None
        away.packed = packed
        handle_held(self._ref, held)
        if self._form is away:
            away.packed = None  # they were all questions

    def _not_now(self, away: _Away, failed: WakeFailed) -> None:
        """Refuse what has waited for the bytes; what ends the session ends it all the same, without them."""
        held, away.held = away.held or [], None
        kept: list[tuple[Any, Reply | None]] = []
        for place, (message, reply) in enumerate(held):
            if self._ends(message):
                self.wake(killed=True)
                handle_held(self._ref, held[place:])
                return
            if reply is None:
                kept.append((message, reply))
            else:
                reply.refuse(failed)
        if kept:
            away.held = kept
            self._around.timers.send_at(self._around.now() + RETRY_AFTER, self._ref, Fetch())

    def _ends(self, message: Any) -> bool:
        """Tell whether a message ends the session, by what is in memory of it."""
        kind, now = message.__class__, self._around.now()
        if kind is Reaping:
            return message.spares(self.data, now) is None
        if kind is tuple and len(message) == 2 and message[0].__class__ is str and message[0] in _ENDING:
            try:
                decide(self.data, message[0], now, message[1])  # a copy, and it says whether that may be
            except SessionRefusal:
                return False
            return True
        return kind is StopMessage

    def _ask_away(self, away: _Away, message: Any) -> Any:
        if message == "get_state" and not self.has_expired:
            return away.left.state
        if message.__class__ is Reaping:
            moment = message.spares(self.data, self._around.now())
            if moment is not None:
                return moment
        elif isinstance(message, Errand) and not (message.is_use and self.has_expired):
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
        return options.persistent and options.backend is not None and self._rest.kept is None

    def _unpack(self, packed: bytes) -> tuple[SessionData, list[object]]:
        return unpack(packed, self.session_id, self._options, self._around.wall_offset, timer_at=self.deadline)

    # -- awake ---------------------------------------------------------------------

    def remake(self, *, killed: bool) -> Actor:
        """Return the session as it was, but for what its own code does about it."""
        around, form, rest = self._around, self._form, self._rest
        away = form if isinstance(form, _Away) else None
        packed = form if away is None else away.packed
        own_state: object = None
        if isinstance(packed, bytes):
            data, (own_state, before) = self._unpack(packed)
        else:
            assert away is not None
            data = outline(away.left, self.session_id, self._options, around.wall_offset)
            before = away.left.before
        session: Any = rest.kept
        if session is None:
            cls: Any = self._ref.actor_class
            only = _without_own_code(cls) if killed else None
            session = rebuilt(self._ref, cls, self.session_id, self._options, around, only=only)
        session.take_up(data, self, rest.subscribers, rest.connections)
        if packed is None:
            session.be_outline()
        if away is not None:
            around.hibernations.spilled(-1, 0 if packed is None else getsizeof(packed))
        if rest.spill is not None:
            rest.spill.cancel()
        around.hibernations.woke(cast("int", before), self.weight)
        self._form = None
        self._rest = _NOTHING
        if own_state is not None and not killed:
            self._rest = _Rest()
            self._rest.own_state = own_state
        return cast("Actor", session)

    def remade(self, actor: Actor) -> None:
        """Give the session its own state back, and let it be awake for a while."""
        session = cast("RestingSession", actor)
        own_state, self._rest = self._rest.own_state, _NOTHING
        if own_state is not None:
            session.restore(own_state)
        session.stay_awake()


def _without_own_code(cls: type[StoredSession]) -> type[StoredSession]:
    """Return the class whose constructor makes a session, below all that users have derived from it."""
    return next(each for each in reversed(cls.__mro__) if issubclass(each, StoredSession) and "__init__" in vars(each))
