"""What a session uses, added up and held against its quota.

Updates are deltas. Reaching a limit is legal, going over it is refused and
changes nothing. Only growth is held against a quota: one that was set below what
is used already must not keep a session from closing its connections.
"""

from __future__ import annotations

from typing import NoReturn

from sessionactors.bounds import COUNT_MAX
from sessionactors.decisions.activity import RESUMED
from sessionactors.decisions.moves import move
from sessionactors.effects import NOTHING, Audit, Effects, Refuse
from sessionactors.errors import InvalidKind, InvalidQuota, InvalidValue, QuotaExceeded
from sessionactors.operations import Deltas
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota

__all__ = ["resume_for", "set_quota", "update_resources"]


def update_resources(data: SessionData, now: float, deltas: Deltas | tuple[int, int, int, int]) -> Effects:
    """Add what a request has used; this is the most frequent operation of all."""
    try:
        requests, connections, size, message = deltas
    except (TypeError, ValueError):
        raise InvalidKind("deltas", deltas, "four integers, see Deltas") from None
    if not type(requests) is type(connections) is type(size) is type(message) is int:
        _refuse_kinds(deltas)
    total_requests = data.requests + requests
    total_connections = data.connections + connections
    total_bytes = data.bytes + size
    if total_requests < 0 or total_bytes < 0 or message < 0:
        _refuse_sums(data, deltas)
    if total_requests > COUNT_MAX or total_connections > COUNT_MAX or total_bytes > COUNT_MAX or message > COUNT_MAX:
        _refuse_sums(data, deltas)
    # A closing may be reported twice, or for a connection of before a restart,
    # so connections stop at zero where the other sums refuse.
    if total_connections < 0:  # noqa: PLR1730 - a call of max() costs as much as three of these checks
        total_connections = 0

    quota = data.quota
    limit = quota.max_requests
    if limit is not None and total_requests > limit and requests > 0:
        return _over("requests", data.requests, limit, requests)
    limit = quota.max_connections
    if limit is not None and total_connections > limit and connections > 0:
        return _over("connections", data.connections, limit, connections)
    limit = quota.max_message_size
    if limit is not None and message > limit:
        return _over("message_size", 0, limit, message)

    data.requests = total_requests
    data.connections = total_connections
    data.bytes = total_bytes
    if message > data.largest_message:  # noqa: PLR1730 - the same
        data.largest_message = message
    data.last_activity = now
    every = data.options.audit_requests_every
    if every and total_requests % every < requests:
        return _sample(data)
    return NOTHING


def resume_for(data: SessionData, now: float, deltas: tuple[int, int, int, int]) -> Effects:
    """Make an idle session active for a request, unless that is over the quota: a refusal is no activity."""
    counted = update_resources(data, now, deltas)
    if counted and counted[-1].__class__ is Refuse:
        return counted
    move(data, RESUMED.logged, now)  # type: ignore[arg-type]  # it is a transition
    return (*RESUMED, *counted)


def set_quota(data: SessionData, _now: float, quota: object) -> Effects:
    """Replace the whole quota."""
    if not isinstance(quota, Quota):
        raise InvalidQuota("quota", quota, "a Quota")
    data.quota = quota
    return (Audit("resource", "quota_updated", "info", quota.as_dict()),)


def _over(dimension: str, used: int, limit: int, wanted: int) -> Effects:
    facts = {"dimension": dimension, "used": used, "limit": limit, "wanted": wanted}
    exceeded = Audit("resource", "quota_exceeded", "warning", facts)
    return (exceeded, Refuse(QuotaExceeded(dimension, used, limit, wanted)))


def _sample(data: SessionData) -> Effects:
    """Audit the totals, so that no use is missing from the log even though not every update is there."""
    totals = {"requests": data.requests, "connections": data.connections, "bytes": data.bytes}
    return (Audit("resource", "resources_updated", "info", totals),)


def _refuse_kinds(deltas: tuple[object, ...]) -> None:
    """Refuse what is no integer; subclasses of int, except bool, are let through."""
    for name, value in zip(Deltas._fields, deltas, strict=True):
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidKind(name, value, "an integer")


def _refuse_sums(data: SessionData, deltas: tuple[int, int, int, int]) -> NoReturn:
    requests, connections, size, message = deltas
    for name, used, delta in (("requests", data.requests, requests), ("bytes", data.bytes, size)):
        if not 0 <= used + delta <= COUNT_MAX:
            raise InvalidValue(name, delta, f"from {-used} to {COUNT_MAX - used}, so that the sum stays in bounds")
    if data.connections + connections > COUNT_MAX:
        raise InvalidValue("connections", connections, f"up to {COUNT_MAX - data.connections}")
    raise InvalidValue("message_size", message, f"0 to {COUNT_MAX} bytes")
