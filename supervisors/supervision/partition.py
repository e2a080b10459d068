"""PartitionSupervisor: the same child several times, and a key chooses which one.

For an actor that has become a bottleneck: P copies of it share the work, and
whoever has the same key always meets the same copy. Source: Elixir's
`PartitionSupervisor` (PART-1 to PART-5).

Finding a partition asks nobody: the supervisor notes each start in a table, and
callers read the table. So it takes no turn of the supervisor, and works also while
the supervisor is busy ending a child. A partition that is down is one whose
process is dead; it needs no note of its own.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, cast, final

from supervisors.addressee import Addressee, WrongActorError, ref_of
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.exits import NOPROC
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.supervision.calls import Call
from supervisors.supervision.child_spec import ChildSpec, check_child_spec
from supervisors.supervision.outcomes import Outcome, Started
from supervisors.supervision.supervisor import Supervisor, children_and_flags

if TYPE_CHECKING:
    from supervisors.supervision.core import SupervisorCore
    from supervisors.supervision.effects import StartChild
    from supervisors.system import ActorSystem

__all__ = [
    "PARTITIONS_MAX",
    "PartitionDownError",
    "PartitionSupervisor",
    "Partitions",
    "partition_of",
    "partitions",
    "stable_hash",
]

PARTITIONS_MAX: Final = 65_536
"""Partitions of one supervisor; more are a mistake in the unit, not a plan."""


class PartitionDownError(ActorDeadError):
    """The partition of a key has no process right now; its supervisor may be restarting it (PART-4).

    Attributes:
        partition: its number.
    """

    def __init__(self, supervisor: object, partition: int) -> None:
        self.partition = partition
        super().__init__(f"partition {partition} of {supervisor} is down", NOPROC)


class PartitionSupervisor(Supervisor):
    """Starts a number of copies of one child, under the ids 0, 1, 2 ... (PART-1).

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> from supervisors.supervision.child_spec import ChildSpec
        >>> class Counter(Actor):
        ...     dispatch = "inline"
        >>> with ActorSystem() as system:
        ...     counters = system.start(PartitionSupervisor, ChildSpec("counter", Counter), partitions=4)
        ...     partition_of(counters, 6) is partition_of(counters, -2)
        True

    Raises:
        StartError: on starting, as for `Supervisor`.

    Thread: as `Supervisor`.
    """

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Make one specification per partition.

        The parameters are those of the start:

        Args:
            args: the child's specification; its id does not matter.
            kwargs: by name: `partitions`, how many, 1 or more; by default the number
                of cores. `with_arguments`, a function that gets the child's arguments
                and the number of a partition, and returns the arguments for that
                one (PART-2). Any field of `SupervisorFlags`; here 3 restarts in 5
                seconds are fine by default.
        """
        return _copies(*args, **kwargs)

    def make_core(self, supervisor: object, liveness: Callable[[object], bool | None]) -> SupervisorCore:
        """Make the core from `init()`, and the table that callers read."""
        core = super().make_core(supervisor, liveness)
        self._table: list[ActorRef[Any] | None] = [None] * len(core)
        _tables[self._actor_ref] = self._table
        return core

    def ended(self) -> None:
        """Take the table away. Called by the runtime."""
        _tables.pop(self._actor_ref, None)
        super().ended()

    def _start(self, effect: StartChild) -> Outcome:
        outcome = super()._start(effect)
        number = effect.spec.id
        # Somebody may have added a child of another kind; it is no partition.
        if isinstance(number, int) and 0 <= number < len(self._table):
            self._table[number] = outcome.ref if isinstance(outcome, Started) else None
        return outcome


def partition_of(supervisor: Addressee, key: Hashable, *, system: ActorSystem | None = None) -> Any:
    """Return the actor that is responsible for a key (PART-3).

    An integer goes to ``abs(key) % partitions``, any other key by `stable_hash()`.

    Args:
        supervisor: a partition supervisor: its ref, its name, or a `Via`.
        key: equal keys find the same partition, also after its restart (PART-4).
        system: where to look the name up; not needed inside an actor.

    Raises:
        PartitionDownError: the partition has no process right now.
        ActorDeadError: there is no such supervisor; the reason is `"noproc"` (PART-5).
        WrongActorError: it is not a partition supervisor.
        InvalidTypeError: the key is not hashable.
        NoActorError: a name was given outside any actor, without a system.

    Thread: any; never blocks.
    """
    table = _found(supervisor, system)
    number = abs(stable_hash(key)) % len(table)
    found = table[number]
    if found is None or not found.is_alive():
        raise PartitionDownError(supervisor, number)
    return found


