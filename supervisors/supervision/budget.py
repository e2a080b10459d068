"""Ending a whole tree within one budget, with a report (beyond OTP).

In OTP each child has its own limit, and `infinity` is usual for supervisors: how long
a tree takes to end is the sum of what its children take. Whoever deploys has one
number, after which the process is killed from outside. `shut_down()` ends in order
as long as there is time, then kills what is left, and tells which actors these were.

An inline actor runs on a thread of somebody else's, so one whose turn never comes
back cannot be ended, not even by a kill; it is *abandoned*.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

from supervisors.errors import UsageError
from supervisors.exits import SHUTDOWN
from supervisors.runtime.turn import current_ref
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["ShutdownReport", "shut_down"]

logger = logging.getLogger("supervisors.supervisor")


@final
@dataclass(frozen=True, slots=True)
class ShutdownReport:
    """What became of a tree that was shut down.

    Attributes:
        seconds: how long it took.
        killed: actors that were alive when the time was up, and ended when killed.
        abandoned: actors that live on even so, because their turn does not return.
    """

    seconds: float
    killed: tuple[ActorRef[Any], ...] = ()
    abandoned: tuple[ActorRef[Any], ...] = ()

    @property
    def is_orderly(self) -> bool:
        """Whether everybody has ended in time, in order."""
        return not self.killed and not self.abandoned


def shut_down(root: ActorRef[Any], seconds: float, *, kill_seconds: float = 1.0) -> ShutdownReport:
    """End an actor and all that it has started, in order if the time allows it.

    Args:
        root: usually a supervisor; one without a parent, because the parent would
            restart it (there is `terminate_child()`).
        seconds: for the orderly end, 0 or more. Each child's own limit holds too.
        kill_seconds: at most so much longer, for those that had to be killed.

    Raises:
        UsageError: the actor has a living parent that is not the caller.
        InvalidArgumentError: a number of seconds is not valid.

    Thread: any; blocks for at most `seconds` and `kill_seconds`.
    """
    budget = checked_delay("seconds", seconds)
    grace = checked_delay("kill_seconds", kill_seconds)
    system = cast("ActorSystem", root.system)
    parent = root.parent
    if parent is not None and parent.is_alive() and parent is not current_ref():
        raise UsageError(f"{root} has a parent, {parent}: end it there, with terminate_child()")
    clock = system.clock
    began = clock.monotonic()
    ended = root.when_ended()
    root.exit(SHUTDOWN)
    if ended.settle(budget):
        return ShutdownReport(clock.monotonic() - began)
    # The root first, so that nobody below is started again; it was told to end anyhow.
    late = [ref for ref in reversed(system.actors()) if _is_below(ref, root)]
    for ref in (root, *late):
        ref.kill()
    deadline = clock.monotonic() + grace
    for ref in (root, *late):
        ref.when_ended().settle(max(deadline - clock.monotonic(), 0.0))
    abandoned = tuple(ref for ref in (root, *late) if ref.is_alive())
    killed = tuple(ref for ref in (root, *late) if not ref.is_alive())
    report = ShutdownReport(clock.monotonic() - began, killed, abandoned)
    logger.warning(
        "%s did not end within %g seconds: %d killed, %d abandoned", root, budget, len(killed), len(abandoned)
    )
    return report


def _is_below(ref: ActorRef[Any], root: ActorRef[Any]) -> bool:
    above = ref.parent
    while above is not None and above is not root:
        above = above.parent
    return above is root
