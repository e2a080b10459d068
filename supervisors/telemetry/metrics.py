"""The figures of an actor system, read when Prometheus asks.

Nothing is updated while messages are handled: every figure is a count that the
runtime keeps anyway, or the length of something. Who does not scrape pays nothing;
who does pays for a walk over the living actors, of which there are only so many that
they take a hundredth of the time (`supervisors.telemetry.rested`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisors.runtime.ages import Ages
from supervisors.telemetry.rested import Rested

if TYPE_CHECKING:
    from supervisors.system import ActorSystem
    from supervisors.telemetry.tally import ChildTally

__all__ = ["ActorSystemCollector"]


@final
class ActorSystemCollector(Collector):
    """Reads the figures of one actor system; give it to a registry of your own.

    Args:
        system: whose figures.
        tally: what happened to the children of its supervisors; None leaves that out.
        now: monotonic seconds, by which walks are timed; None for the system's clock.

    Thread: `collect()` is safe anywhere, also while the system stops. It asks no actor
    anything, so an actor that hangs cannot keep the figures back.
    """

    def __init__(
        self, system: ActorSystem, tally: ChildTally | None = None, now: Callable[[], float] | None = None
    ) -> None:
        self._system = system
        self._tally = tally
        self._ages = Ages()
        self._waiting = Rested(self._look, now or (lambda: system.clock.monotonic()))

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        yield from self._counts()
        yield from self._mailboxes()
        yield from self._workers()
        if self._tally is not None:
            yield from _children(self._tally)

    def _counts(self) -> Iterator[Metric]:
        counts = self._system.statistics()
        yield GaugeMetricFamily("supervisors_actors", "Actors that live now.", counts["actors"])
        yield GaugeMetricFamily("supervisors_names", "Registered names.", counts["names"])
        yield GaugeMetricFamily("supervisors_timers", "Timers that are set.", counts["timers"])
        yield CounterMetricFamily(
            "supervisors_dead_letters", "Messages that nobody has handled or will handle.", counts["dead_letters"]
        )
        yield CounterMetricFamily("supervisors_crashes", "Actors that their own code has crashed.", counts["crashes"])
        yield CounterMetricFamily(
            "supervisors_slow_turns", "Turns that took longer than their limit.", counts["slow_turns"]
        )

    def _look(self) -> tuple[int, int, float]:
        """Return how many messages wait, in all mailboxes and in the longest, and the age of the oldest."""
        total = longest = 0
        # Most mailboxes are empty, and asking each for its length would take most of a scrape's time.
        filled = self._system.living.filled()
        for ref in filled:
            length = ref.mailbox_length
            total += length
            longest = max(longest, length)
        return total, longest, self._ages.look(filled, self._system.clock.monotonic())

    def _mailboxes(self) -> Iterator[Metric]:
        total, longest, oldest = self._waiting.get()
        yield GaugeMetricFamily(
            "supervisors_mailbox_oldest_seconds",
            "Seconds that the oldest message in a mailbox has waited at least, since the first scrape that saw it.",
            oldest,
        )
        yield GaugeMetricFamily("supervisors_mailbox_messages", "Messages that wait in all mailboxes.", total)
        yield GaugeMetricFamily(
            "supervisors_mailbox_longest_messages", "Messages that wait in the longest mailbox.", longest
        )

    def _workers(self) -> Iterator[Metric]:
        read = getattr(self._system.scheduler, "statistics", None)
        counts: dict[str, int] = {} if read is None else read()
        if "workers" not in counts:
            return  # a system on a virtual clock has no threads
        workers = GaugeMetricFamily("supervisors_workers", "Worker threads by what they do.", labels=["state"])
        busy = counts["workers"] - counts["waiting"] - counts["idle"]
        for state, count in (("busy", max(busy, 0)), ("idle", counts["idle"]), ("waiting", counts["waiting"])):
            workers.add_metric([state], count)
        yield workers
        yield GaugeMetricFamily(
            "supervisors_ready_mailboxes", "Mailboxes that wait for a worker thread.", counts["queued"]
        )
        yield CounterMetricFamily("supervisors_workers_started", "Worker threads started so far.", counts["started"])
        yield CounterMetricFamily(
            "supervisors_workers_abandoned",
            "Worker threads left alone with a turn that was killed.",
            counts["abandoned"],
        )
        yield CounterMetricFamily(
            "supervisors_workers_at_limit",
            "Worker threads not started because there are as many as may be.",
            counts["at_limit"],
        )


def _children(tally: ChildTally) -> Iterator[Metric]:
    counts = tally.snapshot()
    who = ["supervisor", "child"]
    starts = CounterMetricFamily("supervisors_child_starts", "Children started, restarts included.", labels=who)
    for child, count in sorted(counts.starts.items()):
        starts.add_metric(child, count)
    yield starts
    restarts = CounterMetricFamily("supervisors_child_restarts", "Starts after a failure of the child.", labels=who)
    # A child that never failed has a 0: a rate needs a value to begin with.
    for child in sorted(counts.starts):
        restarts.add_metric(child, counts.restarts.get(child, 0))
    yield restarts
    failures = CounterMetricFamily(
        "supervisors_child_failures",
        "Failures of children by what the supervisor reports and why.",
        labels=[*who, "context", "reason"],
    )
    for failure, count in sorted(counts.failures.items()):
        failures.add_metric(failure, count)
    yield failures
    yield CounterMetricFamily(
        "supervisors_unlabelled_reports",
        "Supervisor reports counted without their child, because there are too many different ones.",
        counts.unlabelled,
    )
