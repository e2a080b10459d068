"""Finds turns that take too long, and shows what they are doing.

A thread looks a few times in a limit at what every thread is running. Who is seen
with the same actor and the same message for longer than the limit is slow: the
log gets a warning with the live stack, and a worker that is in such a turn gets a
substitute until it is back. Turns themselves do nothing for it, not even read a
clock. A turn that waits for a reply is not slow; it waits.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.ages import Ages
from supervisors.runtime.sole_thread import SoleThread
from supervisors.runtime.turn import all_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.turn import Turn

__all__ = ["FOLLOWED_MAX", "STRIKES", "SlowTurn", "Watchdog", "stack_of"]

logger = logging.getLogger("supervisors.watchdog")

FOLLOWED_MAX: Final = 256
"""Mailboxes whose ages are remembered at a time."""

STRIKES: Final = 3
"""An inline actor that has been very slow so often goes to the pool, for its askers' deadlines."""

VERY_SLOW: Final = 10
"""So many limits are very slow: a thread that only waits for a busy machine does not get there."""

LOG_INTERVAL: Final = 10.0
"""Seconds between two warnings in the log; those between are counted and published."""

LOOKS_PER_LIMIT: Final = 4


@dataclass(frozen=True, slots=True)
class SlowTurn:
    """One turn over the limit.

    Attributes:
        actor: the ref of the actor.
        message: the type of the message in hand, in words.
        seconds: how long it had been seen when it was reported.
        stack: what it was doing then, as text.
    """

    actor: Any
    message: str
    seconds: float
    stack: str


