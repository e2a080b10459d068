"""What the sessions of a system do right now, and an operator's hand on one of them.

The list is read without asking anybody, so it shows a session that hangs as well, and
touches none. What one session is asked goes through its mailbox, with a deadline, and
never runs on the asking thread. What an operator does is audited under a name.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, final

from sessionactors import bounds, identifiers
from sessionactors.audit.exports import row_of
from sessionactors.audit.queries import AuditReader
from sessionactors.errors import InvalidKind, InvalidValue, NotFound, SessionRefusal
from sessionactors.lifecycle import FORCE_RESUME, FORCE_SUSPEND, FORCE_TERMINATE
from sessionactors.operations import Override
from sessionactors.session_data import FIELDS, SessionData
from sessionactors.states import LIVE_STATES
from sessionactors.surroundings import ISOLATION, RATE_LIMITER
from supervisors.errors import SupervisorsError
from supervisors.inspection.insides import inside_of
from supervisors.inspection.inspector import STATE_TIMEOUT, Inspector
from supervisors.inspection.plain import on_one_line, plain

if TYPE_CHECKING:
    from types import TracebackType

    from sessionactors.audit.record import AuditRecord
    from sessionactors.system import SessionSystem
    from supervisors.runtime.ref import ActorRef

__all__ = ["ROWS_MAX", "TAIL_MAX", "SessionInspector", "SessionRow"]

ROWS_MAX: Final = 1_000
"""Sessions in one answer of `sessions()`; ask again with `after` for the next ones."""

TAIL_MAX: Final = 1_000
"""Entries in one answer of `audit_tail()`."""

_NOT_SHOWN: Final = frozenset({"options", "question", "recorded"})  # the second one has the credentials
_ACTIONS: Final = {"suspend": FORCE_SUSPEND, "resume": FORCE_RESUME, "terminate": FORCE_TERMINATE}


@final
@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session.

    Attributes:
        number: that of its actor; `after` of the next page.
        id: the session's id.
        state: the state that it is in.
        user_id: whose it is.
        session_class: the name of its class.
        age: seconds since it was created.
        idle: seconds since its last activity.
        mailbox: messages that wait.
        persistent: whether it is stored.
        asleep: whether it hibernates.
    """

    number: int
    id: str
    state: str
    user_id: str
    session_class: str
    age: float
    idle: float
    mailbox: int
    persistent: bool
    asleep: bool


