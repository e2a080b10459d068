"""Who follows a session: subscribers, which hear its events, and connections, which count towards its quota.

Both may be actors. Those are monitored, so that one that has ended is dropped. Neither
is ever stored, and both stay while the session sleeps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast, final

from sessionactors import bounds
from sessionactors.errands import Errand
from sessionactors.errors import ConnectionExists, InvalidKind, SessionTerminated, UnknownRequest
from sessionactors.lifecycle import UPDATE_RESOURCES, decide
from sessionactors.reaping import ReapedSession
from sessionactors.session_messages import SUBSCRIBE, UNSUBSCRIBE, SessionEvent, operation_name
from sessionactors.states import TERMINATED
from sessionactors.subscribers import MEANT_FOR_OTHERS, check_subscriber, is_subscribed
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from sessionactors.effects import Notify
    from sessionactors.sleeping import Connections
    from sessionactors.sleeping_session import SleepingSession
    from supervisors.runtime.signals import Down

__all__ = ["AddConnection", "FollowedSession", "RemoveConnection", "TellConnections"]

logger = logging.getLogger("sessionactors.session")


class FollowedSession(ReapedSession):
    """The half of a session that knows who follows it."""

    # -- subscribers -----------------------------------------------------------

    def _notify(self, notify: Notify) -> None:
        event = SessionEvent(self.data.session_id, notify.event, notify.detail)
        for subscriber in list(self._subscribers or ()):
            if isinstance(subscriber, ActorRef):
                subscriber.send(event)
                continue
            try:
                cast("Callable[[SessionEvent], object]", subscriber)(event)
            except (Exception, *MEANT_FOR_OTHERS):
                logger.exception("a subscriber of %s raised and is dropped", self)
                self._unsubscribe(subscriber)

    def _follow(self, operation: object, subscriber: object) -> None:
        """Have somebody hear the events from now on, or not any more.

        Raises:
            SessionTerminated: the session has ended.
            UnknownRequest: it is neither.
            InvalidKind: that is nobody who could.
        """
        name = operation_name(operation)
        if name not in (SUBSCRIBE, UNSUBSCRIBE):
            raise UnknownRequest("operation", name, f"{SUBSCRIBE} | {UNSUBSCRIBE}")
        _check_live(self)
        check_subscriber(subscriber)
        (self._subscribe if name == SUBSCRIBE else self._unsubscribe)(subscriber)

    def _subscribe(self, subscriber: object) -> None:
        if not is_subscribed(subscriber, self._subscribers or {}):
            if self._subscribers is None:
                self._subscribers = {}
            watched = self.monitor(subscriber) if isinstance(subscriber, ActorRef) else None
            self._subscribers[subscriber] = watched

    def _unsubscribe(self, subscriber: object) -> None:
        if self._subscribers is None or not is_subscribed(subscriber, self._subscribers):
            return
        watched = self._subscribers.pop(subscriber)
        if watched is not None:
            self.demonitor(watched, flush=True)
        if not self._subscribers:
            del self._subscribers

    # -- connections -----------------------------------------------------------

    def connect(self, connection_id: str, ref: ActorRef[Any] | None) -> None:
        """Count one connection more.

        Raises:
            ConnectionExists: this one is open.
            QuotaExceeded: the quota of connections is used up.
            InvalidState: the session is not active.
            SessionTerminated: it has ended.

        Thread: the session's own turn.
        """
        if self._connections is not None and connection_id in self._connections:
            raise ConnectionExists(connection_id)
        effects = decide(self.data, UPDATE_RESOURCES, self._around.now(), (0, 1, 0, 0))
        self.apply(effects)
        if self._connections is None:
            self._connections = {}
        self._connections[connection_id] = (ref, None if ref is None else self.monitor(ref))

    def disconnect(self, connection_id: str) -> bool:
        """Count one less, in whatever state the session is; False if it was not open.

        Thread: the session's own turn.
        """
        if self._connections is None or connection_id not in self._connections:
            return False
        _, watched = self._connections.pop(connection_id)
        if watched is not None:
            self.demonitor(watched, flush=True)
        if not self._connections:
            self._connections = None
        data = self.data
        data.connections = max(0, data.connections - 1)
        return True

    @property
    def connections(self) -> Connections:
        """The connections in order of their opening; None when there is none."""
        return self._connections

    def _lost(self, down: Down) -> None:
        """Drop the subscriber or the connection that has ended."""
        for connection_id, (_, watched) in (self._connections or {}).items():
            if watched is down.monitor:
                self.disconnect(connection_id)
                return
        self._unsubscribe(down.source)


@final
class AddConnection(Errand):
    """Open a connection.

    Args:
        connection_id: checked text.
        ref: the actor that holds it, or None.
    """

    __slots__ = ("_connection_id", "_ref")
    is_use = True

    def __init__(self, connection_id: object, ref: object) -> None:
        self._connection_id = bounds.text("connection_id", connection_id)
        if not (ref is None or isinstance(ref, ActorRef)):
            raise InvalidKind("ref", ref, "the ref of an actor, or None")
        self._ref: ActorRef[Any] | None = ref

    def run(self, session: FollowedSession) -> None:
        """Open it."""
        session.connect(self._connection_id, self._ref)


@final
class RemoveConnection(Errand):
    """Close a connection.

    Args:
        connection_id: checked text.
    """

    __slots__ = ("_connection_id",)
    is_use = True

    def __init__(self, connection_id: object) -> None:
        self._connection_id = bounds.text("connection_id", connection_id)

    def run(self, session: FollowedSession) -> bool:
        """Close it; return whether it was open."""
        _check_live(session)
        return session.disconnect(self._connection_id)


@final
class TellConnections(Errand):
    """Answer with the connections."""

    __slots__ = ()
    is_use = True

    def run(self, session: FollowedSession) -> Mapping[str, ActorRef[Any] | None]:
        """Return them."""
        _check_live(session)
        return self.look(session)

    def look(self, sleeper: FollowedSession | SleepingSession) -> Mapping[str, ActorRef[Any] | None]:
        """Return them; whether it sleeps makes no difference."""
        return {each: ref for each, (ref, _) in (sleeper.connections or {}).items()}


def _check_live(session: FollowedSession) -> None:
    if session.data.state == TERMINATED:
        raise SessionTerminated(session.data.session_id)
