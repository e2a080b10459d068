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
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from supervisors.clock import VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.sole_thread import SoleThread
from supervisors.runtime.turn import hand_over, thread_turn
from supervisors.timers.deadlines import SWEEP_MIN, Deadlines
from supervisors.timers.timer import Alarm, Repeating, TimedOut, Timer

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

AWAKE: Final = -math.inf
"""Until when the timer thread sleeps while it does not."""

SORT_AFTER: Final = 4096
"""So many timers more than at the last time, and new ones are sorted."""


@final
class TimerService:
    """All timers of one actor system.

    Arming and cancelling may come from anywhere: a finalizer that the garbage collector runs or
    a signal handler, in the middle of anything that this thread does here. So two locks
    share the work. Under the first nothing is called, no loop goes round and nothing is made that
    the collector tracks: the interpreter runs neither of them there, and the counts are always right. A
    timer that is armed only joins the list of new ones. Under the second they are sorted,
    by whoever looks what is due: the thread, or in virtual time whoever moves it. Arming and
    cancelling never wait for that.

    Args:
        clock: monotonic time; a `VirtualClock` means that no thread is used.
        whereis: looks up a name when a timer for a name fires (TIMER-3).
        settle: in virtual time, runs everything that is ready.

    Thread: every method is safe anywhere, `advance_to()` from one thread at a time. Finalizers and signal
        handlers may arm, cancel, read and count timers.
    """

    __slots__ = (
        "_call",
        "_clock",
        "_deadlines",
        "_held",
        "_is_virtual",
        "_lock",
        "_needs_thread",
        "_new",
        "_settle",
        "_sleeps_until",
        "_sort_at",
        "_sorting",
        "_stale",
        "_stopped",
        "_sweep_at",
        "_thread",
        "_whereis",
        "fired",
        "forked",
    )

    def __init__(
        self, clock: Clock, whereis: Callable[[object], ActorRef[Any] | None], settle: Callable[[], int]
    ) -> None:
        self._clock = clock
        self._whereis = whereis
        self._settle = settle
        self._lock = threading.Lock()  # guards whether a timer is pending, and the seven below; see above
        self._new: list[Alarm] = []  # armed, and not sorted yet
        self._held = 0  # timers that are new or sorted
        self._stale = 0  # of these, the ones that are not pending any more
        self._sort_at: float = SORT_AFTER  # with so many held, the new ones are sorted
        self._sweep_at: float = SWEEP_MIN  # with so many stale, they are swept out
        self._sleeps_until = AWAKE  # what the thread waits for; AWAKE if it does not, or has been called
        self._stopped = False
        self._sorting = threading.Lock()  # guards sorting: _deadlines, and taking timers out of _new
        self._deadlines = Deadlines[Alarm]()
        self._thread = SoleThread(self._run, "supervisors-timers")
        self._is_virtual = isinstance(clock, VirtualClock)
        self._needs_thread = not self._is_virtual  # and has not got it yet
        self._call = threading.Lock()  # closed; whoever sets _sleeps_until to AWAKE opens it once, for the thread
        self._call.acquire()
        self.fired = 0
        self.forked = False  # whether it is that of the process that this one was forked from

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
        """Cancel; return the seconds that were left, None if it was over.

        Raises:
            InvalidArgumentError, InvalidTypeError: it is a timer of another system, or none.
        """
        if not isinstance(timer, Alarm):
            raise InvalidTypeError("timer", timer, "a timer")
        if isinstance(timer, Timer):
            if timer._service is not self:  # noqa: SLF001 - its other half
                raise InvalidArgumentError("timer", timer, "a timer of this system")
            return timer.cancel()
        return self.cancel_own(timer)

    def cancel_own(self, timer: Alarm) -> float | None:
        """Cancel a timer that this service has armed, as `cancel()` does."""
        is_asleep = is_messy = False
        try:
            with self._lock:
                if self._stopped or not timer.is_pending:
                    return None
                timer.is_pending = False
                self._stale = stale = self._stale + 1
                if stale > self._sweep_at:
                    self._sweep_at = math.inf
                    is_messy = True
                    is_asleep = self._sleeps_until > AWAKE
                    self._sleeps_until = AWAKE
        finally:
            if is_asleep:
                self._call.release()
        if is_messy:
            self._tidy()
        left = timer.deadline - self._clock.monotonic()
        return max(0.0, left)

    def remaining(self, timer: Alarm) -> float | None:
        """Return the seconds left, None if it is over."""
        if self._stopped or not timer.is_pending:
            return None
        return max(timer.deadline - self._clock.monotonic(), 0.0)

    def pending(self) -> int:
        """Return how many timers are pending."""
        with self._lock:
            return self._held - self._stale

    def next_deadline(self) -> float | None:
        """Return when the next timer is due, on the monotonic clock."""
        with self._sorting:
            self._sort()
            deadline = self._deadlines.next_deadline()
        return deadline

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
        timer = self._take_due(math.inf if limit is None else limit)
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
        timer = self._take_due(math.inf)
        if timer is None:
            return False
        self._fire(timer)
        return True

    def hurry(self, is_for: Callable[[object], bool], within: float) -> float | None:
        """Fire the first single timer for somebody now, before its time; return how many seconds early.

        It breaks the promise of a timer (TIMER-1), for experiments with just that. Looks at
        every timer that is pending.

        Args:
            is_for: tells for a ref or a name whether it is who is meant; it may not wait.
            within: seconds; one that is due later is left alone.

        Returns:
            None: there is none that is due so soon.
        """
        now = self._clock.monotonic()
        with self._sorting:
            self._sort()
            soon = [
                timer
                for timer in self._deadlines.pending()
                if now < timer.deadline <= now + within and not isinstance(timer, Repeating) and is_for(timer.to)
            ]
        soon.sort(key=lambda timer: timer.deadline)
        for first in soon:
            if self.cancel_own(first) is not None:
                self._fire(first)
                return first.deadline - now
        return None

    def stop(self, timeout: float | None = None) -> None:
        """Forget all timers and end the thread; at the system's end.

        Args:
            timeout: seconds to wait for the thread, which may be in code of a user's that gives
                the size of a message; None waits without end.
        """
        is_asleep = False
        try:
            with self._lock:
                self._stopped = True
                self._held = self._stale = 0
                is_asleep = self._sleeps_until > AWAKE
                self._sleeps_until = AWAKE
        finally:
            if is_asleep:
                self._call.release()
        self._thread.join(timeout)
        with self._sorting:
            self._new, self._deadlines = [], Deadlines[Alarm]()

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
        deadline, entry = timer.deadline, (timer,)
        is_asleep = is_messy = False
        try:
            with self._lock:
                if self._stopped:
                    return timer
                new = self._new
                timer.is_pending = True  # first: who sorts does not wait for us
                new += entry
                self._held = held = self._held + 1
                if held > self._sort_at or deadline < self._sleeps_until:
                    self._sort_at = math.inf
                    is_messy = True
                    is_asleep = self._sleeps_until > AWAKE
                    self._sleeps_until = AWAKE
        finally:
            if is_asleep:
                self._call.release()
        if is_messy:
            self._tidy()
        return timer

    def _tidy(self) -> None:
        """Sort new timers and sweep out stale ones, if there is no thread that does; nobody is waited for."""
        if self._is_virtual and not self._sorting.locked():
            with self._sorting:
                self._sort()

    def _run(self) -> None:
        # The timer thread only hands mailboxes over: a slow handler must not
        # make other timers late. `depth` keeps sends from running here.
        turn = thread_turn.turn
        turn.depth = 1
        while not self._stopped:
            timer = self._take_due(self._clock.monotonic())
            if timer is None:
                self._sleep()
                continue
            try:
                self._fire(timer)
                hand_over(turn)
            except Exception:
                # One message that cannot be sent must not cost all other timers.
                logger.exception("%r could not be delivered", timer)

    def _sleep(self) -> None:
        """Wait until the next timer is due, or until somebody calls."""
        deadline = self.next_deadline()
        until = math.inf if deadline is None else deadline
        # A long sleep is cut so that a clock jump is noticed.
        seconds = -1 if deadline is None else min(max(deadline - self._clock.monotonic(), 0.0), 60.0)
        with self._lock:
            if self._stopped or self._new:
                return
            self._sleeps_until = until
        if self._call.acquire(True, seconds):
            return
        with self._lock:
            is_called = self._sleeps_until == AWAKE
            self._sleeps_until = AWAKE
        if is_called:
            self._call.acquire()  # at the last moment; it is about to be opened

    def _take_due(self, now: float) -> Alarm | None:
        """Take out the first timer that is due at or before now, so that nobody else has it; None if none is."""
        with self._sorting:
            self._sort()
            while True:
                timer = self._deadlines.due(now)
                if timer is None:
                    return None
                with self._lock:
                    is_ours = timer.is_pending and not self._stopped
                    if is_ours:
                        timer.is_pending = False
                        self._stale += 1
                self._deadlines.drop_first()
                if is_ours:
                    return timer

    def _sort(self) -> None:
        """Sort new timers in, and sweep out the stale ones if they are many; with `_sorting` held."""
        deadlines, new = self._deadlines, self._new
        if new:
            taken = 0
            try:
                for timer in new[: len(new)]:
                    if timer.is_pending:
                        deadlines.add(timer)
                    else:
                        deadlines.dropped += 1
                    taken += 1  # last: who is interrupted before that sorts it in again
            finally:
                del new[:taken]
        if self._stale - deadlines.dropped > self._held - self._stale + SWEEP_MIN:
            deadlines.sweep()
        dropped = deadlines.dropped
        with self._lock:
            if not self._stopped:
                self._held -= dropped
                self._stale -= dropped
            deadlines.dropped = 0
            self._sort_at = self._held + SORT_AFTER
            self._sweep_at = self._held - self._stale + SWEEP_MIN

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
        entry = (timer,)
        with self._lock:
            if timer.interval is not None and not self._stopped:
                timer.deadline = due
                new = self._new
                timer.is_pending = True  # first: who sorts does not wait for us
                new += entry
                self._held += 1


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
