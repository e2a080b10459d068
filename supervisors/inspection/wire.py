"""What goes over the socket of an inspection: one JSON object a line, version 1.

A request is ``{"v": 1, "id": 7, "do": "ps", "limit": 20}``: the version (may be left
out), a number or text of the asker's, the operation, and its arguments beside.

An answer has the same ``id``, and is one of these::

    {"v": 1, "id": 7, "ok": true, "value": ...}
    {"v": 1, "id": 7, "ok": false, "code": "no_actor", "message": "..."}

An operation that streams answers with several lines: ``"more": true`` stands in all but
the last one, which has no value. A value of null in between is a sign of life.

Lines have an upper bound both ways.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from supervisors.errors import InvalidArgumentError, InvalidTypeError

__all__ = ["ANSWER_MAX", "REQUEST_MAX", "VERSION", "Request", "answered", "jsonable", "line_of", "parsed", "refused"]

VERSION: Final = 1
"""Of the form of requests and answers; raised when an old client would misread a new answer."""

REQUEST_MAX: Final = 65_536
"""Bytes of a request."""

ANSWER_MAX: Final = 8 * 1024 * 1024
"""Bytes of one line of an answer."""


class Request(NamedTuple):
    """What somebody wants.

    Attributes:
        id: comes back with the answer.
        do: the operation.
        arguments: by name.
    """

    id: str | int | None
    do: str
    arguments: dict[str, Any]


def parsed(line: bytes) -> Request:
    """Read a request.

    Raises:
        InvalidArgumentError, InvalidTypeError: it is none, or of another version.
    """
    try:
        given = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError("request", "text", "one JSON object in UTF-8 on a line") from error
    if not isinstance(given, dict):
        raise InvalidTypeError("request", given, "a JSON object")
    version = given.pop("v", VERSION)
    if version != VERSION or isinstance(version, bool):
        raise InvalidArgumentError("v", version, f"{VERSION}, which is the only version that is spoken here")
    request_id = given.pop("id", None)
    if isinstance(request_id, bool) or not (request_id is None or isinstance(request_id, (str, int))):
        raise InvalidTypeError("id", request_id, "text or an integer, or nothing")
    do = given.pop("do", None)
    if not isinstance(do, str):
        raise InvalidTypeError("do", do, "the name of an operation")
    return Request(request_id, do, given)


def answered(request_id: object, value: object, *, more: bool | None = None) -> bytes:
    """Return an answer as a line.

    Args:
        request_id: as it came.
        value: anything that `jsonable()` takes.
        more: whether others follow; None for an operation that does not stream.
    """
    answer: dict[str, object] = {"v": VERSION, "id": request_id, "ok": True}
    if more is not None:
        answer["more"] = more
    if more is not False:
        answer["value"] = jsonable(value)
    line = line_of(answer)
    if len(line) > ANSWER_MAX:
        return refused(request_id, "too_large", f"the answer has more than {ANSWER_MAX} bytes; ask for less")
    return line


def refused(request_id: object, code: str, message: str) -> bytes:
    """Return the answer that says no, as a line."""
    return line_of({"v": VERSION, "id": request_id, "ok": False, "code": code, "message": message})


def line_of(value: object) -> bytes:
    """Return plain data as one line of JSON."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def jsonable(value: object) -> object:
    """Return one of our own answers as JSON can have it; for values of the program there is `plain()`."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: jsonable(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): jsonable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(each) for each in value]
    return f"<{type(value).__name__}>"


def _no_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and infinities are no JSON
