"""Supervisor flags: the settings of a supervisor as a whole (SPEC-1, SPEC-2, DYN-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, final, get_args

from supervisors.errors import InvalidArgumentError
from supervisors.supervision.backoff import Backoff
from supervisors.supervision.child_spec import AutoShutdown
from supervisors.supervision.reports import ErrorReport
from supervisors.timers.service import SECONDS_MAX

__all__ = [
    "DynamicFlags",
    "GiveUpListener",
    "InvalidFlags",
    "Strategy",
    "SupervisorFlags",
    "check_flags",
    "validate_auto_shutdown",
    "validate_backoff",
    "validate_extra_arguments",
    "validate_max_children",
    "validate_max_restarts",
    "validate_max_seconds",
    "validate_on_give_up",
    "validate_strategy",
]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]

GiveUpListener = Callable[[ErrorReport], None]

STRATEGIES: Final[tuple[str, ...]] = get_args(Strategy)
AUTO_SHUTDOWNS: Final[tuple[str, ...]] = get_args(AutoShutdown)


class InvalidFlags(InvalidArgumentError):  # noqa: N818 - named after what it refuses
    """A setting of a supervisor is not valid.

    Attributes:
        field: the setting at fault; `flags` for all of them as a whole.
        why: OTP's error term as a value: a tuple of a tag and what was given.
        allowed: what would have been right, in words.
    """

    code = "invalid_flags"

    def __init__(self, field: str, given: object, allowed: str, why: object) -> None:
        self.why = why
        super().__init__(field, given, allowed)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorFlags:
    """How a supervisor treats its children together.

    Attributes:
        strategy: who is restarted when one child has failed (SUP-12 to SUP-19).
        max_restarts: restarts that are fine within `max_seconds`; one more and the
            supervisor gives up (SUP-21). 0 or more.
        max_seconds: length of that window, seconds, more than 0.
        auto_shutdown: whether the end of significant children ends the supervisor
            (SUP-31).
        backoff: wait before restarts; None: restart at once, as OTP does.
        on_give_up: called with the report of the child that was one restart too
            many, before the other children are ended; it must not block.

    The defaults are OTP's: one restart in 5 seconds, no auto-shutdown.

    Raises:
        InvalidFlags: on creation, for the first setting at fault (SPEC-2).
    """

    strategy: Strategy = "one_for_one"
    max_restarts: int = 1
    max_seconds: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    backoff: Backoff | None = None
    on_give_up: GiveUpListener | None = None

    def __post_init__(self) -> None:
        """Validate the settings in OTP's order."""
        validate_strategy(self.strategy)
        validate_max_restarts(self.max_restarts)
        object.__setattr__(self, "max_seconds", validate_max_seconds(self.max_seconds))
        validate_auto_shutdown(self.auto_shutdown)
        validate_backoff(self.backoff)
        validate_on_give_up(self.on_give_up)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicFlags:
    """Settings of a supervisor whose children come and go (DYN-1).

    Attributes:
        max_restarts: as in `SupervisorFlags`; the default is Elixir's.
        max_seconds: as in `SupervisorFlags`.
        max_children: children at one time, those restarting included (DYN-4);
            None: no limit.
        extra_arguments: put in front of every child's own arguments (DYN-2).
        backoff: as in `SupervisorFlags`.
        on_give_up: as in `SupervisorFlags`.

    Raises:
        InvalidFlags: on creation, for the first setting at fault.
    """

    max_restarts: int = 3
    max_seconds: float = 5.0
    max_children: int | None = None
    extra_arguments: tuple[Any, ...] = ()
    backoff: Backoff | None = None
    on_give_up: GiveUpListener | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        validate_max_restarts(self.max_restarts)
        object.__setattr__(self, "max_seconds", validate_max_seconds(self.max_seconds))
        validate_max_children(self.max_children)
        object.__setattr__(self, "extra_arguments", validate_extra_arguments(self.extra_arguments))
        validate_backoff(self.backoff)
        validate_on_give_up(self.on_give_up)


