"""Assertions that stay in force under ``python -O`` and carry facts."""

from __future__ import annotations

from supervisors.errors import InternalError

__all__ = ["invariant"]


def invariant(condition: object, message: str, /, **facts: object) -> None:
    """Raise `InternalError` unless the condition holds.

    For control paths: restart decisions, link tables, storage writes. Code that
    runs for every message uses plain ``assert``.

    Args:
        condition: what must be true.
        message: the same in words, stated positively.
        **facts: values that help to understand the failure.

    Raises:
        InternalError: the condition is false.
    """
    if not condition:
        raise InternalError(message, **facts)
