"""What a chaos experiment is to do: faults, whom they may hit, and when it must stop.

Plans are values. They are checked when they are made, so a plan that exists can be
carried out; `reading.py` makes them of TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.chaos.kinds import NEXT_STRIKE, ON_PROCESS, ON_SYSTEM, checked_kind
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisors.chaos.probes import Probe

__all__ = [
    "BlastRadius",
    "Budget",
    "Fault",
    "Plan",
    "Recovery",
    "Rollback",
    "Stop",
    "checked_path",
    "checked_patterns",
    "checked_whole",
]

FAULTS_MAX: Final = 1_000_000
SECONDS_MAX: Final = 86_400.0
RATE_MAX: Final = 1_000.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault, on whom and how often.

    Attributes:
        kind: of `LIVE_KINDS`.
        targets: whom it may hit: patterns as for a shell, against the registered name of an
            actor, its class, or its class with the module before it; ``name:`` or ``class:``
            before a pattern says which. For kinds of processes: patterns of the same sort
            for actors with processes of their own, ``pool`` for the worker processes of
            pools, and ``process:NAME`` for those that the plan names.
        rate: how often a second on average, above 0 to 1,000; the moments are drawn.
        at: moments, seconds after the beginning, instead of a rate.
        count: at most so many; None: as many as the rate makes.
        seconds: how long what takes time takes; for `clock_jump`: how far, back or forth, as
            is drawn; None: drawn, up to `seconds_max`.
        seconds_max: the longest that is drawn.
        size: for `process_memory`: bytes beyond what the process has that it still gets;
            for `process_files`: files beyond those that it has open.
    """

    kind: str
    targets: tuple[str, ...] = ("*",)
    rate: float | None = None
    at: tuple[float, ...] = ()
    count: int | None = None
    seconds: float | None = None
    seconds_max: float = 1.0
    size: int = 0

    def __post_init__(self) -> None:
        checked_kind("kind", self.kind)
        object.__setattr__(self, "targets", checked_patterns("targets", self.targets))
        if self.kind not in ON_PROCESS:
            for target in self.targets:
                if target == "pool" or target.startswith("process:"):
                    raise InvalidArgumentError("targets", target, f"actors: {self.kind} is no fault of processes")
        if (self.rate is None) == (not self.at):
            given = "neither" if self.rate is None else "both"
            raise InvalidArgumentError("rate", given, "either rate or at")
        if self.rate is not None:
            object.__setattr__(self, "rate", _checked_number("rate", self.rate, RATE_MAX, above=True))
        if isinstance(self.at, (str, bytes)) or not isinstance(self.at, (tuple, list)):
            raise InvalidTypeError("at", self.at, "a list of seconds")
        moments = tuple(sorted(_checked_number("at", moment, SECONDS_MAX) for moment in self.at))
        object.__setattr__(self, "at", moments)
        if self.count is not None:
            checked_whole("count", self.count, 1, FAULTS_MAX)
        if self.seconds is not None:
            _checked_number("seconds", self.seconds, SECONDS_MAX)
        _checked_number("seconds_max", self.seconds_max, SECONDS_MAX)
        checked_whole("size", self.size, 0, 1 << 50)

    @property
    def has_victim(self) -> bool:
        """Tell whether it hits somebody, and not the system or its disk."""
        return self.kind not in ON_SYSTEM and self.kind not in NEXT_STRIKE


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """Who may be hit, and how many at once.

    Attributes:
        only: patterns of whom faults may hit, as `Fault.targets`.
        never: patterns of whom they may not, whatever else is said.
        at_once: actors and processes that may suffer from a fault at the same moment.
        share: part of those in `only` that may, above 0 to 1; one always may.
        roots: whether actors without a parent may be hit, whom nobody would start again.
        settle: seconds after a fault for which its victim counts as suffering, if it does not
            get its name back before that.
    """

    only: tuple[str, ...] = ("*",)
    never: tuple[str, ...] = ()
    at_once: int = 1
    share: float = 1.0
    roots: bool = False
    settle: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "only", checked_patterns("only", self.only))
        object.__setattr__(self, "never", checked_patterns("never", self.never, may_be_empty=True))
        checked_whole("at_once", self.at_once, 1, FAULTS_MAX)
        object.__setattr__(self, "share", _checked_number("share", self.share, 1.0, above=True))
        if not isinstance(self.roots, bool):
            raise InvalidTypeError("roots", self.roots, "True or False")
        _checked_number("settle", self.settle, SECONDS_MAX)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When the method is over.

    Attributes:
        seconds: how long it lasts.
        faults: at most so many, of all kinds together.
    """

    seconds: float = 60.0
    faults: int = 1_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", _checked_number("seconds", self.seconds, SECONDS_MAX, above=True))
        checked_whole("faults", self.faults, 1, FAULTS_MAX)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """When the method is given up: the steady state has been broken for too long.

    Attributes:
        every: seconds between two looks at the probes while faults happen.
        patience: seconds for which a probe may fail, one look after the other.
    """

    every: float = 1.0
    patience: float = 5.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", _checked_number("every", self.every, SECONDS_MAX, above=True))
        object.__setattr__(self, "patience", _checked_number("patience", self.patience, SECONDS_MAX))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is expected once faults are over.

    Attributes:
        within: seconds in which every probe must pass again.
        every: seconds between two looks.
    """

    within: float = 10.0
    every: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "within", _checked_number("within", self.within, SECONDS_MAX))
        object.__setattr__(self, "every", _checked_number("every", self.every, SECONDS_MAX, above=True))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A step that undoes what an experiment may leave, besides what is always undone.

    Attributes:
        name: for the report.
        call: ``module:function``; called with the system, or with nothing if it takes nothing.
    """

    name: str
    call: str

    def __post_init__(self) -> None:
        for key in ("name", "call"):
            if not isinstance(getattr(self, key), str):
                raise InvalidTypeError(key, getattr(self, key), "text")
        checked_path("call", self.call)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One experiment.

    Attributes:
        title: for the report.
        faults: the method.
        steady: probes that say what *well* means; all must pass before, and again after.
        rollback: steps at the end, whatever has happened; first to last.
        blast_radius: who may be hit.
        budget: when the method is over.
        stop: when it is given up.
        recovery: what is expected after it.
        seed: moments, victims and lengths are drawn from it; None: another one each time.
        processes: name -> path of a file with the process id, or a process id, for ``process:NAME``.
        start: ``module:function`` that starts the system, for the command; it returns an
            `ActorSystem`, or something with one in its attribute `actors`.
    """

    title: str = "chaos"
    faults: tuple[Fault, ...] = ()
    steady: tuple[Probe, ...] = ()
    rollback: tuple[Rollback, ...] = ()
    blast_radius: BlastRadius = field(default_factory=BlastRadius)
    budget: Budget = field(default_factory=Budget)
    stop: Stop = field(default_factory=Stop)
    recovery: Recovery = field(default_factory=Recovery)
    seed: int | None = None
    processes: tuple[tuple[str, str | int], ...] = ()
    start: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.title, str):
            raise InvalidTypeError("title", self.title, "text")
        for key, kind in (("faults", Fault), ("rollback", Rollback)):
            object.__setattr__(self, key, _checked_tuple(key, getattr(self, key), kind))
        if isinstance(self.steady, (str, bytes)) or not isinstance(self.steady, (tuple, list)):
            raise InvalidTypeError("steady", self.steady, "a tuple of probes")
        object.__setattr__(self, "steady", tuple(self.steady))
        names = [probe.name for probe in self.steady]
        for name in names:
            if names.count(name) > 1:
                raise InvalidArgumentError("steady", name, "names of probes that are all different")
        parts: tuple[tuple[str, type], ...] = (
            ("blast_radius", BlastRadius),
            ("budget", Budget),
            ("stop", Stop),
            ("recovery", Recovery),
        )
        for key, part in parts:
            if not isinstance(getattr(self, key), part):
                raise InvalidTypeError(key, getattr(self, key), f"a {part.__name__}")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise InvalidTypeError("seed", self.seed, "a whole number, or nothing")
        known = {name for name, _ in self.processes}
        for number, fault in enumerate(self.faults):
            for target in fault.targets:
                kind_of, _, name = target.partition(":")
                if kind_of == "process" and name not in known:
                    allowed = ", ".join(sorted(known)) or "none: the plan names no processes"
                    raise InvalidArgumentError(f"faults[{number}].targets", target, allowed)
        if self.start is not None:
            checked_path("start", self.start)


