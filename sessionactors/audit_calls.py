"""What a session system lets one do with its audit log: write, read, report, erase."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sessionactors import bounds, identifiers
from sessionactors.audit.errors import AuditError, AuditWriteError
from sessionactors.audit.exports import EXPORT_FORMATS, export
from sessionactors.audit.intake import COMMIT, Erase, Look
from sessionactors.audit.record import (
    EVENT_TYPES,
    SEVERITIES,
    AuditRecord,
    EventType,
    PersonalData,
    Severity,
    kind_of,
)
from sessionactors.audit.reports import REPORT_FORMATS, report
from sessionactors.audit.selection import Selection
from sessionactors.audit.service import AuditCounts
from sessionactors.audit.trail import AuditTrail, trail_of
from sessionactors.audit.verdict import Finding, Verification
from sessionactors.errors import CapacityExceeded, InvalidKind, NotFound, UnsupportedFormat
from sessionactors.service_access import ServiceAccess
from sessionactors.surroundings import AUDIT

if TYPE_CHECKING:
    from sessionactors.audit.contract import AuditHead, AuditStore
    from sessionactors.audit.intake import Intake
    from sessionactors.audit.openings import Erasure
    from sessionactors.audit.service import AuditLedger, Packed
    from sessionactors.surroundings import Surroundings

__all__ = ["AuditCalls", "AuditFigures"]

_DURABLE: Final = frozenset({"auth", "security"})
_COMMIT_TIMEOUT: Final = 30.0
_ERASE_TIMEOUT: Final = 300.0


class AuditFigures(NamedTuple):
    """What is in the log now.

    Attributes:
        total_events: entries of the log; those of sealed ones are not among them.
        events_by_type: likewise, by type.
        retention_days: days after which the log is sealed, or None.
        max_events: entries with which it is sealed, or None.
        waiting: events that wait to be written.
        lost: events that could not be taken since the system's start.
    """

    total_events: int
    events_by_type: dict[str, int]
    retention_days: int | None
    max_events: int | None
    waiting: int
    lost: int


class AuditCalls(ServiceAccess):
    """The functions of a `SessionSystem` about its audit log.

    Thread: every method is safe anywhere.
    """

    _around: Surroundings
    _intake: Intake
    _is_stopped: bool
    _ledger: AuditLedger

    # -- writing -------------------------------------------------------------------

    def log_event(
        self,
        session_id: str | None,
        event_type: str,
        data: Mapping[str, object] | None = None,
        severity: str = "info",
        *,
        durable: bool | None = None,
    ) -> None:
        """Add an entry to the audit log.

        Args:
            session_id: which session it is about, or None.
            event_type: one of the event types.
            data: what there is to say.
            severity: one of the severities.
            durable: return only when the entry is on the disk under a signed head.
                Otherwise it is there a moment later. None waits for events of the types
                `auth` and `security`.

        Raises:
            AuditError: it was to be durable, and the log cannot be written now; the
                entry waits, and is written once that is possible.
            CapacityExceeded: the queue is full, and the log cannot be written.
            NotFound: the system has been stopped.
        """
        known = None if session_id is None else identifiers.parse(session_id)
        kind, packed = _logged(event_type, severity, data, self._ledger.pack_facts)
        if not self._intake.put((self._around.now(), known, kind, packed, "program")):
            if self._is_stopped:
                raise NotFound(AUDIT, "running service")
            raise CapacityExceeded("the audit queue", self._intake.queue_max)
        if event_type in _DURABLE if durable is None else durable:
            self.commit_audit()

    def log_state_transition(
        self, session_id: str, from_state: str, to_state: str, extra: Mapping[str, object] | None = None
    ) -> None:
        """Log a change of state of something that the program looks after itself; see `log_event()`."""
        facts = {"from_state": bounds.text("from_state", from_state), "to_state": bounds.text("to_state", to_state)}
        self.log_event(session_id, "state_transition", _with("extra", extra, facts))

    def log_auth_event(self, session_id: str, action: str, data: Mapping[str, object] | None = None) -> None:
        """Log an authentication, and return when the entry is on the disk; see `log_event()`."""
        self.log_event(session_id, "auth", _with("data", data, {"auth_action": bounds.text("action", action)}))

    def log_resource_event(self, session_id: str, resource_type: str, data: Mapping[str, object] | None = None) -> None:
        """Log the use of a resource; see `log_event()`."""
        facts = {"resource_type": bounds.text("resource_type", resource_type)}
        self.log_event(session_id, "resource", _with("data", data, facts))

    def log_error(self, session_id: str | None, message: str, error: object = None) -> None:
        """Log an error with severity `error`; see `log_event()`.

        Args:
            session_id: which session it is about, or None.
            message: what went wrong, in words.
            error: the exception, or anything else that tells more.
        """
        if not isinstance(message, str):
            raise InvalidKind("message", message, "text")
        self.log_event(session_id, "error", {"error_message": message, "error": error}, "error")

    def commit_audit(self) -> AuditHead:
        """Make everything that was logged so far durable, sign the head, and return it.

        Raises:
            AuditError: the log cannot be written; nothing is lost, and a later call may succeed.
        """
        return cast("AuditHead", self._ask_log(COMMIT, _COMMIT_TIMEOUT))

    # -- reading -------------------------------------------------------------------

    def get_events(
        self,
        *,
        session_id: str | None = None,
        event_type: str | None = None,
        severity: str | None = None,
        since: float | None = None,
        until: float | None = None,
        actor: str | None = None,
        text: str | None = None,
        limit: int | None = None,
        with_sealed: bool = False,
        settled: bool = True,
    ) -> AuditTrail:
        """Return entries of the audit log, oldest first, one by one however many there are.

        Args:
            session_id: only those of this session.
            event_type: only those of this type.
            severity: only those of this severity or a higher one.
            since: only those from this moment on, seconds since 1970 UTC.
            until: only those before this moment.
            actor: only what this actor did.
            text: only those with this text in their data, such as the name of what happened;
                upper and lower case do not matter.
            limit: stop after so many, and let `is_cut` say whether there were more; None for all.
            with_sealed: begin with the logs that were sealed before; unpacking one takes a while.
                Otherwise `sealed` says how many are not looked into.
            settled: wait until all that was logged before is in the log.

        Raises:
            AuditError: the log cannot be read; or written, where it is to be settled.
            NotFound: the system has been stopped.
        """
        known = None if session_id is None else identifiers.parse(session_id)
        if event_type is not None:
            bounds.choice("event_type", event_type, EVENT_TYPES)
        if severity is not None:
            bounds.choice("severity", severity, SEVERITIES)
        if limit is not None:
            bounds.count("limit", limit)
        for name, moment in (("since", since), ("until", until)):
            if moment is not None:
                bounds.moment(name, moment)
        selection = Selection(
            session=known,
            event_type=cast("EventType | None", event_type),
            severity=cast("Severity | None", severity),
            since=since,
            until=until,
            actor=None if actor is None else bounds.text("actor", actor),
            text=None if text is None else bounds.text("text", text),
        )
        if settled:
            self.commit_audit()
        log = self._ledger.log
        if log.directory is None:
            return cast("AuditTrail", self._ask_log(Look(lambda store: _remembered(store, selection, limit))))
        return trail_of(log.directory, selection, pseudonyms=log.rules.pseudonyms, limit=limit, with_sealed=with_sealed)

    def query_events(self, session_id: str, event_type: str, limit: int | None = None) -> AuditTrail:
        """Return the entries of a session and a type; see `get_events()`."""
        return self.get_events(session_id=session_id, event_type=event_type, limit=limit)

    def get_session_events(self, session_id: str, limit: int | None = None) -> AuditTrail:
        """Return the entries of a session, which may have ended long ago; see `get_events()`."""
        return self.get_events(session_id=session_id, limit=limit)

    def get_events_by_type(self, event_type: str, limit: int | None = None) -> AuditTrail:
        """Return the entries of a type; see `get_events()`."""
        return self.get_events(event_type=event_type, limit=limit)

    def generate_report(
        self,
        session_id: str,
        format: str = "json",  # noqa: A002 - the specification's
        *,
        include_data: bool = True,
    ) -> bytes:
        """Return a report on a session: its entries, counts, the signed head, and whether the log verifies.

        Args:
            session_id: which one; it may have ended.
            format: `json` or `csv`.
            include_data: whether entries have their data.

        Raises:
            UnsupportedFormat: there is no such format.
            AuditError: the log cannot be read or written.

        Blocks: to verify the log, some microseconds for each of its entries.
        """
        if format not in REPORT_FORMATS:
            raise UnsupportedFormat("format", format, " | ".join(REPORT_FORMATS))
        bounds.flag("include_data", include_data)
        known = identifiers.parse(session_id)
        head = self.commit_audit()
        log = self._ledger.log
        now = self.actors.clock.time()
        if log.directory is None:
            finding = Finding("log", None, "a log on disk", "one in memory, which nobody signs")
            kept = self._ask_log(Look(lambda store: _Kept(list(store.events()), list(store.events(session=known)))))
            made = report("session", kept, head, Verification("usage", findings=(finding,)), now, subject=known)
            return _written(made, format, include_data=include_data)
        from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only for a log on disk
        from sessionactors.audit.verify import verify  # noqa: PLC0415 - only when called for

        with AuditReader(log.directory, pseudonyms=log.rules.pseudonyms) as reader:
            made = report("session", reader, head, verify(log.directory), now, subject=known)
            return _written(made, format, include_data=include_data)

    def export_events(
        self,
        session_id: str | None,
        filename: str | Path,
        format: str = "json",  # noqa: A002 - the specification's
        *,
        actor: str = "program",
    ) -> int:
        """Write the entries of a session, or all, into a new file; the export is logged before it is made.

        Args:
            session_id: which session; None for all.
            filename: the file; it is there when it is complete, and replaces no other.
            format: `json`, `jsonl`, `csv` or `syslog`.
            actor: who wants it, for the log.

        Returns:
            How many entries there were up to that moment, the export itself not among them.

        Raises:
            UnsupportedFormat: there is no such format.
            AuditWriteError: the file exists, or cannot be written.
            AuditError: the log cannot be read or written.
        """
        if format not in EXPORT_FORMATS:
            raise UnsupportedFormat("format", format, " | ".join(EXPORT_FORMATS))
        facts: dict[str, object] = {"action": "export", "format": format, "by": bounds.text("actor", actor)}
        head = self.commit_audit()
        trail = self.get_events(session_id=session_id, settled=False)
        with trail:
            self.log_event(session_id, "compliance", facts, durable=True)
            about: dict[str, object] = {"size": head.size, "root": head.root.hex()}
            if head.note is not None:
                about["head"] = head.note.decode()
            counted = _Counted(trail, head.size)
            _write_new(Path(filename), export(counted, format, about))
        return counted.count

    # -- looking after it ----------------------------------------------------------

    def set_retention(self, days: int | None, *, max_events: int | None = None) -> None:
        """Change after how many days, and with how many entries, the log is sealed; from the next sweep on.

        Args:
            days: None never seals it for its age.
            max_events: None leaves this as it is.
        """
        settings = self._ledger.settings
        limit = settings.max_events if max_events is None else max_events
        changed = replace(settings, retention_days=days, max_events=limit)
        facts = {"event": "retention_changed", "retention_days": days, "max_events": limit}
        self.log_event(None, "compliance", facts)
        self._ledger.settings = changed

    def get_stats(self) -> AuditFigures:
        """Return what is in the log now."""
        found = self._ask_log(Look(lambda store: store.statistics()))
        settings = self._ledger.settings
        return AuditFigures(
            found.size,
            found.by_type(),
            settings.retention_days,
            settings.max_events,
            len(self._intake),
            self._intake.lost,
        )

    def audit_counts(self) -> AuditCounts:
        """Return what has been written since the start, how much was lost, and how the log was looked after."""
        ledger = self._ledger
        return AuditCounts(
            dict(ledger.by_type),
            dict(ledger.by_edge),
            self._intake.lost,
            ledger.checks,
            ledger.failed_checks,
            ledger.seals,
        )

    def erase_subject(self, subject: str, *, actor: str, reason: str = "asked") -> Erasure | None:
        """Erase the personal data of somebody in the audit log and in all that were sealed before.

        The entries stay, with commitments that nothing opens any more, and so does the tree.

        Args:
            subject: a person, as data name them (`user_id`), or a session.
            actor: who wants it, such as `admin:alice`; logged.
            reason: why, in words without personal data; logged.

        Returns:
            What was erased, or None if nothing is kept of this subject, now or any more.

        Raises:
            AuditError: it could not be done; or not to its end, and the log goes on with it.
        """
        wanted = Erase(bounds.text("subject", subject), bounds.text("actor", actor), bounds.text("reason", reason))
        return cast("Erasure | None", self._ask_log(wanted, _ERASE_TIMEOUT))

    def _ask_log(self, message: object, timeout: float = _COMMIT_TIMEOUT) -> Any:
        answer = self._ask(AUDIT, message, timeout)
        if isinstance(answer, AuditError):
            raise answer
        return answer


class _Kept:
    """Entries of a log in memory, as a report on one session reads them.

    Args:
        records: all of them.
        session: those of the session, by whatever name the log has for it.
    """

    def __init__(self, records: list[AuditRecord], session: list[AuditRecord]) -> None:
        self._records = records
        self._session = session

    def events(self, *, stop: int | None = None, session: str | None = None, **_others: Any) -> Iterator[AuditRecord]:
        records = self._records if session is None else self._session
        return (record for record in records if stop is None or record.sequence < stop)

    def erasures_of(self, _subject: str) -> list[Any]:
        return []


class _Counted:
    """The entries of a trail up to a position, counted."""

    def __init__(self, trail: AuditTrail, stop: int) -> None:
        self._trail = trail
        self._stop = stop
        self.count = 0

    def __iter__(self) -> Iterator[AuditRecord]:
        for record in self._trail:
            if record.sequence < self._stop:
                self.count += 1
                yield record


def _remembered(store: AuditStore, selection: Selection, limit: int | None) -> AuditTrail:
    """Return what a log in memory still has; runs in the audit actor's turn."""
    kept = next(store.events(), None)
    return AuditTrail(
        iter(list(selection.among(store))), limit=limit, forgotten=store.size if kept is None else kept.sequence
    )


