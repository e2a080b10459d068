"""OpenTelemetry spans for sessions: one for each message, and one for each transition; the extra ``otel``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessionactors.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisors.telemetry.tracing import Tracing

__all__ = ["trace_sessions"]


def trace_sessions(tracing: Tracing, classes: Iterable[type[Session]] = ()) -> None:
    """Make a span for each message of a session, and one inside for each transition.

    Args:
        tracing: that was started.
        classes: classes derived from `Session` that have a `receive_ask()` or `receive_tell()` of
            their own; the others are traced as sessions.

    Raises:
        InvalidTypeError: one of them is no class of actors.
        UsageError: it was not started, or is closed.
    """
    chosen: list[type[Session]] = [Session, *classes]
    for actor_class in chosen:
        tracing.trace(actor_class, state=_state)


def _state(session: Any) -> object:
    return session.data.state