@final
class SessionInspector:
    """Looks into one session system.

    Args:
        system: what is looked into.

    Attributes:
        actors: what looks into its actors.

    Example:
        >>> from sessionactors import SessionSystem
        >>> with SessionSystem() as system, SessionInspector(system) as inspector:
        ...     _ = system.start_session("alice")
        ...     [(row.id, row.state) for row in inspector.sessions()]
        [('alice', 'new')]

    Thread: every method is safe anywhere, but not inside the turn of an actor of the system.
    """

    def __init__(self, system: SessionSystem) -> None:
        self._system = system
        self.actors = Inspector(system.actors)

    def close(self) -> None:
        """Let go of the system; more than once is fine."""
        self.actors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- sessions ------------------------------------------------------------------

    def find(self, reference: ActorRef[Any] | str | int) -> ActorRef[Any]:
        """Return the living actor that is meant; a session's id will do as well.

        Raises:
            NoSuchActorError: nobody is.
            InvalidTypeError: it is no reference.
        """
        if isinstance(reference, str):
            session = self._system.directory.get(reference)
            if session is not None:
                return session
        return self.actors.find(reference)

    def sessions(
        self, *, limit: int = 100, after: int = 0, state: str | None = None, match: str = ""
    ) -> list[SessionRow]:
        """Return live sessions in order of their start; none of them is asked or touched.

        Args:
            limit: sessions in the answer, 1 to 1,000.
            after: only those with a higher number; this pages.
            state: only those in this state.
            match: only those in whose id or user this text is; case does not count.

        Raises:
            InvalidKind, InvalidValue: one of these is not allowed.
        """
        bounds.count("limit", limit, most=ROWS_MAX)
        bounds.count("after", after, least=0, most=2**63 - 1)
        if state is not None and state not in LIVE_STATES:
            raise InvalidValue("state", state, f"one of {', '.join(LIVE_STATES)}")
        if not isinstance(match, str):
            raise InvalidKind("match", match, "text")
        wanted = match.casefold()
        now = self._system.actors.clock.monotonic()
        pairs = [pair for pair in self._system.directory.items() if pair[1].id > after]
        if state is None and not wanted:
            # The next ones by number; hardly ever is one of them gone when it is looked at.
            pairs = heapq.nsmallest(limit, pairs, key=_number)
        else:
            pairs.sort(key=_number)
        found: list[SessionRow] = []
        for session_id, ref in pairs:
            row = _row(session_id, ref, now)
            if row is None or (state is not None and row.state != state):
                continue
            if wanted and wanted not in row.id.casefold() and wanted not in row.user_id.casefold():
                continue
            found.append(row)
            if len(found) >= limit:
                break
        return found

    def session(self, session_id: str, *, timeout: float = STATE_TIMEOUT) -> dict[str, object]:
        """Return everything that a session tells about itself, as plain data without secrets; this is no activity.

        Args:
            session_id: which session.
            timeout: seconds to wait for each of its answers.

        Raises:
            NotFound, SessionTerminated: there is none, or it has ended.
            ActorHangsError: it has not answered in time.
        """
        ref = self._system.directory.find(session_id)
        told: dict[str, object] = {"actor": self.actors.info(ref).row}
        for name in ("info", "metrics", "history"):
            told[name] = plain(self.actors.ask(ref, f"get_{name}", timeout=timeout))
        return told

    def state(self, reference: ActorRef[Any] | str | int, *, timeout: float = STATE_TIMEOUT) -> Any:
        """Return the state of an actor as plain data; that of a session without asking it, as it is at this moment.

        Of a session: its `record`, without credentials, and its `own` attributes, those of its class.
        Of any other actor, which is waited for `timeout` seconds: see
        `supervisors.inspection.Inspector.state()`, which raises the same.
        """
        found = self.find(reference)
        inside = inside_of(found)
        data = getattr(inside, "data", None)
        if not isinstance(data, SessionData):
            return self.actors.state(found, timeout=timeout)
        record = {name: getattr(data, name, None) for name in FIELDS if name not in _NOT_SHOWN}
        own = {
            name: value
            for name, value in dict(getattr(inside, "__dict__", {})).items()
            if not name.startswith("_") and name != "data"
        }
        return plain({"record": record, "own": own})

    def act(self, action: str, session_id: str, *, admin: str, reason: str = "", timeout: float = STATE_TIMEOUT) -> str:
        """Suspend, resume or terminate a session as an administrator; audited as `security` under the name.

        Args:
            action: `"suspend"`, `"resume"` or `"terminate"`.
            session_id: which session.
            admin: who does it.
            reason: why.
            timeout: seconds that the session has to answer.

        Returns:
            The state after it. The stored copy of a session that was terminated is deleted soon.

        Raises:
            NotFound, SessionTerminated: there is none, or it has ended.
            SessionRefusal: its state does not allow it.
            ActorHangsError: it has not answered in time; it may still be done.
        """
        operation = _ACTIONS.get(action) if isinstance(action, str) else None
        if operation is None:
            raise InvalidValue("action", action, f"one of {', '.join(_ACTIONS)}")
        ref = self._system.directory.find(session_id)
        wish = Override(bounds.text("admin", admin), reason if reason == "" else bounds.text("reason", reason))
        return str(self.actors.ask(ref, (operation, wish), timeout=timeout))

    # -- services ------------------------------------------------------------------

    def limits(self, session_id: str | None = None, *, timeout: float = STATE_TIMEOUT) -> dict[str, object]:
        """Return the limits that are in force and how far they are used, of all together or of one session.

        Args:
            session_id: of which session; None: of all together.
            timeout: seconds to wait for each service.

        Raises:
            InvalidKind, InvalidSessionId: this is no id.
            NotFound: the limiter is being restarted.
            ActorHangsError: a service has not answered in time.
        """
        if session_id is not None:
            return self._limits_of(identifiers.parse(session_id), timeout)
        parts = self._system.parts
        limiter = parts.limiter
        return {
            "limiter": {
                "settings": limiter.settings.as_dict(),
                "buckets": limiter.size,
                "admitted": limiter.admitted,
                "refused": limiter.refused,
                "dropped": limiter.dropped,
            },
            "isolation": {
                "settings": self._system.isolation_settings.as_dict(),
                "accounts": len(parts.isolation.records),
            },
            "quota": plain(self._system.options.as_dict().get("quota")),
            "sessions": len(self._system.directory),
        }

    def _limits_of(self, session_id: str, timeout: float) -> dict[str, object]:
        types = [name for name, buckets in list(self._system.parts.limiter.buckets.items()) if session_id in buckets]
        told: dict[str, object] = {
            "buckets": {
                name: {
                    "quota": self._asked(RATE_LIMITER, ("get_quota", session_id, name), timeout),
                    "usage": self._asked(RATE_LIMITER, ("get_usage", session_id, name), timeout),
                }
                for name in types
            },
            "throttled": self._asked(RATE_LIMITER, ("check_throttle", session_id), timeout),
        }
        try:
            told["isolation"] = self._asked(ISOLATION, ("get_resource_usage", session_id), timeout)
        except SessionRefusal:
            told["isolation"] = None  # it has no account
        session = self._system.directory.get(session_id)
        told["quota"] = None if session is None else plain(self.actors.ask(session, "check_quota", timeout=timeout))
        return told

    def _asked(self, service: str, message: object, timeout: float) -> Any:
        ref = self._system.actors.whereis(service)
        if ref is None:
            raise NotFound(service, "running service")
        answer = self.actors.ask(ref, message, timeout=timeout)
        # A bucket that is counted in tokens has a field of that name, which is no secret.
        return answer if isinstance(answer, bool) else plain(answer)

    def audit_tail(self, count: int = 20, *, after: int | None = None) -> list[dict[str, object]]:
        """Return entries of the audit log that are committed, oldest first.

        Args:
            count: how many, 1 to 1,000.
            after: those that follow the entry with this number, the first ones; None: the last ones.

        Raises:
            AuditError: the log cannot be read.
        """
        bounds.count("count", count, most=TAIL_MAX)
        if after is not None:
            bounds.count("after", after, least=-1, most=2**63 - 1)
        log = self._system.parts.audit.log
        if log.directory is None:
            return self._tail_in_memory(count, after)
        with AuditReader(log.directory) as reader:
            start = max(reader.size - count, 0) if after is None else after + 1
            return [_entry(each) for each in reader.events(start=start, stop=start + count)]

    def _tail_in_memory(self, count: int, after: int | None) -> list[dict[str, object]]:
        log = self._system.parts.audit.log
        for _ in range(100):
            start = max(log.size - count, 0) if after is None else after + 1
            try:
                return [_entry(each) for each in log.events(start=start, stop=start + count)]
            except RuntimeError:
                continue  # it has grown while its entries were copied
        raise SupervisorsError("the audit log grows faster than it can be read; keep it on disk")


def _number(pair: tuple[str, ActorRef[Any]]) -> int:
    return pair[1].id


def _row(session_id: str, ref: ActorRef[Any], now: float) -> SessionRow | None:
    """Read one session without asking it; None when it has ended."""
    inside = inside_of(ref)
    data: SessionData | None = getattr(inside, "data", None)
    if data is None:
        return None
    return SessionRow(
        ref.id,
        on_one_line(session_id),
        str(data.state),
        on_one_line(data.user_id),
        ref.actor_class.__name__,
        max(now - data.created_at, 0.0),
        max(now - data.last_activity, 0.0),
        ref.mailbox_length,
        data.options.persistent,
        not isinstance(inside, ref.actor_class),
    )


def _entry(record: AuditRecord) -> dict[str, object]:
    return {**row_of(record), "data": record.data} if isinstance(record.data, Mapping) else row_of(record)
