"""Checks of single values: the right kind, the right unit, inside the bounds.

Each function returns the value in the form in which it is kept (seconds and
percents as float, counts as int), or raises an error that names the field and
what is allowed. A bool is never a number here, and neither is NaN.

`refuse` lets an area answer with its own code (a bad quota is `invalid_quota`). A value of a class
of its own that raises when it is looked at is refused as well, and what is kept is never of such a class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from sessionactors.errors import InvalidKind, InvalidValue

__all__ = [
    "COUNT_MAX",
    "SECONDS_MAX",
    "choice",
    "count",
    "count_or_none",
    "flag",
    "moment",
    "names",
    "number",
    "seconds",
    "seconds_or_none",
    "text",
    "text_or_none",
]

SECONDS_MAX: Final = 10 * 365 * 86_400.0
"""Ten years: longer than any process lives, short enough that sums of floats stay exact to the microsecond."""

COUNT_MAX: Final = 2**53
"""Where a float stops to tell neighbouring integers apart, and where JSON readers begin to round."""

TEXT_MAX_BYTES: Final = 1024

P = ParamSpec("P")
R = TypeVar("R")


def _looking(check: Callable[Concatenate[str, object, P], R]) -> Callable[Concatenate[str, object, P], R]:
    """Refuse what raises when it is looked at."""

    @wraps(check)
    def looking(field: str, value: object, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return check(field, value, *args, **kwargs)
        except (InvalidKind, InvalidValue):
            raise
        except Exception as error:
            raise InvalidKind(field, type(value), "a value that can be looked at") from error

    return looking


def seconds(field: str, value: object) -> float:
    """Check a duration: above zero, at most ten years."""
    return number(field, value, most=SECONDS_MAX, unit=" seconds")


def seconds_or_none(field: str, value: object) -> float | None:
    """Check a duration that may be None, which means never."""
    if isinstance(value, float) and math.isinf(value):
        raise InvalidValue(field, value, f"above 0 up to {SECONDS_MAX:.0f} seconds, or None for never")
    return None if value is None else seconds(field, value)


@_looking
def number(
    field: str,
    value: object,
    *,
    most: float,
    unit: str = "",
    refuse: type[InvalidValue] = InvalidValue,
) -> float:
    """Check a number above zero and up to `most`; NaN and infinities are not among them."""
    allowed = f"a number above 0 up to {most:.15g}{unit}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _kind(field, value, allowed, refuse)
    if not 0 < value <= most:  # NaN compares false as well
        raise refuse(field, value, allowed)
    return float(value)


@_looking
def count(
    field: str,
    value: object,
    *,
    least: int = 1,
    most: int = COUNT_MAX,
    refuse: type[InvalidValue] = InvalidValue,
) -> int:
    """Check an integer between two bounds, both included."""
    allowed = f"an integer from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _kind(field, value, allowed, refuse)
    if not least <= value <= most:
        raise refuse(field, value, allowed)
    return int(value)


def count_or_none(
    field: str, value: object, *, least: int = 1, refuse: type[InvalidValue] = InvalidValue
) -> int | None:
    """Check an integer that may be None, which means unlimited."""
    return None if value is None else count(field, value, least=least, refuse=refuse)


@_looking
def flag(field: str, value: object) -> bool:
    """Check a bool; a truthy something is a mistake more often than a wish."""
    if not isinstance(value, bool):
        raise InvalidKind(field, value, "True or False")
    return value


@_looking
def text(field: str, value: object, *, most_bytes: int = TEXT_MAX_BYTES) -> str:
    """Check printable text that is not empty."""
    if not isinstance(value, str):
        raise InvalidKind(field, value, _text_allowed(most_bytes))
    if not 0 < len(value) <= most_bytes or not value.isprintable() or len(value.encode()) > most_bytes:
        raise InvalidValue(field, value, _text_allowed(most_bytes))
    return str.__str__(value)


def _text_allowed(most_bytes: int) -> str:
    return f"1 to {most_bytes} bytes of printable UTF-8 text"


@_looking
def moment(field: str, value: object) -> float:
    """Check a moment in seconds since 1970 UTC."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidKind(field, value, "seconds since 1970")
    if not math.isfinite(value):
        raise InvalidValue(field, value, "finite seconds since 1970")
    return float(value)


@_looking
def names(field: str, value: object, *, most: int = 256) -> tuple[str, ...]:
    """Check a list of names, which may be empty, and return it as a tuple."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidKind(field, value, "a list of names")
    if len(value) > most:
        raise InvalidValue(field, len(value), f"at most {most} names")
    return tuple(text(f"{field}[{number}]", name) for number, name in enumerate(value))


def text_or_none(field: str, value: object) -> str | None:
    """Check printable text that may be None."""
    return None if value is None else text(field, value)


@_looking
def choice(field: str, value: object, allowed: tuple[str, ...], *, refuse: type[InvalidValue] = InvalidValue) -> str:
    """Check that the value is one of a few words."""
    if not isinstance(value, str):
        raise _kind(field, value, f"one of {', '.join(allowed)}", refuse)
    if value not in allowed:
        raise refuse(field, value, f"one of {', '.join(allowed)}")
    return value


def _kind(field: str, value: object, allowed: str, refuse: type[InvalidValue]) -> InvalidValue | InvalidKind:
    """Pick the error for a wrong kind; an area with a code of its own keeps that code."""
    return InvalidKind(field, value, allowed) if refuse is InvalidValue else refuse(field, value, allowed)