def _with(field: str, more: Mapping[str, object] | None, facts: Mapping[str, object]) -> dict[str, object]:
    if more is not None and not isinstance(more, Mapping):
        raise InvalidKind(field, more, "a mapping")
    return {**(more or {}), **facts}


def _written(made: Any, report_format: str, *, include_data: bool) -> bytes:
    events = made.events
    if events is not None and not include_data:
        made = replace(made, events=lambda: (replace(record, data={}) for record in events()))
    return "".join(made.write(report_format)).encode()


def _write_new(path: Path, pieces: Iterator[str]) -> None:
    """Write a file whole, or not at all; one that is there stays as it is."""
    draft = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink()
    except OSError as error:
        problem = f"it cannot be written ({(error.strerror or str(error)).lower()})"
        raise AuditWriteError("audit export", problem, "name a new file in a directory that is there", path) from error


def _logged(
    event_type: str, severity: str, data: object, pack: Callable[[str, Mapping[Any, object]], Packed]
) -> tuple[int, bytes | PersonalData]:
    """Return the kind of an event of the program's, and its data packed.

    Args:
        event_type: one of the event types.
        severity: one of the severities.
        data: a mapping of anything, or None.
        pack: `AuditLedger.pack_facts()`.

    Raises:
        InvalidKind: data is no mapping, or type or severity is no text.
        InvalidArgumentError: there is no such type or severity.
    """
    for field, given in (("event_type", event_type), ("severity", severity)):
        if not isinstance(given, str):
            raise InvalidKind(field, given, "text")
    if data is not None and not isinstance(data, Mapping):
        raise InvalidKind("data", data, "a mapping")
    kind = kind_of(event_type, severity)
    try:
        facts = {} if data is None else dict(data)
    except Exception as error:  # noqa: BLE001 - an entry that says what went wrong is better than none
        facts = {"unreadable": type(error).__name__}
    packed = pack("log_event", facts)
    return kind, packed if isinstance(packed, PersonalData) else bytes(packed)
