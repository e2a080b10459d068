"""What must hold of sessions in every run: one owner, nothing lost that was acknowledged, a log that verifies.

All of it is seen from outside: from what is asked of sessions and services, and from what is
replied. A workload has to tell nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, final

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.intake import COMMIT
from sessionactors.audit.service import AuditService
from sessionactors.errors import NotFound, SessionActorsError, SessionRecovering, SessionTerminated
from sessionactors.operations import (
    ACTIVATE,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    PERSIST,
    RESUME,
    SUSPEND,
    TERMINATE,
)
from sessionactors.session import Session
from sessionactors.simulation.limits import LimiterNeverOver
from sessionactors.simulation.log_check import fault_of
from sessionactors.states import ACTIVE, IDLE, SUSPENDED, TERMINATED
from sessionactors.storage.codec import decode
from sessionactors.surroundings import ROOT
from sessionactors.system import SessionSystem
from supervisors.errors import InvalidArgumentError, InvalidTypeError, SupervisorsError
from supervisors.runtime.signals import Ask
from supervisors.simulation import Simulation, ViolationError
from supervisors.supervision.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessionactors.audit.contract import AuditStore
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

T = TypeVar("T")


class _Version(NamedTuple):
    """How far a session is.

    Attributes:
        transitions: how many there have been.
        metadata: at that time.
    """

    transitions: int
    metadata: Mapping[str, object]


@final
class _Persisted:
    """What is known of a session since its `persist()` was acknowledged.

    Attributes:
        least: it never falls behind this one again.
        past: metadata that have been replaced before that, and must not come back.
        present: metadata since.
    """

    __slots__ = ("least", "past", "present")

    def __init__(self) -> None:
        self.least: _Version | None = None
        self.past: list[Mapping[str, object]] = []
        self.present: list[Mapping[str, object]] = []

    def saw(self, metadata: Mapping[str, object]) -> None:
        if not self.present or self.present[-1] != metadata:
            self.present.append(metadata)

    def acknowledge(self, version: _Version) -> None:
        """Let nothing before a version come back."""
        if self.least is None or version.transitions >= self.least.transitions:
            self.least = version
        place = max((at for at, each in enumerate(self.present) if each == version.metadata), default=0)
        self.past += self.present[:place]
        del self.present[:place]

    def fault(self, transitions: int | None, metadata: Mapping[str, object]) -> str | None:
        """Say what is wrong with a session as it was found, or return None."""
        least = self.least
        if least is None:
            return None
        if transitions is not None and transitions < least.transitions:
            return f"{transitions} transitions, acknowledged: {least.transitions}"
        if metadata in self.past and metadata not in self.present:
            return f"{_shortly(metadata)}, acknowledged: {_shortly(least.metadata)}"
        return None


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

    * **One owner.** At no time do two actors serve one session.
    * **No acknowledged persist lost.** What `persist()` has acknowledged is there after every
      crash: the session lives or is stored, with no fewer transitions, and not with metadata that
      had been replaced before, unless it has ended.
    * **No acknowledged transition lost.** Every transition that somebody was told is in the audit
      log at the end, as often as it was told; and after the death of a process, every one
      that was told before a commit that succeeded.
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
        self._lives: dict[str, Any] = {}  # the last actor of each session, also when it has ended
        self._persisted: dict[str, _Persisted] = {}
        self._told: Counter[tuple[str, str]] = Counter()  # session and state, by this process
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
        new: list[Any] = []
        for ref in self._actors.actors():
            if not issubclass(ref.actor_class, Session) or ref.ending:
                continue
            actor = ref._actor_weakref()  # noqa: SLF001 - a checker looks inside
            if actor is None or actor._restored is not None:  # noqa: SLF001 - as above
                continue
            data = actor.data
            # A new one that has handled nothing may still be refused by the directory.
            if ref.messages_handled:
                if data.session_id in owners:
                    return False
                owners.add(data.session_id)
            elif not data.recovery_attempts:
                continue
            if self._lives.get(data.session_id) is not actor:
                self._lives[data.session_id] = actor
                new.append(data)
        for data in new:
            self._judge_life(data)
        return True

    def _judge_life(self, data: Any) -> None:
        """Look at a session that has just begun, or come back: before anybody has changed it."""
        persisted = self._persisted.get(data.session_id)
        if persisted is None or persisted.least is None:
            return
        fault = persisted.fault(data.transitions, data.metadata)
        if fault is None and not data.recovery_attempts:
            fault = f"begins again, acknowledged: {_shortly(persisted.least.metadata)}"
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
        actor = ref._actor_weakref()  # noqa: SLF001 - a checker looks inside
        if actor is None:
            return
        operation = message[0] if isinstance(message, tuple) and len(message) == 2 else None
        is_loaded = actor._restored is None  # noqa: SLF001 - as above
        data, future, process = actor.data, ask.reply_to, self._process
        persisted = self._persisted.setdefault(data.session_id, _Persisted())
        if is_loaded:
            persisted.saw(data.metadata)
        # What it is now is the least that it will be when it is stored: it may do more before that.
        asked = _Version(data.transitions, data.metadata)

        def over() -> None:
            if process != self._process or self._persisted.get(data.session_id) is not persisted:
                return
            value, error = future._value, future._error  # noqa: SLF001 - its outcome, not taken
            if error is not None:
                return
            persisted.saw(data.metadata)
            if operation == PERSIST and is_loaded:
                persisted.acknowledge(asked)
            elif operation in _LEADS_TO and value == _LEADS_TO[operation]:
                self._told[data.session_id, value] += 1

        future.when_done(over)

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
        actor = self._lives.get(session_id)
        return actor is not None and actor.data.state == TERMINATED and not actor._comes_back  # noqa: SLF001 - as above

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
        if not self._has_given_up():  # else nobody is left to write the last events
            self._in_the_end((SupervisorsError, SessionActorsError), self._system.commit_audit)
            self._judge_transitions(log)
        fault = fault_of(log)
        if fault is not None:
            raise ViolationError("audit verifies", f"the audit log does not verify: {fault}")

    def _judge_session(self, session_id: str, persisted: _Persisted) -> None:
        found = self._found(session_id)
        if found is None:
            if self._has_ended_for_good(session_id):  # meanwhile
                return
            what = f"{session_id} is neither live nor stored, acknowledged: {persisted.least}"
            raise ViolationError("no acknowledged persist lost", what)
        fault = persisted.fault(*found)
        if fault is not None:
            raise ViolationError("no acknowledged persist lost", f"{session_id}: {fault}")

    def _found(self, session_id: str) -> tuple[int | None, Mapping[str, object]] | None:
        """Return the transitions and the metadata that a session has, wherever it is."""
        system = self._system
        if self._has_given_up():
            record = system._store.store.read(session_id)  # noqa: SLF001 - what the next process would find
            stored = None if record is None else decode(record)
        else:
            try:
                info = self._in_the_end((SessionRecovering,), lambda: system.get_session(session_id))
            except (NotFound, SessionTerminated):
                # One that could not be started again waits in the store for people.
                stored = self._in_the_end(
                    (SupervisorsError, SessionActorsError), lambda: system.stored_session(session_id)
                )
            else:
                return None, info.metadata  # transitions were looked at when it came back
        if stored is None:
            return None
        transitions, metadata = stored["transitions"], stored["metadata"]
        assert isinstance(transitions, int)
        assert isinstance(metadata, dict)
        return transitions, metadata

    def _judge_transitions(self, log: AuditStore) -> None:
        ledger = self._system._ledger  # noqa: SLF001 - a checker looks inside
        if ledger.seals:
            events = iter(self._system.get_events(event_type="state_transition", with_sealed=True))
        else:
            events = log.events(event_type="state_transition")
        names = log.rules.pseudonyms
        audited = Counter((each.session or "", str(each.data.get("to_state"))) for each in events)
        missing: Counter[tuple[str, str]] = Counter()
        for (session_id, state), times in (self._told + self._committed).items():
            stored = session_id if names is None else names.of(session_id)
            missing[session_id, state] = times - audited[stored, state]
        missing = +missing
        if missing.total() > ledger.intake.lost:  # the log says itself how many those are
            what = f"transitions audited less often than acknowledged: {dict(missing)}"
            raise ViolationError("no acknowledged transition lost", what)

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


def _shortly(metadata: Mapping[str, object]) -> str:
    text = repr(dict(metadata))
    return text if len(text) <= 100 else f"{text[:100]}..."
