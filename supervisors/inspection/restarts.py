"""Counts how often a child was started again after a failure, by the actor that it is now."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, final

from supervisors.supervision.reports import ErrorReport, ProgressReport

__all__ = ["REMEMBERED_MAX", "Restarts"]

REMEMBERED_MAX: Final = 10_000
"""Children that are remembered; those that failed longest ago are forgotten beyond that."""


@final
class Restarts:
    """A listener for `ActorSystem.on_report()`.

    A child that never fails costs one look into an empty dictionary.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_counts", "_lock", "_owed")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._counts: OrderedDict[int, int] = OrderedDict()  # by the number of the actor
        self._owed: OrderedDict[tuple[str, str], int] = OrderedDict()  # restarts of a child that is to come back

    def hear(self, report: object) -> None:
        """Take a report."""
        if isinstance(report, ProgressReport):
            if not self._owed:
                return
            key = _key(report.supervisor, report.started.spec.id)
            ref: Any = report.started.ref
            with self._lock:
                count = self._owed.pop(key, None)
                if count is not None and ref is not None:
                    self._counts[ref.id] = count
                    _trim(self._counts)
        elif isinstance(report, ErrorReport) and report.error_context == "child_terminated":
            spec, ended = report.offender.spec, report.offender.ref
            if spec.restart == "temporary" or ended is None:
                return
            with self._lock:
                self._owed[_key(report.supervisor, spec.id)] = self._counts.pop(ended.id, 0) + 1
                _trim(self._owed)

    def counts(self) -> dict[int, int]:
        """Return the restarts of those that were restarted, by the number of the actor."""
        with self._lock:
            return dict(self._counts)


def _key(supervisor: object, child_id: object) -> tuple[str, str]:
    return (supervisor if isinstance(supervisor, str) else str(id(supervisor)), _text(child_id))


def _text(child_id: object) -> str:
    return child_id if isinstance(child_id, str) else f"{type(child_id).__name__} {id(child_id)}"


def _trim(entries: OrderedDict[Any, int]) -> None:
    while len(entries) > REMEMBERED_MAX:
        entries.popitem(last=False)
