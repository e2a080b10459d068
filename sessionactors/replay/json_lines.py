"""Read JSON lines: one call of the session system's public functions a line.

::

    {"t": 0, "session": "alice-1", "op": "init_session", "metadata": {"plan": "free"}}
    {"t": 0.5, "session": "alice-1", "op": "authenticate", "auth_context": {"authenticated": true}}
    {"t": "2026-01-05T09:00:00Z", "session": "alice-1", "op": "update_resources", "requests": 1}

`t` is a number of seconds or an ISO 8601 time (UTC where it names no zone),
`session` the session's id, `op` a key of `OPERATIONS`; what else may stand in
the line depends on `op`, and nothing else may. A line is read whole or refused
whole, and the refusal names the field.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeGuard

from sessionactors.replay.events import BadLine, Command

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPERATIONS", "Argument", "parse_json_line"]

SESSION_LENGTH_MAX: Final = 255
"""Characters of the longest session id."""

TIME_MAX: Final = 253_402_300_800.0
"""The first second of the year 10000: no calendar goes further."""

_INTEGER_MAX: Final = 2**63 - 1
_DEPTH_MAX: Final = 16
_KINDS: Final = ("requests", "messages", "bytes", "connections")

Kind = Literal["object", "count", "change", "cost", "limit", "rate", "bucket"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an operation.

    Attributes:
        name: the field of the line and the argument of the function.
        kind: what it may be. `object`: names and plain values. `count`: a
            whole number from 0. `change`: a whole number, negative to give
            back. `cost`, `rate`: a number above 0. `limit`: a whole number
            from 0, or null for none. `bucket`: a quota type of the limiter.
        is_required: whether the line must have it.
    """

    name: str
    kind: Kind
    is_required: bool = False


_BUCKET: Final = Argument("type", "bucket")
_CHARGE: Final = (_BUCKET, Argument("cost", "cost"))

OPERATIONS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "activate": (),
    "authenticate": (Argument("auth_context", "object", is_required=True),),
    "check_quota": (),
    "check_rate_limit": _CHARGE,
    "check_throttle": (),
    "deactivate": (),
    "get_history": (),
    "get_info": (),
    "get_metrics": (),
    "get_state": (),
    "get_usage": (_BUCKET,),
    "init_session": (Argument("metadata", "object"),),
    "record_request": _CHARGE,
    "reset_quota": (_BUCKET,),
    "resume": (),
    "set_quota": (
        Argument("max_requests", "limit"),
        Argument("max_connections", "limit"),
        Argument("max_message_size", "limit"),
    ),
    "set_rate_limit": (_BUCKET, Argument("capacity", "cost", is_required=True), Argument("rate", "rate")),
    "suspend": (),
    "terminate": (),
    "touch": (),
    "update_resources": (
        Argument("requests", "change"),
        Argument("bytes", "change"),
        Argument("connections", "change"),
        Argument("message_size", "count"),
    ),
}
"""Every operation a line may name, with its arguments."""


class _FieldError(ValueError):
    """A field of the line is not what it has to be."""

    def __init__(self, field: str, allowed: str) -> None:
        super().__init__(f"{field}: {allowed}")


def parse_json_line(line: str, number: int) -> Command | BadLine:
    """Read one line.

    Args:
        line: the text of the line.
        number: its place in the file, from 1; only for the answer.
    """
    try:
        value = json.loads(line, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except _FieldError as exc:
        return BadLine(number, str(exc))
    except json.JSONDecodeError as exc:
        return BadLine(number, f"it is not JSON: {exc.msg.lower()} at character {exc.pos + 1:,}")
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets thousands deep
        return BadLine(number, "it is JSON beyond all measure")
    if not isinstance(value, dict):
        return BadLine(number, "it is JSON, but no object")
    try:
        return _command(value)
    except _FieldError as exc:
        return BadLine(number, str(exc))


def _command(line: dict[str, object]) -> Command:
    for field in ("t", "session", "op"):
        if field not in line:
            raise _FieldError(field, "is missing")
    time = _time(line.pop("t"))
    session = _session(line.pop("session"))
    op = line.pop("op")
    if not isinstance(op, str) or op not in OPERATIONS:
        raise _FieldError("op", f"must be one of {', '.join(OPERATIONS)}")
    arguments: dict[str, object] = {}
    for argument in OPERATIONS[op]:
        if argument.name in line:
            arguments[argument.name] = _checked(argument, line.pop(argument.name))
        elif argument.is_required:
            raise _FieldError(argument.name, f"is missing; {op} needs it")
    if line:
        allowed = ", ".join(argument.name for argument in OPERATIONS[op]) or "nothing else"
        unknown = next(iter(line))
        raise _FieldError(ascii(unknown[:40]), f"is no argument of {op}, which takes {allowed}")
    return Command(time, session, op, arguments)


def _time(value: object) -> float:
    allowed = "must be seconds (0 or more) or an ISO 8601 time such as 2026-01-05T09:00:00Z"
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _FieldError("t", allowed) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        value = moment.timestamp()
    # A comparison with an integer of any size is exact, so nothing overflows on the way to a float.
    if not _is_number(value) or not 0 <= value < TIME_MAX:
        raise _FieldError("t", allowed)
    return float(value)


def _session(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _FieldError("session", "must be a text that is not empty")
    if len(value) > SESSION_LENGTH_MAX:
        raise _FieldError("session", f"has {len(value):,} characters; at most {SESSION_LENGTH_MAX} are allowed")
    if not value.isprintable():
        raise _FieldError("session", "must have no control characters, line ends or lone surrogates")
    return value


def _checked(argument: Argument, value: object) -> object:
    name = argument.name
    match argument.kind:
        case "object":
            if not isinstance(value, dict):
                raise _FieldError(name, "must be an object")
            _require_plain(name, value, 0)
        case "count":
            if not _is_integer(value) or not 0 <= value <= _INTEGER_MAX:
                raise _FieldError(name, "must be a whole number from 0")
        case "change":
            if not _is_integer(value) or not -_INTEGER_MAX <= value <= _INTEGER_MAX:
                raise _FieldError(name, "must be a whole number")
        case "limit":
            if value is not None and (not _is_integer(value) or not 0 <= value <= _INTEGER_MAX):
                raise _FieldError(name, "must be a whole number from 0, or null for no limit")
        case "cost" | "rate":
            if not _is_number(value) or not 0 < value <= _INTEGER_MAX or not math.isfinite(value):
                raise _FieldError(name, "must be a number above 0")
        case "bucket":
            if value not in _KINDS:
                raise _FieldError(name, f"must be one of {', '.join(_KINDS)}")
    return value


def _require_plain(name: str, value: object, depth: int) -> None:
    """Refuse what JSON can say and stores cannot: huge integers, lone surrogates, depth."""
    if depth > _DEPTH_MAX:
        raise _FieldError(name, f"is nested more than {_DEPTH_MAX} levels deep")
    if isinstance(value, str):
        _require_encodable(name, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_encodable(name, key)
            _require_plain(name, item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _require_plain(name, item, depth + 1)
    elif isinstance(value, int) and not -_INTEGER_MAX <= value <= _INTEGER_MAX:
        raise _FieldError(name, "has a whole number of more than 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):  # 1e999 reads as infinity
        raise _FieldError(name, "has a number that is not finite")


def _require_encodable(name: str, text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _FieldError(name, "has a lone surrogate, which no encoding takes")


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make the object, unless a name stands in it twice: then which value was meant is a guess."""
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _FieldError(ascii(name[:40]), "is given twice")
            seen.add(name)
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise _FieldError(name, "is no JSON number")
