"""What outlives the process of the rate limiter's knowledge: debts, throttles and blocks.

Tokens that are merely spent come back by themselves and are not remembered. A debt, a
throttle and a block are, or who is restrained would only have to bring the process down.

**Time.** What is remembered is how long something still lasts, as of a reading of the
monotonic clock. What has passed since is what that clock says, and nothing when it
says less than then: the machine has started anew. Either way that is never more than
has really passed. For if the machine has started anew, all that the clock shows has passed
since then. The wall clock, which people and programs set, is not asked.
"""

from __future__ import annotations

import heapq
from math import inf
from typing import TYPE_CHECKING, Any, Final

from sessionactors.errors import SessionRefusal
from sessionactors.identifiers import parse
from sessionactors.limiter_table import LimiterTable
from sessionactors.limits.guard import Throttle
from sessionactors.limits.token_bucket import BucketLimits, TokenBucket

if TYPE_CHECKING:
    from sessionactors.settings import LimiterSettings
    from sessionactors.storage.limits_file import LimitsFile

__all__ = ["recall", "remember", "table_of"]

_ROW: Final = 5
_GUARD: Final = 4


def table_of(settings: LimiterSettings, file: LimitsFile | None, now: float) -> LimiterTable:
    """Return a table that knows what an earlier process has written down, and where to write itself.

    Args:
        settings: of the limiter.
        file: None forgets everything with the process.
        now: monotonic seconds.
    """
    table = LimiterTable(settings, now)
    if file is not None:
        table.file = file
        recall(table, file.read(), now)
    return table


def remember(table: LimiterTable, now: float, most: int) -> dict[str, object]:
    """Describe debts, throttles and blocks as plain data.

    Args:
        table: what the limiter knows.
        now: monotonic seconds.
        most: entries; beyond that the debts that are paid off soonest are left out.
    """
    at = int(now * 1e9 + 0.5)
    guards = []
    for session_id, guard in table.guards.items():
        throttle = guard.throttle if guard.action(now) is not None else None
        blocked = max(0.0, guard.blocked_until - now)
        if throttle is not None or blocked:
            restraint = (None, 0.0) if throttle is None else (throttle.action, throttle.until - now)
            guards.append([session_id, *restraint, blocked])
    debts: list[tuple[float, list[object]]] = []
    for quota_type, buckets in table.buckets.items():
        for session_id in table.debtors:
            bucket = buckets.get(session_id)
            owed = 0 if bucket is None else bucket.units_missing_at(at) - bucket.limits.full
            if bucket is not None and owed > 0:
                limits = bucket.limits
                # As text: there are more units in a token than fit into eight bytes.
                row = [session_id, quota_type, str(owed), limits.capacity, limits.rate]
                debts.append((owed / limits.speed, row))
    guards = guards[:most]
    kept = heapq.nlargest(most - len(guards), debts, key=lambda each: each[0])
    everybody = table.everybody
    owed_by_all = max(0, everybody.units_missing_at(at) - everybody.limits.full)
    return {"at": now, "guards": guards, "debts": [row for _, row in kept], "everybody": str(owed_by_all)}


def recall(table: LimiterTable, memory: object, now: float) -> int:
    """Take up what an earlier process has remembered; return how many entries that were.

    An entry that makes no sense is left out.

    Args:
        table: a fresh one.
        memory: what `remember()` has returned.
        now: monotonic seconds.
    """
    if not isinstance(memory, dict) or not isinstance(memory.get("at"), float):
        return 0
    elapsed = max(0.0, now - memory["at"])
    taken = 0
    for row in _rows(memory.get("guards"), _GUARD):
        taken += _recall_guard(table, row, now, elapsed)
    for row in _rows(memory.get("debts"), _ROW):
        taken += _recall_debt(table, row, now, elapsed)
    owed = _whole(memory.get("everybody"))
    if owed and table.settings.global_quota_enabled:
        _owe(table.everybody, owed, now, elapsed)
    return taken


def _rows(given: object, size: int) -> list[list[Any]]:
    rows = given if isinstance(given, list) else []
    return [row for row in rows if isinstance(row, list) and len(row) == size]


def _recall_guard(table: LimiterTable, row: list[Any], now: float, elapsed: float) -> bool:
    session_id, action, rest, blocked = row
    try:
        session_id = parse(session_id)
        blocked = float(blocked) - elapsed
        rest = float(rest) - elapsed
        throttle = Throttle(action, now + rest) if action is not None and rest > 0 else None
    except (SessionRefusal, ValueError, TypeError):
        return False
    if throttle is None and not 0 < blocked < inf:
        return False
    guard = table.guard(session_id)
    guard.throttle = throttle
    if 0 < blocked < inf:
        guard.blocked_until = now + blocked
    return True


def _recall_debt(table: LimiterTable, row: list[Any], now: float, elapsed: float) -> bool:
    session_id, quota_type, text, capacity, rate = row
    try:
        session_id = parse(session_id)
        limits = BucketLimits(capacity, rate)
        owed = _whole(text)
        if not isinstance(quota_type, str) or owed <= int(elapsed * 1e9) * limits.speed:
            return False
        bucket = table.add(session_id, quota_type, now, is_live=True)
    except (SessionRefusal, ValueError, TypeError):
        return False
    if limits != table.default:
        bucket.limits = limits
    _owe(bucket, owed, now, elapsed)
    table.debtors.add(session_id)
    return True


def _owe(bucket: TokenBucket, owed: int, now: float, elapsed: float) -> None:
    limits = bucket.limits
    missing = limits.full + owed - int(elapsed * 1e9) * limits.speed
    bucket.hold(max(0, missing), int(now * 1e9 + 0.5))


def _whole(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 100 else 0
