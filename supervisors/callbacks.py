"""What server and state machine agree on about their callbacks.

A callback *returns* a value that says what is to happen, or *throws* it with
`Throw`, or raises: `Exit` ends the actor with a reason, a `Refusal` answers the
caller without crashing, anything else is a crash.
"""

from __future__ import annotations

from supervisors.errors import Refusal, SupervisorsError

__all__ = ["BadReturnError", "Throw", "UnaskedRefusalError", "UndefinedCallbackError"]


class Throw(SupervisorsError):  # noqa: N818 - a return by another way, not an error
    """Raise this in a callback to return from below (STM-6, SRV-9).

    Attributes:
        result: counts as returned by the callback.
    """

    def __init__(self, result: object) -> None:
        self.result = result
        super().__init__(result)


class BadReturnError(SupervisorsError, TypeError):
    """A callback returned something that means nothing there (STM-7, SRV-10, PROC-6).

    Attributes:
        value: what it returned.
    """

    def __init__(self, value: object, allowed: str) -> None:
        self.value = value
        super().__init__(f"a callback returned {value!r}; allowed: {allowed}")


class UndefinedCallbackError(SupervisorsError, NotImplementedError):
    """A callback is needed and the class does not define it (SRV-17).

    Attributes:
        name: of the callback.
    """

    def __init__(self, owner: object, name: str) -> None:
        self.name = name
        super().__init__(f"{type(owner).__name__} needs a method {name}()")


class UnaskedRefusalError(SupervisorsError):
    """A callback has refused something that nobody had asked for.

    A refusal is an answer. In the callback of a cast, a plain message or a time-out
    there is nobody to get it, so it is an error like any other (SRV-11, STM-47):
    dropping it would hide that the work was not done.

    Attributes:
        refusal: what was raised.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(f"nobody had asked, and the callback refused: {refusal}")
