"""The root of all refusals of the session system: an answer of no, with a code.

Source: decision 5.
"""

from __future__ import annotations

from supervisors.errors import Refusal

__all__ = ["SessionActorsError", "SessionRefusal"]


class SessionActorsError(Exception):
    """Root of every exception that this package raises by itself."""


class SessionRefusal(SessionActorsError, Refusal):  # noqa: N818 - a refusal is an answer, not an error
    """The session system says no, and nothing has been changed by that answer.

    Attributes:
        code: the specification's name for the reason.
    """

    code = "refused"

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call `__init__` with the finished message, but the
        # subclasses build their message from facts.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[SessionRefusal], args: tuple[object, ...], facts: dict[str, object]) -> SessionRefusal:
    refusal = cls.__new__(cls, *args)
    refusal.args = args
    refusal.__dict__.update(facts)
    return refusal
