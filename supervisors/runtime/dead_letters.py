"""Messages that nobody will handle: counted, published, logged now and then.

A dead letter is a message to an actor that has ended, one that a full mailbox
had no room for, or a reply that came after the asker had given up.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock

__all__ = ["LOG_INTERVAL", "DeadLetters"]

logger = logging.getLogger("supervisors.dead_letters")

LOG_INTERVAL: Final = 10.0
"""Seconds between two lines in the log, however many dead letters there are."""


@final
class DeadLetters:
    """The dead letters of one actor system.

    Args:
        clock: measures the time between two lines in the log.

    Attributes:
        count: how many there have been.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_clock", "_listeners", "_lock", "_logged", "_next_log", "count")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards the numbers; nothing is called while it is held
        self._listeners: tuple[Callable[[Any, object], None], ...] = ()
        self._next_log = float("-inf")
        self._logged = 0
        self.count = 0

    def subscribe(self, listener: Callable[[Any, object], None]) -> Callable[[], None]:
        """Call a function with the receiver and the message of each dead letter.

        It runs on the thread that finds the dead letter, and must not block.

        Returns:
            A function that ends the subscription.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return unsubscribe

    def add(self, ref: object, message: object) -> None:
        """Count, log and publish one."""
        now = self._clock.monotonic()
        with self._lock:
            self.count += 1
            since = self.count - self._logged
            log = now >= self._next_log
            if log:
                self._next_log = now + LOG_INTERVAL
                self._logged = self.count
        if log:
            # The kind of message is enough: what it says may be private.
            logger.info("dead letter for %s: a %s; %d since the last such line", ref, type(message).__name__, since)
        for listener in self._listeners:
            try:
                listener(ref, message)
            except Exception:
                logger.exception("a listener raised; it stays subscribed")

    def __repr__(self) -> str:
        return f"<DeadLetters: {self.count}>"
