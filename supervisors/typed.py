"""Messages that say what the reply to them is, for type checkers.

::

    @dataclass(frozen=True)
    class Withdraw(Request[int]):
        amount: int

    left = account.ask(Withdraw(5))  # known to be an int

At run time the base class does nothing: such a message is what its subclass makes
of it. Messages of any other class can be asked as before, and their replies are `Any`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Request"]

R_co = TypeVar("R_co", covariant=True)


class Request(Generic[R_co]):
    """Base of messages whose replies have a known type, the argument of the class."""

    __slots__ = ()
