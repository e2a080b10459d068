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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, NoReturn, TypeAlias

from sessionactors import bounds, identifiers
from sessionactors.errors import InvalidKind, InvalidSessionId, InvalidValue
from sessionactors.metadata import check_metadata
from sessionactors.replay.events import BadLine, Command
from sessionactors.settings import Quota

__all__ = ["OPERATIONS", "TIME_MAX", "Argument", "parse_json_line"]

TIME_MAX: Final = 253_402_300_800.0
"""The first second of the year 10000: no calendar goes further."""

_TIME_ALLOWED: Final = "seconds from 0 up, or an ISO 8601 time such as 2026-01-05T09:00:00Z"
_BUCKETS: Final = ("requests", "messages", "bytes", "connections")

Check: TypeAlias = Callable[[str, object], object]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an operation.

    Attributes:
        name: the field of the line and the argument of the function.
        check: takes field and value; returns the value to hand on, or raises
            `InvalidKind` or `InvalidValue`.
        is_required: whether the line must have it.
    """

    name: str
    check: Check
    is_required: bool = False


_count: Final[Check] = partial(bounds.count, least=0)
_change: Final[Check] = partial(bounds.count, least=-bounds.COUNT_MAX)
_amount: Final[Check] = partial(bounds.number, most=float(bounds.COUNT_MAX))


def _quota(field: str, value: object) -> object:
    if not isinstance(value, Mapping):
        raise InvalidKind(field, value, f"an object of {', '.join(Quota.names())}")
    return Quota.from_mapping(value)


def _bucket_quota(field: str, value: object) -> object:
    if not isinstance(value, Mapping):
        return _amount(field, value)
    if not {"capacity"} <= set(value) <= {"capacity", "rate"}:
        raise InvalidValue(field, value, "a capacity, or an object of capacity and rate")
    return {name: _amount(f"{field}.{name}", amount) for name, amount in value.items()}


_REASON: Final = Argument("reason", bounds.text)
_BUCKET: Final = Argument("type", partial(bounds.choice, allowed=_BUCKETS))
_CHARGE: Final = (_BUCKET, Argument("cost", _amount))

OPERATIONS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "activate": (),
    "authenticate": (Argument("auth_context", check_metadata, is_required=True),),
    "check_quota": (),
    "check_rate_limit": _CHARGE,
    "check_throttle": (),
    "deactivate": (),
    "get_history": (),
    "get_info": (),
    "get_metrics": (),
    "get_rate_limit_usage": (_BUCKET,),
    "get_state": (),
    "init_session": (Argument("metadata", check_metadata),),
    "record_request": _CHARGE,
    "reset_rate_limit": (_BUCKET,),
    "resume": (),
    "set_quota": (Argument("quota", _quota, is_required=True),),
    "set_rate_limit": (Argument("quota", _bucket_quota, is_required=True), _BUCKET),
    "suspend": (_REASON,),
    "terminate": (_REASON,),
    "touch": (),
    "update_resources": (
        Argument("requests", _change),
        Argument("bytes", _change),
        Argument("connections", _change),
        Argument("message_size", _count),
    ),
}
"""Every operation a line may name, with its arguments: methods of `SessionSystem`
and their keyword arguments. `set_quota` is about what a session uses in its
life, `set_rate_limit` about how fast.
"""


class _LineError(ValueError):
    """The line is not a command; the message names the field."""


def parse_json_line(line: str, number: int) -> Command | BadLine:
    """Read one line.

    Args:
        line: the text of the line.
        number: its place in the file, from 1; only for the answer.
    """
    try:
        value = json.loads(line, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
        if not isinstance(value, dict):
            return BadLine(number, "it is JSON, but no object")
        return _command(value)
    except (_LineError, InvalidKind, InvalidValue) as exc:
        return BadLine(number, str(exc))
    except json.JSONDecodeError as exc:
        return BadLine(number, f"it is not JSON: {exc.msg.lower()} at character {exc.pos + 1:,}")
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets thousands deep
        return BadLine(number, "it has a number or a nesting beyond all measure")


def _command(line: dict[str, object]) -> Command:
    for field in ("t", "session", "op"):
        if field not in line:
            raise _LineError(f"{field}: is missing")
    time = _time(line.pop("t"))
    session = _session(line.pop("session"))
    op = bounds.choice("op", line.pop("op"), tuple(OPERATIONS))
    arguments: dict[str, object] = {}
    for argument in OPERATIONS[op]:
        if argument.name in line:
            arguments[argument.name] = argument.check(argument.name, line.pop(argument.name))
        elif argument.is_required:
            raise _LineError(f"{argument.name}: is missing; {op} needs it")
    if line:
        allowed = ", ".join(argument.name for argument in OPERATIONS[op]) or "no other field"
        raise _LineError(f"{_shown(next(iter(line)))}: is no argument of {op}, which takes {allowed}")
    return Command(time, session, op, arguments)


def _session(value: object) -> str:
    allowed = f"1 to {identifiers.ID_MAX_BYTES} bytes of printable text"
    if not isinstance(value, str):
        raise InvalidKind("session", value, allowed)
    try:
        return identifiers.parse(value)
    except InvalidSessionId:
        raise InvalidValue("session", value, allowed) from None


def _time(value: object) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValue("t", value, _TIME_ALLOWED) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        value = moment.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidKind("t", value, _TIME_ALLOWED)
    # Python compares integers of any size with floats exactly, so nothing overflows before it is refused.
    if not 0 <= value < TIME_MAX:
        raise InvalidValue("t", value, _TIME_ALLOWED)
    return float(value)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make the object, unless a name stands in it twice: which value was meant would be a guess."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _LineError(f"{_shown(repeated)}: is given twice")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise _LineError(f"{name} is no JSON number")


def _shown(name: str) -> str:
    """Show a name that somebody else chose: short, and without control characters."""
    return name if name.isidentifier() and len(name) <= 40 else ascii(name[:40])
