"""The health of an actor system as figures.

Source: Prometheus's custom collectors and its rules for names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from supervisors.health.health import Health

__all__ = ["HealthCollector"]


@final
class HealthCollector(Collector):
    """Reads the health of one actor system; `Telemetry.add()` takes it.

    Args:
        health: whose figures.

    Thread: `collect()` is safe anywhere. It looks at nobody; it tells what the last look found.
    """

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        watched, stuck = self._health.counts()
        yield GaugeMetricFamily("supervisors_watched_actors", "Actors that are expected to make progress.", watched)
        yield GaugeMetricFamily("supervisors_stuck_actors", "Of these, the ones that do not.", stuck)
        yield GaugeMetricFamily("supervisors_live", "1 while /live says yes.", int(self._health.live().is_good))
        yield GaugeMetricFamily("supervisors_ready", "1 while /ready says yes.", int(self._health.ready().is_good))
