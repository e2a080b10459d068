"""Who may subscribe to events: an actor, or something to call."""

from __future__ import annotations

from sessionactors.errors import InvalidKind
from supervisors.runtime.ref import ActorRef

__all__ = ["check_subscriber"]


def check_subscriber(subscriber: object) -> None:
    """Refuse what cannot be told of an event, or not be told apart from others.

    Raises:
        InvalidKind: it is neither an actor's ref nor a function that can be a key.
    """
    if isinstance(subscriber, ActorRef):
        return
    allowed = "an actor's ref, or a function to call with the event"
    if not callable(subscriber):
        raise InvalidKind("subscriber", subscriber, allowed)
    try:
        hash(subscriber)
    except Exception:  # noqa: BLE001 - a hash of somebody else's may raise anything
        raise InvalidKind("subscriber", subscriber, f"{allowed}; it must be hashable") from None
