"""Timers that send a message when they are due.

One service for a whole actor system. With a real clock it owns one thread,
started with the first timer; with a virtual clock it has none, and
`advance_to()` fires what becomes due.

Setting an alarm again costs more than letting it ring: a timer that guards
idleness should stay armed, and be armed anew for the rest when it fires.

Source: TIMER-1 to TIMER-5.
"""

from __future__ import annotations

import logging
import math
import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from supervisors.clock import VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.sole_thread import SoleThread
from supervisors.runtime.turn import hand_over, thread_turn
from supervisors.timers.deadlines import Deadlines, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock

__all__ = [
    "INTERVAL_MIN",
    "SECONDS_MAX",
    "Alarm",
    "Repeating",
    "TimedOut",
    "Timer",
    "TimerService",
    "checked_delay",
    "checked_name",
    "checked_reading",
]

logger = logging.getLogger("supervisors.timers")

R = TypeVar("R", bound="Alarm")

INTERVAL_MIN: Final = 1e-6
"""The shortest interval, seconds: below, the clock's own precision would make it 0."""

SECONDS_MAX: Final = 100.0 * 366 * 86400
"""The longest delay, seconds: a hundred years."""


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
        return self._service.cancel(self)

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


@dataclass(frozen=True, slots=True, eq=False)
class TimedOut:
    """The message of `start_timer()`.

    Attributes:
        timer: what `start_timer()` returned.
        message: what it was given.
    """

    timer: Timer
    message: Any


