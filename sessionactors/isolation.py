"""Isolation: one account a session, limits, and what happens beyond them.

There are two tiers. *In process*, it accounts and acts between turns. What it cannot
do there, because Python offers no way, is to stop a turn that is running: a session
that spins or hangs inside one turn is dealt with when that turn ends. With
`isolated="process"` a handler beside the session runs in a process (`sessionactors.sandbox`),
whose memory is limited, whose CPU use is held, and which is killed at a deadline; and
`isolate_session(process=True)` moves a live session's own code into one (`sessionactors.tiers`).

============  ==================================================================
messages      those that the session has handled, and those that are reported
memory        the session's state, measured in its own turn; an estimate for each
              message that waits; what is reported
CPU           the thread time of its turns, averaged over `cpu_window`; measured
              when the session has a CPU limit, or with `measure_cpu`
connections   admitted by `try_acquire_connection`, or reported
============  ==================================================================

Exceeded means strictly above a limit.

============  ==================================================================
soft limit    `soft_ratio` of the limit: a warning, once until usage falls below;
              the limiter counts the session as throttled until then; of memory, the
              session is asked to release what it can
hard limit    audited as `security`; an isolated session is ended through its own
              actor, of another one it is only told
connections   refused at the limit, never killed
ceilings      of all sessions together: beyond one, the isolated session that uses
              most of that resource is ended, and the next one if that was not enough
============  ==================================================================

Measuring is bounded: every `sample_interval` at most `sample_batch` sessions are
looked at, in turn, so a hundred thousand of them cost no more than a thousand, and are
looked at less often. Sessions whose meter has not run are not looked at for it.

The accounts live in an `IsolationLedger`, which outlives the actor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sessionactors import identifiers
from sessionactors.errands import MEASURED, Measure, Meter, SetMeter
from sessionactors.errors import (
    CapacityExceeded,
    CollectionFailed,
    NoProcess,
    NotFound,
    RecordExists,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.isolation_ledger import (
    CONNECTIONS,
    CPU,
    MEMORY,
    MESSAGES,
    RESOURCES,
    SINGULAR,
    Account,
    IsolationInfo,
    IsolationLedger,
    LimitCheck,
    UsageReport,
)
from sessionactors.isolation_reports import checked_usage, limit_check, session_info, usage_report
from sessionactors.judging import Judge
from sessionactors.limits.cpu_average import CpuAverage
from sessionactors.settings import IsolationSettings
from sessionactors.verbs import verb_of
from supervisors.actor import Actor
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.sandbox.keeper import Sandbox
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.signals import MonitorRef
    from supervisors.timers.service import Timer

__all__ = ["Isolation"]

SAMPLE: Final = "sample"


class Isolation(Actor):
    """The singleton that keeps the accounts.

    Messages are `(verb, session id, ...)`; the verbs are the specification's names. Settings, as
    they are, are a message as well: they are in force from then on, for accounts that are
    open as far as they are about all together.

    Args:
        ledger: accounts that an earlier actor has left, and the settings.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, ledger: IsolationLedger, around: Surroundings) -> None:
        super().__init__()
        self._ledger = ledger
        self._settings = ledger.settings
        self._around = around
        self._records = ledger.records
        self._judge = Judge(ledger, around)
        self._watched: dict[MonitorRef, str] = {}
        self._timer: Timer | None = None
        self._round: list[str] = []  # who is still to be looked at before everybody's turn comes again
        self._swept_at = around.now()

    def on_start(self) -> None:
        """Watch again whom an earlier actor watched; who has died meanwhile is told as dead."""
        self._ledger.subscriptions.hand_to(self)
        for session_id, account in self._records.items():
            if account.ref is not None:
                account.monitor = self._watch(session_id, account.ref)
        self._arm()

    def ended(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == SAMPLE:
            self._timer = None
            self._sample()
            self._arm()
            return None
        if isinstance(message, Down):
            self._died(message.monitor)
            return None
        if isinstance(message, IsolationSettings):
            self._ledger.configure(message)
            self._settings = message
            return None
        verb = verb_of(message, _VERBS)
        if verb is not None:
            if len(message) > 1 and type(message[1]) is not str:
                message = (message[0], identifiers.parse(message[1]), *message[2:])
            return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of isolation with its arguments")

    # -- accounts ----------------------------------------------------------------

    def _create_session(self, session_id: str, options: Mapping[str, object] | None = None) -> ActorRef[Any] | None:
        session_id = identifiers.parse(session_id)
        if session_id in self._records:
            raise RecordExists(session_id)
        checked = self._ledger.options(options)
        ref = checked.ref
        if ref is None:
            ref = self._around.directory.get(session_id)
            if ref is None and self._around.directory.has_ended(session_id):
                raise SessionTerminated(session_id)
        if len(self._records) >= self._settings.records_max:
            raise CapacityExceeded("the table of isolation records", self._settings.records_max)
        account = Account(self._around.now(), checked.limits, self._settings.soft_ratio, isolated=checked.isolated)
        self._records[session_id] = account
        if checked.measure_cpu:
            account.meter = Meter(session_id, self._ledger.read_cpu, self._ledger.noted)
        if ref is not None:
            self._attach(session_id, account, ref)
        self._arm()
        return ref

    def _attach(self, session_id: str, account: Account, ref: ActorRef[Any]) -> None:
        """Account for an actor from now on."""
        account.ref = ref
        account.monitor = self._watch(session_id, ref)
        account.handled_before = ref.messages_handled
        account.errands = 0
        if account.meter is not None:
            self._set_meter(session_id, account, account.meter)

    def _set_meter(self, session_id: str, account: Account, meter: Meter | None) -> None:
        """Measure the CPU time of a session's turns, or stop doing so."""
        account.meter = meter
        account.average = None
        account.measured[CPU] = 0.0
        if meter is not None:
            account.average = CpuAverage(self._settings.cpu_window, self._around.now(), meter.seconds)
        if self._judge.is_session(session_id, account):
            self._judge.send_errand(account, SetMeter(meter))

    def _destroy_session(self, session_id: str) -> None:
        account = self._record(session_id)
        if account.meter is not None:
            self._set_meter(session_id, account, None)
        self._remove(session_id, account)

    def _forget(self, session_id: str) -> None:
        """As destroy, for a session that may have no account."""
        account = self._records.get(session_id)
        if account is not None:
            self._remove(session_id, account)

    def _remove(self, session_id: str, account: Account, event: str = "session_destroyed") -> None:
        """Close an account; the subscribers hear of it last."""
        self._ledger.release(session_id, account)
        if account.sandbox is not None:
            account.sandbox.kill("session_ended")
        self._unwatch(account.monitor)
        if account.is_over_soft:
            self._judge.press(session_id, False)
        self._judge.tell(session_id, event, None)
        self._ledger.subscriptions.forget(session_id)
        self._judge.judge_ceilings(session_id)

    def _watch(self, session_id: str, ref: ActorRef[Any]) -> MonitorRef:
        monitor = self.monitor(ref)
        self._watched[monitor] = session_id
        return monitor

    def _unwatch(self, monitor: MonitorRef | None) -> None:
        if monitor is not None:
            self._watched.pop(monitor, None)
            self.demonitor(monitor, flush=True)

    def _died(self, monitor: MonitorRef) -> None:
        if self._ledger.subscriptions.died(monitor):
            return
        session_id = self._watched.pop(monitor, None)
        account = None if session_id is None else self._records.get(session_id)
        if session_id is not None and account is not None:
            self._remove(session_id, account, "process_died")

    def _cleanup_session(self, session_id: str) -> None:
        account = self._record(session_id)
        account.reported[:CONNECTIONS] = [0, 0.0, 0]
        account.measured[:] = [0, 0.0]
        if account.ref is not None:
            account.handled_before = account.ref.messages_handled
            account.errands = 0
        if account.meter is not None:
            account.average = CpuAverage(self._settings.cpu_window, self._around.now(), account.meter.seconds)
        self._judge.tell(session_id, "session_cleaned", None)
        self._judge.judge(session_id, account)

    def _list_sessions(self) -> list[str]:
        return list(self._records)

    def _find_for_collection(self, session_id: str) -> ActorRef[Any]:
        """Return whom to ask to collect; that may take a while, so it is not asked from here."""
        account = self._record(session_id)
        if account.ref is None:
            raise NoProcess(session_id)
        if not self._judge.is_session(session_id, account):
            raise CollectionFailed("the accounted actor is no session")
        account.errands += 1
        return account.ref

    # -- the process of a session ----------------------------------------------

    def _attach_sandbox(self, session_id: str, sandbox: Sandbox) -> None:
        """Take the process that runs a session's code into its account."""
        account = self._record(session_id)
        if account.sandbox is not None:
            raise RecordExists(session_id)
        account.sandbox = sandbox
        account.outside_average = CpuAverage(self._settings.cpu_window, self._around.now())
        if sandbox.reason is not None:
            self._sandbox_ended(session_id, sandbox, sandbox.reason)

    def _detach_sandbox(self, session_id: str, sandbox: Sandbox) -> None:
        """Let go of a process that the session's code has left, or has not entered."""
        account = self._records.get(session_id)
        if account is not None and account.sandbox is sandbox:
            account.sandbox = None
            account.outside[:] = [0, 0.0]
            self._judge.judge(session_id, account)

    def _find_sandbox(self, session_id: str) -> Sandbox:
        account = self._record(session_id)
        if account.sandbox is None or account.sandbox.hosts_session:
            raise NoProcess(session_id)
        account.reported[MESSAGES] += 1  # each request is a message
        account.last_activity = self._around.now()
        sandbox = account.sandbox
        self._judge.judge(session_id, account)
        return sandbox

    def _sandbox_used(self, session_id: str, sandbox: Sandbox, memory: int, seconds: float) -> None:
        account = self._records.get(session_id)
        if account is not None and account.sandbox is sandbox and account.outside_average is not None:
            account.outside[MEMORY] = memory
            account.outside[CPU] = account.outside_average.add(self._around.now(), seconds)
            self._judge.judge(session_id, account)

    def _sandbox_ended(self, session_id: str, sandbox: Sandbox, reason: str) -> None:
        """Account for a process that has ended before its session did."""
        account = self._records.get(session_id)
        if account is None or account.sandbox is not sandbox:
            return
        account.sandbox = None
        account.outside[:] = [0, 0.0]
        if not sandbox.is_owner:
            return  # the session's code was never there, or has left
        facts = {"reason": reason, "enforced": account.isolated}
        self._judge.tell(session_id, "process_ended", facts)
        self._judge.audit(session_id, "security", "process_ended", "warning", facts)
        if account.isolated:
            self._judge.enforce(session_id, account)

    # -- limits ------------------------------------------------------------------

    def _set_limit(self, resource: str, session_id: str, limit: float | None) -> None:
        account = self._record(session_id)
        place = RESOURCES.index(resource)
        checked = self._ledger.checked_limit(resource, limit)
        account.set_limit(place, checked, self._settings.soft_ratio)
        if place == CPU and checked is not None and account.meter is None:
            self._set_meter(session_id, account, Meter(session_id, self._ledger.read_cpu, self._ledger.noted))
        self._judge.tell(session_id, f"{SINGULAR[resource]}_limit_changed", checked)
        self._judge.judge(session_id, account)

    def _isolate(self, session_id: str, isolated: bool) -> None:
        account = self._record(session_id)
        account.isolated = isolated
        self._judge.tell(session_id, "session_isolated" if isolated else "session_unisolated", None)
        if isolated:
            account.warned = frozenset(each for each in account.warned if not each.endswith("_hard"))
            self._judge.judge(session_id, account)

    # -- usage -------------------------------------------------------------------

    def _record_usage(self, session_id: str, usage: Mapping[str, float]) -> LimitCheck:
        """Report usage: memory and CPU as they are now, messages and connections as what is added."""
        account = self._record(session_id)
        for place, value in checked_usage(account, usage):
            account.reported[place] = value
        account.last_activity = self._around.now()
        self._judge.judge(session_id, account)
        return limit_check(account)

    def _try_acquire_connection(self, session_id: str) -> bool:
        """Admit one more connection; False at the limit of the session or of all."""
        account = self._record(session_id)
        limit = account.limits[CONNECTIONS]
        used, total = account.used[CONNECTIONS], self._ledger.totals[CONNECTIONS]
        if (limit is not None and used >= limit) or total >= self._settings.max_connections:
            self._judge.tell(session_id, "connection_refused", used)
            return False
        account.reported[CONNECTIONS] += 1
        account.last_activity = self._around.now()
        self._judge.judge(session_id, account)
        return True

    def _release_connection(self, session_id: str) -> None:
        account = self._record(session_id)
        account.reported[CONNECTIONS] = max(0, account.reported[CONNECTIONS] - 1)
        self._judge.judge(session_id, account)

    def _get_resource_usage(self, session_id: str) -> UsageReport:
        account = self._record(session_id)
        self._ledger.refresh(account)
        return usage_report(account, self._around.now())

    def _check_resource_limits(self, session_id: str) -> LimitCheck:
        account = self._record(session_id)
        self._judge.judge(session_id, account)
        return limit_check(account)

    def _get_session_info(self, session_id: str) -> IsolationInfo:
        account = self._record(session_id)
        self._ledger.refresh(account)
        return session_info(session_id, account, self._around.now())

    # -- sampling ----------------------------------------------------------------

    def _arm(self) -> None:
        """Look at some sessions after a while, as long as there are any."""
        if self._timer is None and self._records:
            self._timer = self._around.timers.send_after(self._settings.sample_interval, self._actor_ref, SAMPLE)

    def _sample(self) -> None:
        """Look at some sessions; each gets its turn."""
        now = self._around.now()
        self._read_meters(now)
        if not self._round:
            self._round = list(self._records)[::-1]
        batch = min(self._settings.sample_batch, len(self._round))
        for session_id in [self._round.pop() for _ in range(batch)]:
            account = self._records.get(session_id)
            if account is None:
                continue
            self._judge.judge(session_id, account)  # reads what can be read from here
            if account.sandbox is not None and account.sandbox.reason is not None:
                # It was told while there was no isolation, or is about to be.
                self._sandbox_ended(session_id, account.sandbox, account.sandbox.reason)
            if account.is_over_soft:
                self._judge.press(session_id, True)  # the limiter may have been away when it was told
            if account.limits[MEMORY] is not None and self._judge.is_session(session_id, account):
                self._judge.send_errand(account, Measure(self._actor_ref))
        for place, resource in enumerate(RESOURCES):
            if f"{resource}_hard" in self._ledger.warned:
                self._judge.end_largest(place)
        if now - self._swept_at >= self._settings.cleanup_interval:
            self._swept_at = now
            self._sweep()

    def _read_meters(self, now: float) -> None:
        ledger, batch = self._ledger, self._settings.sample_batch
        noted = ledger.noted[:batch]
        del ledger.noted[: len(noted)]
        for meter in noted:
            meter.is_noted = False  # before it is read: what it shows from now on is noted again
            ledger.hot[meter.session_id] = None
        for session_id in list(ledger.hot)[:batch]:
            del ledger.hot[session_id]
            account = self._records.get(session_id)
            if account is None or account.meter is None or account.average is None:
                continue
            account.measured[CPU] = account.average.add(now, account.meter.seconds)
            if not account.average.is_quiet():
                ledger.hot[session_id] = None  # at the end
            self._judge.judge(session_id, account)

    def _measured(self, session_id: str, ref: ActorRef[Any], size: int) -> None:
        """Take the answer of a session to `Measure`."""
        account = self._records.get(session_id)
        if account is not None and account.ref is ref and account.measured[MEMORY] != size:
            account.measured[MEMORY] = size
            self._judge.judge(session_id, account)

    def _sweep(self) -> None:
        """Remove accounts of the dead, and find the actors of those that were opened early."""
        directory = self._around.directory
        for session_id, account in list(self._records.items()):
            if account.ref is not None:
                if not account.ref.is_alive():
                    self._remove(session_id, account, "process_died")
                continue
            ref = directory.get(session_id)
            if ref is not None:
                self._attach(session_id, account, ref)
            elif directory.has_ended(session_id):
                self._remove(session_id, account)

    # -- subscribers -------------------------------------------------------------

    def _subscribe(self, session_id: str, who: object) -> None:
        self._record(session_id)
        self._ledger.subscriptions.add(session_id, who)

    def _unsubscribe(self, session_id: str, who: object) -> None:
        self._record(session_id)
        self._ledger.subscriptions.discard(session_id, who)

    def _record(self, session_id: str) -> Account:
        session_id = identifiers.parse(session_id)
        account = self._records.get(session_id)
        if account is None:
            raise NotFound(session_id, "isolation record of session")
        return account


_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    "create_session": Isolation._create_session,  # noqa: SLF001 - our own methods
    "destroy_session": Isolation._destroy_session,  # noqa: SLF001 - our own methods
    "forget": Isolation._forget,  # noqa: SLF001 - our own methods
    "cleanup_session": Isolation._cleanup_session,  # noqa: SLF001 - our own methods
    "list_sessions": Isolation._list_sessions,  # noqa: SLF001 - our own methods
    "find_for_collection": Isolation._find_for_collection,  # noqa: SLF001 - our own methods
    "attach_sandbox": Isolation._attach_sandbox,  # noqa: SLF001 - our own methods
    "detach_sandbox": Isolation._detach_sandbox,  # noqa: SLF001 - our own methods
    "find_sandbox": Isolation._find_sandbox,  # noqa: SLF001 - our own methods
    "sandbox_used": Isolation._sandbox_used,  # noqa: SLF001 - our own methods
    "sandbox_ended": Isolation._sandbox_ended,  # noqa: SLF001 - our own methods
    "set_memory_limit": lambda self, session_id, limit: self._set_limit("memory", session_id, limit),
    "set_cpu_limit": lambda self, session_id, limit: self._set_limit("cpu", session_id, limit),
    "set_message_limit": lambda self, session_id, limit: self._set_limit("messages", session_id, limit),
    "set_connection_limit": lambda self, session_id, limit: self._set_limit("connections", session_id, limit),
    "isolate_session": lambda self, session_id: self._isolate(session_id, True),
    "unisolate_session": lambda self, session_id: self._isolate(session_id, False),
    "record_usage": Isolation._record_usage,  # noqa: SLF001 - our own methods
    "try_acquire_connection": Isolation._try_acquire_connection,  # noqa: SLF001 - our own methods
    "release_connection": Isolation._release_connection,  # noqa: SLF001 - our own methods
    "get_resource_usage": Isolation._get_resource_usage,  # noqa: SLF001 - our own methods
    "check_resource_limits": Isolation._check_resource_limits,  # noqa: SLF001 - our own methods
    "get_session_info": Isolation._get_session_info,  # noqa: SLF001 - our own methods
    "subscribe": Isolation._subscribe,  # noqa: SLF001 - our own methods
    "unsubscribe": Isolation._unsubscribe,  # noqa: SLF001 - our own methods
    MEASURED: Isolation._measured,  # noqa: SLF001 - our own methods
}
