"""What isolation says about an account, and what it lets itself be told: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidOption
from sessionactors.isolation_ledger import (
    CONNECTIONS,
    CPU,
    MEMORY,
    MEMORY_METHOD,
    MESSAGES,
    RESOURCES,
    Account,
    IsolationInfo,
    LimitCheck,
    Usage,
    UsageReport,
)

__all__ = ["checked_usage", "limit_check", "session_info", "usage_report"]


def usage_report(account: Account, now: float) -> UsageReport:
    """Return what an account uses of its limits.

    Args:
        account: refreshed.
        now: monotonic seconds.
    """
    memory, cpu, messages, connections = (
        Usage(used, limit, _percent(used, limit)) for used, limit in zip(account.used, account.limits, strict=True)
    )
    return UsageReport(
        memory,
        cpu,
        messages,
        connections,
        account.last_activity,
        now - account.created_at,
        MEMORY_METHOD,
        account.meter is not None,
    )


def session_info(session_id: str, account: Account, now: float) -> IsolationInfo:
    """Return limits and usage of an account; arguments as above."""
    return IsolationInfo(
        session_id=session_id,
        ref=account.ref,
        isolated=account.isolated,
        memory_limit=account.limits[MEMORY],
        memory_used=account.used[MEMORY],
        cpu_limit=account.limits[CPU],
        cpu_used=account.used[CPU],
        message_limit=account.limits[MESSAGES],
        message_count=account.used[MESSAGES],
        connection_limit=account.limits[CONNECTIONS],
        connection_count=account.used[CONNECTIONS],
        created_at=account.created_at,
        last_activity=account.last_activity,
        age=now - account.created_at,
    )


def limit_check(account: Account) -> LimitCheck:
    """Tell which limits an account exceeds."""
    violations = {
        f"{resource}_exceeded": limit is not None and used > limit
        for resource, used, limit in zip(RESOURCES, account.used, account.limits, strict=True)
    }
    return LimitCheck(not any(violations.values()), violations)


def checked_usage(account: Account, usage: object) -> list[tuple[int, float]]:
    """Check a report of usage whole; return places in `Account.reported` with what comes there.

    Args:
        account: whose use it is.
        usage: memory (bytes) and CPU (percent) as they are now, messages and connections as what is added.

    Raises:
        InvalidKind, InvalidOption, InvalidValue: something is wrong with it.
    """
    if not isinstance(usage, Mapping):
        raise InvalidKind("usage", usage, "a mapping of resources to amounts")
    checked: list[tuple[int, float]] = []
    for resource, amount in usage.items():
        if resource not in RESOURCES:
            raise InvalidOption("resource", resource, "one of " + ", ".join(RESOURCES))
        place = RESOURCES.index(resource)
        if place == MEMORY:
            checked.append((place, bounds.count(resource, amount, least=0)))
        elif place == CPU:
            is_nothing = type(amount) in (int, float) and amount == 0
            share = 0.0 if is_nothing else bounds.number(resource, amount, most=102_400.0, unit=" percent")
            checked.append((place, share))
        else:
            added = bounds.count(resource, amount, least=-bounds.COUNT_MAX)
            checked.append((place, min(bounds.COUNT_MAX, max(0, account.reported[place] + added))))
    return checked


def _percent(used: float, limit: float | None) -> float:
    if limit is None:
        return math.inf
    return 100.0 * used / limit if limit > 0 else 0.0
