"""The health of an actor system: looks at watched actors, and says live and ready.

*Live* means that everybody who is watched makes progress. A process that is not live
should be restarted. *Ready* means live, and willing to take work: a program says so
itself when it has come up, and takes it back before it stops.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.health.progress import Mark, Reading, Stuck, Watch, judge
from supervisors.registry import checked_name
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import all_turns
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisors.system import ActorSystem

__all__ = ["WATCHES_MAX", "Health", "Verdict"]

logger = logging.getLogger("supervisors.health")

WATCHES_MAX: Final = 10_000
"""Watches of one system: each look reads all of them."""

_LATE_LOOKS: Final = 5
"""So many intervals without a look, and the looking itself is stuck."""
_LATE_MIN: Final = 10.0  # seconds; a busy machine does not make a process dead


class Verdict(NamedTuple):
    """An answer about the health, with its reasons.

    Attributes:
        is_good: the answer.
        reasons: why not, one sentence each; empty when it is good.
    """

    is_good: bool
    reasons: tuple[str, ...]


@final
class Health:
    """Watches actors of one system.

    Args:
        system: whose actors.
        interval: seconds between two looks, above 0.
        on_look: called after each look, with whether the system is live; on the
            looking thread, and must not block. `Notifier.watchdog` wants to know.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> with ActorSystem() as system:
        ...     health = Health(system)
        ...     _ = system.start(Actor, name="worker")
        ...     health.watch("worker", within=30.0)
        ...     health.look()
        ()

    Thread: every method is safe anywhere.
    """

    def __init__(
        self, system: ActorSystem, *, interval: float = 1.0, on_look: Callable[[bool], object] | None = None
    ) -> None:
        self._interval = checked_delay("interval", interval)
        if not self._interval:
            raise InvalidArgumentError("interval", interval, "a number of seconds above 0")
        if on_look is not None and not callable(on_look):
            raise InvalidTypeError("on_look", on_look, "a function of a bool, or None")
        self._system = system
        self._on_look = on_look
        self._lock = threading.Lock()  # guards the next five and _thread; no actor is touched while it is held
        self._watches: dict[str, Watch] = {}
        self._targets: dict[str, Hashable] = {}
        self._marks: Mapping[str, Mark] = {}
        self._stuck: tuple[Stuck, ...] = ()
        self._unready: str | None = "the program has not said that it is ready"
        self._looking = threading.Lock()  # held during a look, so that two do not kill the same actor
        self._last_look = system.clock.monotonic()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    # -- who is watched ------------------------------------------------------

    def watch(self, target: Hashable, *, within: float, restart: bool = False, label: str | None = None) -> None:
        """Expect progress of an actor.

        Args:
            target: a name, so that whoever has it is watched, also after a restart; or a ref.
            within: seconds, above 0, within which it must make progress while something waits for it.
            restart: kill it when it does not. Its supervisor starts another one.
            label: names the watch in answers and figures; by default the name in words.

        Raises:
            InvalidArgumentError, InvalidTypeError: bad input; a label that is taken; too many watches.
        """
        seconds = checked_delay("within", within)
        if not seconds:
            raise InvalidArgumentError("within", within, "a number of seconds above 0")
        if not isinstance(restart, bool):
            raise InvalidTypeError("restart", restart, "True or False")
        if not isinstance(target, ActorRef):
            checked_name(target)
        elif target.system is not self._system:
            raise InvalidArgumentError("target", target, "an actor of the same system")
        if not (label is None or isinstance(label, str)):
            raise InvalidTypeError("label", label, "text, or None")
        known = str(target) if label is None else label
        with self._lock:
            if known in self._watches:
                raise InvalidArgumentError("label", known, "one that no other watch has")
            if len(self._watches) >= WATCHES_MAX:
                raise InvalidArgumentError("target", known, f"at most {WATCHES_MAX} watches")
            self._watches[known] = Watch(seconds, restart)
            self._targets[known] = target

    def set_interval(self, seconds: float) -> None:
        """Change how long it is between two looks; counts from the look after the next one on."""
        interval = checked_delay("interval", seconds)
        if not interval:
            raise InvalidArgumentError("interval", seconds, "a number of seconds above 0")
        self._interval = interval

    def unwatch(self, label: str) -> None:
        """Expect nothing of an actor any more; nothing happens if there is no such watch."""
        with self._lock:
            self._watches.pop(label, None)
            self._targets.pop(label, None)
            self._stuck = tuple(each for each in self._stuck if each.label != label)

    # -- looking ---------------------------------------------------------------

    def look(self) -> tuple[Stuck, ...]:
        """Look once at everybody who is watched; kill whom a watch says to; return who is stuck.

        `start()` has a thread do this. In virtual time call it yourself.
        """
        with self._looking:
            with self._lock:
                watches, targets = dict(self._watches), dict(self._targets)
            refs = {label: self._ref(target) for label, target in targets.items()}
            in_hand = {turn.current for turn in all_turns()}
            readings = {
                label: _NOBODY if ref is None else Reading(ref.id, ref.messages_handled, _waiting(ref, in_hand))
                for label, ref in refs.items()
            }
            now = self._system.clock.monotonic()
            marks, stuck, kill = judge(watches, self._marks, readings, now)
            self._marks = marks
            known = {each.label for each in self._stuck}
            with self._lock:
                self._stuck = tuple(each for each in stuck if each.label in self._watches)
                self._last_look = now
            for each in stuck:
                if each.label not in known:
                    logger.error("%s", each)
            for label in kill:
                ref = refs[label]
                if ref is not None:
                    logger.error("%s is killed, so that its supervisor starts another one", label)
                    ref.kill()
        return stuck

    def start(self) -> None:
        """Have a thread look again and again until `stop()`.

        Raises:
            UsageError: the system lives in virtual time, or this was called before.
        """
        if not self._system.scheduler.is_threaded:
            raise UsageError("a system on a virtual clock has no threads; call look() yourself")
        with self._lock:
            if self._thread is not None:
                raise UsageError("start() was called before")
            self._last_look = self._system.clock.monotonic()
            self._thread = threading.Thread(target=self._run, name="supervisors-health", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the looking thread; what it has found stays."""
        self._end.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.look()
                if self._on_look is not None:
                    self._on_look(self.live().is_good)
            except Exception:
                logger.exception("a look at the actors went wrong; the next one comes")

    def _ref(self, target: Hashable) -> ActorRef[Any] | None:
        ref = target if isinstance(target, ActorRef) else self._system.whereis(target)
        return ref if ref is not None and ref.is_alive() else None

    # -- answers -----------------------------------------------------------------

    def set_ready(self) -> None:
        """Say that the program takes work."""
        with self._lock:
            self._unready = None

    def set_unready(self, reason: str) -> None:
        """Say that the program takes no work, and why, in a sentence for people."""
        with self._lock:
            self._unready = str(reason)

    def live(self) -> Verdict:
        """Tell whether everybody who is watched makes progress, as of the last look; never blocks for long."""
        with self._lock:
            reasons = [str(each) for each in self._stuck]
            late = self._system.clock.monotonic() - self._last_look
            if self._thread is not None and not self._end.is_set() and late > self._patience():
                reasons.append(f"nobody has looked at the actors for {late:.1f} s")
        return Verdict(not reasons, tuple(reasons))

    def ready(self) -> Verdict:
        """Tell whether the system is live and the program takes work."""
        reasons = self.live().reasons
        with self._lock:
            unready = self._unready
        if unready is not None:
            reasons = (unready, *reasons)
        return Verdict(not reasons, reasons)

    def counts(self) -> tuple[int, int]:
        """Return how many are watched, and how many of them were stuck at the last look."""
        with self._lock:
            return len(self._watches), len(self._stuck)

    def _patience(self) -> float:
        return max(_LATE_LOOKS * self._interval, _LATE_MIN)

    def __repr__(self) -> str:
        return f"<Health: {len(self._watches)} watched, {len(self._stuck)} stuck>"


_NOBODY: Final = Reading(None, 0, 0)


def _waiting(ref: ActorRef[Any], in_hand: set[Any]) -> int:
    return ref.mailbox_length + (ref in in_hand)
