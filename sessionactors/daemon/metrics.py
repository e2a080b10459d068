"""The figures of a session system, read when Prometheus asks.

They come from the counts that outlive the services (`sessionactors.tree.Parts`): no
actor is asked anything, so one that hangs does not keep the figures back, and no
session is touched. No label holds an id, so a million sessions make as many lines
as one.

Source: Prometheus's custom collectors and its rules for names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sessionactors.isolation_ledger import LIMIT_KINDS, RESOURCES
from sessionactors.states import EDGES, LIVE_STATES, STATES
from supervisors.runtime.fence import Fence
from supervisors.telemetry.rested import Rested

if TYPE_CHECKING:
    from sessionactors.system import SessionSystem
    from supervisors.runtime.ref import ActorRef

__all__ = ["SessionCollector"]


@final
class SessionCollector(Collector):
    """Reads the figures of one session system; `Telemetry.add()` takes it.

    Args:
        system: whose figures.
        now: monotonic seconds, by which the walk is timed; None for the system's clock.

    Thread: `collect()` is safe anywhere, also while the system stops. It walks over
    the live sessions, one attribute each, but only so often that this takes a hundredth of the time.
    """

    def __init__(self, system: SessionSystem, now: Callable[[], float] | None = None) -> None:
        self._system = system
        self._by_state = Rested(
            lambda: _states_of(system.directory.refs()), now or (lambda: system.actors.clock.monotonic())
        )
        self._started = 0  # the most seen: a start that is withdrawn must not look like a new process

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering the collector reads no figure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        yield from self._sessions()
        yield from self._services()
        yield from self._audit()
        yield from self._store()

    def _sessions(self) -> Iterator[Metric]:
        directory = self._system.directory
        by_state = self._by_state.get()
        sessions = GaugeMetricFamily("sessionactors_sessions", "Live sessions by state.", labels=["state"])
        for state in LIVE_STATES:
            sessions.add_metric([state], by_state[state])
        yield sessions
        self._started = max(self._started, directory.started)
        yield CounterMetricFamily(
            "sessionactors_sessions_started", "Sessions started, those from the store included.", self._started
        )
        by_edge = self._system.audit_counts().by_edge
        transitions = CounterMetricFamily(
            "sessionactors_session_transitions", "Transitions that the audit has taken.", labels=["from", "to"]
        )
        for source in STATES:
            for target in STATES:
                if target in EDGES[source]:
                    transitions.add_metric([source, target], by_edge.get(f"{source}->{target}", 0))
        yield transitions

    def _services(self) -> Iterator[Metric]:
        parts = self._system.parts
        limiter, reaper = parts.limiter, parts.reaper
        decisions = CounterMetricFamily(
            "sessionactors_limiter_decisions", "Decisions of the rate limiter.", labels=["decision"]
        )
        dropped = limiter.dropped  # before the refusals, which they are among
        decisions.add_metric(["admitted"], limiter.admitted)
        decisions.add_metric(["dropped"], dropped)
        decisions.add_metric(["refused"], max(limiter.refused - dropped, 0))
        yield decisions
        yield GaugeMetricFamily("sessionactors_limiter_buckets", "Buckets of the rate limiter.", limiter.size)
        yield GaugeMetricFamily(
            "sessionactors_isolation_accounts", "Sessions that isolation accounts for.", len(parts.isolation.records)
        )
        violations = CounterMetricFamily(
            "sessionactors_isolation_violations",
            "How often a limit was passed: of a session or of all together, the soft one or the hard one.",
            labels=["resource", "limit"],
        )
        for resource in RESOURCES:
            for limit in LIMIT_KINDS:
                violations.add_metric([resource, limit], parts.isolation.violations[resource, limit])
        yield violations
        yield CounterMetricFamily("sessionactors_reaped", "Sessions that the reaper has ended.", reaper.total_reaped)
        yield GaugeMetricFamily("sessionactors_reaper_paused", "1 while the reaper is paused.", int(reaper.paused))

    def _audit(self) -> Iterator[Metric]:
        counts = self._system.audit_counts()
        written = CounterMetricFamily("sessionactors_audit_events", "Events that the audit has taken.", labels=["type"])
        for event_type, count in sorted(counts.by_type.items()):
            written.add_metric([event_type], count)
        yield written
        yield CounterMetricFamily(
            "sessionactors_audit_lost",
            "Events for which there was no room while the log could not be written.",
            counts.lost,
        )
        yield GaugeMetricFamily(
            "sessionactors_audit_pending", "Events that wait to be written.", len(self._system.parts.audit.intake)
        )

        oldest = self._system.parts.audit.intake.oldest_at
        yield GaugeMetricFamily(
            "sessionactors_audit_lag_seconds",
            "Seconds that the oldest event that is not written has waited.",
            0.0 if oldest is None else max(self._system.actors.clock.monotonic() - oldest, 0.0),
        )

    def _store(self) -> Iterator[Metric]:
        store = self._system.parts.store
        yield CounterMetricFamily("sessionactors_store_saved", "Snapshots written to the store.", store.saved)
        yield CounterMetricFamily("sessionactors_store_batches", "Writes that this took.", store.batches)
        yield GaugeMetricFamily(
            "sessionactors_store_pending", "Sessions whose snapshots wait to be written.", len(store.intake)
        )


def _states_of(refs: list[ActorRef[Any]]) -> Counter[str]:
    """Count sessions by state without asking them: a question would wait for a session that hangs."""
    # In two passes of the simplest kind, because this is most of a scrape's time; who has ended
    # meanwhile has no actor any more.
    actors: list[Any] = [actor for ref in refs if (actor := ref._actor) is not None]  # noqa: SLF001 - there is no public way that does not ask
    return Counter([(each.actor if each.__class__ is Fence else each).data.state for each in actors])
