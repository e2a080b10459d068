"""The kinds of faults that can be let loose on a live system.

They are those of the simulator, under the same names and with the same meaning, and
some that only processes know. What nobody can do to a running program is left to the
simulator: it owns the machine there.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.simulation.faults import FAULT_KINDS, FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LIVE_KINDS",
    "NEXT_START",
    "NEXT_STRIKE",
    "ONLY_SIMULATED",
    "ON_MESSAGE",
    "ON_PROCESS",
    "ON_SYSTEM",
    "ON_TURN",
    "checked_kind",
]

_PROCESS_KINDS: Final = {
    "process_kill": FaultKind("process", 0.0, True, "a process is killed (SIGKILL)"),
    "process_stop": FaultKind("process", 0.0, True, "a process stands still (SIGSTOP) and goes on later (SIGCONT)"),
    "process_memory": FaultKind("process", 0.0, True, "a process gets no more memory for a while (RLIMIT_AS)"),
    "process_files": FaultKind("process", 0.0, True, "a process can open no more files for a while (RLIMIT_NOFILE)"),
}

ONLY_SIMULATED: Final = frozenset(
    name for name, kind in FAULT_KINDS.items() if kind.point.startswith("process") and name not in _PROCESS_KINDS
)
"""Kinds that need a machine of their own."""

LIVE_KINDS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {**{name: kind for name, kind in FAULT_KINDS.items() if name not in ONLY_SIMULATED}, **_PROCESS_KINDS}
)
"""Every kind that a live system can be given, by name."""

ON_PROCESS: Final = frozenset(_PROCESS_KINDS)
"""Done to a process by a signal or a limit."""

ON_TURN: Final = frozenset(
    {
        "crash_after",
        "crash_before",
        "crash_in_cleanup",
        "hang",
        "lose_reply",
        "reorder_message",
        "slow_cleanup",
        "slow_reply",
        "slow_turn",
    }
)
"""Laid on an actor; happens in its next turn, its next ask, or its cleanup."""

ON_MESSAGE: Final = frozenset(
    {
        "crash_inside",
        "delay_message",
        "drop_message",
        "duplicate_message",
        "mailbox_full",
        "timer_late",
        "timer_lost",
    }
)
"""Laid on an actor; happens to the next message that it is sent, or sends."""

NEXT_START: Final = frozenset({"crash_in_init", "crash_in_start", "slow_start"})
"""Laid on a class; happens to the next actor of it that starts."""

NEXT_STRIKE: Final = frozenset(name for name, kind in FAULT_KINDS.items() if kind.point in ("store", "fsync"))
"""Laid on the program's own disk, which asks `Chaos.strikes()`."""

ON_SYSTEM: Final = frozenset({"clock_jump", "netsplit", "partition", "pause"})
"""Done to all actors at once."""


def checked_kind(field: str, kind: object) -> str:
    """Return the name of a kind that a live system can be given.

    Raises:
        InvalidTypeError, InvalidArgumentError: it is none; names the field.
    """
    if not isinstance(kind, str):
        raise InvalidTypeError(field, kind, "the name of a kind of fault")
    if kind in ONLY_SIMULATED:
        raise InvalidArgumentError(field, kind, "kinds that need no machine of their own; this one is simulated only")
    if kind not in LIVE_KINDS:
        raise InvalidArgumentError(field, kind, ", ".join(LIVE_KINDS))
    return kind
