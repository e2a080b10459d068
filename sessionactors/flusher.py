"""An actor that writes what waits in front of it: soon, at once, or again after a failure.

What it writes lies in a queue that outlives the actor, so a crash loses nothing
that was accepted: the next actor finds it waiting.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from supervisors.actor import Actor

if TYPE_CHECKING:
    from supervisors.timers.service import Timer, TimerService

__all__ = ["FLUSH", "Flusher"]

logger = logging.getLogger("sessionactors.flusher")

FLUSH: Final = "flush"
"""Message of an actor to itself: write what waits."""

_RETRY_AFTER: Final = 1.0
"""Seconds until a batch that could not be written is tried again."""


class Flusher(Actor):
    """A singleton that writes.

    It has a thread of its own: a write to disk takes time, and the threads of the pool may
    all be waiting in handlers of users, for which nobody else's `persist()` is to wait.

    Attributes:
        target: what it writes to, in words for the program's own log.
        failures: what `write()` raises when it cannot be done now and may be later.

    Args:
        timers: for writing soon.
    """

    dispatch = "pinned"
    crash_on_ask_error = True

    target: ClassVar[str]
    failures: ClassVar[type[Exception]]

    def __init__(self, timers: TimerService) -> None:
        super().__init__()
        self._timers = timers
        self._timer: Timer | None = None
        self.is_failing = False

    @abstractmethod
    def write(self) -> object:
        """Write everything that waits, durably; keep what could not be written."""

    def on_start(self) -> None:
        """See that what waits already is written: an earlier actor may have crashed over it.

        Also when nothing waits. A message that says that something does may have
        been lost with that actor, and no other would be sent before something is
        taken. In a turn of its own, because a start keeps the supervisor waiting.
        """
        self.actor_ref.send(FLUSH)

    def on_stop(self) -> None:
        """Write what waits, before anybody closes the target."""
        self.flush()

    def ended(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def flush(self) -> object:
        """Write; what cannot be written now stays where it is, and is tried again.

        Returns:
            What `write()` returned, or the failure that it raised.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            written = self.write()
        except self.failures as error:
            if not self.is_failing:
                logger.exception("%s cannot be written; it is tried every %g seconds", self.target, _RETRY_AFTER)
            self.is_failing = True
            self.flush_after(_RETRY_AFTER)
            return error
        if self.is_failing:
            logger.warning("%s can be written again", self.target)
            self.is_failing = False
        return written

    def flush_after(self, delay: float) -> None:
        """Write after so many seconds, unless that is going to happen already."""
        if self._timer is None or self._timer.remaining() is None:
            self._timer = self._timers.send_after(delay, self._actor_ref, FLUSH)
