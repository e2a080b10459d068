"""What the process of one session may use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SandboxLimits"]


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one sandbox may use.

    Attributes:
        memory: bytes on top of what the process had before the handler; None is unlimited.
        cpu: percent of one core; None is unlimited.
        deadline: seconds that a request may take when it names no deadline of its own.
    """

    memory: int | None = None
    cpu: float | None = None
    deadline: float = 5.0
