"""What other programs can ask of the daemon, and how: one JSON object a line.

A request is ``{"id": 1, "do": "activate", "session": "alice"}`` with the arguments
of the operation beside. Its answer has the same ``id``, and either ``"ok": true`` and a
``value``, or ``"ok": false``, a ``code`` and a ``message``.

==================  ============================================  =============================
``do``              arguments                                     value
==================  ============================================  =============================
``ping``            none                                          ``"pong"``
``start``           session, options, class (all optional)        the id
``init``            session, metadata                             the state
``authenticate``    session, credentials                          the state
``activate``        session                                       the state
``deactivate``      session                                       the state
``suspend``         session, reason (optional)                    the state
``resume``          session                                       the state
``touch``           session                                       null
``persist``         session                                       null, when durable
``terminate``       session, reason (optional)                    null
``check``           session; type, cost (optional)                admitted, and seconds to wait
``state``           session                                       the state
``info``            session                                       an object
``count``           none                                          live sessions
``list``            after (an id), limit (1 to 1,000; optional)   ids, in order
==================  ============================================  =============================
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidValue, SessionRefusal
from supervisors.errors import SupervisorsError
from supervisors.runtime.outcomes import AskTimeoutError

if TYPE_CHECKING:
    from sessionactors.session import Session
    from sessionactors.system import SessionSystem

__all__ = ["LIST_MAX", "OPERATIONS", "answer", "done", "refusal"]

logger = logging.getLogger("sessionactors.front")

LIST_MAX: Final = 1000
"""Ids in one answer."""

_DEPTH_MAX: Final = 100


def answer(line: bytes, system: SessionSystem, classes: Mapping[str, type[Session]]) -> bytes:
    """Do what a line asks for, and return the answer as a line; never raises.

    Args:
        line: a request, without the line break.
        system: what is asked.
        classes: classes of sessions by the names under which they can be asked for.
    """
    request_id: object = None
    try:
        request = _parsed(line)
        request_id = _checked_id(request.pop("id", None))
        value = _carried_out(request, system, classes)
        return done(request_id, value)
    except SessionRefusal as refused:
        return refusal(request_id, refused.code, str(refused))
    except AskTimeoutError:
        return refusal(request_id, "timeout", "no answer in time; it may be done all the same")
    except SupervisorsError as error:
        return refusal(request_id, getattr(error, "code", "refused"), str(error))
    except Exception:
        logger.exception("a request could not be answered")
        return refusal(request_id, "internal", "something went wrong; see the log of the daemon")


def done(request_id: object, value: object) -> bytes:
    """Return the answer that says yes, as a line."""
    return _line({"id": request_id, "ok": True, "value": _plain(value)})


def refusal(request_id: object, code: str, message: str) -> bytes:
    """Return the answer that says no, as a line."""
    return _line({"id": request_id, "ok": False, "code": code, "message": message})


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        # Decoded here: json would take other encodings, too, by looking at the first bytes.
        request = json.loads(line.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("request", "text", "one JSON object in UTF-8 on a line, with each name once") from error
    if not isinstance(request, dict):
        raise InvalidKind("request", request, "a JSON object")
    return request


def _checked_id(given: object) -> object:
    if isinstance(given, bool) or not (given is None or isinstance(given, (str, int))):
        raise InvalidKind("id", given, "text or an integer, or nothing")
    return given


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; which of two equal names would count differs from program to program, so there are none."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _no_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and infinities are no JSON


class _Operation(NamedTuple):
    run: Callable[..., object]
    required: tuple[str, ...] = ("session",)
    optional: tuple[str, ...] = ()


def _carried_out(request: dict[str, Any], system: SessionSystem, classes: Mapping[str, type[Session]]) -> object:
    name = request.pop("do", None)
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise InvalidValue("do", name, f"one of {', '.join(OPERATIONS)}")
    for field in operation.required:
        if field not in request:
            raise InvalidValue(field, None, f"a value; {name!r} needs one")
    for field in request:
        if field not in operation.required and field not in operation.optional:
            raise InvalidValue("request", field, f"the fields of {name!r}: id, do and {_fields(operation)}")
    if name == "start":
        return _start(system, classes, **{_ARGUMENTS.get(field, field): each for field, each in request.items()})
    return operation.run(system, **request)


_ARGUMENTS: Final = {"class": "session_class"}


def _fields(operation: _Operation) -> str:
    return ", ".join((*operation.required, *operation.optional)) or "no other"


def _start(
    system: SessionSystem,
    classes: Mapping[str, type[Session]],
    session: str | None = None,
    options: Mapping[str, object] | None = None,
    session_class: str | None = None,
) -> str:
    if session_class is None:
        return system.start_session(session, options)
    known = classes.get(session_class) if isinstance(session_class, str) else None
    if known is None:
        raise InvalidValue("class", session_class, f"one of {', '.join(classes) or 'none: there are no classes'}")
    return system.start_session(session, options, session_class=known)


def _list(system: SessionSystem, after: str = "", limit: int = LIST_MAX) -> list[str]:
    if not isinstance(after, str):
        raise InvalidKind("after", after, "an id")
    bounds.count("limit", limit, most=LIST_MAX)
    ids = sorted(system.live_sessions())
    begin = bisect_right(ids, after)
    return ids[begin : begin + limit]


def _check(system: SessionSystem, session: str, type: str = "requests", cost: float = 1) -> object:  # noqa: A002 - the word of the specification
    is_admitted, seconds = system.check_rate_limit(session, type, cost)
    return {"admitted": is_admitted, "wait": 0.0 if is_admitted else seconds}


OPERATIONS: Final[dict[str, _Operation]] = {
    "ping": _Operation(lambda _system: "pong", ()),
    "start": _Operation(_start, (), ("session", "options", "class")),
    "init": _Operation(
        lambda system, session, metadata: system.init_session(session, metadata), ("session", "metadata")
    ),
    "authenticate": _Operation(
        lambda system, session, credentials: system.authenticate(session, credentials), ("session", "credentials")
    ),
    "activate": _Operation(lambda system, session: system.activate(session)),
    "deactivate": _Operation(lambda system, session: system.deactivate(session)),
    "suspend": _Operation(lambda system, session, reason=None: system.suspend(session, reason), optional=("reason",)),
    "resume": _Operation(lambda system, session: system.resume(session)),
    "touch": _Operation(lambda system, session: system.touch(session)),
    "persist": _Operation(lambda system, session: system.persist(session)),
    "terminate": _Operation(
        lambda system, session, reason=None: system.terminate(session, reason), optional=("reason",)
    ),
    "check": _Operation(_check, optional=("type", "cost")),
    "state": _Operation(lambda system, session: system.get_state(session)),
    "info": _Operation(lambda system, session: system.get_info(session)),
    "count": _Operation(lambda system: len(system.directory), ()),
    "list": _Operation(_list, (), ("after", "limit")),
}
"""By the word in ``do``."""


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _plain(value: object, depth: int = 0) -> object:
    """Return a value as JSON can have it; what it cannot have becomes text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > _DEPTH_MAX:
        return "..."
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name), depth + 1) for each in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): _plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each, depth + 1) for each in value]
    return str(value)
