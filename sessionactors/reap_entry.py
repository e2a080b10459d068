"""What the log says about a session that was reaped, packed without looking at each fact anew."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from sessionactors.audit.record import kind_of, pack_data

__all__ = ["REAPED", "reaped"]

REAPED: Final = "session_reaped"

_KIND: Final = kind_of("lifecycle")
_float: Final[Callable[[float], bytes]] = struct.Struct(">d").pack


def reaped(policy: str, idle: float) -> tuple[int, bytes]:
    """Return kind and data of the event that a policy has ended a session.

    Args:
        policy: its name.
        idle: seconds since the session's last activity.
    """
    before, after = _around_idle_age(policy)
    return _KIND, before + _float(idle) + after


@lru_cache(maxsize=16)
def _around_idle_age(policy: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the one number in which such events differ."""
    packed = pack_data({"event": REAPED, "policy": policy, "idle_age": math.pi})
    before, _, after = packed.partition(_float(math.pi))
    return before, after
