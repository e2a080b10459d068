"""One place where the methods that send messages are replaced while somebody listens.

Several may listen, and end in any order; if each replaced the methods by itself, one
that ends before a later one could not put its own back. Before the first and after
the last, the methods are the ones that were written: nobody pays for a question whether
somebody listens.

An ask that finds an inline actor idle is not sent: its asker runs the handler.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.ref import ActorRef

__all__ = ["Listener", "listen"]

Listener: TypeAlias = Callable[[ActorRef[Any], Any], Any]
"""Gets who is sent what, and returns what is sent in its place: the same, or a wrapping of it."""

_METHODS: Final = ("_ask_queued", "forward", "send", "tell")

_changing: Final = threading.Lock()
"""Held while somebody comes or goes; guards the two below. Senders read the first one without it."""
_listeners: list[Listener] = []
_replaced: Final[list[tuple[type, str, Any]]] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Have a function called with each message that is sent in this process from now on.

    Args:
        listener: called on the sender's thread, before the message is in the mailbox.

    Returns:
        A function that ends it; more than once is fine.
    """
    global _listeners  # noqa: PLW0603 - replaced and never changed, so that a sender goes through one list
    with _changing:
        if not _listeners:
            _replace()
        _listeners = [*_listeners, listener]

    def end() -> None:
        global _listeners  # noqa: PLW0603 - as above
        with _changing:
            if listener not in _listeners:
                return
            _listeners = [each for each in _listeners if each is not listener]
            if not _listeners:
                for kind, name, own in _replaced:
                    setattr(kind, name, own)
                _replaced.clear()

    return end


def _replace() -> None:
    for kind in (ActorRef, BoundedRef):
        for name in _METHODS:
            own = vars(kind).get(name)
            if own is not None:
                _replaced.append((kind, name, own))
                setattr(kind, name, _heard(own))


def _heard(method: Any) -> Any:
    """Return a method that sends the same when all have heard of it."""

    @functools.wraps(method)
    def sending(ref: Any, message: Any, *more: Any, **options: Any) -> Any:
        for listener in _listeners:
            message = listener(ref, message)
        return method(ref, message, *more, **options)

    return sending
