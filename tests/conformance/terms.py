"""Erlang terms as the recordings write them, and our exit reasons.

=========================  =======================
recorded                   ours
=========================  =======================
``"boom"``                 ``"boom"``
``{"t": ["shutdown", X]}`` ``Shutdown(X)``
``{"t": [X, "*"]}``        ``Crashed(RaisedError(X))``
``{"t": [X, Y...]}``       ``(X, Y...)``
=========================  =======================

The third only in one direction: a recording never asks for a stack trace.
"""

from __future__ import annotations

from typing import Any, Final

from supervisors import Crashed, Shutdown

__all__ = ["STACK", "RaisedError", "from_term", "to_term"]

STACK: Final = "*"
"""Stands for every stack trace."""


class RaisedError(Exception):
    """What a replayed process raises where the recorded one raised an error."""

    def __init__(self, term: Any) -> None:
        self.term = term
        super().__init__(term)


def from_term(term: Any) -> Any:
    """Return our value for a recorded term."""
    if isinstance(term, list):
        return [from_term(each) for each in term]
    if not isinstance(term, dict):
        return term
    if set(term) != {"t"}:
        raise ValueError(f"no term: {term}")
    parts = [from_term(each) for each in term["t"]]
    if len(parts) == 2 and parts[0] == "shutdown":
        return Shutdown(parts[1])
    return tuple(parts)


def to_term(value: Any) -> Any:
    """Return how a recording would write our value."""
    if isinstance(value, Shutdown):
        return {"t": ["shutdown", to_term(value.detail)]}
    if isinstance(value, Crashed):
        error = value.error
        return {"t": [to_term(error.term) if isinstance(error, RaisedError) else repr(error), STACK]}
    if isinstance(value, tuple):
        return {"t": [to_term(each) for each in value]}
    if isinstance(value, list):
        return [to_term(each) for each in value]
    return value
