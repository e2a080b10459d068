"""The audit actor: takes what waits, writes it as one batch, signs the head.

The log and the queue in front of it outlive the actor (`AuditLedger`): a crash
loses no accepted event, and the next actor continues the same tree.

What it does for a log on disk beside that is in `sessionactors.audit.upkeep`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast, final

from sessionactors.audit.columns import PIECE, EventColumns
from sessionactors.audit.errors import AuditError, AuditLockedError
from sessionactors.audit.intake import COMMIT, FULL, WAITING, Erase, Intake, Look, Waiting
from sessionactors.audit.plain_values import FORBIDDEN_KEYS, forbidden_names
from sessionactors.audit.record import KINDS, PackedData, PersonalData, kind_of
from sessionactors.audit.upkeep import LogKeeper
from sessionactors.effects import Audit, Transition, effect_of
from sessionactors.errors import UnknownRequest
from sessionactors.flusher import FLUSH

if TYPE_CHECKING:
    from sessionactors.audit.contract import AuditHead, AuditStore
    from sessionactors.audit.openings import Erasure
    from sessionactors.audit.sealing import Sealed
    from sessionactors.settings import AuditSettings
    from supervisors.clock import Clock

__all__ = ["AuditCounts", "AuditLedger", "AuditService", "Packed", "open_log"]

Packed: TypeAlias = "PackedData | PersonalData"
"""Data of an event as bytes, with or without what opens the commitments in them."""

_Event: TypeAlias = "tuple[float, float, str | None, int, str, object]"

_TRANSITION: Final = kind_of("state_transition")
_KEPT: Final = -1  # what is held is not in the log, wherever that ends by now
_COUNTED: Final = -2  # what is held is in the log, and counted
_PACKED_MAX: Final = 4096
_FACTS_MAX: Final = 2
_DAY: Final = 86_400.0
_REPEATING: Final = frozenset({str, int, bool, type(None)})  # measured times hardly repeat


def open_log(directory: str | Path | None, settings: AuditSettings) -> AuditStore:
    """Open the durable log of a directory, or a log in memory for None."""
    forbidden = FORBIDDEN_KEYS | forbidden_names(settings.forbidden_keys)
    if directory is None:
        from sessionactors.audit.keys import new_secret  # noqa: PLC0415 - only the one that is used is loaded
        from sessionactors.audit.memory import MemoryAuditLog  # noqa: PLC0415 - likewise
        from sessionactors.audit.pseudonyms import KEY_SIZE, Pseudonyms, load_ids_key  # noqa: PLC0415 - likewise

        names = None
        if settings.redact_ids:
            path = settings.ids_key_file
            names = Pseudonyms(new_secret(KEY_SIZE)) if path is None else load_ids_key(Path(path))
        return MemoryAuditLog(forbidden=forbidden, pseudonyms=names)
    from sessionactors.audit.log import AuditLog  # noqa: PLC0415 - only when called for

    return AuditLog(
        Path(directory),
        forbidden=forbidden,
        is_synced=settings.durability != "os",
        personal=settings.personal_fields,
        redact_ids=settings.redact_ids or None,
        ids_key_file=settings.ids_key_file,
    )


class AuditCounts(NamedTuple):
    """What has been written since the system's start.

    Attributes:
        by_type: events by type.
        by_edge: transitions by `"from->to"`.
        lost: events that are not in the log, because it could not be written for long.
        checks: how often all entries on the disk were read again.
        failed_checks: how often they were not what was written.
        seals: logs that were sealed.
    """

    by_type: dict[str, int]
    by_edge: dict[str, int]
    lost: int
    checks: int = 0
    failed_checks: int = 0
    seals: int = 0


@final
class AuditLedger:
    """What must survive a crash of the audit actor: the log, the queue, the counts.

    Args:
        log: the store.
        intake: the events that wait.
        settings: how large batches are and how long they wait.
        clock: labels events with the wall time.

    Attributes:
        by_type: events taken since the system's start, by type.
        by_edge: transitions taken since the system's start, by `"from->to"`.
        checks: how often all entries on the disk were read again.
        failed_checks: how often they were not what was written.
        seals: logs that were sealed.

    Thread: every method is safe anywhere.
    """

    __slots__ = (
        "_began",
        "_clock",
        "_is_torn",
        "_lost",
        "_numbered",
        "_pack_again",
        "_packed",
        "_writing",
        "by_edge",
        "by_type",
        "checks",
        "failed_checks",
        "intake",
        "log",
        "seals",
        "settings",
    )

    def __init__(self, log: AuditStore, intake: Intake, settings: AuditSettings, clock: Clock) -> None:
        self.log = log
        self.intake = intake
        self.settings = settings
        self.by_type: Counter[str] = Counter()
        self.by_edge: Counter[str] = Counter()
        self.checks = self.failed_checks = self.seals = 0
        self._is_torn = False  # a seal closed the log and could not be completed
        self._clock = clock
        self._lost = 0  # events whose loss is in the log
        # How many events the log had, pending ones included, before those that are held; or what became of them.
        self._began = _KEPT
        # Guards the log: an actor that is killed in the middle of a write leaves a
        # thread behind that completes it, and its successor has to wait for that.
        self._writing = threading.Lock()
        self._numbered: dict[int, tuple[int, Packed]] = {}
        # By identity: what has no number may be the same again and again as well. The
        # effect itself is kept, so that its identity cannot pass to another one.
        self._packed: dict[int, _Packed] = {}
        self._pack_again = lru_cache(maxsize=_PACKED_MAX)(self._pack_repeating)
        from sessionactors.audit.memory import MemoryAuditLog  # noqa: PLC0415 - as where logs are opened

        if isinstance(log, MemoryAuditLog):
            intake.be_written_by(self.write_here, PIECE)

    def write(self) -> AuditHead:
        """Write everything that waits as one batch, durably.

        Raises:
            AuditError: the log cannot be written; the events are kept, and the next
                write tries again.
        """
        with self._writing:
            return self._write()

    def write_here(self) -> None:
        """Write what waits to a log in memory, unless somebody does that already or it fails: then the actor will.

        A disk keeps a thread of its own waiting. Memory keeps nobody waiting, so whoever
        fills a batch writes it, while it is in the cache of the processor that made it.
        """
        if self.intake.is_failing or self._writing.locked():
            return
        # Not `acquire(blocking=False)`: the main thread may be interrupted on its way back from that, and
        # nobody would give back what it got. In this way it may wait for who has begun in this moment.
        with self._writing:
            try:
                self.intake.writer = threading.get_ident()
                with suppress(Exception):
                    self._write()
            finally:
                self.intake.writer = None

    def look(self, at: Callable[[AuditStore], object]) -> object:
        """Return what a function says of the log, which nobody writes meanwhile.

        Raises:
            AuditError: the function's own.
        """
        with self._writing:
            return at(self.log)

    def sweep(self) -> Sealed | None:
        """Seal the log if it is too old or too large; return what became of it, or None.

        Raises:
            AuditError: it is due and could not be done; a later sweep tries again.
        """
        with self._writing:
            log = self.log
            if not log.is_closed:
                self._resume()  # before positions of the log mean something else
                log.finish_erasures()
            reason = self._due()
            if reason is None:
                return None
            clock = self._clock
            try:
                sealed = log.seal(clock.time(), clock.monotonic(), reason=reason, actor="audit")
            except BaseException:
                self._is_torn = log.is_closed
                raise
            self.seals += sealed is not None
            return sealed

    def _due(self) -> str | None:
        """Return why the log is to be sealed, or None."""
        log, settings = self.log, self.settings
        if log.directory is None or log.is_closed:
            return None
        if settings.max_events is not None and log.size >= settings.max_events:
            return "max_events"
        oldest = None if settings.retention_days is None else log.oldest()
        if oldest is not None and self._clock.time() - oldest > _DAY * (settings.retention_days or 0):
            return "retention_days"
        return None

    def close(self, patience: float = 1.0) -> None:
        """Write what still waits and close the log; the actor is gone by now.

        Args:
            patience: seconds to wait for a write that was begun before.

        Raises:
            AuditError: something could not be written, or that write does not end.
        """
        if not self._writing.acquire(timeout=patience):
            raise AuditLockedError(
                "audit log", "a write does not end", "the disk hangs; verify the log before using it"
            )
        try:
            self._write()
        finally:
            try:
                self.log.close()
            finally:
                self._writing.release()

    def _write(self) -> AuditHead:
        log = self.log
        if self._is_torn:
            log.reopen()
            self._is_torn = False
        if log.pending:
            log.commit()  # what an earlier write could not make durable; no more goes behind it before that
        self._resume()
        intake = self.intake
        is_each = self.settings.durability == "each"
        most = 1 if is_each else PIECE
        left = len(intake) + len(intake.held)
        while piece := intake.take(min(left, most)):
            left -= len(piece)
            try:
                self._append(piece)
            except Exception:
                self._resume()
                intake.put_back()
                raise
            intake.written()
            if is_each:
                log.commit()  # durable under a head of its own before the next
        self._tell_of_losses()
        return log.commit()

    def _resume(self) -> None:
        """Let go of what is held if the log has it: whoever wrote it may have been interrupted."""
        held, began = self.intake.held, self._began
        if held and began not in (_KEPT, self.log.size + self.log.pending):
            if began != _COUNTED:
                self._count(held)
            self.intake.written()
        self._began = _KEPT

    def _tell_of_losses(self) -> None:
        """Have the log say how many events were lost since it last said so: behind those that had left them no room."""
        lost = self.intake.lost
        if lost > self._lost:
            facts = {"count": lost - self._lost}
            event = Audit("error", "events_lost", "critical", facts)
            self._append([(self._clock.monotonic(), None, event, None, "audit")])
            self._lost = lost

    def _append(self, waiting: list[Waiting]) -> None:
        """Add events to what the next commit of the log makes durable, and count them."""
        self._began = self.log.size + self.log.pending
        numbered = _numbered(waiting)
        self.log.append_many(self._events(waiting) if numbered is None else self._numbered_events(*numbered))
        self._count(waiting, None if numbered is None else numbered.whats)

    def _count(self, waiting: list[Waiting], numbered: Sequence[int] | None = None) -> None:
        """Count events that are in the log; `numbered` has their effects if all are some that have numbers."""
        others: Iterable[Waiting] = ()
        if numbered is None:
            numbered = [what for _, _, what, packed, _ in waiting if packed is None and isinstance(what, int)]
            others = [each for each in waiting if each[3] is not None or not isinstance(each[2], int)]
        numbers = Counter(numbered)
        types, edges = self.by_type.copy(), self.by_edge.copy()
        for _, _, what, packed, _ in others:
            if packed is None:
                _count(cast("Transition | Audit", what), 1, types, edges)
            else:
                types[KINDS[cast("int", what)][0]] += 1
        for number, count in numbers.items():
            _count(effect_of(number), count, types, edges)
        # All at once: nothing is called in between, so nobody is interrupted there.
        self.by_type, self.by_edge, self._began = types, edges, _COUNTED

    def _numbered_events(
        self, moments: Sequence[float], sessions: Sequence[str | None], whats: Sequence[int], actors: Sequence[str]
    ) -> EventColumns:
        """Return what waits as events of the log, where all are effects that have numbers."""
        offset = self._clock.time() - self._clock.monotonic()
        known = {each: self._pack_numbered(each) for each in set(whats)}
        walls = [moment + offset for moment in moments]
        kinds, data = zip(*map(known.__getitem__, whats), strict=True)
        return EventColumns((walls, moments, sessions, kinds, actors, data))

    def _events(self, waiting: list[Waiting]) -> Iterator[_Event]:
        """Yield what waits as events of the log, whatever it is."""
        offset = self._clock.time() - self._clock.monotonic()
        data: object
        for moment, session_id, what, packed, actor in waiting:
            if what.__class__ is not int:
                _, kind, data = self._pack(cast("Transition | Audit", what))
            elif packed is None:
                kind, data = self._pack_numbered(what)
            else:  # packed where it came from
                kind, data = what, PackedData(packed) if packed.__class__ is bytes else packed
            yield (moment + offset, moment, session_id, kind, actor, data)

    def _pack_numbered(self, number: int) -> tuple[int, Packed]:
        """Return the kind of an effect that has a number, and its data as bytes."""
        known = self._numbered.get(number)
        if known is None:
            _, kind, data = self._pack(effect_of(number))
            assert not isinstance(data, dict)
            known = self._numbered[number] = (kind, data)
        return known

    def _pack(self, effect: Transition | Audit) -> _Packed:
        """Return an effect with its kind and its data as bytes."""
        known = self._packed.get(id(effect))
        if known is not None and known[0] is effect:
            return known
        if isinstance(effect, Transition):
            facts: dict[str, object] = {
                "from_state": effect.from_state,
                "to_state": effect.to_state,
                "reason": effect.reason,
                "event": effect.name,
            }
            kind = _TRANSITION
        else:
            kind = kind_of(effect.type, effect.severity)
            if effect.data:
                facts = {"event": effect.name, **effect.data}
                if not self.log.rules.may_repeat(facts):
                    return (effect, kind, facts)  # each entry has commitments of its own: packed with it
                # Packed again for each, unless the lifecycle gives the same object again and again.
                if effect.type != "auth":
                    return (effect, kind, self.pack_facts(effect.name, effect.data))
            else:
                facts = {"event": effect.name}
        known = (effect, kind, self.log.rules.pack(facts))
        if len(self._packed) >= _PACKED_MAX:
            self._packed.clear()
        self._packed[id(effect)] = known
        return known

    def pack_facts(self, name: str, facts: Mapping[Any, object]) -> Packed:
        """Pack an event's data; the same few facts come again and again."""
        if len(facts) <= _FACTS_MAX:
            kinds = [value.__class__ for value in facts.values()]
            if _REPEATING.issuperset(kinds) and self.log.rules.may_repeat(facts):
                return self._pack_again(name, *zip(facts, kinds, facts.values(), strict=True))
        return self.log.rules.pack({"event": name, **facts})

    def _pack_repeating(self, name: str, *facts: tuple[str, type, object]) -> Packed:
        # The class is part of the key: 1, 1.0 and True are equal and not the same.
        return self.log.rules.pack({"event": name, **{key: value for key, _, value in facts}})

    def erase(self, subject: str, actor: str, reason: str) -> Erasure | None:
        """Write what waits, and erase the personal data of somebody, in sealed logs as well (see `AuditLog.erase()`).

        Raises:
            AuditError: it could not be done, or not to its end; a later sweep goes on with it.
        """
        with self._writing:
            self._write()
            clock = self._clock
            return self.log.erase(subject, clock.time(), clock.monotonic(), actor=actor, reason=reason)


