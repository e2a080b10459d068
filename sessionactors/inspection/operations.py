"""What other processes can ask of a session inspector, besides what they can ask of any.

============  ==============================================  ===================================
``do``        arguments (all but session may be left out)     value
============  ==============================================  ===================================
``sessions``  limit, after, state, match                      lines of up to 200 sessions each
``session``   session, timeout                                everything about it
``suspend``   session, reason, timeout                        the state after it
``resume``    session, reason, timeout                        the state after it
``terminate`` session, reason, timeout                        the state after it
``limits``    session, timeout                                limits and how far they are used
``audit``     count, after, follow                            lines of entries; with follow: for ever
============  ==============================================  ===================================

A ``ref`` may be a session's id as well.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from sessionactors import bounds
from sessionactors.errors import InvalidKind
from sessionactors.inspection.inspector import ROWS_MAX, TAIL_MAX, SessionInspector
from supervisors.inspection.door import Caller, Operation
from supervisors.inspection.inspector import PAGE_ROWS, STATE_TIMEOUT
from supervisors.inspection.operations import actor_operations
from supervisors.inspection.wire import VERSION

if TYPE_CHECKING:
    from sessionactors.inspection.inspector import SessionRow

__all__ = ["session_operations"]

_SESSIONS_MAX: Final = 10_000_000  # in all lines of an answer
_FOLLOW: Final = 0.5  # seconds between two looks at the log of somebody who follows it


def session_operations(inspector: SessionInspector) -> dict[str, Operation]:
    """Return what can be asked of a session inspector."""
    operations = {
        name: _with_sessions(operation, inspector) for name, operation in actor_operations(inspector.actors).items()
    }

    def sessions(_caller: Caller, limit: int = 100, **wanted: Any) -> Iterator[object]:
        bounds.count("limit", limit, most=_SESSIONS_MAX)
        first = inspector.sessions(limit=min(limit, PAGE_ROWS), **wanted)
        return _pages(inspector, first, limit, wanted)

    def audit(caller: Caller, count: int = 20, after: int | None = None, follow: bool = False) -> Iterator[object]:
        if not isinstance(follow, bool):
            raise InvalidKind("follow", follow, "true or false")
        first = inspector.audit_tail(count, after=after)
        return _entries(inspector, caller, first, follow=follow, after=after)

    operations |= {
        "state": Operation(
            lambda _caller, ref, timeout=STATE_TIMEOUT: inspector.state(ref, timeout=timeout), ("ref",), ("timeout",)
        ),
        "hello": Operation(lambda _caller: {"v": VERSION, "pid": os.getpid(), "operations": sorted(operations)}),
        "sessions": Operation(sessions, (), ("limit", "after", "state", "match")),
        "session": Operation(
            lambda _caller, session, timeout=STATE_TIMEOUT: inspector.session(session, timeout=timeout),
            ("session",),
            ("timeout",),
        ),
        "limits": Operation(
            lambda _caller, session=None, timeout=STATE_TIMEOUT: inspector.limits(session, timeout=timeout),
            (),
            ("session", "timeout"),
        ),
        "audit": Operation(audit, (), ("count", "after", "follow")),
    }
    for action in ("suspend", "resume", "terminate"):
        operations[action] = Operation(_acting(inspector, action), ("session",), ("reason", "timeout"))
    return operations


def _acting(inspector: SessionInspector, action: str) -> Callable[..., object]:
    def act(caller: Caller, session: str, reason: str = "", timeout: float = STATE_TIMEOUT) -> object:
        return inspector.act(action, session, admin=_name_of(caller.user), reason=reason, timeout=timeout)

    return act


def _name_of(user: int | None) -> str:
    """Return under which name the audit log has what somebody does."""
    if user is None:
        return "operator"
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _with_sessions(operation: Operation, inspector: SessionInspector) -> Operation:
    """Have an operation take a session's id where it takes a reference to an actor."""
    if "ref" not in operation.required and "ref" not in operation.optional:
        return operation

    def run(caller: Caller, **arguments: Any) -> object:
        if arguments.get("ref") is not None:
            arguments["ref"] = inspector.find(arguments["ref"])
        return operation.run(caller, **arguments)

    return operation._replace(run=run)


def _pages(
    inspector: SessionInspector, page: list[SessionRow], limit: int, wanted: dict[str, Any]
) -> Iterator[list[SessionRow]]:
    while page:
        yield from (page[begin : begin + PAGE_ROWS] for begin in range(0, len(page), PAGE_ROWS))
        limit -= len(page)
        if limit <= 0:
            return
        # Larger than a line, because each page costs a walk over the ids of all.
        page = inspector.sessions(limit=min(limit, ROWS_MAX), **{**wanted, "after": page[-1].number})


def _entries(
    inspector: SessionInspector,
    caller: Caller,
    entries: list[dict[str, Any]],
    *,
    follow: bool,
    after: int | None,
) -> Iterator[list[dict[str, Any]] | None]:
    last = -1 if after is None else after
    while True:
        if entries:
            last = entries[-1]["sequence"]
        yield entries or None  # nothing is a sign of life
        if not follow or (len(entries) < TAIL_MAX and caller.pause(_FOLLOW)):
            return
        entries = inspector.audit_tail(TAIL_MAX, after=last)
