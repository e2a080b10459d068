"""The tree of living actors, as their parents started them: nobody is asked.

`supervisors.supervision.calls.supervision_tree()` asks each supervisor, and so knows
of children that do not run; but it waits for one that hangs. This one reads who has
started and linked whom, so it is there at once, whatever the actors do. It is bounded:
of many children a few are shown, and the others are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.inspection.rows import ActorRow, InHand, row_of

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef

__all__ = ["NODES_MAX", "Branch", "branches", "drawn"]

NODES_MAX: Final = 10_000
"""Actors in one answer."""


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """An actor and those that it has started.

    Attributes:
        depth: how many are above it.
        row: what is seen of it.
        hidden: children that are not shown, because there are too many.
    """

    depth: int
    row: ActorRow
    hidden: int


def branches(
    actors: Iterable[ActorRef[Any]],
    below: ActorRef[Any] | None,
    in_hand: Mapping[Cell, InHand],
    restarts: Mapping[int, int],
    *,
    children_max: int,
) -> tuple[Branch, ...]:
    """Return a tree in the order in which it is drawn, each actor before its children.

    Args:
        actors: all that live, in order of start.
        below: the root; None for all that have none above them.
        in_hand: who has a message in hand.
        restarts: by number.
        children_max: children of one actor that are shown; the first ones. Those that have
            children themselves go before the others.
    """
    living = list(actors)
    ids = {ref.id for ref in living}
    children: dict[int, list[ActorRef[Any]]] = {}
    roots: list[ActorRef[Any]] = []
    for ref in living:
        parent = ref.parent
        if parent is not None and parent.id in ids:
            children.setdefault(parent.id, []).append(ref)
        else:
            roots.append(ref)
    found: list[Branch] = []
    # An explicit stack: a tree may be deeper than Python's recursion limit.
    stack = [(0, ref) for ref in reversed([below] if below is not None else roots)]
    while stack and len(found) < NODES_MAX:
        depth, ref = stack.pop()
        mine = children.get(ref.id, [])
        shown = mine[:children_max]
        if len(mine) > children_max:
            # Whoever has children is worth more than one of very many that have none.
            shown = [each for each in mine if each.id in children][:children_max] or shown
        found.append(Branch(depth, row_of(ref, in_hand, restarts), len(mine) - len(shown)))
        stack += [(depth + 1, each) for each in reversed(shown)]
    return tuple(found)


def drawn(branches: Iterable[tuple[int, str, int]]) -> Iterator[str]:
    r"""Draw a tree, one line for each actor, and one for those that are hidden.

    Args:
        branches: depth, text and number of hidden children of each, in order.

    >>> print("\n".join(drawn([(0, "root", 0), (1, "store", 0), (1, "sessions", 2), (2, "alice", 0)])))
    root
    ├── store
    └── sessions
        ├── alice
        └── ... and 2 more
    """
    lines: list[tuple[int, str]] = []
    closing: list[tuple[int, str]] = []
    for depth, text, hidden in branches:
        while closing and closing[-1][0] > depth:
            lines.append(closing.pop())
        lines.append((depth, text))
        if hidden:
            closing.append((depth + 1, f"... and {hidden:,} more"))
    lines += reversed(closing)
    # Whether a line has a sister below is known from below.
    open_at: set[int] = set()
    finished: list[str] = []
    for depth, text in reversed(lines):
        stem = "".join("│   " if level in open_at else "    " for level in range(1, depth))
        finished.append(stem + (("├── " if depth in open_at else "└── ") if depth else "") + text)
        open_at = {level for level in open_at if level < depth} | {depth}
    return reversed(finished)
