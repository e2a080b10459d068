"""Restart rules and strategies: who is ended and who is started, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from supervisors.exits import is_abnormal
from supervisors.supervision.child_spec import ChildSpec, RestartType
from supervisors.supervision.flags import Strategy

__all__ = ["RestartPlan", "is_reported", "is_restarted", "restart_plan"]


class _HasSpec(Protocol):
    """Anything with a child specification."""

    @property
    def spec(self) -> ChildSpec:
        """The specification."""
        ...


_C = TypeVar("_C", bound=_HasSpec)


@dataclass(frozen=True, slots=True)
class RestartPlan(Generic[_C]):
    """What a restart does, in order.

    Attributes:
        terminate: siblings to end first, one by one, in this order; those without
            a process are only forgotten if temporary.
        start: children to start then, one by one, in this order.
    """

    terminate: tuple[_C, ...]
    start: tuple[_C, ...]


def is_restarted(restart: RestartType, reason: object) -> bool:
    """Tell whether a child that ended by itself is started again (SUP-9)."""
    if restart == "permanent":
        return True
    return restart == "transient" and is_abnormal(reason)


def is_reported(restart: RestartType, reason: object) -> bool:
    """Tell whether such an end gives a report `child_terminated` (SUP-11)."""
    return restart == "permanent" or is_abnormal(reason)


def restart_plan(strategy: Strategy, children: Sequence[_C], failed: _C) -> RestartPlan[_C]:
    """Work out the restart of one failed child.

    Every specification of the group is started, also those that were not running
    (SUP-15); temporary ones are ended and not started (SUP-16).

    Args:
        strategy: of the supervisor; `simple_one_for_one` is as `one_for_one` (SUP-19).
        children: all children in start order, the failed one among them.
        failed: the child to restart; it has no process.
    """
    if strategy == "one_for_all":
        group = children  # SUP-13
    elif strategy == "rest_for_one":
        group = children[_position(children, failed) :]  # SUP-14
    else:
        return RestartPlan((), (failed,))  # SUP-12
    terminate = tuple(child for child in reversed(group) if child is not failed)
    start = tuple(child for child in group if child is failed or child.spec.restart != "temporary")
    return RestartPlan(terminate, start)


def _position(children: Iterable[_C], failed: _C) -> int:
    # By identity: two children with equal fields are still two children.
    for position, child in enumerate(children):
        if child is failed:
            return position
    raise ValueError("the failed child is not among the children")
