"""How long handlers take, for the classes of actors for which somebody wants to know.

While a class is measured, the two methods that the runtime calls are replaced in it
by ones that read the clock before and after. Nothing asks whether a class is measured:
one that is not, runs exactly its own code. What a measured message pays is two
readings of the clock, a search in a dozen bounds, and two additions: some 0.6 microseconds.
That is a quarter of what the shortest transition of a session takes, so measure what is
worth it; the methods of all others are theirs.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisors.actor import Actor
from supervisors.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["BOUNDS", "CLASSES_MAX", "HandlerTimes"]

BOUNDS: Final = (1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets, seconds; one more has what took longer."""

CLASSES_MAX: Final = 50
"""Classes that can be measured; each has a label of its own."""

_METHODS: Final = ("receive_ask", "receive_tell")


@final
class HandlerTimes(Collector):
    """A histogram of how long messages are handled, by class; `Telemetry.add()` takes it.

    A subclass that has its own `receive_ask()` or `receive_tell()` is not measured with its
    base, and one that has not is, under the name of the base.

    Args:
        clock: real time.

    Example:
        >>> from supervisors import Actor, ActorSystem, SystemClock
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         return "hello"
        >>> times = HandlerTimes(SystemClock())
        >>> times.measure(Greeter)
        >>> with ActorSystem() as system:
        ...     _ = system.start(Greeter).ask("x")
        >>> times.count(Greeter)
        1
        >>> times.close()

    Thread: every method is safe anywhere.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()  # held while classes are changed; guards the next
        self._measured: dict[type[Actor], _Counts] = {}
        self._replaced: list[tuple[type[Actor], str, Any, Any]] = []

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
            counts = self._measured[actor_class] = _Counts()
            for name in _METHODS:
                own = vars(actor_class).get(name)
                timed = _timed(getattr(actor_class, name), _ThreadRow(counts), self._now)
                setattr(actor_class, name, timed)
                self._replaced.append((actor_class, name, own, timed))

    def close(self) -> None:
        """Put all classes back; what was counted stays."""
        with self._lock:
            for actor_class, name, own, timed in reversed(self._replaced):
                if vars(actor_class).get(name) is not timed:
                    continue  # somebody else has put another one in its place
                if own is None:
                    delattr(actor_class, name)
                else:
                    setattr(actor_class, name, own)
            self._replaced.clear()

    def count(self, actor_class: type[Actor]) -> int:
        """Return how many messages of a class were measured."""
        with self._lock:
            counts = self._measured.get(actor_class)
        return 0 if counts is None else sum(counts.sums()[:-1])

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        with self._lock:
            measured = list(self._measured.items())
        family = HistogramMetricFamily(
            "supervisors_handler_seconds", "How long messages were handled.", labels=["actor_class"]
        )
        for actor_class, kept in measured:
            *counts, seconds = kept.sums()
            so_far = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
                so_far += count
                buckets.append((bound, so_far))
            family.add_metric([actor_class.__name__[:60]], buckets, seconds)
        yield family


@final
class _Counts:
    """Counts of one class: a row for each thread, into which only that thread writes, so nothing is lost.

    The last place of a row has the seconds of all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the next two
        self._rows: list[tuple[weakref.ref[threading.Thread], list[Any]]] = []
        self._ended = _row()

    def add_row(self) -> list[Any]:
        """Return a new row for the running thread."""
        row = _row()
        with self._lock:
            self._rows.append((weakref.ref(threading.current_thread()), row))
        return row

    def sums(self) -> list[Any]:
        """Return the sums over all threads; what threads that have ended counted is kept in one row."""
        with self._lock:
            living = []
            for thread, row in self._rows:
                found = thread()
                if found is not None and found.is_alive():
                    living.append((thread, row))
                else:
                    self._ended = [one + other for one, other in zip(self._ended, row, strict=True)]
            self._rows = living
            return [sum(each) for each in zip(self._ended, *(row for _, row in living), strict=True)]


class _ThreadRow(threading.local):
    """The row of the thread that looks; made at its first look, with the same argument each time."""

    def __init__(self, counts: _Counts) -> None:
        self.row = counts.add_row()


def _row() -> list[Any]:
    return [*([0] * (len(BOUNDS) + 1)), 0.0]


def _timed(method: Any, here: _ThreadRow, now: Callable[[], float]) -> Any:
    """Return a method that does the same and counts how long it took."""

    def timed(actor: Any, message: Any) -> Any:
        began = now()
        try:
            return method(actor, message)
        finally:
            seconds = now() - began
            row = here.row
            row[bisect_left(BOUNDS, seconds)] += 1
            row[-1] += seconds

    return timed