def checked_path(name: str, path: object) -> str:
    """Return an import path ``module:function``, or raise what names the field."""
    if not isinstance(path, str):
        raise InvalidTypeError(name, path, "module:function")
    module, _, function = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise InvalidArgumentError(name, path, "module:function")
    return path


def checked_patterns(name: str, patterns: object, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """Return patterns, or raise what names the field."""
    if isinstance(patterns, str):
        patterns = (patterns,)
    if not isinstance(patterns, (tuple, list)):
        raise InvalidTypeError(name, patterns, "a pattern, or a list of patterns")
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidTypeError(name, pattern, "a pattern, or a list of patterns")
        if not pattern:
            raise InvalidArgumentError(name, pattern, "patterns that are not empty")
    if not patterns and not may_be_empty:
        raise InvalidArgumentError(name, "an empty list", "at least one pattern")
    return tuple(patterns)


def checked_whole(name: str, value: object, lowest: int, highest: int) -> int:
    """Return a whole number, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(name, value, "a whole number")
    if not lowest <= value <= highest:
        raise InvalidArgumentError(name, value, f"{lowest:,} to {highest:,}")
    return value


def _checked_number(name: str, value: Any, highest: float, *, above: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidTypeError(name, value, "a number")
    number = checked_delay(name, value)
    if number > highest or (above and not number):
        raise InvalidArgumentError(name, value, f"{'above 0' if above else '0'} to {highest:,g}")
    return number


def _checked_tuple(name: str, values: Iterable[Any], kind: type) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, (tuple, list)):
        raise InvalidTypeError(name, values, f"a tuple of {kind.__name__}")
    for value in values:
        if not isinstance(value, kind):
            raise InvalidTypeError(name, value, f"a tuple of {kind.__name__}")
    return tuple(values)
