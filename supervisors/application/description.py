"""What an application is made of, as a value (APP-1, APP-4, APP-8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal
from supervisors.exits import describe
from supervisors.timers.service import checked_delay

__all__ = ["Application", "ApplicationError"]


@final
class ApplicationError(Refusal):
    """An application did not start, or could not be stopped; nothing has changed.

    Attributes:
        reason: OTP's error term as a value, such as ("not_started", name),
            ("already_started", name), (why, (name, "start", args)) or
            ("bad_return", ((name, "start", args), returned)).
    """

    code = "application"

    def __init__(self, name: str, reason: tuple[object, ...]) -> None:
        self.reason = reason
        super().__init__(f"application {name!r}: {' '.join(describe(part) for part in reason)}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an application is made of (APP-1).

    Attributes:
        name: unique among the applications of a program.
        start: called with `args`; starts the top supervisor, linked to the running
            actor (`Supervisor.start_link(...)`), and returns its ref, or a pair of
            the ref and a state for `prep_stop` and `stop`.
        args: arguments of `start`.
        needs: names of the applications that have to run first.
        env: settings, as they are by default (APP-8).
        phases: pairs of a phase and its argument, run in order after `start` (APP-4).
        start_phase: called with a phase and its argument.
        includes: applications that this one starts by itself, in its own tree; their
            phases are run along with its own (APP-5).
        prep_stop: called with the state before the tree is ended; returns the state
            for `stop` (APP-6).
        stop: called with the state after the tree has ended.
        stop_seconds: for the end of the tree, after which what is left is killed;
            None: no limit.

    Raises:
        InvalidTypeError: on creation, for the first field of a wrong kind.
        InvalidArgumentError: likewise, for a value that is not allowed.
    """

    name: str
    start: Callable[..., Any]
    args: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[tuple[str, Any], ...] = ()
    start_phase: Callable[[str, Any], object] | None = None
    includes: tuple[Application, ...] = ()
    prep_stop: Callable[[Any], Any] | None = None
    stop: Callable[[Any], object] | None = None
    stop_seconds: float | None = None

    def __post_init__(self) -> None:
        """Validate the fields and keep copies that nobody else can change."""
        if not isinstance(self.name, str) or not self.name:
            raise InvalidArgumentError("name", self.name, "a text that is not empty")
        if not callable(self.start):
            raise InvalidTypeError("start", self.start, "a function")
        for called in ("start_phase", "prep_stop", "stop"):
            value = getattr(self, called)
            if value is not None and not callable(value):
                raise InvalidTypeError(called, value, "a function; None")
        for listed, of in (("args", None), ("needs", str), ("phases", tuple), ("includes", Application)):
            value = getattr(self, listed)
            if not isinstance(value, (tuple, list)) or not all(of is None or isinstance(one, of) for one in value):
                raise InvalidTypeError(listed, value, "a tuple" if of is None else f"a tuple of {of.__name__}")
            object.__setattr__(self, listed, tuple(value))
        if not all(len(phase) == 2 and isinstance(phase[0], str) for phase in self.phases):
            raise InvalidArgumentError("phases", self.phases, "pairs of a phase's name and its argument")
        if self.phases and self.start_phase is None:
            raise InvalidArgumentError("start_phase", None, "a function, where there are phases")
        if not isinstance(self.env, Mapping):
            raise InvalidTypeError("env", self.env, "a mapping of settings")
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))
        if self.stop_seconds is not None:
            object.__setattr__(self, "stop_seconds", checked_delay("stop_seconds", self.stop_seconds))