@final
class TimerService:
    """All timers of one actor system.

    Args:
        clock: monotonic time; a `VirtualClock` means that no thread is used.
        whereis: looks up a name when a timer for a name fires (TIMER-3).
        settle: in virtual time, runs everything that is ready.

    Thread: every method is safe anywhere, `advance_to()` from one thread at a time.
    """

    __slots__ = (
        "_clock",
        "_deadlines",
        "_lock",
        "_needs_thread",
        "_settle",
        "_sleeps_until",
        "_stopped",
        "_thread",
        "_wake",
        "_whereis",
        "fired",
    )

    def __init__(
        self, clock: Clock, whereis: Callable[[object], ActorRef[Any] | None], settle: Callable[[], int]
    ) -> None:
        self._clock = clock
        self._whereis = whereis
        self._settle = settle
        self._lock = threading.Lock()  # guards all below; only list and heap work is done while it is held
        self._wake = threading.Condition(self._lock)
        self._deadlines = Deadlines[Alarm]()
        self._sleeps_until = -math.inf  # what the thread waits for; -inf while it is awake
        self._thread = SoleThread(self._run, "supervisors-timers")
        self._needs_thread = not isinstance(clock, VirtualClock)  # and has not got it yet
        self._stopped = False
        self.fired = 0

    def send_after(self, delay: float, to: Any, message: Any) -> Timer:
        """Send a message later (TIMER-1).

        Args:
            delay: seconds from now, 0 to a hundred years; 0 is still a message.
            to: a ref, or a registered name that is looked up when it fires.
            message: anything; dropped if nobody is there then (TIMER-3).
        """
        return self.arm(Timer(self, self._clock.monotonic() + checked_delay("delay", delay), to, message))

    def start_timer(self, delay: float, to: Any, message: Any) -> Timer:
        """Send `TimedOut(timer, message)` later (TIMER-1); as `send_after()` otherwise.

        The receiver can tell a timer that it has cancelled too late from the one
        that it waits for.
        """
        timer = Timer(self, self._clock.monotonic() + checked_delay("delay", delay), to, None)
        timer.message = TimedOut(timer, message)
        return self.arm(timer)

    def send_at(self, deadline: float, to: Any, message: Any) -> Timer:
        """Send a message at a reading of the monotonic clock, seconds."""
        return self.arm(Timer(self, checked_reading("deadline", deadline), to, message))

    def send_interval(self, interval: float, to: Any, message: Any) -> Timer:
        """Send a message again and again, first after one interval.

        The intervals do not drift: each is counted from when the one before was
        due. One that is overdue by more than an interval is not made up for.
        """
        interval = checked_delay("interval", interval)
        if interval < INTERVAL_MIN:
            raise InvalidArgumentError("interval", interval, f"at least {INTERVAL_MIN} seconds")
        return self.arm(Repeating(self, self._clock.monotonic() + interval, to, message, interval))

    def cancel(self, timer: Alarm) -> float | None:
        """Cancel; return the seconds that were left, None if it was over."""
        with self._lock:
            if isinstance(timer, Repeating):
                timer.interval = None
            if self._stopped or not self._deadlines.cancel(timer):
                return None
        left = timer.deadline - self._clock.monotonic()
        return max(0.0, left)

    def remaining(self, timer: Alarm) -> float | None:
        """Return the seconds left, None if it is over."""
        with self._lock:
            if self._stopped or not timer.is_pending:
                return None
            return max(timer.deadline - self._clock.monotonic(), 0.0)

    def pending(self) -> int:
        """Return how many timers are pending."""
        with self._lock:
            return len(self._deadlines)

    def next_deadline(self) -> float | None:
        """Return when the next timer is due, on the monotonic clock."""
        with self._lock:
            return self._deadlines.next_deadline()

    def advance_to(self, reading: float) -> int:
        """Move the virtual clock on and fire what becomes due, each at its time.

        After each timer everything that is ready runs, before time goes on.

        Returns:
            How many timers have fired.
        """
        clock = self._clock
        if not isinstance(clock, VirtualClock):
            raise InvalidTypeError("clock", clock, "a VirtualClock: real time passes by itself")
        reading = checked_reading("reading", reading)
        if reading < clock.monotonic():
            raise InvalidArgumentError("reading", reading, f"at least {clock.monotonic()}")
        before = self.fired
        self._settle()
        while self.fire_next(reading):
            pass
        clock.move_to(max(reading, clock.monotonic()))
        return self.fired - before

    def fire_next(self, limit: float | None) -> bool:
        """In virtual time, jump to the next timer due by the limit and fire it."""
        clock = self._clock
        assert isinstance(clock, VirtualClock)
        with self._lock:
            timer = self._deadlines.pop_due(math.inf if limit is None else limit)
        if timer is None:
            return False
        if timer.deadline > clock.monotonic():
            clock.move_to(timer.deadline)
        self._fire(timer)
        self._settle()
        return True

    def fire_early(self) -> bool:
        """In virtual time, fire the next timer now, before its time; False if there is none.

        It breaks the promise of a timer (TIMER-1), for simulations of just that.
        """
        assert isinstance(self._clock, VirtualClock)
        with self._lock:
            timer = self._deadlines.pop_due(math.inf)
        if timer is None:
            return False
        self._fire(timer)
        return True

    def hurry(self, is_for: Callable[[object], bool], within: float) -> float | None:
        """Fire the first single timer for somebody now, before its time; return how many seconds early.

        It breaks the promise of a timer (TIMER-1), for experiments with just that. Looks at
        every timer that is pending.

        Args:
            is_for: tells for a ref or a name whether it is who is meant; called with the lock held.
            within: seconds; one that is due later is left alone.

        Returns:
            None: there is none that is due so soon.
        """
        now = self._clock.monotonic()
        with self._lock:
            soon = [
                timer
                for timer in self._deadlines.pending()
                if now < timer.deadline <= now + within and not isinstance(timer, Repeating) and is_for(timer.to)
            ]
            if not soon:
                return None
            first = min(soon, key=lambda timer: timer.deadline)
            self._deadlines.cancel(first)
        self._fire(first)
        return first.deadline - now

    def stop(self, timeout: float | None = None) -> None:
        """Forget all timers and end the thread; at the system's end.

        Args:
            timeout: seconds to wait for the thread, which may be in code of a user's that gives
                the size of a message; None waits without end.
        """
        with self._lock:
            self._stopped = True
            self._deadlines = Deadlines[Alarm]()
            self._wake.notify_all()
        self._thread.join(timeout)

    def arm(self, timer: R) -> R:
        """Have a timer pending that is not pending, and never was; return it.

        Raises:
            RuntimeError: it is the first one, and there is no thread to be had; it is not pending.
        """
        current = thread_turn.turn.current
        if current is not None and current.fenced:
            raise Fenced
        if not isinstance(timer.to, ActorRef):
            checked_name("to", timer.to)
        if self._needs_thread and not self._stopped:
            self._thread.start()
            self._needs_thread = False
        with self._lock:
            if self._stopped:
                return timer
            self._deadlines.add(timer)
            if timer.deadline < self._sleeps_until:
                self._wake.notify()
        return timer

    def _run(self) -> None:
        # The timer thread only hands mailboxes over: a slow handler must not
        # make other timers late. `depth` keeps sends from running here.
        turn = thread_turn.turn
        turn.depth = 1
        while True:
            with self._lock:
                while True:
                    if self._stopped:
                        return
                    deadline = self._deadlines.next_deadline()
                    now = self._clock.monotonic()
                    if deadline is not None and deadline <= now:
                        break
                    # A long sleep is cut so that a clock jump is noticed.
                    self._sleeps_until = math.inf if deadline is None else deadline
                    self._wake.wait(min(deadline - now, 60.0) if deadline is not None else None)
                    self._sleeps_until = -math.inf
                timer = self._deadlines.pop_due(now)
                assert timer is not None
            try:
                self._fire(timer)
                hand_over(turn)
            except Exception:
                # One message that cannot be sent must not cost all other timers.
                logger.exception("%r could not be delivered", timer)

    def _fire(self, timer: Alarm) -> None:
        self.fired += 1
        to = timer.to
        if isinstance(to, ActorRef):
            if not to.is_alive():
                return  # nobody will ever be there again
            to.send(timer.message)
        else:
            ref = self._whereis(to)
            if ref is not None:
                ref.send(timer.message)
        if isinstance(timer, Repeating):
            self._repeat(timer)

    def _repeat(self, timer: Repeating) -> None:
        interval = timer.interval
        if interval is None:
            return
        now = self._clock.monotonic()
        due = timer.deadline + interval
        if due <= now - interval:
            due += math.floor((now - due) / interval) * interval
        self._rearm(timer, due)

    def _rearm(self, timer: Repeating, due: float) -> None:
        with self._lock:
            if timer.interval is not None and not self._stopped:
                timer.deadline = due
                self._deadlines.add(timer)


def checked_delay(field: str, seconds: float) -> float:
    """Return a delay as a float, or raise what names the field."""
    if seconds.__class__ is float and 0.0 <= seconds <= SECONDS_MAX:
        return seconds
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidTypeError(field, seconds, "seconds as a number")
    if not 0.0 <= seconds <= SECONDS_MAX:
        raise InvalidArgumentError(field, seconds, "0 seconds to a hundred years")
    return float(seconds)


def checked_reading(field: str, reading: float) -> float:
    """Return a reading of the monotonic clock as a float, or raise what names the field."""
    if reading.__class__ is float and -math.inf < reading < math.inf:
        return reading
    if isinstance(reading, bool) or not isinstance(reading, (int, float)):
        raise InvalidTypeError(field, reading, "a reading of the clock, seconds")
    if not math.isfinite(reading):
        raise InvalidArgumentError(field, reading, "a finite number of seconds")
    return float(reading)


def checked_name(field: str, name: object) -> None:
    """Raise what explains why nobody can be found under this."""
    if name is None:
        raise InvalidArgumentError(field, name, "a ref or a name")
    try:
        hash(name)
    except TypeError:
        raise InvalidTypeError(field, name, "a ref or a name, which is hashable") from None
