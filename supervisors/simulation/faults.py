"""Faults: what goes wrong on purpose, where, and how often.

Each kind has a named point in the simulator, and two dice. The first is thrown once
a run: is this kind *armed*? So some runs are full of one kind and free of others,
which finds more than a little of everything. The second is thrown at each point of
an armed kind: does it fire now? Every fault that fires is recorded by its kind and
by the number of the throw, which is what repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, SupervisorsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from supervisors.entropy import Entropy

__all__ = ["ALL_WITHIN_CONTRACT", "FAULT_KINDS", "FaultKind", "FaultPlan", "InjectedFaultError", "checked_chances"]


class InjectedFaultError(SupervisorsError):
    """What a handler raises because the simulator wants it to."""


@final
@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way in which things go wrong.

    Attributes:
        point: where the second die is thrown.
        chance: that it fires there in an armed run, by default.
        within_contract: the runtime's contract allows it, so any program must stand it.
        what: in words.
    """

    point: str
    chance: float
    within_contract: bool
    what: str


FAULT_KINDS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        "kill": FaultKind("step", 0.002, True, "an actor is killed between two steps"),
        "crash_in_start": FaultKind("start", 0.02, True, "on_start raises"),
        "crash_before": FaultKind("turn", 0.005, True, "a handler raises before it does anything"),
        "crash_inside": FaultKind("send", 0.005, True, "a handler raises where it sends a message"),
        "crash_after": FaultKind("turn", 0.005, True, "a handler has done everything and raises before it replies"),
        "crash_in_cleanup": FaultKind("cleanup", 0.05, True, "on_stop or on_failure has run and raises"),
        "slow_turn": FaultKind("turn", 0.005, True, "a turn takes up to 10 seconds while the others go on"),
        "pause": FaultKind("step", 0.001, True, "the process stands still for up to 10 seconds"),
        "delay_message": FaultKind("send", 0.01, True, "a message and those behind it come up to 10 seconds late"),
        "timer_late": FaultKind("timer", 0.05, True, "a timer's message comes up to 10 seconds late"),
        "drop_message": FaultKind("send", 0.005, False, "a message is lost"),
        "duplicate_message": FaultKind("send", 0.005, False, "a message that is no ask comes twice"),
        "crash_in_init": FaultKind("init", 0.02, True, "the constructor raises"),
        "slow_start": FaultKind("start", 0.02, True, "on_start begins up to 10 seconds late"),
        "slow_cleanup": FaultKind("cleanup", 0.05, True, "on_stop or on_failure begins up to 10 seconds late"),
        "slow_reply": FaultKind("turn", 0.005, True, "a handler has done everything and takes up to 10 seconds more"),
        "kill_waiting": FaultKind("step", 0.001, True, "an actor is killed while its turn waits"),
        "kill_supervisor": FaultKind("step", 0.0005, True, "a supervisor is killed"),
        "exit_signal": FaultKind("step", 0.001, True, "an exit signal comes from nowhere"),
        "poison_message": FaultKind("step", 0.001, True, "an actor gets a message that nobody knows"),
        "partition": FaultKind("step", 0.0005, True, "two groups of actors hear each other up to 10 seconds late"),
        "clock_jump": FaultKind("step", 0.001, True, "the wall clock jumps by up to an hour, back or forth"),
        "mailbox_full": FaultKind("send", 0.01, True, "a bounded mailbox has no room"),
        "hang": FaultKind("turn", 0.001, False, "a turn takes an hour, unless it is killed or faults are over"),
        "restart_storm": FaultKind("step", 0.0005, False, "an actor ends, and up to 8 starts under its parent crash"),
        "reorder_message": FaultKind("send", 0.01, False, "a message comes before all that wait already"),
        "lose_reply": FaultKind("turn", 0.005, False, "an ask is handled, and its reply is lost"),
        "registry_loss": FaultKind("step", 0.0005, False, "a name is free while its owner lives"),
        "timer_early": FaultKind("step", 0.001, False, "a timer's message comes up to 10 seconds early"),
        "timer_lost": FaultKind("timer", 0.02, False, "a timer's message never comes"),
        "netsplit": FaultKind("step", 0.0005, False, "messages between two groups of actors are lost for 10 seconds"),
        "store_error": FaultKind("store", 0.01, True, "the store refuses an operation, and nothing has been done"),
        "store_error_after": FaultKind("store", 0.01, True, "the store has done an operation, and says that it failed"),
        "store_slow": FaultKind("store", 0.01, True, "an operation of the store takes up to 10 seconds"),
        "store_full": FaultKind("store", 0.005, True, "the store has no space left for a write"),
        "fsync_error": FaultKind("fsync", 0.01, True, "what was written cannot be made durable, and is gone"),
        "torn_write": FaultKind("fsync", 0.005, False, "a crash leaves a part of what was written"),
        "lost_write": FaultKind("fsync", 0.005, False, "what was said to be durable is gone"),
        "process_kill": FaultKind("process", 0.01, True, "a process is killed, as by SIGKILL"),
        "process_crash": FaultKind("process", 0.01, True, "a process crashes, as by SIGSEGV"),
        "process_exit": FaultKind("process", 0.01, True, "a process ends with some exit code"),
        "process_memory": FaultKind("process", 0.01, True, "the kernel kills a process for want of memory"),
        "process_stop": FaultKind("process", 0.01, True, "a process stands still for up to 10 seconds, as by SIGSTOP"),
        "process_slow_start": FaultKind("process start", 0.05, True, "a process comes up up to 10 seconds late"),
        "process_refused": FaultKind("process start", 0.02, True, "the machine has no process left"),
        "process_hang": FaultKind("process", 0.005, False, "a process stands still for an hour, as by SIGSTOP"),
    }
)
"""Every kind, by name.

Those at `store` and `fsync` are thrown by a simulated disk, see `Simulation.strikes()`;
those at `process` whenever one process writes to another, see `process_faults`.
"""

