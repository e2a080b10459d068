"""How long handlers take and messages wait, for the classes of actors for which somebody wants to know.

While a class is measured, the two methods that the runtime calls are replaced in it
by ones that read the clock before and after; and where waiting is measured, the methods
that send are replaced, too. Nothing asks whether a class is measured: one that is not
runs exactly its own code.

What a measured message pays is two readings of the clock, a search in a dozen bounds,
and two additions: some 0.6 microseconds. Where one of several is measured, the others
pay for a call and a count: some 0.1. The sample is drawn by counting, so give a number
that no pattern of the program shares; a prime does.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisors.actor import Actor
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.telemetry.histogram import BOUNDS, Durations, ThreadRow, count
from supervisors.telemetry.sending import listen
from supervisors.telemetry.waits import Waits

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["BOUNDS", "CLASSES_MAX", "EVERY_MAX", "HandlerTimes"]

CLASSES_MAX: Final = 50
"""Classes that can be measured; each has a label of its own."""

EVERY_MAX: Final = 1_000_000
"""One message of so many is measured at least."""

_METHODS: Final = ("receive_ask", "receive_tell")


@final
class HandlerTimes(Collector):
    """Histograms of how long messages are handled and wait, by class; `Telemetry.add()` takes it.

    A subclass that has its own `receive_ask()` or `receive_tell()` is not measured with its
    base, and one that has not is, under the name of the base, unless it is measured itself.
    A message that is asked of an idle inline actor is handled by its asker: it does not wait,
    and does not count among those that do.

    Args:
        clock: real time.
        every: one message of so many is measured, 1 to 1,000,000.
        waits: measure waiting as well; then sending any message costs some 0.2 microseconds more.

    Raises:
        InvalidArgumentError, InvalidTypeError: one of these is not allowed.

    Example:
        >>> from supervisors import Actor, ActorSystem, SystemClock
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         return "hello"
        >>> times = HandlerTimes(SystemClock())
        >>> times.measure(Greeter)
        >>> with ActorSystem() as system:
        ...     _ = system.start(Greeter).ask("x")
        >>> times.count(Greeter), times.count_waits(Greeter)
        (1, 1)
        >>> times.close()

    Thread: every method is safe anywhere.
    """

    def __init__(self, clock: Clock, *, every: int = 1, waits: bool = True) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or not 1 <= every <= EVERY_MAX:
            raise InvalidArgumentError("every", every, f"an integer from 1 to {EVERY_MAX}")
        if not isinstance(waits, bool):
            raise InvalidTypeError("waits", waits, "True or False")
        self._now = clock.monotonic
        self._every = every
        self._waits = Waits(clock.monotonic, every, self._is_measured) if waits else None
        self._lock = threading.Lock()  # held while classes are changed; guards the next three
        self._measured: dict[type[Actor], tuple[Durations, Durations]] = {}  # handling, waiting
        self._replaced: list[tuple[type[Actor], str, Any, Any]] = []
        self._end_listening: Callable[[], None] | None = None
        # Read without the lock by senders: whether messages of a class come to a method of ours.
        self._known: dict[type, bool] = {}

    def measure(self, actor_class: type[Actor]) -> None:
        """Measure all actors of a class, those that live too; again changes nothing.

        Raises:
            InvalidTypeError: this is no class of actors.
            InvalidArgumentError: there are too many.
        """
        if not (isinstance(actor_class, type) and issubclass(actor_class, Actor)):
            raise InvalidTypeError("actor_class", actor_class, "a class derived from Actor")
        with self._lock:
            if actor_class in self._measured:
                return
            if len(self._measured) >= CLASSES_MAX:
                raise InvalidArgumentError("actor_class", actor_class.__name__, f"at most {CLASSES_MAX} classes")
            handling, waiting = self._measured[actor_class] = (Durations(), Durations())
            for name in _METHODS:
                own = vars(actor_class).get(name)
                timed = self._timed(self._untimed(actor_class, name), ThreadRow(handling), ThreadRow(waiting))
                setattr(actor_class, name, timed)
                self._replaced.append((actor_class, name, own, timed))
            self._known = {}
            if self._waits is not None and self._end_listening is None:
                self._end_listening = listen(self._waits.sent)

    def close(self) -> None:
        """Put all classes back; what was counted stays."""
        with self._lock:
            if self._end_listening is not None:
                self._end_listening()
                self._end_listening = None
            for actor_class, name, own, timed in reversed(self._replaced):
                if vars(actor_class).get(name) is not timed:
                    continue  # somebody else has put another one in its place
                if own is None:
                    delattr(actor_class, name)
                else:
                    setattr(actor_class, name, own)
            self._replaced.clear()
            self._known = {}

    def count(self, actor_class: type[Actor]) -> int:
        """Return of how many messages of a class the handling was measured."""
        with self._lock:
            found = self._measured.get(actor_class)
        return 0 if found is None else found[0].total()

    def count_waits(self, actor_class: type[Actor]) -> int:
        """Return of how many messages of a class the waiting was measured."""
        with self._lock:
            found = self._measured.get(actor_class)
        return 0 if found is None else found[1].total()

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        with self._lock:
            measured = list(self._measured.items())
        sample = "each one" if self._every == 1 else f"one of {self._every}"
        handling = HistogramMetricFamily(
            "supervisors_handler_seconds", f"How long messages were handled; {sample} is measured.", labels=_LABELS
        )
        waiting = HistogramMetricFamily(
            "supervisors_wait_seconds",
            f"How long messages waited in a mailbox until their turn came; {sample} that is sent is measured.",
            labels=_LABELS,
        )
        for actor_class, kept in measured:
            for family, durations in zip((handling, waiting), kept, strict=True):
                family.add_metric([actor_class.__name__[:60]], *durations.buckets())
        yield handling
        if self._waits is not None:
            yield waiting

    def _untimed(self, actor_class: type[Actor], name: str) -> Any:
        """Return a method as it was before we measured a base of the class: a message counts once."""
        found = getattr(actor_class, name)
        ours = [timed for _, _, _, timed in self._replaced]
        while any(found is timed for timed in ours):
            found = found.__wrapped__
        return found

    def _is_measured(self, actor_class: type) -> bool:
        known = self._known
        found = known.get(actor_class)
        if found is None:
            with self._lock:
                ours = [timed for _, _, _, timed in self._replaced]
            methods = [getattr(actor_class, name, None) for name in _METHODS]
            found = known[actor_class] = all(any(each is timed for timed in ours) for each in methods)
        return found

    def _timed(self, method: Any, handling: ThreadRow, waiting: ThreadRow) -> Any:
        """Return a method that does the same and counts how long it took, each time or now and then."""
        now, every, waits = self._now, self._every, self._waits
        marked = {} if waits is None else waits.marked
        # Messages until one is measured. Threads that count at the same moment may lose one of
        # their counts, and the sample is as good; a number from an atomic counter costs twice as much.
        left = every

        @functools.wraps(method)
        def timed(actor: Any, message: Any) -> Any:
            nonlocal left
            if marked:
                waits.met(actor.actor_ref, waiting)  # type: ignore[union-attr]  # without it nothing is marked
            left -= 1
            if left > 0:
                return method(actor, message)
            left = every
            began = now()
            try:
                return method(actor, message)
            finally:
                count(handling, now() - began)

        return timed


_LABELS: Final = ["actor_class"]
