"""What must hold of sessions in every run: one owner, nothing lost that was acknowledged, a log that verifies.

All of it is seen from outside: from what is asked of sessions and services, and from what is
replied. A workload has to tell nothing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.intake import COMMIT
from sessionactors.audit.service import AuditService
from sessionactors.errors import NotFound, PersistFailed, SessionActorsError, SessionRecovering, SessionTerminated
from sessionactors.operations import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    LOCK,
    OVERRIDE_QUOTA,
    PERSIST,
    RESUME,
    SUSPEND,
    TERMINATE,
    UNLOCK,
)
from sessionactors.session import Session
from sessionactors.simulation.limits import LimiterNeverOver
from sessionactors.simulation.log_check import fault_of
from sessionactors.simulation.persisted import Facts, Persisted, Version, facts_of, stored_facts
from sessionactors.simulation.record_check import fault_of_record
from sessionactors.simulation.trail_check import fault_of_trail
from sessionactors.sleeping_session import SleepingSession
from sessionactors.states import ACTIVE, AUTH, IDLE, SUSPENDED, TERMINATED
from sessionactors.storage.codec import decode
from sessionactors.surroundings import ROOT
from sessionactors.system import SessionSystem
from sessionactors.updates import PersistFor
from supervisors.errors import InvalidArgumentError, InvalidTypeError, SupervisorsError
from supervisors.runtime.signals import Ask
from supervisors.simulation import Simulation, ViolationError
from supervisors.supervision.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessionactors.audit.contract import AuditStore
    from sessionactors.audit.record import AuditRecord
    from sessionactors.session_data import SessionData
    from sessionactors.storage.intake import Asker
    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.system import ActorSystem

__all__ = ["SessionChecks", "check_sessions"]

PATIENCE: Final = 120.0
"""What must come in the end comes in this time, virtual seconds; restarts may have to wait for each other."""

_LEADS_TO: Final = {
    ACTIVATE: ACTIVE,
    DEACTIVATE: IDLE,
    SUSPEND: SUSPENDED,
    RESUME: ACTIVE,
    TERMINATE: TERMINATED,
    FORCE_SUSPEND: SUSPENDED,
    FORCE_RESUME: ACTIVE,
    FORCE_TERMINATE: TERMINATED,
}
"""Operations that are legal only in other states than the one they lead to: each success is a transition."""

_OVERRIDES: Final = frozenset({FORCE_SUSPEND, FORCE_RESUME, FORCE_TERMINATE, LOCK, UNLOCK, OVERRIDE_QUOTA})
"""What administrators do is in the log under their names, beside the transition that it is perhaps."""

T = TypeVar("T")


def check_sessions(simulation: Simulation, system: SessionSystem) -> SessionChecks:
    """Have everything checked that must hold of a session system, whatever a workload does with it.

    Call it as soon as the system is there. At rest, the checks look by themselves; a workload
    that stops its system calls `judge()` before that, after `Simulation.recover()`.

    Raises:
        InvalidTypeError: one of the two is something else.
        InvalidArgumentError: the system does not live in this simulation.

    Example:
        >>> from sessionactors import SessionSystem
        >>> from sessionactors.simulation import SimulatedStore, check_sessions
        >>> from supervisors.simulation import Simulation
        >>> def one_session(simulation):
        ...     with SessionSystem(actors=simulation.system, store=SimulatedStore(simulation)) as system:
        ...         checks = check_sessions(simulation, system)
        ...         system.start_session("alice", {"persistent": True})
        ...         system.persist("alice")
        ...         checks.judge()
        >>> with Simulation(7) as simulation:
        ...     simulation.run(one_session).verdict
        'ok'
    """
    if not isinstance(simulation, Simulation):
        raise InvalidTypeError("simulation", simulation, "a Simulation")
    if not isinstance(system, SessionSystem):
        raise InvalidTypeError("system", system, "a SessionSystem")
    if system.actors is not simulation.system:
        raise InvalidArgumentError("system", system, "one that was made with actors=simulation.system")
    checks = SessionChecks(simulation, system)
    simulation.check(checks.limiter)
    simulation.check(checks)
    simulation.invariant("one owner", checks.one_owner)
    return checks


@final
class SessionChecks:
    """Checker: what must hold of a session system; made by `check_sessions()`.

    * **One owner.** At no time do two actors serve one session, awake or asleep.
    * **Sound record.** Whenever a session has answered, its record is one that there can be; see
      `sessionactors.simulation.record_check`.
    * **No acknowledged persist lost.** What `persist()` or `persist_sessions()` has acknowledged is
      there after every crash: the session lives or is stored, unless it has ended, with no fewer
      transitions, and with no metadata, quota, user, lock or sums that had been replaced before.
    * **No acknowledged transition lost.** Every transition, and every override of an administrator,
      that somebody was told is in the audit log at the end, as often as it was told; and after
      the death of a process, every one that was told before a commit that succeeded.
    * **Audit in order.** What the log tells of a session goes along edges only, each from where
      the one before it led.
    * **The limiter is never over.** See `LimiterNeverOver`.
    * **The audit log verifies** at the end.

    Args:
        simulation: the run.
        system: what is watched.

    Attributes:
        limiter: the checker of the limiter.

    Thread: the simulation's.
    """

    def __init__(self, simulation: Simulation, system: SessionSystem) -> None:
        self._simulation = simulation
        self._system = system
        self.limiter = LimiterNeverOver(system)
        self._lives: dict[str, ActorRef[Any]] = {}  # who serves each session, or did last
        self._awake: dict[str, Any] = {}  # the actor of each as it was seen awake last, also when it has ended
        self._asleep: set[str] = set()
        self._persisted: dict[str, Persisted] = {}
        self._authenticated: set[ActorRef[Any]] = set()  # those that were told that they are in auth
        self._told: Counter[tuple[str, str]] = Counter()  # session and state or override, by this process
        self._committed: Counter[tuple[str, str]] = Counter()  # the same, of all processes, when a commit succeeded
        self._process = 0
        self._is_judged = False

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        """Begin to watch."""
        self._actors = system
        self._scheduler = scheduler
        scheduler.sent = (*scheduler.sent, self._sent)

    def at_rest(self) -> None:
        """Judge, unless the workload has done so or has stopped its system."""
        if not self._is_judged and self._actors.whereis(ROOT) is not None:
            self.judge()

    def at_end(self) -> None:
        """Look at nothing."""

    def died(self) -> None:
        """Take note that the process dies now: what no commit has confirmed may be gone. Then kill its actors."""
        self._process += 1
        self._told = Counter()

    def follow(self, system: SessionSystem) -> None:
        """Go on with the session system of the next process, on the same disks."""
        self._system = system
        self._is_judged = False
        self.limiter.follow(system)

    def one_owner(self) -> bool:
        """Tell whether each session has one owner at most now; called after every step."""
        owners: set[str] = set()
        new: list[SessionData] = []
        directory = self._system.directory
        for ref in self._actors.actors():
            if not issubclass(ref.actor_class, Session) or ref.ending:
                continue
            actor: Any = ref._actor_weakref()  # noqa: SLF001 - a checker looks inside
            is_asleep = isinstance(actor, SleepingSession)
            if actor is None or (not is_asleep and actor._restored is not None):  # noqa: SLF001 - as above
                continue
            session_id = actor.session_id if is_asleep else actor.data.session_id
            # One that has handled nothing may still be refused by the directory.
            if not ref.messages_handled and directory.get(session_id) is not ref:
                continue
            if session_id in owners:
                return False
            owners.add(session_id)
            if is_asleep:
                self._asleep.add(session_id)
                continue
            self._asleep.discard(session_id)
            self._awake[session_id] = actor
            if self._lives.get(session_id) is not ref:
                self._lives[session_id] = ref
                new.append(actor.data)
        for data in new:
            self._judge_life(data)
        return True

    def _judge_life(self, data: SessionData) -> None:
        """Look at a session that has just begun, or come back: before anybody has changed it."""
        persisted = self._persisted.get(data.session_id)
        if persisted is None or persisted.least is None:
            return
        fault = persisted.fault(data.transitions, facts_of(data))
        if fault is None and not data.recovery_attempts:
            fault = f"begins again, acknowledged: {persisted.least}"
        if fault is not None:
            raise ViolationError("no acknowledged persist lost", f"{data.session_id}: {fault}")

    # -- what is asked and replied ---------------------------------------------

    def _sent(self, ref: ActorRef[Any], item: Any) -> None:
        if item.__class__ is not Ask:
            return
        message = item.message
        if issubclass(ref.actor_class, Session):
            self._asked(ref, item, message)
        elif message == COMMIT and issubclass(ref.actor_class, AuditService):
            self._commits(item)
        elif message.__class__ is Call and message.operation == "start_child" and message.args:
            session_id = message.args[0]
            if isinstance(session_id, str) and self._system.directory.has_ended(session_id):
                self.limiter.session_starts(session_id)
                if self._has_ended_for_good(session_id):
                    self._persisted.pop(session_id, None)

    def _asked(self, ref: ActorRef[Any], ask: Ask, message: Any) -> None:
        before = self._record_of(ref)
        if before is None:
            return
        operation = message[0] if isinstance(message, tuple) and len(message) == 2 else None
        future, process, session_id = ask.reply_to, self._process, before.session_id
        persisted = self._persisted.setdefault(session_id, Persisted())
        persisted.saw(facts_of(before))
        # What it is now is the least that it will be when it is stored: it may do more before that.
        asked = Version(before.transitions, facts_of(before))

        def acknowledge() -> None:
            if process == self._process and self._persisted.get(session_id) is persisted:
                persisted.acknowledge(asked)

        def over() -> None:
            if process != self._process or self._persisted.get(session_id) is not persisted:
                return
            data = self._record_of(ref) or before
            self._judge_record(data)
            value, error = future._value, future._error  # noqa: SLF001 - its outcome, not taken
            persisted.saw(facts_of(data))
            if error is not None:
                return
            if operation == PERSIST:
                acknowledge()
            elif operation in _LEADS_TO and value == _LEADS_TO[operation]:
                self._told[session_id, value] += 1
            elif operation == AUTHENTICATE and value == AUTH and ref not in self._authenticated:
                self._authenticated.add(ref)  # a retry is no transition, and back to new leads no edge
                self._told[session_id, AUTH] += 1
            if operation in _OVERRIDES:
                self._told[session_id, operation] += 1

        if message.__class__ is PersistFor:
            message.asker = _Heard(message.asker, acknowledge)
        future.when_done(over)

    def _record_of(self, ref: ActorRef[Any]) -> SessionData | None:
        """Return the record of a session; while it sleeps, as it was when it fell asleep."""
        actor: Any = ref._actor_weakref()  # noqa: SLF001 - a checker looks inside
        if isinstance(actor, SleepingSession):
            actor = self._awake.get(actor.session_id)
        if actor is None or getattr(actor, "_restored", None) is not None:
            return None
        data: SessionData | None = getattr(actor, "data", None)  # one whose object stays has none while it sleeps
        return data

    def _judge_record(self, data: SessionData) -> None:
        """Look whether a record is sound; what is raised in the callback of a future would only be logged."""
        fault = fault_of_record(data)
        if fault is not None:
            self._scheduler.report(ViolationError("sound record", f"{data.session_id}: {fault}"))

    def _commits(self, ask: Ask) -> None:
        before, future, process = self._told.copy(), ask.reply_to, self._process

        def over() -> None:
            # Of two commits at once, the second confirms what the first has not.
            if process == self._process and isinstance(future._value, AuditHead):  # noqa: SLF001 - not taken
                confirmed = before & self._told
                self._committed += confirmed
                self._told -= confirmed

        future.when_done(over)

    def _has_ended_for_good(self, session_id: str) -> bool:
        if session_id in self._asleep:
            # What it woke up as, to end, was never seen. One that was given up looks the same.
            return self._system.directory.has_ended(session_id)
        actor = self._awake.get(session_id)
        data = getattr(actor, "data", None)
        return data is not None and data.state == TERMINATED and not actor._comes_back  # type: ignore[union-attr]  # noqa: SLF001 - as above

    # -- the judgement ---------------------------------------------------------

    def judge(self) -> None:
        """Look whether everything is there that was acknowledged, and whether the audit log verifies.

        The system is there, and faults are over, see `Simulation.recover()`.

        Raises:
            ViolationError: it is not.
        """
        self._is_judged = True
        for session_id, persisted in list(self._persisted.items()):
            if persisted.least is not None and not self._has_ended_for_good(session_id):
                self._judge_session(session_id, persisted)
        log = self._system._ledger.log  # noqa: SLF001 - as above
        is_complete = not self._has_given_up()  # else nobody is left to write the last events
        if is_complete:
            self._in_the_end((SupervisorsError, SessionActorsError), self._system.commit_audit)
        fault = fault_of(log)
        if fault is not None:
            raise ViolationError("audit verifies", f"the audit log does not verify: {fault}")
        if is_complete:
            self._judge_trail(log)

    def _judge_session(self, session_id: str, persisted: Persisted) -> None:
        found = self._found(session_id)
        if found is None:
            if self._has_ended_for_good(session_id):  # meanwhile
                return
            what = f"{session_id} is neither live nor stored, acknowledged: {persisted.least}"
            raise ViolationError("no acknowledged persist lost", what)
        fault = persisted.fault(*found)
        if fault is not None:
            raise ViolationError("no acknowledged persist lost", f"{session_id}: {fault}")

    def _found(self, session_id: str) -> tuple[int | None, Facts] | None:
        """Return the transitions and the facts that a session has, wherever it is."""
        system = self._system
        if self._has_given_up():
            record = system._store.store.read(session_id)  # noqa: SLF001 - what the next process would find
            stored = None if record is None else decode(record)
        else:
            with suppress(NotFound, SessionTerminated):
                self._in_the_end((SessionRecovering,), lambda: system.get_session(session_id))
                data = self._record_of(system.directory.find(session_id))
                if data is not None:
                    return None, facts_of(data)  # transitions were looked at when it came back
            # One that could not be started again waits in the store for people.
            stored = self._in_the_end((SupervisorsError, SessionActorsError), lambda: system.stored_session(session_id))
        if stored is None:
            return None
        transitions = stored["transitions"]
        assert isinstance(transitions, int)
        return transitions, stored_facts(stored)

    def _judge_trail(self, log: AuditStore) -> None:
        ledger = self._system._ledger  # noqa: SLF001 - a checker looks inside
        events = self._system.get_events(with_sealed=True) if ledger.seals else log.events()
        entries = [each for each in events if each.type in ("state_transition", "lifecycle", "security")]
        self._judge_transitions(entries, log)
        fault = None if ledger.intake.lost else fault_of_trail(entries)
        if fault is not None:
            raise ViolationError("audit in order", fault)

    def _judge_transitions(self, entries: Iterable[AuditRecord], log: AuditStore) -> None:
        names = log.rules.pseudonyms
        audited: Counter[tuple[str, str]] = Counter()
        for each in entries:
            if each.type != "lifecycle":
                what = "to_state" if each.type == "state_transition" else "event"
                audited[each.session or "", str(each.data.get(what))] += 1
        missing: Counter[tuple[str, str]] = Counter()
        for (session_id, what), times in (self._told + self._committed).items():
            stored = session_id if names is None else names.of(session_id)
            missing[session_id, what] = times - audited[stored, what]
        missing = +missing
        if missing.total() > self._system._ledger.intake.lost:  # noqa: SLF001 - it says itself how many those are
            told = f"transitions audited less often than acknowledged: {dict(missing)}"
            raise ViolationError("no acknowledged transition lost", told)

    def _has_given_up(self) -> bool:
        """Tell whether there was so much to restart in so short a time that the root supervisor has ended."""
        return self._actors.whereis(ROOT) is None

    def _in_the_end(self, not_yet: tuple[type[Exception], ...], call: Callable[[], T]) -> T:
        """Call until it is answered: the last restarts may have to wait for each other, with growing pauses."""
        limit = self._actors.clock.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except not_yet:
                if self._actors.clock.monotonic() > limit:
                    raise
            self._simulation.sleep(1.0)


@final
class _Heard:
    """Passes an answer on, and tells somebody else of it.

    Args:
        asker: who waits for it.
        acknowledge: called when it is good.
    """

    __slots__ = ("_acknowledge", "_asker")

    def __init__(self, asker: Asker, acknowledge: Callable[[], None]) -> None:
        self._asker = asker
        self._acknowledge = acknowledge

    def set(self, value: object) -> None:
        self._acknowledge()
        self._asker.set(value)

    def refuse(self, error: PersistFailed) -> None:
        self._asker.refuse(error)
