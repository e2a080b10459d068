"""Asking a supervisor: what `supervisor:start_child/2` and its sisters are in OTP.

All functions take the supervisor's ref, its name or a `Via`, and wait for the answer.
On a plain thread a name needs ``system=...``, where it is looked up. There is no time
limit unless one is given, because ending a child takes as long as it takes
(SUP-70). They may be called from any thread and from any actor but the
supervisor's own children *while these start*: there, the supervisor waits.

Raises, besides what each function names: `ActorDeadError` when the supervisor is
dead, which is `"noproc"`, or ends meanwhile; `WrongActorError` when the actor is no
supervisor; `AskTimeoutError` when the time is up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

from supervisors.addressee import Addressee, ref_of
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.supervision.child_spec import ChildSpec, validate_args
from supervisors.supervision.inspection import ChildCounts, ChildRecord, TreeNode
from supervisors.supervision.outcomes import Started, StartIgnored
from supervisors.supervision.requests import Operation

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

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
class Call(NamedTuple):  # quicker to make than a frozen dataclass
    """The message behind the functions here, for asks that do not block.

    Attributes:
        operation: what to do.
        argument: as in `supervisors.supervision.requests.Request`.
        args: for `start_child`, positional arguments behind those of the specification.
    """

    operation: Operation
    argument: Any = None
    args: tuple[Any, ...] = ()


def start_child(
    supervisor: Addressee,
    child: ChildSpec | Mapping[str, Any] | Sequence[Any],
    *,
    args: tuple[Any, ...] = (),
    timeout: float | None = None,
    system: ActorSystem | None = None,
) -> Started | StartIgnored:
    """Start another child (SUP-60 to SUP-62, DYN-2 to DYN-4).

    Args:
        supervisor: its ref, its name, or a `Via`.
        child: its specification; for `simple_one_for_one` the arguments to append.
        args: positional arguments to append to those of a specification, so that very many
            children can be started from one; not for `simple_one_for_one`.
        timeout: seconds to wait; None: without end. A start that has not begun by then never
            does; one that has goes on.
        system: where to look a name up; not needed inside an actor.

    Returns:
        The outcome; its `ref` is the child, or None if the start was ignored.

    Raises:
        InvalidChildSpec: the specification is not valid.
        ChildAlreadyStarted: the id belongs to a running child.
        ChildAlreadyPresent: the id belongs to a child without a process.
        ChildStartFailed: the start function failed.
        TooManyChildren: the supervisor is at its limit.
    """
    call = Call("start_child", child, validate_args(args) if args.__class__ is not tuple else args)
    answer: Started | StartIgnored = _supervisor(supervisor, system).ask(call, timeout=timeout)
    return answer


def terminate_child(
    supervisor: Addressee, child: Any, *, timeout: float | None = None, system: ActorSystem | None = None
) -> None:
    """End a child and return when it is gone (SUP-63, SUP-64, DYN-7).

    Args:
        supervisor: its ref, its name, or a `Via`.
        child: its id; its ref where children are dynamic.
        timeout: seconds to wait; None: without end.
        system: where to look a name up; not needed inside an actor.

    Raises:
        ChildNotFound: there is no such child.
        NotForDynamicChildren: an id was given where children have none.
    """
    _supervisor(supervisor, system).ask(Call("terminate_child", child), timeout=timeout)


def restart_child(
    supervisor: Addressee, child_id: Any, *, timeout: float | None = None, system: ActorSystem | None = None
) -> Started | StartIgnored:
    """Start a child that has no process (SUP-65); `timeout` is in seconds.

    Raises:
        ChildRunning: it has one.
        ChildIsRestarting: it is about to have one.
        ChildNotFound: there is no such child.
        ChildStartFailed: the start function failed; the child stays as it was.
        NotForDynamicChildren: children of this supervisor have no ids.
    """
    return cast(
        "Started | StartIgnored", _supervisor(supervisor, system).ask(Call("restart_child", child_id), timeout=timeout)
    )


def delete_child(
    supervisor: Addressee, child_id: Any, *, timeout: float | None = None, system: ActorSystem | None = None
) -> None:
    """Forget a child that has no process (SUP-66); refuses as `restart_child()` does."""
    _supervisor(supervisor, system).ask(Call("delete_child", child_id), timeout=timeout)


def which_children(
    supervisor: Addressee, *, timeout: float | None = None, system: ActorSystem | None = None
) -> tuple[ChildRecord, ...]:
    """Return a record per child, the last started first; dynamic ones in any order (SUP-67, DYN-8).

    Arguments and errors are as of `terminate_child()`: `timeout` is in seconds.
    """
    return cast("tuple[ChildRecord, ...]", _supervisor(supervisor, system).ask(Call("which_children"), timeout=timeout))


def count_children(
    supervisor: Addressee, *, timeout: float | None = None, system: ActorSystem | None = None
) -> ChildCounts:
    """Return how many children there are, by kind (SUP-68, DYN-8); otherwise as `which_children()`."""
    return cast("ChildCounts", _supervisor(supervisor, system).ask(Call("count_children"), timeout=timeout))


def get_childspec(
    supervisor: Addressee, child: Any, *, timeout: float | None = None, system: ActorSystem | None = None
) -> ChildSpec:
    """Return the full specification of a child (SPEC-12); `timeout` is in seconds.

    Raises:
        ChildNotFound: there is no such child.
    """
    return cast("ChildSpec", _supervisor(supervisor, system).ask(Call("get_childspec", child), timeout=timeout))


def supervision_tree(
    supervisor: Addressee, *, timeout: float | None = None, system: ActorSystem | None = None
) -> TreeNode:
    """Return the tree below a supervisor; children in start order. As a text it is drawn: ``print(tree)``.

    Every supervisor is asked once, one after the other: a snapshot of each, not of
    all at one moment. One that ends meanwhile is shown without its children.
    """
    ref = _supervisor(supervisor, system)
    return TreeNode(_label(None, ref, "running"), _below(ref, timeout, frozenset({ref})))


def _below(supervisor: ActorRef[Any], timeout: float | None, above: frozenset[ActorRef[Any]]) -> tuple[TreeNode, ...]:
    nodes = []
    for record in reversed(which_children(supervisor, timeout=timeout)):
        children: tuple[TreeNode, ...] = ()
        ref = record.ref
        # Any actor may stand there as a supervisor; only one of ours knows the question.
        if record.type == "supervisor" and ref is not None and Call in ref.actor_class.client_messages:
            try:
                # Somebody may be its own ancestor; once is enough.
                children = (TreeNode("..."),) if ref in above else _below(ref, timeout, above | {ref})
            except ActorDeadError:
                children = ()
        nodes.append(TreeNode(_label(record.id, ref, record.state), children))
    return tuple(nodes)


def _label(child_id: object, ref: ActorRef[Any] | None, state: str) -> str:
    shown = _on_one_line(child_id)
    if ref is None:
        return f"{shown} ({state})"
    who = _on_one_line(ref.name) if ref.name is not None else ref.actor_class.__name__
    return who if child_id is None or shown == who else f"{shown} ({who})"


def _on_one_line(name: object) -> str:
    """Write an id or a name so that it breaks no drawing; its own code may raise."""
    try:
        text = str(name)
    except Exception:  # noqa: BLE001 - whatever it is, the tree can be drawn
        return f"<{type(name).__name__}>"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _supervisor(supervisor: Addressee, system: ActorSystem | None) -> ActorRef[Any]:
    if supervisor.__class__ is ActorRef and Call in supervisor.actor_class.client_messages and supervisor.is_alive():
        return supervisor  # what nearly everybody gives, without another call
    return ref_of(supervisor, Call, "a supervisor", field="supervisor", system=system)
