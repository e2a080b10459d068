"""Where a replay first differs from a recording, and what counts as a difference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "same"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first step that went otherwise than it was recorded.

    Attributes:
        step: which step, and what of it.
        expected: what was recorded, as JSON data.
        got: what happened instead.
    """

    step: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.step}: expected {_shown(self.expected)}, got {_shown(self.got)}"


def same(recorded: Any, got: Any) -> bool:
    """Tell whether what was recorded and what happened are one, as JSON has it.

    Python finds ``True`` and ``1`` equal. Erlang does not, nor do the recordings.
    """
    return bool(recorded == got) and _has_same_booleans(recorded, got)


def _has_same_booleans(one: Any, other: Any) -> bool:
    """Tell whether booleans stand in the same places of two values that are equal otherwise."""
    if isinstance(one, dict):
        return all(_has_same_booleans(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return all(map(_has_same_booleans, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


def _shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
