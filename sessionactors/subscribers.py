"""Who may subscribe to events, and who has: an actor, or something to call.

Source: session system 1.3, where it says which events are missing.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from sessionactors.errors import InvalidKind
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.runtime.signals import MonitorRef

__all__ = [
    "MEANT_FOR_OTHERS",
    "NOBODY_AWAITS",
    "LimiterEvent",
    "Subscriptions",
    "check_subscriber",
    "is_asynchronous",
    "is_subscribed",
]

MEANT_FOR_OTHERS: Final = (SystemExit, GeneratorExit, CancelledError)
"""What else a subscriber may raise: it would end whoever tells it, which is not whom it is about.

Likewise the code of a session that ends: it would end whoever has asked for that."""

NOBODY_AWAITS: Final = "nobody awaits what a coroutine function returns"
"""Why one is refused."""

_NOBODY: Final[Mapping[object, object]] = {}


class LimiterEvent(NamedTuple):
    """What the rate limiter tells a session and its subscribers.

    Attributes:
        session_id: whose limit it is about.
        event: what happened: `rate_limited`, `back_pressure`, ... (see `sessionactors.rate_limiter`).
        facts: more about it, by name.
    """

    session_id: str
    event: str
    facts: Mapping[str, object]


def check_subscriber(subscriber: object) -> None:
    """Refuse what cannot be told of an event, or not be told apart from others.

    Raises:
        InvalidKind: it is neither an actor's ref nor an ordinary function that can be a key.
    """
    if isinstance(subscriber, ActorRef):
        return
    allowed = "an actor's ref, or a function to call with the event"
    if not callable(subscriber):
        raise InvalidKind("subscriber", subscriber, allowed)
    try:
        hash(subscriber)
        would_never_run = is_asynchronous(subscriber)
    except Exception:  # noqa: BLE001 - a hash of somebody else's may raise anything
        raise InvalidKind("subscriber", subscriber, f"{allowed}; it must be hashable") from None
    if would_never_run:
        raise InvalidKind("subscriber", subscriber, f"{allowed}; {NOBODY_AWAITS}")


def is_asynchronous(function: object) -> bool:
    """Tell whether calling this only makes something that is to be awaited."""
    made = (function, type(function).__call__) if callable(function) else ()
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in made)


def is_subscribed(subscriber: object, subscribers: Mapping[object, object]) -> bool:
    """Tell whether one is among others.

    Raises:
        InvalidKind: it cannot be told apart from them: hashing or comparing it raises.
    """
    try:
        return subscriber in subscribers
    except Exception:  # noqa: BLE001 - a comparison of somebody else's may raise anything
        allowed = "an actor's ref, or a function that can be compared with others"
        raise InvalidKind("subscriber", subscriber, allowed) from None


@final
class Subscriptions:
    """Who wants to be told about which session; outlives the service that tells them.

    A function is called in the service's own turn: it is quick and does not call
    the service back; whoever wants to do that subscribes an actor. One that raises is
    dropped, as is an actor that has ended.

    Thread: the turn of the service that it was last handed to.
    """

    __slots__ = ("_owner", "_subscribers", "_watched")

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[object, MonitorRef | None]] = {}
        self._watched: dict[MonitorRef, tuple[str, ActorRef[Any]]] = {}
        self._owner: Actor | None = None

    def hand_to(self, owner: Actor) -> None:
        """Let a service that has just started watch whom an earlier one has watched."""
        self._owner = owner
        self._watched = {}
        for session_id, subscribers in self._subscribers.items():
            for who in subscribers:
                subscribers[who] = self._watch(session_id, who)

    def add(self, session_id: str, who: object) -> None:
        """Subscribe; doing so again changes nothing.

        Raises:
            InvalidKind: this cannot be told anything.
        """
        check_subscriber(who)
        if not is_subscribed(who, self._subscribers.get(session_id, _NOBODY)):
            self._subscribers.setdefault(session_id, {})[who] = self._watch(session_id, who)

    def discard(self, session_id: str, who: object) -> None:
        """Unsubscribe; nothing happens if it was not subscribed."""
        check_subscriber(who)
        subscribers = self._subscribers.get(session_id, {})
        if is_subscribed(who, subscribers):
            self._unwatch(subscribers.pop(who))
        if not subscribers:
            self._subscribers.pop(session_id, None)

    def forget(self, session_id: str) -> None:
        """Drop everybody who is subscribed to a session."""
        if session_id in self._subscribers:
            for monitor in self._subscribers.pop(session_id).values():
                self._unwatch(monitor)

    def tell(self, session_id: str, event: object) -> int:
        """Tell everybody; return how many were dropped because they raised."""
        dropped = 0
        for who in list(self._subscribers.get(session_id, _NOBODY)):
            if isinstance(who, ActorRef):
                who.send(event)
                continue
            try:
                _call(who, event)
            except (Exception, *MEANT_FOR_OTHERS):  # noqa: BLE001 - the caller audits it
                self.discard(session_id, who)
                dropped += 1
        return dropped

    def died(self, monitor: MonitorRef) -> bool:
        """Drop a subscriber that has died; False when nobody was watched by this monitor."""
        session_id, who = self._watched.pop(monitor, ("", None))
        if who is None:
            return False
        subscribers = self._subscribers.get(session_id, {})
        subscribers.pop(who, None)
        if not subscribers:
            self._subscribers.pop(session_id, None)
        return True

    def of(self, session_id: str) -> list[object]:
        """Return who is subscribed to a session, in order."""
        return list(self._subscribers.get(session_id, _NOBODY))

    def _watch(self, session_id: str, who: object) -> MonitorRef | None:
        if not isinstance(who, ActorRef):
            return None
        assert self._owner is not None
        monitor = self._owner.monitor(who)
        self._watched[monitor] = (session_id, who)
        return monitor

    def _unwatch(self, monitor: MonitorRef | None) -> None:
        if monitor is not None and self._owner is not None:
            self._watched.pop(monitor, None)
            self._owner.demonitor(monitor, flush=True)

    def __repr__(self) -> str:
        return f"<Subscriptions to {len(self._subscribers)} sessions>"


def _call(who: Callable[[object], object] | object, event: object) -> None:
    assert callable(who)
    who(event)
