"""The session: one supervised actor around one record.

The actor is thin. `sessionactors.lifecycle` decides what an operation does to the
record; this file performs the effects and answers. It adds what only an actor
can have: subscribers, the timer, an authenticator that may be slow, and an end
that is accounted for however it comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sessionactors.effects import (
    Audit,
    Effects,
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
from sessionactors.errors import InvalidKind, MigrationFailed, NoBackend, SessionExists, UnknownRequest
from sessionactors.expiry import entry_of
from sessionactors.lifecycle import (
    ACTIVATE,
    CRASH,
    TERMINATE,
    VERDICT,
    WAKE,
    accepts_flag,
    decide,
    start,
)
from sessionactors.session_data import SessionData, check_quota, history, info, metrics, resources_used
from sessionactors.states import TERMINATED
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from supervisors.actor import Actor
from supervisors.errors import Refusal
from supervisors.exits import NORMAL, Crashed, describe
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.settings import SessionOptions
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.cell import Reply
    from supervisors.runtime.signals import MonitorRef
    from supervisors.timers.service import Timer

__all__ = ["PEEK", "QUERIES", "SUBSCRIBE", "UNSUBSCRIBE", "Session", "SessionEvent"]

logger = logging.getLogger("sessionactors.session")

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
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


class Session(Actor):
    """One session. Start it through a `SessionSystem`, not by hand.

    Messages are `(operation, argument)` for everything in
    `sessionactors.lifecycle`, and the bare name for a query. The answer to an
    operation is the state after it.

    Args:
        session_id: a checked id.
        options: checked options.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    _is_accounted_for = False

    def __init__(self, session_id: str, options: SessionOptions, around: Surroundings) -> None:
        super().__init__()
        self.data = SessionData(session_id, options, around.now(), around.wall_offset)
        self._around = around
        self._timer: Timer | None = None
        self._subscribers: dict[object, MonitorRef | None] | None = None
        self._activation: Reply | None = None

    # -- what the runtime calls --------------------------------------------

    def starting(self) -> None:
        """Enter the directory, then the log."""
        around, data = self._around, self.data
        try:
            around.directory.add(data.session_id, self._actor_ref)
        except SessionExists as error:
            self._is_accounted_for = True  # it never was a session
            raise StartError(error, self) from error
        self._perform(start(data))
        reaper = around.whereis(REAPER)
        if reaper is not None:
            reaper.send(("watch", data.session_id, self._actor_ref, data.last_activity))
        self.on_start()

    def receive_ask(self, message: Any) -> Any:
        """Do an operation, or answer a query."""
        data = self.data
        if message.__class__ is tuple:
            operation, argument = message
            if operation == ACTIVATE and argument is None and self._around.authenticator is None:
                argument = accepts_flag
            effects = decide(data, operation, self._around.now(), argument)
            if effects:
                self._perform(effects)
            return data.state
        if message.__class__ is str:
            query = QUERIES.get(message)
            if query is not None:
                return query(data, self._around.now())
        return self._other(message)

    def receive_tell(self, message: Any) -> None:
        """Do an operation for which nobody waits, a timer's or a verdict for example."""
        if isinstance(message, Down):
            self._unsubscribe(message.source)
        elif message.__class__ is tuple and message[0] == VERDICT:
            self._heard(message[1])
        elif message.__class__ is not str:
            self.receive_ask(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Account for the end, whatever caused it."""
        self._account_for(reason, crash=crash)
        return super().ending(reason, crash=crash, by_signal=by_signal)

    def ended(self) -> None:
        """Leave the directory; a session that was killed is accounted for here."""
        self._account_for("killed", crash=True)
        self._around.directory.remove(self.data.session_id, self._actor_ref)

    # -- performing ----------------------------------------------------------

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            kind = effect.__class__
            if kind is Transition or kind is Audit:
                self._around.audit.put((self._around.now(), self.data.session_id, effect, "session"))  # type: ignore[arg-type]
            elif kind is Notify:
                if self._subscribers is not None:
                    self._notify(cast("Notify", effect))
            else:
                _PERFORM[kind](self, effect)

    def _wake_at(self, wake: Wake) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._around.timers.send_at(wake.at, self._actor_ref, (WAKE, wake.at))

    def _refuse(self, refuse: Refuse) -> None:
        raise refuse.error

    def _verify(self, verify: Verify) -> None:
        """Ask the authenticator on a thread of its own; the asker gets the answer after it."""
        authenticator = self._around.authenticator
        assert authenticator is not None
        self._activation = self.defer_reply()
        _Verification.start(authenticator, verify, self._actor_ref)

    def _heard(self, verdict: Verdict) -> None:
        """Take the authenticator's answer and pass the outcome on to who asked for it."""
        asked, self._activation = self._activation, None
        try:
            state = self.receive_ask((VERDICT, verdict))
        except Refusal as refusal:
            if asked is not None:
                asked.refuse(refusal)
        else:
            if asked is not None:
                asked.set(state)

    def _terminate(self, end: Terminate) -> None:
        """Release everything, once; the state is `terminated` already."""
        del end
        around, data = self._around, self.data
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for name in (ISOLATION, RATE_LIMITER, REAPER):
            service = around.whereis(name)
            if service is not None:
                service.send(("forget", data.session_id))
        self._subscribers = None
        around.directory.remove(data.session_id, self._actor_ref)
        if not self._is_accounted_for:
            self._actor_ref.send(StopMessage())

    def _account_for(self, reason: object, *, crash: bool) -> None:
        if self._is_accounted_for or self.data.state == TERMINATED:
            return
        self._is_accounted_for = True
        if crash:
            what = type(reason.error).__name__ if isinstance(reason, Crashed) else describe(reason)
            effects = decide(self.data, CRASH, self._around.now(), what)
        else:
            told = "stopped" if reason == NORMAL else describe(reason)[:200]
            effects = decide(self.data, TERMINATE, self._around.now(), told)
        self._perform(effects)

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
        if not isinstance(subscriber, ActorRef) and not callable(subscriber):
            raise InvalidKind("subscriber", subscriber, "an actor's ref, or something to call with the event")
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
        if isinstance(message, list) and len(message) == 2 and message[0] in (SUBSCRIBE, UNSUBSCRIBE):
            (self._subscribe if message[0] == SUBSCRIBE else self._unsubscribe)(message[1])
            return self.data.state
        raise UnknownRequest("message", message, "(operation, argument), or the name of a query")


class _Verification(Actor):
    """Asks an authenticator, which may be slow, once; then it is gone."""

    dispatch = "shared"

    def __init__(self, authenticator: Callable[[object], object], question: Verify, session: ActorRef[Any]) -> None:
        super().__init__()
        self._authenticator = authenticator
        self._question = question
        self._session = session

    def on_start(self) -> None:
        """Ask; whatever goes wrong denies."""
        question = self._question
        try:
            answer = self._authenticator(question.context)
        except Exception as error:  # noqa: BLE001 - fails closed, audited by the session
            verdict = Verdict(question, accepted=False, failure=type(error).__name__)
        else:
            user_id = answer if isinstance(answer, str) else None
            verdict = Verdict(question, accepted=answer is True or user_id is not None, user_id=user_id)
        self._session.send((VERDICT, verdict))
        self.actor_ref.send(StopMessage())


def _persist(session: Session, persist: Persist) -> None:
    del session, persist
    raise NoBackend


def _migrate(session: Session, migrate: Migrate) -> None:
    del session
    raise MigrationFailed(f"there is no node {migrate.target!r}")


_PERFORM: Final[Mapping[type, Callable[[Session, Any], None]]] = {
    Wake: Session._wake_at,  # noqa: SLF001 - our own methods
    Refuse: Session._refuse,  # noqa: SLF001
    Terminate: Session._terminate,  # noqa: SLF001
    Verify: Session._verify,  # noqa: SLF001
    Persist: _persist,
    Migrate: _migrate,
}
