"""The session: one supervised actor around one record.

The actor is thin. `sessionactors.lifecycle` decides what an operation does to the
record; this file performs the effects and answers. It adds what only an actor
can have: subscribers, the timer, an authenticator that may be slow, and an end
that is accounted for however it comes.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, final

from sessionactors.effects import (
    Audit,
    Effect,
    Effects,
    Identify,
    Migrate,
    Notify,
    Persist,
    Refuse,
    Terminate,
    Transition,
    Verdict,
    Verify,
    Wake,
)
from sessionactors.errands import Errand
from sessionactors.errors import (
    AuditUnavailable,
    InvalidKind,
    InvalidValue,
    MigrationFailed,
    NoBackend,
    PersistFailed,
    SessionExists,
    SessionTerminated,
    TooManySessions,
    UnknownRequest,
)
from sessionactors.expiry import entry_of
from sessionactors.lifecycle import (
    ACTIVATE,
    CRASH,
    LOAD,
    PERSIST,
    RESUME,
    TERMINATE,
    UPDATE_RESOURCES,
    VERDICT,
    WAKE,
    accepts_flag,
    decide,
    start,
)
from sessionactors.operations import GRANTING
from sessionactors.session_data import SessionData, check_quota, history, info, metrics, resources_used
from sessionactors.snapshots import snapshot
from sessionactors.states import IDLE, TERMINATED
from sessionactors.storage.codec import encode
from sessionactors.subscribers import LimiterEvent, check_subscriber
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER, RECOVERY, RESTART
from sessionactors.users import ANONYMOUS, TOO_MANY_SESSIONS
from supervisors.actor import Actor
from supervisors.errors import Refusal, UsageError
from supervisors.exits import NORMAL, SHUTDOWN, Crashed, Shutdown, describe
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.coroutines import Coroutines
    from sessionactors.requests import RequestLine
    from sessionactors.settings import SessionOptions
    from sessionactors.storage.contract import Record
    from sessionactors.storage.intake import Asker
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.cell import Reply
    from supervisors.runtime.signals import MonitorRef
    from supervisors.timers.service import Timer

__all__ = ["PEEK", "PLAIN", "QUERIES", "SUBSCRIBE", "UNSUBSCRIBE", "Reaping", "Session", "SessionEvent"]

logger = logging.getLogger("sessionactors.session")

REAPED: Final = "reaped"
_REASON_MAX: Final = 200  # characters, which are at most 800 bytes

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
PLAIN: Final = "Session"
"""What the store calls a session that is of no derived class."""
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
    """What the reaper asks: end, and say why in the log.

    Asking first and ending afterwards would be two turns, and between them the
    session might be used again.

    Attributes:
        facts: what the log says about it.
        last_accessed: the last activity that the reaper knows of, UTC seconds; the
            session goes on if there has been another one. None ends it in any case.
    """

    facts: Mapping[str, object]
    last_accessed: float | None


class Session(Actor):
    """One session. Start it through a `SessionSystem`, not by hand.

    Messages are `(operation, argument)` for everything in
    `sessionactors.lifecycle`, the bare name for a query, and a `Reaping`. The
    answer to an operation is the state after it.

    Args:
        session_id: a checked id.
        options: checked options.
        around: the system around it.
        restored: what the session was when it was stored; None starts a new one.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    # Class attributes, because hardly any session ever has other values.
    _is_accounted_for = False
    _is_stored = False
    _comes_back = False
    _restored: SessionData | None = None
    _restored_state: object = None
    _undone: Effects = ()
    _hooks: Mapping[str, str] = MappingProxyType({})  # by event, those that a derived class has

    requests: RequestLine | None = None
    """Requests to a handler that is a coroutine function; None before the first."""

    def __init__(
        self,
        session_id: str,
        options: SessionOptions,
        around: Surroundings,
        restored: SessionData | None = None,
        restored_state: object = None,
    ) -> None:
        super().__init__()
        if restored is not None:
            self._restored = restored
            self._restored_state = restored_state
        if options.persistent and options.backend is not None and around.saves is not None:
            self._is_stored = True
        self.data = SessionData(session_id, options, around.now(), around.wall_offset)
        if restored is not None:
            self.data.user_id = restored.user_id
        self._around = around
        self._timer: Timer | None = None
        self._subscribers: dict[object, MonitorRef | None] | None = None
        self._activation: Reply | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note which hooks the class has, and keep a handler that may block off the asking threads."""
        super().__init_subclass__(**kwargs)
        cls._hooks = MappingProxyType(
            {event: name for event, name in _HOOKS.items() if getattr(cls, name) is not getattr(Session, name)}
        )
        handler = cls.__dict__.get("handle_request")
        is_chosen = any("dispatch" in base.__dict__ for base in cls.__mro__[: cls.__mro__.index(Session)])
        if handler is not None and not inspect.iscoroutinefunction(handler) and not is_chosen:
            cls.dispatch = "shared"

    # -- for derived classes -------------------------------------------------

    def handle_request(self, request: Any) -> Any:
        """Answer a request; the user's own code.

        An ordinary function runs in the session's turn: the class has the dispatch `"shared"`
        unless it chooses another, so it may block now and then. A coroutine function
        runs on the event loop of the system, and the session goes on meanwhile; only
        further requests wait. Either way there is one request at a time.

        Args:
            request: the payload of `SessionSystem.request()`.

        Returns:
            The answer. With a coroutine function it is what that returns.

        Raises:
            Refusal: no; the asker gets it, and the session goes on.
            Exception: anything else crashes this session, and the asker gets it.
        """
        raise UnknownRequest("request", request, "one to a class derived from Session that has handle_request()")

    def on_activated(self) -> None:
        """Do something when the session has become active; what this raises crashes it."""

    def on_resumed(self) -> None:
        """Do something when an idle or suspended session has become active again; likewise."""

    def on_suspended(self, reason: str | None) -> None:
        """Do something when the session has been suspended; likewise."""

    def on_terminated(self, reason: str | None) -> None:
        """Do something at the end, unless the session was killed; what this raises is logged."""

    def snapshot(self) -> Any:
        """Return what is to be stored of the session's own state: plain data, as metadata is. None is nothing.

        Thread: the session's own turn, whenever it is stored.
        """
        return None

    def restore(self, state: Any) -> None:
        """Take up what `snapshot()` has returned, perhaps in another process; called before `on_start()`.

        What this raises keeps the session from coming back.
        """

    # -- for requests and errands, in the session's own turn -------------------

    @property
    def coroutines(self) -> Coroutines:
        """What runs the handlers that are coroutine functions."""
        return self._around.coroutines

    def begin_request(self, size: int) -> None:
        """Count a request as activity; an idle session is active again.

        Args:
            size: bytes of it.

        Raises:
            SessionRefusal: the session is in no state for requests, or the quota is used up.
        """
        data, now = self.data, self._around.now()
        if data.state == TERMINATED:
            raise SessionTerminated(data.session_id)
        if data.state == IDLE:
            self._perform(decide(data, RESUME, now), now)
        effects = decide(data, UPDATE_RESOURCES, now, (1, 0, size, size))
        if effects:
            self._perform(effects, now)

    def save_changes(self) -> None:
        """Have the session stored soon, if it is a persistent one."""
        if self._is_stored:
            self._save()

    # -- what the runtime calls --------------------------------------------

    def starting(self) -> None:
        """Enter the directory, then the log."""
        around, data = self._around, self.data
        restored = self._restored
        try:
            around.directory.add(data.session_id, self._actor_ref, returns=restored is not None)
            if data.user_id != ANONYMOUS:
                self._enter_user(counts=restored is None)
        except (SessionExists, SessionTerminated, TooManySessions) as error:
            self._is_accounted_for = True  # it never was a session
            around.directory.withdraw(data.session_id, self._actor_ref)
            raise StartError(error, self) from error
        if restored is None:
            self._perform(start(data), data.created_at)
        else:
            self._restored = None
            now = around.now()
            self._perform(decide(data, LOAD, now, restored), now)
            if self._restored_state is not None:
                state, self._restored_state = self._restored_state, None
                self.restore(state)
        around.send(REAPER, ("watch", data.session_id, self._actor_ref, data.last_activity))
        self.on_start()
        if self._is_stored and restored is None:
            self._save()

    def receive_ask(self, message: Any) -> Any:
        """Do an operation, or answer a query."""
        data = self.data
        if message.__class__ is tuple:
            try:
                operation, argument = message
            except ValueError:
                return self._other(message)
            if operation == ACTIVATE and argument is None and self._around.verifier is None:
                argument = accepts_flag
            if self._around.audit.is_failing and operation in GRANTING:
                raise AuditUnavailable(operation)
            now = self._around.now()
            effects = decide(data, operation, now, argument)
            if effects:
                self._perform(effects, now)
                if self._is_stored and operation != PERSIST:
                    self._save()
            return data.state
        if message.__class__ is str:
            query = QUERIES.get(message)
            if query is not None:
                if data.state == TERMINATED:  # a question that was on its way when the session ended
                    raise SessionTerminated(data.session_id)
                return query(data, self._around.now())
        return self._other(message)

    def receive_tell(self, message: Any) -> None:
        """Do an operation for which nobody waits, a timer's or a verdict for example."""
        kind = message.__class__
        if kind is Down:
            self._unsubscribe(message.source)
        elif kind is tuple and message and message[0] == VERDICT:
            self._heard(message)
        elif kind is not str:
            self.receive_ask(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Account for the end, whatever caused it."""
        self._account_for(reason, crash=crash)
        return super().ending(reason, crash=crash, by_signal=by_signal)

    def ended(self) -> None:
        """Leave the directory; a session that was killed is accounted for here."""
        self._hooks = _NO_HOOKS  # who was killed runs none of its code any more
        self._account_for("killed", crash=True)
        if self.requests is not None:
            self.requests.end()
        around, session_id = self._around, self.data.session_id
        around.directory.remove(session_id, self._actor_ref)
        if self._comes_back:
            recovery = around.whereis(RECOVERY)
            if recovery is None:
                return  # the next one finds the session in the store
            if self._is_stored:
                recovery.send((RESTART, session_id))
            else:  # told to stop, alone: it stays in the store
                around.directory.give_up(session_id)

    def on_memory_pressure(self) -> None:
        """Release what can be made again; isolation asks for it at the soft limit of memory.

        Thread: the session's own turn.
        """

    # -- performing ----------------------------------------------------------

    def _perform(self, effects: Iterable[Effect], now: float) -> None:
        rest = iter(effects)
        kind: type = Audit
        try:
            for effect in rest:
                kind = effect.__class__
                if kind is Transition or kind is Audit:
                    self._around.audit.put((now, self.data.session_id, effect, "session"))  # type: ignore[arg-type]  # its kind was looked at
                elif kind is Notify:
                    if self._subscribers is not None:
                        self._notify(cast("Notify", effect))
                    if self._hooks:
                        self._call_hook(cast("Notify", effect))
                else:
                    _PERFORM[kind](self, effect)
        except Refusal:
            if self._is_stored:
                self._save()
            raise  # the last effect, if it is one
        except BaseException:
            # The record has changed already. Whoever interrupts (Ctrl-C does) ends
            # this actor, and its end performs what is left.
            self._undone = (Terminate("interrupted"),) if kind is Terminate else tuple(rest)
            raise

    def _wake_at(self, wake: Wake) -> None:
        timer = self._timer
        if timer is not None and timer.is_pending:  # it has fired when this is its own doing
            timer.cancel()
        self._timer = self._around.timers.send_at(wake.at, self._actor_ref, (WAKE, wake.at))

    def _call_hook(self, notify: Notify) -> None:
        """Call the user's own code about an event."""
        name = self._hooks.get(notify.event)
        if name is None:
            return
        arguments = (notify.detail,) if name in _TOLD_WHY else ()
        try:
            getattr(self, name)(*arguments)
        except Exception:
            if self.data.state != TERMINATED:
                raise
            # It is ending already, and that has to be gone through with.
            logger.exception("%s.%s() raised", self, name)

    def _refuse(self, refuse: Refuse) -> None:
        raise refuse.error

    def _verify(self, verify: Verify) -> None:
        """Have the authenticator asked elsewhere; the asker gets the answer after it."""
        verifier = self._around.verifier
        assert verifier is not None
        verifier.ask(verify, self._actor_ref, self.data.options.auth_timeout)
        self._activation = self.defer_reply()

    def _heard(self, message: tuple[str, Verdict]) -> None:
        """Take the authenticator's answer and pass the outcome on to who asked for it."""
        _, verdict = message
        if verdict.question is not self.data.question:
            return  # nobody waits for it any more
        asked, self._activation = self._activation, None
        try:
            state = self.receive_ask(message)
        except Refusal as refusal:
            if asked is not None:
                asked.refuse(refusal)
        else:
            if asked is not None:
                asked.set(state)

    def apply(self, effects: Effects) -> None:
        """Perform what an errand in the session's own turn wants, and store what it changed.

        Thread: the session's own turn.
        """
        self._perform(effects, self._around.now())
        if self._is_stored:
            self._save()

    def _enter_user(self, *, counts: bool = True) -> None:
        """Enter the session with its user, and end what is too many for that because of it.

        Raises:
            TooManySessions: this one is.
        """
        data = self.data
        for oldest in self._around.users.enter(data.user_id, data.session_id, self._actor_ref, counts=counts):
            oldest.send((TERMINATE, TOO_MANY_SESSIONS))

    def _identify(self, identify: Identify) -> None:
        """Enter the session with the user that it turned out to belong to."""
        around, data = self._around, self.data
        around.users.leave(identify.previous, data.session_id, self._actor_ref)
        if data.user_id == ANONYMOUS:
            return
        try:
            self._enter_user()
        except TooManySessions:
            now = around.now()
            self._perform(decide(data, TERMINATE, now, TOO_MANY_SESSIONS), now)
            raise

    def _terminate(self, end: Terminate) -> None:
        """Release everything, once; the state is `terminated` already."""
        around, data = self._around, self.data
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.requests is not None:
            self.requests.end()
        forget = ("forget", data.session_id)
        around.send(RATE_LIMITER, forget)
        if self._actor_ref.watchers is not None:  # isolation monitors whom it accounts for
            around.send(ISOLATION, forget)
        if end.reason != REAPED:  # whom it has ended itself it looks for no more
            around.send(REAPER, forget)
        self._subscribers = None
        if data.user_id != ANONYMOUS:
            around.users.leave(data.user_id, data.session_id, self._actor_ref)
        if self._is_stored:
            self._leave_store()
        # After that: whoever has the id next is stored behind it.
        around.directory.remove(data.session_id, self._actor_ref, returns=self._comes_back)
        if not self._is_accounted_for:
            self._actor_ref.send(StopMessage())

    def _account_for(self, reason: object, *, crash: bool) -> None:
        """See that the end is in the log, once: ours if it has begun, or one for this reason."""
        if self._undone:
            undone, self._undone = self._undone, ()
            self._perform(undone, self._around.now())
        if self._is_accounted_for or self.data.state == TERMINATED:
            return
        self._is_accounted_for = True
        if self._is_stored:
            self._prepare_return(reason, crash=crash)
        now = self._around.now()
        if crash:
            what = type(reason.error).__name__ if isinstance(reason, Crashed) else describe(reason)[:_REASON_MAX]
            effects = decide(self.data, CRASH, now, what)
        else:
            effects = decide(self.data, TERMINATE, now, _told(reason))
        self._perform(effects, now)

    def _reap(self, reaping: Reaping) -> None:
        """End for the reaper, unless there has been activity since it has looked."""
        data = self.data
        if data.state == TERMINATED:
            raise SessionTerminated(data.session_id)
        if reaping.last_accessed in (None, data.last_activity + data.wall_offset):
            now = self._around.now()
            self._perform((Audit("lifecycle", "session_reaped", "info", reaping.facts),), now)
            self._perform(decide(data, TERMINATE, now, REAPED), now)

    # -- the store ---------------------------------------------------------------

    @classmethod
    def stored_name(cls) -> str:
        """Return what the store calls sessions of this class."""
        return PLAIN if cls is Session else f"{cls.__module__}:{cls.__qualname__}"

    def _stored(self) -> Record:
        """Describe the session as it is now, in the form in which it is stored.

        Raises:
            PersistFailed: it holds something that cannot be stored.
        """
        around = self._around
        now = around.now()
        taken = snapshot(self.data, now, now + around.wall_offset)
        if type(self) is not Session:
            taken["class"] = self.stored_name()
            own = self.snapshot()
            if own is not None:
                taken["user_state"] = own
        try:
            return encode(taken)
        except (InvalidKind, InvalidValue) as error:
            raise PersistFailed(str(error)) from error

    def persist_for(self, asker: Asker | None) -> None:
        """Have it stored at once, and somebody told when it is durable.

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
        record = self._stored()
        if asker is None:
            saves.save(record)
        else:
            saves.persist(record, asker, self.data.state)

    def _save(self) -> None:
        """Have it stored soon; nobody waits for that. When there is no room, the next change is stored."""
        saves = self._around.saves
        assert saves is not None
        if self.data.state != TERMINATED and saves.has_room():
            self._hand_to(saves.save)

    def _hand_to(self, saved: Callable[[Record], object]) -> None:
        """Hand a snapshot over; what cannot be stored is audited, and what was stored before stays."""
        try:
            saved(self._stored())
        except PersistFailed as failed:
            around = self._around
            event = Audit("error", "persist_failed", "error", {"reason": failed.reason})
            around.audit.put((around.now(), self.data.session_id, event, "session"))

    def _prepare_return(self, reason: object, *, crash: bool) -> None:
        """Before an end that is not the session's own: see that it can come back."""
        if not crash and (reason == SHUTDOWN or isinstance(reason, Shutdown)):
            saves = self._around.saves
            assert saves is not None
            self._hand_to(saves.keep)
            self._comes_back = True
            self._is_stored = False  # nothing more is stored of it
        elif crash or reason != NORMAL:
            # Its own crash, or that of somebody it is linked to: its supervisor, for example.
            self._comes_back = True  # as it was stored last: what it is now may be the cause

    def _leave_store(self) -> None:
        """Have the stored copy deleted, unless the session comes back or the copy is to stay."""
        saves = self._around.saves
        assert saves is not None
        if self._comes_back:
            return
        if self.data.options.keep_persistent:
            self._hand_to(saves.keep)
        else:
            saves.delete(self.data.session_id)

    # -- subscribers -----------------------------------------------------------

    def _notify(self, notify: Notify) -> None:
        event = SessionEvent(self.data.session_id, notify.event, notify.detail)
        for subscriber in list(self._subscribers or ()):
            if isinstance(subscriber, ActorRef):
                subscriber.send(event)
                continue
            try:
                cast("Callable[[SessionEvent], object]", subscriber)(event)
            except Exception:
                logger.exception("a subscriber of %s raised and is dropped", self)
                self._unsubscribe(subscriber)

    def _subscribe(self, subscriber: object) -> None:
        if self._subscribers is None:
            self._subscribers = {}
        if subscriber not in self._subscribers:
            watched = self.monitor(subscriber) if isinstance(subscriber, ActorRef) else None
            self._subscribers[subscriber] = watched

    def _unsubscribe(self, subscriber: object) -> None:
        if self._subscribers is None:
            return
        watched = self._subscribers.pop(subscriber, None)
        if watched is not None:
            self.demonitor(watched, flush=True)
        if not self._subscribers:
            self._subscribers = None

    def _other(self, message: Any) -> Any:
        if message.__class__ in PYKKA_MESSAGES:
            return super().receive_ask(message)
        if message.__class__ is Reaping:
            self._reap(message)
            return self.data.state
        if isinstance(message, Errand):
            return message.run(self)
        if message.__class__ is LimiterEvent:
            if self._subscribers is not None:
                told = ", ".join(f"{name}={fact}" for name, fact in message.facts.items())
                self._notify(Notify(message.event, told or None))
            return self.data.state
        if isinstance(message, list) and len(message) == 2 and message[0] in (SUBSCRIBE, UNSUBSCRIBE):
            if self.data.state == TERMINATED:
                raise SessionTerminated(self.data.session_id)
            check_subscriber(message[1])
            (self._subscribe if message[0] == SUBSCRIBE else self._unsubscribe)(message[1])
            return self.data.state
        raise UnknownRequest("message", message, "(operation, argument), or the name of a query")


_HOOKS: Final[Mapping[str, str]] = {
    "session_activated": "on_activated",
    "session_resumed": "on_resumed",
    "session_suspended": "on_suspended",
    "session_terminated": "on_terminated",
}
"""What is called about which event."""

_NO_HOOKS: Final[Mapping[str, str]] = MappingProxyType({})
_TOLD_WHY: Final = frozenset({"on_suspended", "on_terminated"})


def _told(reason: object) -> str:
    """Write an exit reason as the reason of a transition, which is one printable line."""
    if isinstance(reason, str) and reason == NORMAL:
        return "stopped"
    line = "".join(each if each.isprintable() else " " for each in describe(reason)[:_REASON_MAX])
    return line or "stopped"


def _persist(session: Session, persist: Persist) -> None:
    """Have a snapshot stored; the asker gets the answer when it is durable."""
    del persist
    try:
        asker = session.defer_reply()
    except UsageError:  # it was told, and nobody waits
        asker = None
    try:
        session.persist_for(asker)
    except Refusal as refusal:
        if asker is None:
            raise
        asker.refuse(refusal)


def _migrate(session: Session, migrate: Migrate) -> None:
    del session
    raise MigrationFailed(f"there is no node {migrate.target!r}")


_PERFORM: Final[Mapping[type, Callable[[Session, Any], None]]] = {
    Wake: Session._wake_at,  # noqa: SLF001 - our own methods
    Identify: Session._identify,  # noqa: SLF001
    Refuse: Session._refuse,  # noqa: SLF001
    Terminate: Session._terminate,  # noqa: SLF001
    Verify: Session._verify,  # noqa: SLF001
    Persist: _persist,
    Migrate: _migrate,
}
