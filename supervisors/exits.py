"""Exit reasons: why an actor has ended. Reasons are data, never exceptions.

An actor ends with exactly one reason, any value (EXIT-1): `NORMAL` when it was
stopped (EXIT-2), its own choice when it raises `Exit` (EXIT-3). These have a meaning of their own:

===================  =====================================================
`NORMAL`             ended as planned
`SHUTDOWN`           told to stop by its supervisor or system
`Shutdown(detail)`   the same, with something to say
`KILL`               as a *signal*: cannot be trapped (EXIT-7)
`KILLED`             as a *reason*: ended by that signal
`NOPROC`             there was nobody (EXIT-9)
`Crashed(error)`     an exception that nobody caught (EXIT-4)
===================  =====================================================

The first three are orderly (EXIT-6); everything else is abnormal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "KILL",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "Crashed",
    "Shutdown",
    "describe",
    "is_abnormal",
]

NORMAL: Final = "normal"
SHUTDOWN: Final = "shutdown"
KILL: Final = "kill"
KILLED: Final = "killed"
NOPROC: Final = "noproc"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """An orderly end with a detail, OTP's `{shutdown, Term}`."""

    detail: object


@dataclass(frozen=True, slots=True)
class Crashed:
    """An exception ended the actor; its traceback is on the exception."""

    error: BaseException

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


def is_abnormal(reason: object) -> bool:
    """Tell whether a reason counts as a failure (EXIT-6).

    It decides whether a transient child is restarted, whether auto-shutdown
    applies, and whether a crash is reported.
    """
    return not (isinstance(reason, Shutdown) or (isinstance(reason, str) and reason in (NORMAL, SHUTDOWN)))


def describe(reason: object) -> str:
    """Give one line of text for logs and reports; never raises."""
    if isinstance(reason, str):
        return reason
    if isinstance(reason, Shutdown):
        return f"shutdown: {describe(reason.detail)}"
    try:
        return str(reason) if isinstance(reason, Crashed) else repr(reason)
    except Exception:  # noqa: BLE001 - a reason may hold anything, also a broken repr
        return f"<{type(reason).__name__} that cannot be shown>"