@final
class Partitions:
    """A partition supervisor as a registry of names, for `Via`: each key is a name (PART-3).

    ``Via(Partitions("counters", system=system), "user-1")`` is always told and asked
    at the partition that is responsible for the key, restarted or not.

    Args:
        supervisor: as for `partition_of()`.
        system: likewise.
    """

    __slots__ = ("_supervisor", "_system")

    def __init__(self, supervisor: Addressee, *, system: ActorSystem | None = None) -> None:
        self._supervisor = supervisor
        self._system = system

    def whereis(self, name: Hashable, /) -> ActorRef[Any] | None:
        """Return the partition of a key, or None while it is down."""
        try:
            return cast("ActorRef[Any]", partition_of(self._supervisor, name, system=self._system))
        except ActorDeadError:
            return None

    def register(self, name: Hashable, ref: ActorRef[Any], /) -> None:
        """Refuse with a `UsageError`: which actor a key belongs to is not for anybody to choose."""
        raise UsageError(f"{ref} cannot have the name {name!r}: keys belong to partitions")

    def unregister(self, name: Hashable, /) -> None:
        """Refuse with a `UsageError`, likewise."""
        raise UsageError(f"the name {name!r} cannot be freed: keys belong to partitions")


def partitions(supervisor: Addressee, *, system: ActorSystem | None = None) -> int:
    """Return how many partitions a partition supervisor has, running or not (PART-5).

    Raises:
        ActorDeadError: there is no such supervisor; the reason is `"noproc"`.
        WrongActorError: it is not a partition supervisor.
        NoActorError: a name was given outside any actor, without a system.
    """
    return len(_found(supervisor, system))


def stable_hash(key: Hashable) -> int:
    """Return a number that is equal for equal keys, in this run and in the next one.

    Python's own hash of a text differs from run to run, so that a replay would
    meet other partitions. Numbers, texts, bytes, None and tuples and frozen sets of
    these are hashed here; anything else by its own `__hash__()`, which is as stable
    as its class has made it.

    Raises:
        InvalidTypeError: the key is not hashable.
    """
    if isinstance(key, str):
        return zlib.crc32(key.encode("utf-8", "surrogatepass"))
    if isinstance(key, int):
        return int(key)
    if isinstance(key, bytes):
        return zlib.crc32(key, 1)
    if isinstance(key, (float, Decimal, Fraction)):
        # 2, 2.0 and Decimal(2) are equal, so they have to meet.
        whole = int(key) if math.isfinite(key) else None
        return whole if whole is not None and whole == key else hash(key)
    if isinstance(key, tuple):
        return _mixed(stable_hash(each) for each in key)
    if isinstance(key, frozenset):
        return _mixed(sorted(stable_hash(each) for each in key))
    if key is None:
        return 0
    try:
        return hash(key)
    except TypeError:
        raise InvalidTypeError("key", key, "anything hashable") from None


def _mixed(numbers: Iterable[int]) -> int:
    return zlib.crc32(" ".join(map(str, numbers)).encode())


def _found(supervisor: Addressee, system: ActorSystem | None) -> list[ActorRef[Any] | None]:
    """Return the table of a partition supervisor."""
    allowed = "a PartitionSupervisor"
    ref = ref_of(supervisor, Call, allowed, field="supervisor", system=system)
    if not issubclass(ref.actor_class, PartitionSupervisor):
        raise WrongActorError("supervisor", ref, allowed)
    table = _tables.get(ref)
    if table is None:
        raise ActorDeadError.of(ref, NOPROC)
    return table


def _copies(
    child: Any = None,
    /,
    *,
    partitions: Any = None,
    with_arguments: Callable[[tuple[Any, ...], int], Iterable[Any]] | None = None,
    **flags: Any,
) -> tuple[dict[str, Any], list[ChildSpec]]:
    count = (os.cpu_count() or 1) if partitions is None else partitions
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= PARTITIONS_MAX:
        raise InvalidArgumentError("partitions", partitions, f"an integer, 1 to {PARTITIONS_MAX}")
    if flags.get("strategy") == "simple_one_for_one":
        raise InvalidArgumentError("strategy", flags["strategy"], "one_for_one, one_for_all, rest_for_one")
    spec = check_child_spec(child)
    choose = with_arguments if with_arguments is not None else _same_arguments
    checked, _ = children_and_flags((), **{"max_restarts": 3} | flags)
    return checked, [replace(spec, id=number, args=tuple(choose(spec.args, number))) for number in range(count)]


def _same_arguments(args: tuple[Any, ...], _number: int) -> tuple[Any, ...]:
    return args


# One table per living partition supervisor: whoever has its ref can read it. Only
# the supervisor's own turn changes a table.
_tables: Final[dict[ActorRef[Any], list[ActorRef[Any] | None]]] = {}
