"""Judging accounts: what is told, audited and enforced when a limit or a ceiling is crossed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from sessionactors.effects import Audit
from sessionactors.errands import Collect, Errand
from sessionactors.isolation_ledger import CONNECTIONS, RESOURCES, Account, IsolationEvent, IsolationLedger
from sessionactors.lifecycle import RESOURCE_VIOLATION, TERMINATE
from sessionactors.surroundings import ISOLATION, RATE_LIMITER

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings

__all__ = ["Judge"]


@final
class Judge:
    """Compares use with limits, and does what follows; see the tables in `sessionactors.isolation`.

    Args:
        ledger: the accounts.
        around: the system around them.

    Thread: isolation's turn.
    """

    __slots__ = ("_around", "_ledger")

    def __init__(self, ledger: IsolationLedger, around: Surroundings) -> None:
        self._ledger = ledger
        self._around = around

    def judge(self, session_id: str, account: Account) -> None:
        """Tell of each threshold that has just been crossed, and enforce the hard ones."""
        ledger = self._ledger
        ledger.refresh(account)
        if not account.is_calm:
            self._judge_closer(session_id, account)
        totals, soft = ledger.totals, ledger.soft
        if ledger.warned or totals[0] > soft[0] or totals[1] > soft[1] or totals[2] > soft[2] or totals[3] > soft[3]:
            self.judge_ceilings(session_id)

    def _judge_closer(self, session_id: str, account: Account) -> None:
        was_over_soft = account.is_over_soft
        for resource, used, limit, soft in zip(RESOURCES, account.used, account.limits, account.soft, strict=True):
            if limit is not None and used > soft:
                self._judge_excess(session_id, account, resource, used, limit)
            elif account.warned and f"{resource}_soft" in account.warned:
                account.warned -= {f"{resource}_soft", f"{resource}_hard"}
                self.tell(session_id, "soft_limit_cleared", {"resource": resource, "used": used, "limit": limit})
        if account.is_over_soft is not was_over_soft:
            self.press(session_id, account.is_over_soft)

    def _judge_excess(self, session_id: str, account: Account, resource: str, used: float, limit: float) -> None:
        soft, hard = f"{resource}_soft", f"{resource}_hard"
        facts = {"resource": resource, "used": used, "limit": limit}
        if soft not in account.warned:
            account.warned |= {soft}
            self._ledger.violations[resource, "session_soft"] += 1
            self.tell(session_id, "soft_limit_warning", facts)
            self.audit(session_id, "resource", "soft_limit_warning", "warning", facts)
            if resource == "memory" and self.is_session(session_id, account):
                self.send_errand(account, Collect())
        if used <= limit:
            account.warned -= {hard}
        elif hard not in account.warned:
            account.warned |= {hard}
            self._ledger.violations[resource, "session_hard"] += 1
            self.tell(session_id, "hard_limit_violation", facts)
            ends = account.isolated and account.ref is not None and resource != "connections"
            self.audit(session_id, "security", "hard_limit_violation", "warning", {**facts, "enforced": ends})
            if ends:
                self.enforce(session_id, account)

    def enforce(self, session_id: str, account: Account) -> None:
        """End a session through its own actor."""
        if account.ref is None or session_id in self._ledger.ending:
            return
        self._ledger.ending.add(session_id)
        self.tell(session_id, "enforcement_taken", TERMINATE)
        if self.is_session(session_id, account):
            account.ref.send((TERMINATE, RESOURCE_VIOLATION))
        else:
            account.ref.stop(block=False)

    def judge_ceilings(self, session_id: str) -> None:
        """Tell of each ceiling that all together have just crossed, and end whoever uses most."""
        ledger = self._ledger
        for place, resource in enumerate(RESOURCES):
            ceiling, total = ledger.ceilings[place], ledger.totals[place]
            soft, hard = f"{resource}_soft", f"{resource}_hard"
            if total <= ledger.soft[place]:
                if soft in ledger.warned:
                    ledger.warned -= {soft, hard}
                continue
            facts = {"resource": resource, "total": total, "ceiling": ceiling}
            if soft not in ledger.warned:
                ledger.warned.add(soft)
                ledger.violations[resource, "all_soft"] += 1
                self.tell(session_id, "ceiling_warning", facts)
                self.audit(None, "resource", "ceiling_warning", "warning", facts)
            if total <= ceiling:
                ledger.warned.discard(hard)
                continue
            if hard not in ledger.warned:
                ledger.warned.add(hard)
                ledger.violations[resource, "all_hard"] += 1
                self.tell(session_id, "ceiling_violation", facts)
                self.audit(None, "security", "ceiling_violation", "warning", facts)
                self.end_largest(place)

    def end_largest(self, place: int) -> None:
        """End those who use most of something until the rest fits under the ceiling."""
        ledger = self._ledger
        while place != CONNECTIONS and ledger.total(place) > ledger.ceilings[place]:
            largest = ledger.largest(place)
            if largest is None:
                return
            account = self._ledger.records[largest]
            facts = {
                "resource": RESOURCES[place],
                "used": account.used[place],
                "ceiling": ledger.ceilings[place],
            }
            self.audit(largest, "security", "ceiling_enforced", "warning", facts)
            self.enforce(largest, account)

    def press(self, session_id: str, is_pressed: bool) -> None:
        """Have the limiter count the session as throttled, or not any more."""
        limiter = self._around.whereis(RATE_LIMITER)
        if limiter is not None:
            limiter.send(("set_pressure", session_id, is_pressed))

    # -- telling ------------------------------------------------------------------

    def tell(self, session_id: str, event: str, value: object) -> None:
        for _ in range(self._ledger.subscriptions.tell(session_id, IsolationEvent(session_id, event, value))):
            self.audit(session_id, "error", "subscriber_dropped", "warning", {"message": event})

    def audit(self, session_id: str | None, kind: Any, name: str, severity: Any, facts: Mapping[str, object]) -> None:
        self._around.audit.put((self._around.now(), session_id, Audit(kind, name, severity, facts), None, ISOLATION))

    def send_errand(self, account: Account, errand: Errand) -> None:
        if account.ref is not None:
            account.errands += 1
            account.ref.send(errand)

    def is_session(self, session_id: str, account: Account) -> bool:
        """Tell whether the accounted actor is a session, which understands errands and operations."""
        return account.ref is not None and self._around.directory.get(session_id) is account.ref
