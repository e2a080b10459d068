"""Probes: what *well* means for a system, and how to find out.

A probe is a value that can be checked when a plan is read; `look()` asks the living
system. A look returns what is wrong in a sentence, or None; it never raises for what it
finds, and waits no longer than the probe allows.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, final

from supervisors.chaos.plan import checked_path, checked_patterns, checked_whole
from supervisors.chaos.radius import matches
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.system import ActorSystem

__all__ = ["COUNTERS", "PROBE_KINDS", "Alive", "Answers", "Call", "Counter", "Probe", "Ready", "called", "loaded"]

COUNTERS = ("crashes", "dead_letters")
"""What every actor system counts."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """An actor answers in time.

    Attributes:
        name: of the probe.
        target: the registered name of the actor.
        message: what it is asked.
        within: seconds.
        expect: what it must answer; None: anything but an error.
    """

    kind: ClassVar[str] = "answers"
    name: str
    target: str
    message: Any = "ping"
    within: float = 1.0
    expect: Any = None

    def __post_init__(self) -> None:
        _check_texts(self, "name", "target")
        object.__setattr__(self, "within", checked_delay("within", self.within))

    def begin(self, system: ActorSystem) -> Callable[[], str | None]:
        """Return a function that says what is wrong, or None when nothing is."""

        def look() -> str | None:
            ref = system.whereis(self.target)
            if ref is None:
                return f"nobody has the name {self.target!r}"
            try:
                answer = ref.ask(self.message, timeout=self.within)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
                return f"{self.target!r} does not answer: {type(error).__name__}: {error}"[:300]
            if self.expect is not None and answer != self.expect:
                return f"{self.target!r} answers {answer!r:.60} and not {self.expect!r:.60}"
            return None

        return look


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A number does not rise, or not by more than it may, since the experiment began.

    Attributes:
        name: of the probe.
        counter: one of `COUNTERS`, or ``module:function`` that returns a number.
        rise_max: by how much it may rise.
    """

    kind: ClassVar[str] = "counter"
    name: str
    counter: str
    rise_max: float = 0.0

    def __post_init__(self) -> None:
        _check_texts(self, "name", "counter")
        if self.counter not in COUNTERS:
            if ":" not in self.counter:
                raise InvalidArgumentError("counter", self.counter, f"{', '.join(COUNTERS)}, or module:function")
            checked_path("counter", self.counter)
        if isinstance(self.rise_max, bool) or not isinstance(self.rise_max, (int, float)):
            raise InvalidTypeError("rise_max", self.rise_max, "a number")
        if not 0 <= self.rise_max < float("inf"):
            raise InvalidArgumentError("rise_max", self.rise_max, "a finite number, at least 0")

    def begin(self, system: ActorSystem) -> Callable[[], str | None]:
        """Return a function that says what is wrong, or None when nothing is."""

        def read() -> float:
            if self.counter in COUNTERS:
                return float(getattr(system, self.counter))
            return float(called(function, system))

        function = None if self.counter in COUNTERS else loaded("counter", self.counter)
        first = read()

        def look() -> str | None:
            rise = read() - first
            return (
                None if rise <= self.rise_max else f"{self.counter} has risen by {rise:g}; allowed: {self.rise_max:g}"
            )

        return look


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """So many actors of a kind live.

    Attributes:
        name: of the probe.
        target: pattern, as of a fault's targets.
        at_least: how many.
    """

    kind: ClassVar[str] = "alive"
    name: str
    target: str
    at_least: int = 1

    def __post_init__(self) -> None:
        _check_texts(self, "name", "target")
        checked_patterns("target", self.target)
        checked_whole("at_least", self.at_least, 1, 1 << 40)

    def begin(self, system: ActorSystem) -> Callable[[], str | None]:
        """Return a function that says what is wrong, or None when nothing is."""

        def look() -> str | None:
            found = sum(
                matches(
                    (self.target,),
                    name=ref.name,
                    class_name=ref.actor_class.__name__,
                    module=ref.actor_class.__module__,
                )
                for ref in system.actors()
            )
            return None if found >= self.at_least else f"{found} of {self.at_least} {self.target!r} live"

        return look


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The system's health says that it is ready.

    Attributes:
        name: of the probe.
        health: ``module:function`` that returns the `Health`.
    """

    kind: ClassVar[str] = "ready"
    name: str
    health: str

    def __post_init__(self) -> None:
        _check_texts(self, "name")
        checked_path("health", self.health)

    def begin(self, system: ActorSystem) -> Callable[[], str | None]:
        """Return a function that says what is wrong, or None when nothing is."""
        function = loaded("health", self.health)

        def look() -> str | None:
            verdict = called(function, system).ready()
            return None if verdict.is_good else "; ".join(verdict.reasons)

        return look


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function of the user's own says that all is well: it returns something true, and does not raise.

    Attributes:
        name: of the probe.
        function: ``module:function``; called with the system, or with nothing if it takes nothing.
    """

    kind: ClassVar[str] = "call"
    name: str
    function: str

    def __post_init__(self) -> None:
        _check_texts(self, "name")
        checked_path("function", self.function)

    def begin(self, system: ActorSystem) -> Callable[[], str | None]:
        """Return a function that says what is wrong, or None when nothing is."""
        function = loaded("function", self.function)

        def look() -> str | None:
            try:
                answer = called(function, system)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong
                return f"{self.function} raises {type(error).__name__}: {error}"[:300]
            return None if answer else f"{self.function} returns {answer!r:.60}"

        return look


Probe: TypeAlias = Answers | Counter | Alive | Ready | Call
"""Each has a `name`, and `begin(system)`, which returns the function that looks."""

PROBE_KINDS: dict[str, type[Probe]] = {each.kind: each for each in (Answers, Counter, Alive, Ready, Call)}


def loaded(field: str, path: str) -> Callable[..., Any]:
    """Import what ``module:function`` names.

    Raises:
        InvalidArgumentError: there is none, or it cannot be called; names the field.
    """
    module, _, names = path.partition(":")
    if not names:
        raise InvalidArgumentError(field, path or "nothing", "module:function")
    try:
        found: Any = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise InvalidArgumentError(field, path, f"module:function that can be imported ({error})") from error
    if not callable(found):
        raise InvalidArgumentError(field, path, "module:function that can be called")
    function: Callable[..., Any] = found
    return function


def called(function: Callable[..., Any] | None, system: ActorSystem) -> Any:
    """Call a function of the user's own with the system, or with nothing if it takes nothing."""
    assert function is not None
    try:
        takes = len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        takes = 1
    return function(system) if takes else function()


def _check_texts(probe: object, *names: str) -> None:
    for name in names:
        value = getattr(probe, name)
        if not isinstance(value, str):
            raise InvalidTypeError(name, value, "text")
        if not value:
            raise InvalidArgumentError(name, value, "text that is not empty")
