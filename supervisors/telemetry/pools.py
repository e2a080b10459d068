"""The figures of worker pools, read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisors.errors import InvalidArgumentError, InvalidTypeError, SupervisorsError

if TYPE_CHECKING:
    from supervisors.pools.tally import PoolStatistics

__all__ = ["POOLS_MAX", "PoolCollector"]

POOLS_MAX: Final = 50
"""Pools in one collector; each has a label of its own."""

_WORKERS: Final = ("idle", "busy", "starting", "lent")
_GAUGES: Final = {
    "size": "Workers that are wanted.",
    "overflow": "Workers beyond the size.",
    "queued": "Tasks that wait, those for another attempt included.",
    "queued_bytes": "Bytes that the tasks that wait hold, as far as known.",
    "running": "Tasks in the hands of workers.",
    "oldest_age": "Seconds that the oldest task that waits has waited.",
    "checkouts_waiting": "Requests for a worker that stand in line.",
    "spares": "Processes that are ready to take the place of a worker.",
    "abandoned": "Threads of killed workers that are still at what they did.",
}
_COUNTERS: Final = {
    "submitted": "Tasks taken in.",
    "refused": "Tasks not taken in.",
    "retried": "Further attempts.",
    "started": "Workers started.",
    "start_failures": "Workers that did not come up.",
    "restarts": "Workers started in place of one that died or was killed.",
    "recycled": "Workers replaced though nothing was wrong.",
    "killed": "Workers ended for the sake of a task.",
    "died": "Workers that ended by themselves.",
    "checkouts": "Workers lent.",
}
_OUTCOMES: Final = ("done", "failed", "cancelled", "expired", "shed", "poisoned", "returned")
_FAILED_AS: Final = ("cancelled", "expired", "shed", "poisoned")


class _Pool(Protocol):
    """What is read of a `WorkerPool`."""

    def statistics(self) -> PoolStatistics: ...


@final
class PoolCollector(Collector):
    """Reads the figures of pools; `Telemetry.add()` takes it.

    A pool that has ended without leaving figures, or does not tell them in time, is left out.

    Args:
        pools: by the name that is their label, 1 to 50 of them.

    Raises:
        InvalidArgumentError, InvalidTypeError: this is no such mapping.

    Example:
        >>> from supervisors.pools import WorkerPool
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> with WorkerPool(abs, 2) as pool:
        ...     registry.register(PoolCollector({"absolute": pool}))
        ...     _ = pool.submit(-1).result()
        ...     registry.get_sample_value("supervisors_pool_tasks_total", {"pool": "absolute", "outcome": "done"})
        1

    Thread: `collect()` is safe anywhere. Blocks as long as a pool takes to answer, which does no work meanwhile.
    """

    def __init__(self, pools: Mapping[str, _Pool]) -> None:
        if not isinstance(pools, Mapping):
            raise InvalidTypeError("pools", pools, "a mapping of names to pools")
        if not 1 <= len(pools) <= POOLS_MAX:
            raise InvalidArgumentError("pools", len(pools), f"1 to {POOLS_MAX} pools")
        for name, pool in pools.items():
            if not isinstance(name, str) or not name:
                raise InvalidTypeError("pools", name, "names that are text")
            if not callable(getattr(pool, "statistics", None)):
                raise InvalidTypeError(f"pools[{name!r}]", pool, "a pool")
        self._pools = dict(pools)

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        found: dict[str, PoolStatistics] = {}
        for name, pool in self._pools.items():
            try:
                found[name] = pool.statistics()
            except SupervisorsError:
                continue
        workers = GaugeMetricFamily("supervisors_pool_workers", "Workers by what they do.", labels=["pool", "state"])
        tasks = CounterMetricFamily("supervisors_pool_tasks", "Tasks by how they ended.", labels=["pool", "outcome"])
        for name, facts in found.items():
            for state in _WORKERS:
                workers.add_metric([name, state], getattr(facts, state))
            counts = {outcome: getattr(facts, outcome) for outcome in _OUTCOMES}
            counts["failed"] -= sum(counts[each] for each in _FAILED_AS)  # those are among the failed
            for outcome, count in counts.items():
                tasks.add_metric([name, outcome], count)
        yield workers
        yield tasks
        yield from _families(found)


def _families(found: Mapping[str, PoolStatistics]) -> Iterator[Metric]:
    kinds: tuple[tuple[Any, Mapping[str, str]], ...] = ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS))
    for kind, told in kinds:
        for figure, text in told.items():
            unit = "_seconds" if figure == "oldest_age" else ""
            family = kind(f"supervisors_pool_{figure}{unit}", text, labels=["pool"])
            for name, facts in found.items():
                family.add_metric([name], getattr(facts, figure))
            yield family
