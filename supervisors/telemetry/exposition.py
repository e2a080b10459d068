"""A registry of its own for one actor system, and its text for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from supervisors.errors import InvalidTypeError
from supervisors.telemetry.metrics import ActorSystemCollector
from supervisors.telemetry.tally import LABELS_MAX, ChildTally

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from supervisors.system import ActorSystem

__all__ = ["ACCEPT_MAX", "Telemetry"]

ACCEPT_MAX: Final = 1024
"""Characters of an ``Accept`` header that are looked at."""


@final
class Telemetry:
    """The figures of an actor system, together with those of its process.

    It subscribes to supervisor reports until `close()`; everything else is read
    when somebody asks.

    Args:
        system: whose figures.
        labels_max: different label sets of each metric about children, 1 to 10,000.
        with_process: add memory, CPU, open files, garbage collection and the Python version.
        now: monotonic seconds, by which what takes long is read less often; None for the system's clock.

    Attributes:
        registry: belongs to this object alone; the library's global one stays untouched.
        tally: what happened to the children of supervisors.

    Example:
        >>> from supervisors import ActorSystem
        >>> with ActorSystem() as system:
        ...     text, _ = Telemetry(system).exposition()
        >>> b"supervisors_actors 0.0" in text
        True

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        system: ActorSystem,
        *,
        labels_max: int = LABELS_MAX,
        with_process: bool = True,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.tally = ChildTally(labels_max)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(ActorSystemCollector(system, self.tally, now))
        if with_process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        self._end = system.on_report(self.tally.count)

    def add(self, collector: Collector) -> None:
        """Have the figures of something else shown as well.

        Raises:
            InvalidTypeError: it has nothing to collect.
        """
        if not callable(getattr(collector, "collect", None)):
            raise InvalidTypeError("collector", collector, "an object with a method collect()")
        self.registry.register(collector)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Read everything, and return it as text with its content type.

        Args:
            accept: the scraper's ``Accept`` header; OpenMetrics if it says so, else
                Prometheus's own format.
        """
        encode, content_type = choose_encoder(accept[:ACCEPT_MAX])
        return encode(self.registry), content_type

    def close(self) -> None:
        """Stop counting reports; what has been counted stays."""
        self._end()