ALL_WITHIN_CONTRACT: Final = tuple(name for name, kind in FAULT_KINDS.items() if kind.within_contract)
"""The kinds that any program must stand."""

DELAY_MAX: Final = 10.0
"""The longest delay of any kind, virtual seconds."""


@final
class FaultPlan:
    """The dice of one run.

    Args:
        entropy: the run's source; each kind has a stream of its own.
        chances: kind -> chance that it fires at a point, in a run in which it is armed.
        arming: chance of each kind that it is armed.
        repeat: faults to repeat instead, as `fired` had them; nothing is thrown then.
        luck: another number has the dice fall otherwise, and leaves the rest of the run as it is.

    Attributes:
        active: whether anything fires; off while a run calms down and is judged.
        fired: the faults so far: kind, and number of the throw from 1.
        armed: the kinds of this run.
    """

    __slots__ = ("_chances", "_dice", "_entropy", "_repeat", "_throws", "active", "armed", "fired")

    def __init__(
        self,
        entropy: Entropy,
        chances: Mapping[str, float],
        arming: float = 0.5,
        repeat: Iterable[tuple[str, int]] | None = None,
        luck: int = 0,
    ) -> None:
        self._entropy = entropy
        self._chances = dict(chances)
        self._repeat = None if repeat is None else frozenset(repeat)
        self._throws = dict.fromkeys(FAULT_KINDS, 0)
        self.fired: list[tuple[str, int]] = []
        if self._repeat is None:
            first = entropy.stream("faults armed")
            # One throw for each kind there is, so that one chance does not change another kind's luck.
            thrown = {kind: first.random() for kind in FAULT_KINDS}
            self.armed = frozenset(kind for kind, chance in chances.items() if chance > 0 and thrown[kind] < arming)
        else:
            self.armed = frozenset(kind for kind, _ in self._repeat)
        more = f", luck {luck}" if luck else ""
        self._dice = {kind: entropy.stream(f"fault {kind}{more}").random for kind in self.armed}
        self.active = bool(self.armed)

    def fires(self, kind: str) -> bool:
        """Throw the second die of a kind."""
        if not self.active or kind not in self.armed:
            return False
        self._throws[kind] = number = self._throws[kind] + 1
        repeat = self._repeat
        fires = self._dice[kind]() < self._chances[kind] if repeat is None else (kind, number) in repeat
        if fires:
            self.fired.append((kind, number))
        return fires

    def missed(self) -> None:
        """Forget the fault that has just fired: there was nobody whom it could hit."""
        self.fired.pop()

    def draw(self, kind: str) -> float:
        """Return a number from 0 to 1 that belongs to the throw that has just fired."""
        return self._entropy.stream(f"fault {kind} {self._throws[kind]}").random()

    def delay(self, kind: str) -> float:
        """Return how long the fault that has just fired takes, virtual seconds."""
        return self.draw(kind) * DELAY_MAX


def checked_chances(field: str, chances: Mapping[str, float] | Iterable[str]) -> dict[str, float]:
    """Return kind -> chance, or raise what names the field; plain names get their usual chance."""
    if isinstance(chances, str):
        raise InvalidTypeError(field, chances, "kinds of faults, or a mapping of kinds to chances")
    given = dict(chances) if hasattr(chances, "keys") else dict.fromkeys(chances, -1.0)  # type: ignore[arg-type]
    for kind, chance in given.items():
        if kind not in FAULT_KINDS:
            raise InvalidArgumentError(field, kind, ", ".join(FAULT_KINDS))
        if chance == -1.0 and not hasattr(chances, "keys"):
            given[kind] = FAULT_KINDS[kind].chance
        elif isinstance(chance, bool) or not isinstance(chance, (int, float)):
            raise InvalidTypeError(f"{field}[{kind!r}]", chance, "a chance from 0 to 1")
        elif not 0.0 <= chance <= 1.0:
            raise InvalidArgumentError(f"{field}[{kind!r}]", chance, "a chance from 0 to 1")
    return given
