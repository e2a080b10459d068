"""What a timer service can have pending, and what whoever has armed it holds.

Source: TIMER-1 to TIMER-5.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from supervisors.timers.deadlines import Entry

if TYPE_CHECKING:
    from supervisors.timers.service import TimerService

__all__ = ["Alarm", "Repeating", "TimedOut", "Timer"]


class Alarm(Entry):
    """What a timer service can have pending: to whom goes what, and when.

    A `Timer` says it in attributes. Who has something of its own for each
    timer may derive that from this, and have one object where there were two.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def to(self) -> Any:
        """A ref, or a name."""

    @property
    @abstractmethod
    def message(self) -> Any:
        """What is sent."""


class Timer(Alarm):
    """A pending message.

    Thread: any thread may cancel or read it.
    """

    __slots__ = ("_service", "message", "to")

    to: Any
    message: Any

    def __init__(self, service: TimerService, deadline: float, to: Any, message: Any) -> None:
        # As Entry.__init__() does, without the call: a timer is made for every message to come.
        self.deadline = deadline
        self.is_pending = False
        self._service = service
        self.to = to
        self.message = message

    def cancel(self) -> float | None:
        """Cancel; return the seconds that were left, None if it was over (TIMER-2).

        After None the message may be in the mailbox already.
        """
        return self._service.cancel_own(self)

    def remaining(self) -> float | None:
        """Return the seconds left, None if it has fired or was cancelled (TIMER-4)."""
        return self._service.remaining(self)

    def __repr__(self) -> str:
        left = self.remaining()
        return "<Timer over>" if left is None else f"<Timer due in {left:.3f} s>"


@final
class Repeating(Timer):
    """A message that is sent again and again.

    Attributes:
        interval: seconds; None once it is over.
    """

    __slots__ = ("interval",)

    def __init__(self, service: TimerService, deadline: float, to: Any, message: Any, interval: float) -> None:
        super().__init__(service, deadline, to, message)
        self.interval: float | None = interval

    def cancel(self) -> float | None:
        """As `Timer.cancel()`; it does not ring again, also if it is ringing now."""
        self.interval = None
        return super().cancel()


@dataclass(frozen=True, slots=True, eq=False)
class TimedOut:
    """The message of `start_timer()`.

    Attributes:
        timer: what `start_timer()` returned.
        message: what it was given.
    """

    timer: Timer
    message: Any
