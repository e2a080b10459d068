"""The object behind a ref, for those who only look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

from supervisors.runtime.fence import Fence

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell

__all__ = ["actor_of", "inside_of"]


def inside_of(ref: Cell) -> Any:
    """Return what stands in the mailbox: the actor, or what is left of one that hibernates; None for the dead."""
    inside = ref._actor  # noqa: SLF001 - there is no public way that does not ask the actor
    return inside.actor if isinstance(inside, Fence) else inside


def actor_of(ref: Cell) -> Any:
    """Return the actor; None if it is dead, or hibernates."""
    inside = inside_of(ref)
    return inside if isinstance(inside, pykka.Actor) else None
