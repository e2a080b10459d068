"""What a supervisor tells about its children, and how a tree is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

from supervisors.supervision.child_spec import ChildType, Modules

__all__ = ["ChildCounts", "ChildRecord", "ChildState", "TreeNode", "render_tree"]

ChildState = Literal["running", "restarting", "stopped"]


@final
@dataclass(frozen=True, slots=True)
class ChildRecord:
    """One child, as `which_children` shows it (SUP-67, DYN-8).

    Attributes:
        id: its id; None for a dynamic child.
        ref: its process; None unless it is running.
        state: `running`; `restarting`: between two restart attempts; `stopped`:
            a specification without a process.
        type: `worker` or `supervisor`.
        modules: as in the specification.
    """

    id: Any
    ref: Any
    state: ChildState
    type: ChildType
    modules: Modules


@final
@dataclass(frozen=True, slots=True)
class ChildCounts:
    """How many children a supervisor has (SUP-68, DYN-8).

    Attributes:
        specs: specifications; 1 where all children share one.
        active: children with a living process.
        supervisors: children of type supervisor, running or not.
        workers: children of type worker, running or not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


@final
@dataclass(frozen=True, slots=True)
class TreeNode:
    """One line of a drawn tree; its text is the whole drawing from here down.

    Attributes:
        label: what the line says.
        children: the nodes below, top down.
    """

    label: str
    children: tuple[TreeNode, ...] = ()

    def __str__(self) -> str:
        return render_tree(self)


def render_tree(root: TreeNode) -> str:
    """Draw a tree, one line per node.

    >>> print(render_tree(TreeNode("root", (TreeNode("store"), TreeNode("services", (TreeNode("limiter"),))))))
    root
    ├── store
    └── services
        └── limiter
    """
    return "\n".join(_lines(root))


def _lines(root: TreeNode) -> Iterator[str]:
    # An explicit stack: a tree may be deeper than Python's recursion limit.
    stack: list[tuple[TreeNode, str, str]] = [(root, "", "")]
    while stack:
        node, prefix, indent = stack.pop()
        yield prefix + node.label
        last = len(node.children) - 1
        for position in range(last, -1, -1):
            is_last = position == last
            stack.append(
                (
                    node.children[position],
                    indent + ("└── " if is_last else "├── "),
                    indent + ("    " if is_last else "│   "),
                )
            )
