"""Where a replay first differs from a recording."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference"]


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


def _shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