_Packed: TypeAlias = "tuple[Transition | Audit, int, Packed | dict[str, object]]"
"""An effect, its kind, and its data as bytes, or as they are where each entry packs them for itself."""


class _Numbered(NamedTuple):
    """Effects that have numbers, as they waited, column by column (see `Waiting`)."""

    moments: Sequence[float]
    sessions: Sequence[str | None]
    whats: Sequence[int]
    actors: Sequence[str]


def _numbered(waiting: list[Waiting]) -> _Numbered | None:
    """Return the columns of what waits, or None if some of it is not just an effect that has a number."""
    moments, sessions, whats, packed, actors = zip(*waiting, strict=True)
    if packed.count(None) < len(packed) or set(map(type, whats)) != {int}:
        return None
    return _Numbered(moments, sessions, whats, actors)


def _count(effect: Transition | Audit, count: int, types: Counter[str], edges: Counter[str]) -> None:
    if isinstance(effect, Transition):
        types["state_transition"] += count
        edges[f"{effect.from_state}->{effect.to_state}"] += count
    else:
        types[effect.type] += count


class AuditService(LogKeeper):
    """The singleton that writes the audit log.

    Args:
        ledger: log and queue, which an earlier audit actor may have left.
        around: the system around it.
    """

    target = "the audit log"
    failures = AuditError

    def write(self) -> AuditHead:
        """Write what waits as one batch."""
        self.ledger.intake.heard()
        head = self.ledger.write()
        self.wrote(head.size)
        return head

    def flush(self) -> object:
        """Write; while that fails, sessions refuse what would give somebody rights, unless the settings let them."""
        written = super().flush()
        self.ledger.intake.is_failing = self.is_failing and self.ledger.settings.fail_closed
        return written

    def on_receive(self, message: Any) -> Any:
        """Note that events wait, write them, or write and answer with the head; or look after the log."""
        if message == COMMIT:
            return self.flush()
        if message.__class__ is Erase:
            return self._erase(message)
        if message.__class__ is Look:
            return self._look(message)
        if message == FLUSH:
            self.flush()
        elif message in (WAITING, FULL):
            if self.is_failing:
                pass  # the next try has its time; more of them help nobody
            elif len(self.ledger.intake) >= self.ledger.intake.batch_max:
                self.flush()
            else:
                self.flush_after(self.ledger.settings.batch_delay)
            return not self.is_failing
        elif not self.look_after(message):
            raise UnknownRequest("message", message, "a message of the audit queue")
        return None

    def _look(self, wanted: Look) -> object:
        try:
            return self.ledger.look(wanted.at)
        except AuditError as error:
            return error

    def _erase(self, wanted: Erase) -> Erasure | AuditError | None:
        """Erase, and answer with what was done, or with what kept it from that."""
        try:
            return self.ledger.erase(*wanted)
        except AuditError as error:
            return error
        finally:
            self.wrote(self.ledger.log.size)
