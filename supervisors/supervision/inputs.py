"""What a supervisor core is told: one class per kind of news.

Outcomes of start functions (`supervisors.supervision.outcomes`) and requests
(`supervisors.supervision.requests`) are inputs as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from supervisors.supervision.outcomes import Outcome
from supervisors.supervision.requests import Request

__all__ = ["ChildDown", "ChildExited", "Input", "ParentExited", "RetryRestart", "ShutdownTimeout"]


@final
@dataclass(frozen=True, slots=True)
class ChildExited:
    """An exit message over a link; those of strangers are ignored (SUP-8)."""

    ref: Any
    reason: object


@final
@dataclass(frozen=True, slots=True)
class ChildDown:
    """The monitor of a child that is being ended has fired (SUP-41)."""

    ref: Any
    reason: object


@final
@dataclass(frozen=True, slots=True)
class ShutdownTimeout:
    """The time that children had to end by themselves is up (SUP-40)."""

    token: int


@final
@dataclass(frozen=True, slots=True)
class RetryRestart:
    """The supervisor's message to itself: try that restart again (SUP-26).

    Attributes:
        key: the child's id, or the last reference of a dynamic child.
        attempt: which one of several, where they wait (`Backoff`); an older one than
            the last means nothing any more.
    """

    key: Any
    attempt: int = 0


@final
@dataclass(frozen=True, slots=True)
class ParentExited:
    """An exit signal from the supervisor's own parent: end, with this reason (SUP-48)."""

    reason: object


Input = ChildExited | ChildDown | ShutdownTimeout | RetryRestart | ParentExited | Outcome | Request
