"""The session: one supervised actor around one record.

The actor is thin. `sessionactors.lifecycle` decides what an operation does to the
record; this file performs the effects and answers. It adds what only an actor
can have: subscribers, the timer, an authenticator that may be slow, and an end
that is accounted for however it comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from sessionactors.decisions.moves import REAPED, crash_reason, end_reason
from sessionactors.decisions.resources import resume_for
from sessionactors.effects import (
    Audit,
    Effect,
    Effects,
    Hibernate,
    Identify,
    Migrate,
    Notify,
    Persist,
    Refuse,
    Step,
    Terminate,
    Transition,
    Verdict,
    Verify,
    Wake,
)
from sessionactors.errands import Errand
from sessionactors.errors import (
    AuditUnavailable,
    MigrationFailed,
    SessionExists,
    SessionTerminated,
    TooManySessions,
    UnknownRequest,
)
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
from sessionactors.session_code import NO_HOOKS
from sessionactors.session_data import SessionData
from sessionactors.session_followers import FollowedSession
from sessionactors.session_messages import PEEK, QUERIES, Reaping, SessionEvent, operation_name
from sessionactors.session_saving import PLAIN
from sessionactors.sleeping import FallAsleep
from sessionactors.sleeping_session import SleepingSession
from sessionactors.states import IDLE, TERMINATED
from sessionactors.subscribers import LimiterEvent
from sessionactors.surroundings import ISOLATION, RECOVERY, RESTART
from sessionactors.users import ANONYMOUS, TOO_MANY_SESSIONS
from supervisors.errors import Refusal
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.coroutines import Coroutines
    from sessionactors.requests import RequestLine
    from sessionactors.settings import SessionOptions
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.replies import Reply
    from supervisors.runtime.signals import MonitorRef

__all__ = ["PEEK", "Reaping", "Session", "SessionEvent"]

logger = logging.getLogger("sessionactors.session")


class Session(FollowedSession):
    """One session (session system 1.1). Start it through a `SessionSystem`, not by hand.

    Messages are `(operation, argument)` for everything in
    `sessionactors.lifecycle`, the bare name for a query, and a `Reaping`. The
    answer to an operation is the state after it.

    Args:
        session_id: a checked id.
        options: checked options.
        around: the system around it.
        restored: what the session was when it was stored; None starts a new one.

    Thread: its own turn, one message at a time; others ask it through the system.
    """

    crash_on_ask_error = True

    # Class attributes, because hardly any session ever has other values.
    _is_accounted_for = False
    _restored: SessionData | None = None
    _restored_state: object = None
    _undone: Effects = ()
    _activation: Reply | None = None
    _connections: dict[str, tuple[ActorRef[Any] | None, MonitorRef | None]] | None = None
    _subscribers: dict[object, MonitorRef | None] | None = None

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
        self.data = SessionData(session_id, options, around.now(), around.wall_offset)
        if restored is not None:
            self.data.user_id = restored.user_id
        self._around = around
        self._timer: SleepingSession | None = None
        if options.persistent and self._can_be_stored():
            self._is_stored = True

    @classmethod
    def stored_name(cls) -> str:
        """Return what the store calls sessions of this class."""
        return PLAIN if cls is Session else super().stored_name()

    # -- for requests and errands, in the session's own turn -------------------

    @property
    def coroutines(self) -> Coroutines:
        """What runs the handlers that are coroutine functions."""
        return self._around.coroutines

    def begin_request(self, size: int) -> None:
        """Count a request as activity; an idle session is active again, if the quota admits it.

        Args:
            size: bytes of it.

        Raises:
            SessionRefusal: the session is in no state for requests, or the quota is used up.
        """
        data, now = self.data, self._around.now()
        if data.state == TERMINATED:
            raise SessionTerminated(data.session_id)
        used = (1, 0, size, size)
        if data.state != IDLE:
            effects = decide(data, UPDATE_RESOURCES, now, used)
        elif self._around.audit.is_failing:
            raise AuditUnavailable(RESUME)
        else:
            effects = resume_for(data, now, used)
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
                self._enter_user(data.user_id, counts=restored is None)
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
        around.arrivals.put(data.session_id, self._actor_ref, data.last_activity)
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
            if operation.__class__ is not str:
                operation = operation_name(operation)
            if operation == ACTIVATE and argument is None and self._around.verifier is None:
                argument = accepts_flag
            if self._around.audit.is_failing and operation in GRANTING:
                raise AuditUnavailable(operation)
            now = self._around.now()
            ttl = data.options.ttl
            if ttl is not None and now - data.last_activity > ttl:
                self._refuse_expired(now, operation)
            effects = decide(data, operation, now, argument)
            if effects.__class__ is Step and self._subscribers is None and not self._hooks:
                # What sessions do most is one entry of the log, and nobody else wants to know of it.
                self._around.audit.put((now, data.session_id, effects[0].number, None, "session"))
                if self._is_stored:
                    self._save()
            elif effects:
                self._perform(effects, now)
                if self._is_stored and operation != PERSIST:
                    self._save()
            return data.state
        if message.__class__ is str:
            query = QUERIES.get(message)
            if query is not None:
                return self._answer(message, query)
        return self._other(message)

    def receive_tell(self, message: Any) -> None:
        """Do an operation for which nobody waits, a timer's or a verdict for example."""
        kind = message.__class__
        if kind is Down:
            self._lost(message)
        elif kind is tuple and message and message[0].__class__ is str and message[0] == VERDICT:
            self._heard(message)
        elif kind is float:  # the timer's: the moment that it was set for, and nothing around it
            self.receive_ask((WAKE, message))
        elif kind is not str:
            self.receive_ask(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Account for the end, whatever caused it."""
        self._account_for(reason, crash=crash)
        return reason if self._is_outline else super().ending(reason, crash=crash, by_signal=by_signal)

    def ended(self) -> None:
        """Leave the directory; a session that was killed is accounted for here."""
        if not self._is_accounted_for or self._undone:
            # Who was killed, or interrupted twice, runs none of its code any more.
            self._hooks = NO_HOOKS
            self._is_outline = True
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
                around.give_up(session_id)

    # -- performing ----------------------------------------------------------

    def _perform(self, effects: Iterable[Effect], now: float) -> None:
        rest = iter(effects)
        kind: type = Audit
        try:
            for effect in rest:
                kind = effect.__class__
                if kind is Transition or kind is Audit:
                    what = effect.number or effect  # type: ignore[union-attr]  # its kind was looked at
                    self._around.audit.put((now, self.data.session_id, what, None, "session"))  # type: ignore[arg-type]  # likewise
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
            # The record has changed already. An interrupt ends this actor, and its end performs what is left.
            self._undone = (Terminate("interrupted"),) if kind is Terminate else tuple(rest)
            raise

    def _wake_at(self, wake: Wake) -> None:
        timer = self._timer
        if timer is not None and timer.is_pending:  # it has fired when this is its own doing
            timer.cancel()
        around = self._around
        self._timer = around.timers.arm(SleepingSession(self._actor_ref, float(wake.at), around))

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
        if verdict.accepted and self._around.audit.is_failing:  # it was asked for when the log could still tell
            message = (VERDICT, replace(verdict, is_held_back=True))
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

    def now(self) -> float:
        """Return the reading of the monotonic clock, seconds."""
        return self._around.now()

    def wall(self) -> float:
        """Return the reading of the wall clock, UTC seconds."""
        return self._around.wall()

    def become(self, restored: SessionData, own_state: object) -> None:
        """Be another session from now on, of the same id; this one is new.

        Raises:
            TooManySessions: its user has as many as may be, and nothing has changed.
            AuditUnavailable: the audit log could not tell of it.

        Thread: the session's own turn.
        """
        around, data = self._around, self.data
        if around.audit.is_failing:
            raise AuditUnavailable(LOAD)
        previous = data.user_id
        if restored.user_id not in (previous, ANONYMOUS):
            self._enter_user(restored.user_id)
        now = around.now()
        effects = decide(data, LOAD, now, restored)
        if previous not in (restored.user_id, ANONYMOUS):
            around.users.leave(previous, data.session_id, self._actor_ref)
        self._is_stored = self._can_be_stored()
        self._perform(effects, now)
        around.arrivals.put(data.session_id, self._actor_ref, data.last_activity)
        if own_state is not None:
            self.restore(own_state)
        self.save_changes()

    def _enter_user(self, user_id: str, *, counts: bool = True) -> None:
        """Enter the session with a user, and end what is too many for that because of it.

        Raises:
            TooManySessions: this one is.
        """
        for oldest in self._around.users.enter(user_id, self.data.session_id, self._actor_ref, counts=counts):
            oldest.send((TERMINATE, TOO_MANY_SESSIONS))

    def _identify(self, identify: Identify) -> None:
        """Enter the session with the user that it turned out to belong to."""
        around, data = self._around, self.data
        around.users.leave(identify.previous, data.session_id, self._actor_ref)
        if data.user_id == ANONYMOUS:
            return
        try:
            self._enter_user(data.user_id)
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
        if not self._comes_back:  # it will owe then what it owes now
            around.departures.put(data.session_id)
        if self._actor_ref.watchers is not None:  # isolation monitors whom it accounts for
            around.send(ISOLATION, ("forget", data.session_id))
        if end.reason != REAPED:  # whom it has ended itself it looks for no more
            around.arrivals.left()
        if self._subscribers is not None:
            del self._subscribers
        if data.user_id != ANONYMOUS:
            around.users.leave(data.user_id, data.session_id, self._actor_ref, returns=self._comes_back)
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
        if self._around.directory.get(self.data.session_id) is not self._actor_ref:
            # It never began, so nothing ends, and another one may have the id. What was to
            # come back from the store still is.
            self._is_accounted_for = True
            self._comes_back = self._restored is not None
            return
        if self._is_stored:
            self._prepare_return(reason, crash=crash)
        self._is_accounted_for = True  # not before: an interrupt in the line above leaves it to be done
        now = self._around.now()
        if crash:
            effects = decide(self.data, CRASH, now, crash_reason(reason))
        else:
            effects = decide(self.data, TERMINATE, now, end_reason(reason))
        self._perform(effects, now)

    def _other(self, message: Any) -> Any:
        if message.__class__ is Reaping:
            return self._reap(message)
        if message.__class__ in PYKKA_MESSAGES:
            return super().receive_ask(message)
        if isinstance(message, Errand):
            if message.is_use:
                self._refuse_use()
            return message.run(self)
        if message.__class__ is LimiterEvent:
            if self._subscribers is not None:
                told = ", ".join(f"{name}={fact}" for name, fact in message.facts.items())
                self._notify(Notify(message.event, told or None))
            return self.data.state
        if message.__class__ is list and len(message) == 2:
            self._refuse_use()
            self._follow(*message)
            return self.data.state
        raise UnknownRequest("message", message, "(operation, argument), or the name of a query")


def _migrate(session: Session, migrate: Migrate) -> None:
    del session
    raise MigrationFailed(f"there is no node {migrate.target!r}")


def _hibernate(session: Session, hibernate: Hibernate) -> None:
    """Have it done in a turn of its own, when this one is through with the record."""
    del hibernate
    session.actor_ref.send(FallAsleep(session.data.options.hibernate_after or 0.0, is_due=True))


_PERFORM: Final[Mapping[type, Callable[[Session, Any], None]]] = {
    Hibernate: _hibernate,
    Wake: Session._wake_at,  # noqa: SLF001 - our own methods
    Identify: Session._identify,  # noqa: SLF001 - likewise
    Refuse: Session._refuse,  # noqa: SLF001 - likewise
    Terminate: Session._terminate,  # noqa: SLF001 - likewise
    Verify: Session._verify,  # noqa: SLF001 - likewise
    Persist: Session._persist,  # noqa: SLF001 - likewise
    Migrate: _migrate,
}
