"""The borrower's side of a resource pool: ask for a resource, use it here, give it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from supervisors.addressee import Addressee, ref_of
from supervisors.callbacks import Throw
from supervisors.errors import Exit, InvalidTypeError, UsageError
from supervisors.pools.errors import CheckoutTimeoutError
from supervisors.runtime.futures import checked_timeout
from supervisors.runtime.outcomes import AskTimeoutError
from supervisors.runtime.turn import current_ref

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["Cancel", "Checkin", "Checkout", "Loan", "LoanOverError", "Skipped", "Update", "borrow"]

R = TypeVar("R")


class LoanOverError(UsageError):
    """The loan has been given back."""


@final
class Checkout:
    """Asks for a resource; the object is what names the request afterwards."""

    __slots__ = ("borrower", "command", "deadline")

    def __init__(self, command: Any, borrower: ActorRef[Any] | None, deadline: float | None) -> None:
        self.command = command
        self.borrower = borrower
        self.deadline = deadline  # monotonic, seconds; None: none


@final
class Checkin:
    """Gives a resource back."""

    __slots__ = ("client_state", "request")

    def __init__(self, request: Checkout, client_state: Any) -> None:
        self.request = request
        self.client_state = client_state


@final
class Cancel:
    """Says that a request is over, and with it the resource it may have got."""

    __slots__ = ("reason", "request")

    def __init__(self, request: Checkout, reason: str) -> None:
        self.request = request
        self.reason = reason


@final
class Update:
    """Tells the pool something about a resource that is lent."""

    __slots__ = ("message", "request")

    def __init__(self, request: Checkout, message: Any) -> None:
        self.request = request
        self.message = message


@final
class Skipped:
    """Stands for an exception among the answers: the pool itself has raised nothing."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


@final
class Loan:
    """What a borrower's function gets.

    Attributes:
        state: what `handle_checkout()` has lent; what is here when the function
            returns goes to `handle_checkin()`.

    Thread: the borrower's.
    """

    __slots__ = ("_pool", "_request", "state")

    def __init__(self, pool: ActorRef[Any], request: Checkout, state: Any) -> None:
        self._pool: ActorRef[Any] | None = pool
        self._request: Final = request
        self.state = state

    def update(self, message: Any) -> None:
        """Have the keeper's `handle_update()` called with a message; never blocks.

        Raises:
            LoanOverError: the function has returned.
        """
        if self._pool is None:
            raise LoanOverError("the resource has been given back; update() works in the borrower's function only")
        self._pool.send(Update(self._request, message))

    def end(self) -> None:
        """Note that the function has returned; called by `borrow()`."""
        self._pool = None

    def __repr__(self) -> str:
        return f"<Loan {'over' if self._pool is None else f'of {self._pool}'}>"


def borrow(
    pool: Addressee,
    function: Callable[[Loan], R],
    command: Any = None,
    *,
    timeout: float | None = 5.0,
    system: ActorSystem | None = None,
) -> R:
    """Run a function with a resource of a pool, on this thread, and give the resource back (NPOOL-3).

    Who has waited longest is served first, with the resource that has been idle longest.

    Args:
        pool: its ref, its name, or a `Via`.
        function: gets a `Loan`; what it returns is returned. When it raises, the resource
            is removed, and the exception goes on (NPOOL-5).
        command: for the keeper's `handle_checkout()`.
        timeout: seconds to wait for a resource; None: without end.
        system: where to look a name up; not needed inside an actor.

    Raises:
        CheckoutTimeoutError: none became free in time; the request is withdrawn (NPOOL-4).
        ActorDeadError: the pool is not there (`"noproc"`), or has ended meanwhile.
        Exception: what the keeper has answered with a `Skip`, or the function has raised.

    Thread: any, but not the pool's own turn.
    """
    if not callable(function):
        raise InvalidTypeError("function", function, "a function of a Loan")
    limit = checked_timeout(timeout)
    ref = ref_of(pool, Checkout, "a ResourcePool", field="pool", system=system)
    deadline = None if limit is None else ref.system.clock.monotonic() + limit
    request = Checkout(command, current_ref(), deadline)  # type: ignore[arg-type]  # the cells of users are refs
    try:
        answer = ref.ask(request, timeout=limit)
    except AskTimeoutError:
        ref.send(Cancel(request, "timeout"))
        assert limit is not None, "a wait without a limit does not run out of time"
        raise CheckoutTimeoutError(limit) from None
    except BaseException:
        ref.send(Cancel(request, "error"))  # Ctrl-C: whatever it may have got goes back
        raise
    if isinstance(answer, Skipped):
        raise answer.error
    loan = Loan(ref, request, answer)
    try:
        result = function(loan)
    except BaseException as error:
        ref.send(
            Cancel(request, "exit" if isinstance(error, Exit) else "throw" if isinstance(error, Throw) else "error")
        )
        raise
    finally:
        loan.end()
    ref.send(Checkin(request, loan.state))
    return result
