"""Verbs of a service: which function a message `(verb, argument, ...)` has it call.

Services are found by their names, so anybody can send them anything. A message that is
no verb with its arguments is refused; it crashes nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

__all__ = ["verb_of"]


def verb_of(message: object, verbs: Mapping[str, Callable[..., Any]]) -> Callable[..., Any] | None:
    """Return the function for a message, or None for one that is no verb with as many arguments as it takes.

    Args:
        message: anything.
        verbs: functions by verb; each takes the service first, then so many named arguments, by position.
    """
    if not isinstance(message, tuple) or not message:
        return None
    try:
        function = verbs.get(message[0])
    except TypeError:  # something that can be no key
        return None
    if function is None:
        return None
    least, most = _lengths(function)
    return function if least <= len(message) <= most else None


@cache
def _lengths(function: Callable[..., Any]) -> tuple[int, int]:
    """Return how long a message is at least and at most: the verb stands where the function has the service."""
    parameters = inspect.signature(function).parameters.values()
    return sum(each.default is each.empty for each in parameters), len(parameters)
