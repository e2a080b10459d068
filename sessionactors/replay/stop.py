"""A flag that ends a replay, made to be raised inside a signal handler."""

from __future__ import annotations

import threading
from typing import final

__all__ = ["Stop"]


@final
class Stop:
    """Asks a replay to end after the event in hand.

    `threading.Event` will not do: a signal handler runs in the middle of
    whatever the main thread does, and when that is `Event.wait()`, the
    handler's `Event.set()` waits for a lock that its own thread holds. Here the
    handler only sets a plain attribute, and `wait()` waits for something that
    never happens.

    Thread: any, and signal handlers.
    """

    __slots__ = ("_never", "is_requested")

    def __init__(self) -> None:
        self.is_requested = False
        self._never = threading.Event()

    def request(self) -> None:
        """Raise the flag; it stays up."""
        self.is_requested = True

    def wait(self, seconds: float) -> bool:
        """Let real time pass, and return whether the flag is up then.

        Blocks: for the whole time, also when the flag goes up meanwhile.
        """
        self._never.wait(seconds)
        return self.is_requested