def check_flags(given: object) -> SupervisorFlags:
    """Turn flags, or a mapping of them, into valid `SupervisorFlags`; unknown keys are ignored.

    Raises:
        InvalidFlags: for the first fault in the order of SPEC-2.
    """
    if isinstance(given, SupervisorFlags):
        return given
    if not isinstance(given, Mapping):
        raise InvalidFlags("flags", given, "SupervisorFlags or a mapping of its fields", ("invalid_type", given))
    return SupervisorFlags(**{name: given[name] for name in _FIELDS if name in given})


def validate_strategy(strategy: object) -> Strategy:
    """Return the strategy if it is one."""
    if not (isinstance(strategy, str) and strategy in STRATEGIES):
        raise InvalidFlags("strategy", strategy, _choice(STRATEGIES), ("invalid_strategy", strategy))
    return strategy  # type: ignore[return-value]  # it is one of the literals


def validate_max_restarts(max_restarts: object) -> int:
    """Return the number of restarts if it is an integer of 0 or more."""
    if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
        raise InvalidFlags("max_restarts", max_restarts, "an integer, 0 or more", ("invalid_intensity", max_restarts))
    return max_restarts


def validate_max_seconds(max_seconds: object) -> float:
    """Return the length of the restart window as float seconds, more than 0."""
    if isinstance(max_seconds, (int, float)) and not isinstance(max_seconds, bool) and 0 < max_seconds <= SECONDS_MAX:
        return float(max_seconds)
    raise InvalidFlags(
        "max_seconds", max_seconds, "seconds, more than 0, to a hundred years", ("invalid_period", max_seconds)
    )


def validate_auto_shutdown(auto_shutdown: object) -> AutoShutdown:
    """Return the auto-shutdown setting if it is one."""
    if not (isinstance(auto_shutdown, str) and auto_shutdown in AUTO_SHUTDOWNS):
        raise InvalidFlags(
            "auto_shutdown", auto_shutdown, _choice(AUTO_SHUTDOWNS), ("invalid_auto_shutdown", auto_shutdown)
        )
    return auto_shutdown  # type: ignore[return-value]  # it is one of the literals


def validate_max_children(max_children: object) -> int | None:
    """Return the limit of children if it is an integer of 0 or more, or None."""
    if max_children is None:
        return None
    if isinstance(max_children, bool) or not isinstance(max_children, int) or max_children < 0:
        raise InvalidFlags(
            "max_children",
            max_children,
            "an integer, 0 or more; None for no limit",
            ("invalid_max_children", max_children),
        )
    return max_children


def validate_extra_arguments(extra_arguments: object) -> tuple[Any, ...]:
    """Return the extra arguments as a tuple."""
    if not isinstance(extra_arguments, (tuple, list)):
        raise InvalidFlags(
            "extra_arguments", extra_arguments, "a tuple of arguments", ("invalid_extra_arguments", extra_arguments)
        )
    return tuple(extra_arguments)


def validate_backoff(backoff: object) -> Backoff | None:
    """Return the backoff if it is one, or None."""
    if backoff is not None and not isinstance(backoff, Backoff):
        raise InvalidFlags("backoff", backoff, "a Backoff; None to restart at once", ("invalid_backoff", backoff))
    return backoff


def validate_on_give_up(listener: object) -> GiveUpListener | None:
    """Return the listener if it can be called, or None."""
    if listener is not None and not callable(listener):
        raise InvalidFlags("on_give_up", listener, "a function; None", ("invalid_on_give_up", listener))
    return listener


def _choice(allowed: tuple[str, ...]) -> str:
    return ", ".join(repr(one) for one in allowed)


_FIELDS: Final = ("strategy", "max_restarts", "max_seconds", "auto_shutdown", "backoff", "on_give_up")
