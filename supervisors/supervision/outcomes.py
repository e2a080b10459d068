"""What comes of calling a child's start function (SUP-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

__all__ = ["FailedToStartChild", "Outcome", "StartFailed", "StartIgnored", "Started"]


@final
@dataclass(frozen=True, slots=True)
class Started:
    """The child is up.

    Attributes:
        ref: its reference.
        info: what else the start function returned; kept nowhere, only handed on
            to whoever asked for the start. None: nothing.
    """

    ref: Any
    info: object = None


@final
@dataclass(frozen=True, slots=True)
class StartIgnored:
    """The start function chose not to start anything; not an error (SUP-5).

    Attributes:
        ref: None, so that an answer can be asked for its `ref` in either case.
        info: None, likewise.
    """

    ref: ClassVar[None] = None
    info: ClassVar[None] = None


@final
@dataclass(frozen=True, slots=True)
class StartFailed:
    """The child did not come up; whatever was begun is gone.

    Attributes:
        why: the error, any value.
    """

    why: object


Outcome = Started | StartIgnored | StartFailed


@final
@dataclass(frozen=True, slots=True)
class FailedToStartChild:
    """Why a supervisor did not come up: the detail of its exit reason (SUP-6).

    The reason as a whole is `Shutdown(FailedToStartChild(id, why))`; nested
    supervisors give nested reasons.

    Attributes:
        id: the child at fault.
        why: its start error.
    """

    id: object
    why: object