@final
class Watchdog:
    """Watches the turns of one actor system.

    Args:
        clock: measures how long a turn has been seen.
        owns: tells whether an actor belongs to the system.
        limits: seconds by dispatch, such as ``{"inline": 0.1, "shared": 5.0}``.
        report: gets each slow turn once; it runs on the watching thread.
        relieve: likewise gets what its thread is doing.

    Thread: `start()` and `stop()` are safe anywhere.
    """

    __slots__ = (
        "_ages",
        "_clock",
        "_event",
        "_followed",
        "_limits",
        "_next_log",
        "_owns",
        "_relieve",
        "_report",
        "_seen",
        "_strikes",
        "_thread",
        "_unlogged",
        "slow_turns",
    )

    def __init__(
        self,
        clock: Clock,
        owns: Callable[[Cell], bool],
        limits: dict[str, float],
        report: Callable[[SlowTurn], None],
        relieve: Callable[[Turn], None],
    ) -> None:
        self._clock = clock
        self._owns = owns
        self._limits = limits
        self._report = report
        self._relieve = relieve
        self._event = threading.Event()
        self._thread = SoleThread(self._watch, "supervisors-watchdog")
        # thread id -> (actor, its count of messages, first seen, limits passed: 0, 1 or VERY_SLOW)
        self._seen: dict[int, tuple[Cell, int, float, int]] = {}
        self._strikes: dict[Cell, int] = {}
        # Mailboxes that wait behind a turn, or were asked for: one dump must not need another one to tell ages.
        self._followed: dict[int, Cell] = {}
        self._ages = Ages()
        self._next_log = float("-inf")
        self._unlogged = 0
        self.slow_turns = 0

    @property
    def is_started(self) -> bool:
        """Whether the thread that watches has been started."""
        return self._thread.is_started

    def start(self) -> None:
        """Start watching, unless it has been started or stopped before.

        Raises:
            RuntimeError: there is no thread to be had; the next call tries again.
        """
        if not self._event.is_set():
            self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the watching thread; it cannot be started again.

        Args:
            timeout: seconds to wait for it, as it may be in a listener; None waits without end.
        """
        self._event.set()
        self._thread.join(timeout)

    def look(self) -> list[SlowTurn]:
        """Look once at all threads; return the turns found slow for the first time."""
        now = self._clock.monotonic()
        found, seen = [], {}
        followed = self._followed
        for turn in all_turns():
            ref = turn.current
            if ref is None or not self._owns(ref):
                continue
            followed[ref.id] = ref
            if ref.dispatch not in self._limits:
                continue  # who has a thread of its own may take its time
            key, count = turn.thread_id, ref.messages_handled
            before = self._seen.get(key)
            if before is None or before[0] is not ref or before[1] != count or ref.waits_for is not None:
                seen[key] = (ref, count, now, 0)
                continue
            since, passed = before[2], before[3]
            limits = (now - since) / self._limits[ref.dispatch]
            if not passed and limits >= 1:
                passed = 1
                self._relieve(turn)
                slow = self._describe(turn, ref, now - since)
                if slow is not None:
                    found.append(slow)
            if passed == 1 and limits >= VERY_SLOW:
                passed = VERY_SLOW
                self._strike(ref)
            seen[key] = (ref, count, since, passed)
        self._seen = seen
        self._look_at_mailboxes(now)
        return found

    def follow(self, refs: Iterable[Cell]) -> None:
        """Remember from now on how long these mailboxes' messages wait, until they are empty.

        Thread: any.
        """
        for ref in refs:
            self._followed[ref.id] = ref

    def age_of(self, ref: Cell) -> float:
        """Return how long the oldest message in a mailbox has waited at least, in seconds; 0.0: not known.

        Known is what waits behind a turn that is running when the watchdog looks, and what
        was followed. Thread: any.
        """
        return self._ages.age_of(ref, self._clock.monotonic())

    def in_hand(self, thread_id: int, ref: Cell) -> float:
        """Return for how long at least a thread has been at the message that it is handling, in seconds.

        Thread: any.
        """
        seen = self._seen.get(thread_id)
        if seen is None or seen[0] is not ref or seen[1] != ref.messages_handled:
            return 0.0
        return self._clock.monotonic() - seen[2]

    def _look_at_mailboxes(self, now: float) -> None:
        followed = self._followed
        for number, ref in list(followed.items()):
            if not ref.mailbox_length:
                followed.pop(number, None)
        # The first that came stay: their messages have waited longest.
        for number in list(followed)[FOLLOWED_MAX:]:
            followed.pop(number, None)
        self._ages.look(list(followed.values()), now)

    def _watch(self) -> None:
        pause = min(self._limits.values()) / LOOKS_PER_LIMIT
        while not self._event.wait(pause):
            try:
                for slow in self.look():
                    self.slow_turns += 1
                    self._log(slow)
                    self._report(slow)
            except Exception:
                logger.exception("the watchdog stumbled and goes on")

    def _log(self, slow: SlowTurn) -> None:
        now = self._clock.monotonic()
        if now < self._next_log:
            self._unlogged += 1
            return
        logger.warning(
            "%s has been handling a %s for %.3f s and goes on (%d others since the last such line):\n%s",
            slow.actor,
            slow.message,
            slow.seconds,
            self._unlogged,
            slow.stack,
        )
        self._next_log = now + LOG_INTERVAL
        self._unlogged = 0

    def _strike(self, ref: Cell) -> None:
        if ref.dispatch != "inline":
            return
        strikes = self._strikes.pop(ref, 0) + 1
        if strikes < STRIKES:
            self._strikes[ref] = strikes
        else:
            ref.leave_inline()
            logger.warning("%s has been very slow %d times and runs on the worker pool from now on", ref, strikes)
        self._strikes = {each: count for each, count in self._strikes.items() if each.exit_reason is None}

    @staticmethod
    def _describe(turn: Turn, ref: Cell, seconds: float) -> SlowTurn | None:
        frame = sys._current_frames().get(turn.thread_id)  # noqa: SLF001 - there is no public way
        if frame is None or turn.current is not ref:
            return None
        return SlowTurn(ref, _message_in_hand(frame, ref), seconds, stack_of(frame))


def stack_of(frame: FrameType) -> str:
    """Return a running frame's stack as text, the innermost call last."""
    return "".join(traceback.format_stack(frame)).rstrip()


def _message_in_hand(frame: FrameType | None, ref: Cell) -> str:
    """Find the type of the message that an actor handles in the stack that handles it."""
    while frame is not None:
        here = frame.f_locals
        if here.get("self") is ref:
            for name in ("message", "item"):
                if name in here:
                    message = here[name]
                    return type(getattr(message, "message", message)).__name__
        frame = frame.f_back
    return "start, stop or signal"
