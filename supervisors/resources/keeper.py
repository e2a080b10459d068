"""What the author of a resource pool writes: how a resource is made, lent, taken back and ended (NPOOL-1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from supervisors.behaviour import Ignore
from supervisors.errors import InvalidTypeError
from supervisors.server import Stop

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["Cancelled", "Lent", "MadeLater", "Remove", "ResourceKeeper", "Skip", "StopPool"]

Cancelled: TypeAlias = Literal["queued", "checked_out"]
"""Where a request was when its borrower gave up."""


@final
@dataclass(frozen=True, slots=True)
class MadeLater:
    """The resource is made by a function, beside the pool, which goes on meanwhile.

    Attributes:
        function: called without arguments, on another thread; returns the resource.
    """

    function: Callable[[], Any]

    def __post_init__(self) -> None:
        """Check what is given."""
        if not callable(self.function):
            raise InvalidTypeError("function", self.function, "a function without arguments")


@final
@dataclass(frozen=True, slots=True)
class Lent:
    """The resource goes to the borrower.

    Attributes:
        client_state: what the borrower's function finds in its loan.
        resource: what the pool keeps meanwhile.
    """

    client_state: Any
    resource: Any


@final
@dataclass(frozen=True, slots=True)
class Remove:
    """The resource is of no use any more: it is ended, and another one made (NPOOL-7).

    Attributes:
        reason: for `terminate_worker()`.
    """

    reason: object


@final
@dataclass(frozen=True, slots=True)
class Skip:
    """The borrower gets an exception; the resource stays (NPOOL-8).

    Attributes:
        error: what `borrow()` raises.
    """

    error: Exception

    def __post_init__(self) -> None:
        """Check what is given."""
        if not isinstance(self.error, Exception):
            raise InvalidTypeError("error", self.error, "an exception")


@final
@dataclass(frozen=True, slots=True)
class StopPool:
    """The pool ends, with `Shutdown(reason)` (NPOOL-11).

    Attributes:
        reason: the detail of its exit reason.
    """

    reason: object


class ResourceKeeper(ABC):
    """Subclass this; an object of it is the state of one pool.

    All callbacks run in the pool's own turn, one at a time. One that raises counts as
    `Remove(error)` for the resource that it was called with, and is logged (NPOOL-9).
    """

    def init_pool(self, *args: Any, **kwargs: Any) -> Stop | Ignore | None:
        """Set up what all resources share; gets what the pool was started with.

        Returns:
            `IGNORE`, or `Stop(reason)`, not to start.
        """
        del args, kwargs
        return None

    @abstractmethod
    def init_worker(self) -> Any:
        """Make a resource and return it, or `MadeLater(function)`."""

    @abstractmethod
    def handle_checkout(self, command: Any, borrower: ActorRef[Any] | None, resource: Any) -> Lent | Remove | Skip:
        """Lend a resource, or not.

        Args:
            command: what the borrower has said.
            borrower: the actor that wants it; None: a plain thread.
            resource: the one that has been idle longest.

        Returns:
            `Lent(...)`; `Remove(reason)`: the next one is tried for the same borrower; `Skip(error)`.
        """

    def handle_checkin(self, client_state: Any, borrower: ActorRef[Any] | None, resource: Any) -> Any:
        """Take a resource back: return it as it is now, or `Remove(reason)`."""
        del client_state, borrower
        return resource

    def handle_update(self, message: Any, resource: Any) -> Any:
        """Return a resource that is lent as it is now; its borrower has called `Loan.update()`."""
        del message
        return resource

    def handle_info(self, message: Any, resource: Any) -> Any:
        """Handle a message to the pool, for each free resource: return it, or `Remove(reason)` (NPOOL-10)."""
        del message
        return resource

    def handle_enqueue(self, command: Any) -> Any:
        """Return a borrower's command as `handle_checkout()` is to see it, or `Skip(error)`."""
        return command

    def handle_ping(self, resource: Any) -> Any:
        """Look after a resource that is idle: return it, `Remove(reason)`, or `StopPool(reason)` (NPOOL-11)."""
        return resource

    def handle_cancelled(self, where: Cancelled) -> None:
        """Hear that a borrower has given up, or ended, while it waited or had a resource."""
        del where

    def terminate_worker(self, reason: object, resource: Any) -> None:
        """End a resource.

        Args:
            reason: of a `Remove`; `"error"`, `"throw"` or `"exit"`: the borrower's function has
                raised (NPOOL-5); `"DOWN"`: the borrower has ended (NPOOL-6); `"timeout"`: it had
                given up; the pool's own, when it ends.
            resource: as it was last.
        """
        del reason, resource

    def terminate_pool(self, reason: object) -> None:
        """Clean up after the last resource (NPOOL-12)."""
        del reason
