"""What can be asked of a supervisor, and how it says no.

::

    Refusal
    ├── InvalidChildSpec             (child_spec) the specification is not valid
    └── SupervisorRefusal
        ├── ChildNotFound            no child of that id or reference
        ├── ChildAlreadyStarted      the id is taken by a running child
        ├── ChildAlreadyPresent      the id is taken by a child without a process
        ├── ChildRunning             only possible while the child is stopped
        ├── ChildIsRestarting        likewise, and it is being restarted
        ├── ChildStartFailed         the start function failed
        ├── TooManyChildren          the supervisor is at `max_children`
        └── NotForDynamicChildren    children of this supervisor have no ids

`why` is OTP's error term as a value, so that programs and recorded runs can
compare it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from supervisors.errors import Refusal
from supervisors.exits import describe
from supervisors.supervision.child_spec import ChildSpec

__all__ = [
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildIsRestarting",
    "ChildNotFound",
    "ChildRunning",
    "ChildStartFailed",
    "NotForDynamicChildren",
    "Operation",
    "Request",
    "SupervisorRefusal",
    "TooManyChildren",
]

Operation = Literal[
    "start_child",
    "terminate_child",
    "restart_child",
    "delete_child",
    "which_children",
    "count_children",
    "get_childspec",
]


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One request to a supervisor; answered in its turn among the exits (SUP-71).

    Attributes:
        operation: what to do.
        argument: a specification (or, with one shared specification, the extra
            arguments) for `start_child`; an id or a reference for the others;
            None for `which_children` and `count_children`.
        reply_to: whoever wants the answer; the core only hands it back.
    """

    operation: Operation
    argument: Any
    reply_to: Any


class SupervisorRefusal(Refusal):
    """A supervisor says no; nothing has changed.

    Attributes:
        why: OTP's error term as a value.
    """

    code = "supervisor_refusal"

    def __init__(self, message: str, why: object) -> None:
        self.why = why
        super().__init__(message)


@final
class ChildNotFound(SupervisorRefusal):
    """The supervisor has no such child (SUP-63, SUP-64)."""

    code = "not_found"

    def __init__(self, child: object) -> None:
        self.child = child
        super().__init__(f"no child {child!r}", "not_found")


@final
class ChildAlreadyStarted(SupervisorRefusal):
    """A child of that id is running (SUP-61).

    Attributes:
        child_id: the id.
        ref: the running child.
    """

    code = "already_started"

    def __init__(self, child_id: object, ref: object) -> None:
        self.child_id = child_id
        self.ref = ref
        super().__init__(f"child {child_id!r} is running already", ("already_started", ref))


@final
class ChildAlreadyPresent(SupervisorRefusal):
    """A child of that id is known and has no process (SUP-61): restart or delete it."""

    code = "already_present"

    def __init__(self, child_id: object) -> None:
        self.child_id = child_id
        super().__init__(
            f"child {child_id!r} is there already, not running: restart_child() or delete_child() it", self.code
        )


@final
class ChildRunning(SupervisorRefusal):
    """The child has a process (SUP-65, SUP-66): terminate it first."""

    code = "running"

    def __init__(self, child_id: object) -> None:
        self.child_id = child_id
        super().__init__(f"child {child_id!r} is running: terminate_child() it first", self.code)


@final
class ChildIsRestarting(SupervisorRefusal):
    """The child is between two restart attempts (SUP-29)."""

    code = "restarting"

    def __init__(self, child_id: object) -> None:
        self.child_id = child_id
        super().__init__(f"child {child_id!r} is being restarted: terminate_child() calls that off", self.code)


@final
class ChildStartFailed(SupervisorRefusal):
    """The start function failed; nothing is kept of the child (SUP-60, SUP-65).

    Attributes:
        reason: the start error, any value.
        child: the specification at fault where OTP puts it into its answer
            (`start_child` of a new id), else None.
        why: `reason` alone, or the tuple (reason, id) where `child` is given.
    """

    code = "start_failed"

    def __init__(self, reason: object, child: ChildSpec | None = None) -> None:
        self.reason = reason
        self.child = child
        why = reason if child is None else (reason, child.id)
        super().__init__(f"the child did not start: {describe(reason)}", why)


@final
class TooManyChildren(SupervisorRefusal):
    """The supervisor has `max_children` children (DYN-4)."""

    code = "max_children"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the supervisor has {limit} children, which is its limit", self.code)


@final
class NotForDynamicChildren(SupervisorRefusal):
    """Children of this supervisor are named by reference, not by id (SUP-64, SUP-65)."""

    code = "simple_one_for_one"

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation}() by id is not possible here: dynamic children have no ids", self.code)
