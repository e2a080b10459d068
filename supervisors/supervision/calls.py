"""Asking a supervisor: what `supervisor:start_child/2` and its sisters are in OTP.

All functions take the supervisor's ref and wait for the answer. There is no time
limit unless one is given, because ending a child takes as long as it takes
(SUP-70). They may be called from any thread and from any actor but the
supervisor's own children *while these start*: there, the supervisor waits.

Raises, besides what each function names: `ActorDeadError` when the supervisor is
dead or ends meanwhile; `AskTimeoutError` when the time is up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

from supervisors.runtime.ref import ActorRef
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.inspection import ChildCounts, ChildRecord, TreeNode
from supervisors.supervision.outcomes import Started, StartIgnored
from supervisors.supervision.requests import Operation

__all__ = [
    "Call",
    "count_children",
    "delete_child",
    "get_childspec",
    "restart_child",
    "start_child",
    "supervision_tree",
    "terminate_child",
    "which_children",
]


@final
@dataclass(frozen=True, slots=True)
class Call:
    """The message behind the functions here, for asks that do not block.

    Attributes:
        operation: what to do.
        argument: as in `supervisors.supervision.requests.Request`.
    """

    operation: Operation
    argument: Any = None


def start_child(
    supervisor: ActorRef[Any],
    child: ChildSpec | Mapping[str, Any] | Sequence[Any],
    *,
    timeout: float | None = None,
) -> Started | StartIgnored:
    """Start another child (SUP-60 to SUP-62, DYN-2 to DYN-4).

    Args:
        supervisor: the supervisor.
        child: its specification; for `simple_one_for_one` the arguments to append.
        timeout: seconds to wait; None: without end.

    Returns:
        The outcome; its `ref` is the child, or None if the start was ignored.

    Raises:
        InvalidChildSpec: the specification is not valid.
        ChildAlreadyStarted: the id belongs to a running child.
        ChildAlreadyPresent: the id belongs to a child without a process.
        ChildStartFailed: the start function failed.
        TooManyChildren: the supervisor is at its limit.
    """
    return cast("Started | StartIgnored", supervisor.ask(Call("start_child", child), timeout=timeout))


def terminate_child(supervisor: ActorRef[Any], child: Any, *, timeout: float | None = None) -> None:
    """End a child and return when it is gone (SUP-63, SUP-64, DYN-7).

    Args:
        supervisor: the supervisor.
        child: its id; its ref where children are dynamic.
        timeout: seconds to wait; None: without end.

    Raises:
        ChildNotFound: there is no such child.
        NotForDynamicChildren: an id was given where children have none.
    """
    supervisor.ask(Call("terminate_child", child), timeout=timeout)


def restart_child(supervisor: ActorRef[Any], child_id: Any, *, timeout: float | None = None) -> Started | StartIgnored:
    """Start a child that has no process (SUP-65).

    Raises:
        ChildRunning: it has one.
        ChildIsRestarting: it is about to have one.
        ChildNotFound: there is no such child.
        ChildStartFailed: the start function failed; the child stays as it was.
        NotForDynamicChildren: children of this supervisor have no ids.
    """
    return cast("Started | StartIgnored", supervisor.ask(Call("restart_child", child_id), timeout=timeout))


def delete_child(supervisor: ActorRef[Any], child_id: Any, *, timeout: float | None = None) -> None:
    """Forget a child that has no process (SUP-66); refuses as `restart_child()` does."""
    supervisor.ask(Call("delete_child", child_id), timeout=timeout)


def which_children(supervisor: ActorRef[Any], *, timeout: float | None = None) -> tuple[ChildRecord, ...]:
    """Return a record per child, the last started first; dynamic ones in any order (SUP-67, DYN-8)."""
    return cast("tuple[ChildRecord, ...]", supervisor.ask(Call("which_children"), timeout=timeout))


def count_children(supervisor: ActorRef[Any], *, timeout: float | None = None) -> ChildCounts:
    """Return how many children there are, by kind (SUP-68, DYN-8)."""
    return cast("ChildCounts", supervisor.ask(Call("count_children"), timeout=timeout))


def get_childspec(supervisor: ActorRef[Any], child: Any, *, timeout: float | None = None) -> ChildSpec:
    """Return the full specification of a child (SPEC-12).

    Raises:
        ChildNotFound: there is no such child.
    """
    return cast("ChildSpec", supervisor.ask(Call("get_childspec", child), timeout=timeout))


def supervision_tree(supervisor: ActorRef[Any], *, timeout: float | None = None) -> TreeNode:
    """Return the tree below a supervisor, ready for `render_tree()`; children in start order.

    Every supervisor is asked once, one after the other: a snapshot of each, not of
    all at one moment. One that ends meanwhile is shown without its children.
    """
    return TreeNode(_label(None, supervisor, "running"), _below(supervisor, timeout))


def _below(supervisor: ActorRef[Any], timeout: float | None) -> tuple[TreeNode, ...]:
    nodes = []
    for record in reversed(which_children(supervisor, timeout=timeout)):
        children: tuple[TreeNode, ...] = ()
        if record.type == "supervisor" and record.ref is not None and record.ref.is_alive():
            children = _below(record.ref, timeout)
        nodes.append(TreeNode(_label(record.id, record.ref, record.state), children))
    return tuple(nodes)


def _label(child_id: object, ref: ActorRef[Any] | None, state: str) -> str:
    if ref is None:
        return f"{child_id} ({state})"
    who = str(ref.name) if ref.name is not None else ref.actor_class.__name__
    return who if child_id is None or str(child_id) == who else f"{child_id} ({who})"
