"""The supervision tree of a session system, in one readable function.

::

    root (rest_for_one)
    ├── audit
    ├── services (one_for_one)
    │   ├── store
    │   ├── rate_limiter
    │   ├── isolation
    │   └── updates (dynamic): functions that update sessions
    ├── sessions (dynamic): one actor per session
    ├── recovery
    └── reaper

Started as drawn and stopped in reverse, so that every end is still audited. What
starts after a child depends on it: when the audit actor crashes, the sessions
behind it end, audited, because nobody may go on unobserved; those that are stored
are started again. Nobody depends on the store actor: what it writes lies in a queue
that outlives it, so its crash costs nobody else anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sessionactors.audit.service import AuditLedger, AuditService
from sessionactors.effects import Audit
from sessionactors.isolation import Isolation
from sessionactors.isolation_ledger import IsolationLedger
from sessionactors.limiter_table import LimiterTable
from sessionactors.rate_limiter import RateLimiter
from sessionactors.reaper import Reaper, ReaperLedger
from sessionactors.recovery import Recovery, RecoveryLedger
from sessionactors.storage.service import StoreLedger, StoreService
from sessionactors.surroundings import (
    AUDIT,
    ISOLATION,
    RATE_LIMITER,
    REAPER,
    RECOVERY,
    ROOT,
    SESSIONS,
    STORE,
    UPDATES,
    Surroundings,
)
from supervisors.exits import describe
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.flags import DynamicFlags, SupervisorFlags
from supervisors.supervision.performer import SupervisorActor
from supervisors.supervision.reports import ErrorReport, Report
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from supervisors.tasks.task import TaskSupervisor

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["AuditedSupervisor", "Parts", "SessionsSupervisor", "start_tree"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the actors of the tree are started with, and what outlives them.

    Attributes:
        around: clock, timers, audit queue, names.
        audit: log and counts of the audit actor.
        store: store and queue of the store actor.
        recovery: report and crashes of the recovery actor.
        limiter: buckets of the rate limiter.
        isolation: accounts of isolation.
        reaper: schedule and counts of the reaper.
        max_restarts: restarts of services that are fine within `max_seconds`.
        max_seconds: that window, seconds.
    """

    around: Surroundings
    audit: AuditLedger
    store: StoreLedger
    recovery: RecoveryLedger
    limiter: LimiterTable
    isolation: IsolationLedger
    reaper: ReaperLedger
    max_restarts: int
    max_seconds: float


def start_tree(system: ActorSystem, parts: Parts) -> ActorRef[Any]:
    """Start the whole tree and return its root.

    Raises:
        StartError: a part did not come up; those before it have been stopped again.
    """
    around = parts.around
    flags = {"max_restarts": parts.max_restarts, "max_seconds": parts.max_seconds}
    services = [
        ChildSpec(STORE, start_named, (STORE, StoreService, parts.store, around)),
        ChildSpec(RATE_LIMITER, start_named, (RATE_LIMITER, RateLimiter, parts.limiter, around)),
        ChildSpec(ISOLATION, start_named, (ISOLATION, Isolation, parts.isolation, around)),
        ChildSpec(UPDATES, start_named, (UPDATES, TaskSupervisor), type="supervisor"),
    ]
    children = [
        ChildSpec(AUDIT, start_named, (AUDIT, AuditService, parts.audit, around)),
        ChildSpec("services", AuditedSupervisor, (around, services, "one_for_one", flags), type="supervisor"),
        ChildSpec(SESSIONS, start_named, (SESSIONS, SessionsSupervisor, around), type="supervisor"),
        ChildSpec(RECOVERY, start_named, (RECOVERY, Recovery, parts.recovery, around)),
        ChildSpec(REAPER, start_named, (REAPER, Reaper, parts.reaper, around)),
    ]
    root = system.start(AuditedSupervisor, around, children, "rest_for_one", flags, name=ROOT)
    # Also when it gives up: then nobody starts a crashed session again.
    root.when_ended().when_done(around.directory.close)
    return root


class _Audited(SupervisorActor):
    """A supervisor whose error reports go into the audit log as well."""

    around: Surroundings

    def on_report(self, report: Report) -> None:
        """Log a report, and audit it if it is about a failure."""
        super().on_report(report)
        if isinstance(report, ErrorReport):
            facts = {
                "supervisor": str(report.supervisor),
                "context": report.error_context,
                "child": str(report.offender.spec.id),
                "reason": describe(report.reason)[:500],
            }
            event = Audit("error", "supervisor_report", "error", facts)
            self.around.audit.put((self.around.now(), None, event, None, "supervisor"))


class AuditedSupervisor(_Audited, Supervisor):
    """The static levels of the tree."""

    def init(
        self, around: Surroundings, children: list[ChildSpec], strategy: Any, flags: dict[str, Any]
    ) -> tuple[SupervisorFlags, list[ChildSpec]]:
        """Supervise the given children."""
        self.around = around
        return SupervisorFlags(strategy=strategy, **flags), children


class SessionsSupervisor(_Audited, DynamicSupervisor):
    """The level of the sessions; they are temporary, so it never restarts any."""

    def init(self, around: Surroundings) -> DynamicFlags:
        """Start empty."""
        self.around = around
        return DynamicFlags()
