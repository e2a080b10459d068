"""What happened to which child, counted under a bounded number of labels.

Everything else that is worth a figure is counted somewhere already and read when
somebody asks. Supervisor reports are not: they are handed out and gone. So they
are counted here, one dictionary entry for each report.

Labels come from child ids and exit reasons, which may be anything. What bounds
them: texts are cut, exceptions count under the name of their class, and what would
make one entry too many counts under `OTHER`. So a scrape stays small whatever
the program calls its children.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar, final

from supervisors.errors import InvalidArgumentError
from supervisors.exits import Crashed, Shutdown
from supervisors.supervision.reports import ErrorReport, ProgressReport

__all__ = ["LABELS_MAX", "OTHER", "ChildTally", "TallySnapshot", "reason_label", "supervisor_label"]

K = TypeVar("K")

LABELS_MAX: Final = 200
"""Different label sets of one metric, by default; what goes beyond counts under `OTHER`."""

OTHER: Final = "(other)"
_OTHER_CHILD: Final = (OTHER, OTHER)
_OTHER_FAILURE: Final = (OTHER, OTHER, OTHER, OTHER)
_TEXT_MAX: Final = 60  # characters
_REASONS: Final = frozenset({"normal", "shutdown", "kill", "killed", "noproc", "timeout", "noconnection"})


class TallySnapshot(NamedTuple):
    """Counts since the tally began.

    Attributes:
        starts: children started, by `(supervisor, child)`.
        restarts: starts that followed a failure of the same child, by the same.
        failures: by `(supervisor, child, context, reason)`.
        unlabelled: reports that were counted under `OTHER`.
    """

    starts: Mapping[tuple[str, str], int]
    restarts: Mapping[tuple[str, str], int]
    failures: Mapping[tuple[str, str, str, str], int]
    unlabelled: int


@final
class ChildTally:
    """Counts supervisor reports; `count` is the listener for `ActorSystem.on_report()`.

    Args:
        labels_max: different label sets of each metric, 1 to 10,000.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_failures", "_labels_max", "_lock", "_owed", "_restarts", "_starts", "_unlabelled")

    def __init__(self, labels_max: int = LABELS_MAX) -> None:
        if isinstance(labels_max, bool) or not isinstance(labels_max, int) or not 1 <= labels_max <= 10_000:
            raise InvalidArgumentError("labels_max", labels_max, "an integer from 1 to 10000")
        self._labels_max = labels_max
        self._lock = threading.Lock()  # guards all below; nothing of the program's is called while it is held
        self._starts: Counter[tuple[str, str]] = Counter()
        self._restarts: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str, str, str]] = Counter()
        self._owed: Counter[tuple[str, str]] = Counter()  # failures whose restart is still to come
        self._unlabelled = 0

    def count(self, report: object) -> None:
        """Count a report; anything else is ignored."""
        if isinstance(report, ProgressReport):
            key = (supervisor_label(report.supervisor), _child_label(report.started.spec.id))
            with self._lock:
                if not self._is_room(self._starts, key):
                    key = _OTHER_CHILD
                self._starts[key] += 1
                if self._owed.get(key):
                    self._owed[key] -= 1
                    self._restarts[key] += 1
        elif isinstance(report, ErrorReport):
            offender = report.offender
            child = (supervisor_label(report.supervisor), _child_label(offender.spec.id))
            cause = (report.error_context, reason_label(report.reason))
            with self._lock:
                failure: tuple[str, str, str, str] = (*child, *cause)
                if not self._is_room(self._failures, failure):
                    failure = _OTHER_FAILURE
                self._failures[failure] += 1 if offender.count is None else offender.count
                if report.error_context == "child_terminated" and offender.spec.restart != "temporary":
                    is_known = child in self._starts or len(self._starts) < self._labels_max
                    owed = child if is_known else _OTHER_CHILD
                    self._owed[owed] += 1
                elif report.error_context == "shutdown":
                    self._owed.pop(child, None)

    def snapshot(self) -> TallySnapshot:
        """Return copies of the counts."""
        with self._lock:
            return TallySnapshot(dict(self._starts), dict(self._restarts), dict(self._failures), self._unlabelled)

    def _is_room(self, counts: Mapping[K, int], key: K) -> bool:
        """Tell whether a key may be counted under its own labels; note when it may not."""
        if key in counts or len(counts) < self._labels_max:
            return True
        self._unlabelled += 1
        return False


def supervisor_label(supervisor: object) -> str:
    """Return a supervisor's name, or its class: its number differs after each restart."""
    if isinstance(supervisor, str):
        return supervisor[:_TEXT_MAX]
    actor_class = getattr(supervisor, "actor_class", type(supervisor))
    return str(getattr(actor_class, "__name__", OTHER))[:_TEXT_MAX]


def _child_label(child_id: object) -> str:
    if isinstance(child_id, str):
        return child_id[:_TEXT_MAX]
    if isinstance(child_id, type):
        return child_id.__name__[:_TEXT_MAX]
    if child_id is None or isinstance(child_id, (bool, int)):
        return repr(child_id)[:_TEXT_MAX] if not isinstance(child_id, int) or child_id.bit_length() < 64 else OTHER
    return type(child_id).__name__[:_TEXT_MAX]


def reason_label(reason: object) -> str:
    """Return the kind of an exit reason: the class of an exception, a word of OTP's, or the type of anything else."""
    if isinstance(reason, Crashed):
        return type(reason.error).__name__[:_TEXT_MAX]
    if isinstance(reason, Shutdown):
        return "shutdown"
    if isinstance(reason, str):
        return reason if reason in _REASONS or reason.startswith("reached_max_restart") else OTHER
    return type(reason).__name__[:_TEXT_MAX]
