"""Supervisor reports: what happened to which child, under fixed keys (REP-1 to REP-8).

A core makes reports as values; the actor hands them to `log_report()`. They go to
the logger ``supervisors.reports``: failures at level ERROR, progress at INFO. Each
log record has the report's fields as attributes, so that a handler needs no parsing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final, Literal, final

from supervisors.exits import Crashed, describe
from supervisors.supervision.child_spec import ChildSpec

__all__ = ["LOGGER", "ChildSummary", "ErrorContext", "ErrorReport", "ProgressReport", "Report", "log_report"]

LOGGER: Final = logging.getLogger("supervisors.reports")

ErrorContext = Literal["child_terminated", "start_error", "shutdown_error", "shutdown"]

_SAID: Final[dict[str, str]] = {
    "child_terminated": "has ended",
    "start_error": "did not start",
    "shutdown_error": "ended unexpectedly while being shut down",
    "shutdown": "is given up, and the supervisor with it",
}


@final
@dataclass(frozen=True, slots=True)
class ChildSummary:
    """A child as reports show it (REP-2).

    Attributes:
        spec: its specification.
        ref: the process it is about; None when there is none.
        count: for a report about several children of one specification at once,
            how many (SUP-46); else None.
    """

    spec: ChildSpec
    ref: Any = None
    count: int | None = None

    def __str__(self) -> str:
        if self.count is not None:
            return f"{self.spec.id!r} ({self.count} of them)"
        return repr(self.spec.id) if self.ref is None else f"{self.spec.id!r} ({self.ref})"

    def fields(self) -> dict[str, object]:
        """Return the fixed keys; `nb_children` stands in place of `ref` for several children."""
        spec = self.spec
        who: dict[str, object] = {"ref": self.ref} if self.count is None else {"nb_children": self.count}
        return who | {
            "id": spec.id,
            "start": spec.start,
            "restart": spec.restart,
            "significant": spec.significant,
            "shutdown": spec.shutdown,
            "type": spec.type,
        }


@final
@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Something went wrong with a child (REP-3 to REP-6).

    Attributes:
        supervisor: name or reference of the supervisor.
        error_context: `child_terminated`: it ended by itself; `start_error`: it did
            not start; `shutdown_error`: it ended otherwise than it was told to;
            `shutdown`: one restart too many.
        reason: exit reason, start error, or `reached_max_restart_intensity`.
        offender: the child.
    """

    supervisor: object
    error_context: ErrorContext
    reason: object
    offender: ChildSummary

    def fields(self) -> dict[str, object]:
        """Return the fixed keys."""
        return {
            "supervisor": self.supervisor,
            "error_context": self.error_context,
            "reason": self.reason,
            "offender": self.offender.fields(),
        }


@final
@dataclass(frozen=True, slots=True)
class ProgressReport:
    """A child was started (REP-7).

    Attributes:
        supervisor: name or reference of the supervisor.
        started: the child.
    """

    supervisor: object
    started: ChildSummary

    def fields(self) -> dict[str, object]:
        """Return the fixed keys."""
        return {"supervisor": self.supervisor, "started": self.started.fields()}


Report = ErrorReport | ProgressReport


def log_report(report: Report, logger: logging.Logger = LOGGER) -> None:
    """Log a report with its fixed keys as attributes of the log record.

    A reason that holds an exception brings its traceback along.
    """
    # Arguments are turned into text by a handler that shows the record, not here:
    # a restart must not pay for a line that nobody reads.
    if isinstance(report, ProgressReport):
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s started child %s", report.supervisor, report.started, extra=report.fields())
        return
    if logger.isEnabledFor(logging.ERROR):
        reason = report.reason
        logger.error(
            "child %s of %s %s: %s",
            report.offender,
            report.supervisor,
            _SAID[report.error_context],
            _Described(reason),
            extra=report.fields(),
            exc_info=reason.error if isinstance(reason, Crashed) else None,
        )


@final
class _Described:
    """A reason that becomes text when somebody wants it."""

    __slots__ = ("_reason",)

    def __init__(self, reason: object) -> None:
        self._reason = reason

    def __str__(self) -> str:
        return describe(self._reason)
