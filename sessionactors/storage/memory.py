"""A store in memory: survives the crash of a session, not that of the process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import final

from sessionactors.storage.codec import id_of
from sessionactors.storage.contract import Quarantined, Record, StoredRecord
from sessionactors.storage.errors import StoreClosedError, StoreFencedError
from sessionactors.storage.rules import FENCED, refusal

__all__ = ["MemoryStore"]


@final
class MemoryStore:
    """Keeps records in a dict; the measure of what every other store has to do.

    Thread: one at a time.
    """

    __slots__ = ("_claimed", "_is_closed", "_last_key", "_quarantined", "_records")

    def __init__(self) -> None:
        self._records: dict[str, StoredRecord] = {}  # in the order of their keys
        self._quarantined: list[Quarantined] = []
        self._claimed = 0
        self._last_key = 0
        self._is_closed = False

    @property
    def kind(self) -> str:
        """`memory`."""
        return "memory"

    def claim(self) -> int:
        """Become the owner (see `SessionStore`)."""
        self._check_open()
        self._claimed += 1
        return self._claimed

    def write(self, epoch: int, records: Sequence[Record]) -> Mapping[str, str]:
        """Store and delete (see `SessionStore`)."""
        self._check_open()
        if epoch < self._claimed:
            raise StoreFencedError(*FENCED)
        refused: dict[str, str] = {}
        for record in records:
            session_id = record.session_id
            stored = self._records.get(session_id)
            why = None if stored is None else refusal(stored.epoch, stored.schema, epoch, record.schema)
            if why is not None:
                refused[session_id] = why
            elif record.snapshot is None:
                self._records.pop(session_id, None)
            else:
                if stored is None:
                    self._last_key += 1
                key = self._last_key if stored is None else stored.key
                self._records[session_id] = StoredRecord(
                    key, session_id.encode(), epoch, record.schema, record.checksum, record.snapshot
                )
        return refused

    def read(self, session_id: str) -> StoredRecord | None:
        """Return the record of one session, or None."""
        self._check_open()
        return self._records.get(session_id)

    def page(self, after: int | None, limit: int) -> Sequence[StoredRecord]:
        """Return records in the order of their keys (see `SessionStore`)."""
        self._check_open()
        return tuple(islice((each for each in self._records.values() if after is None or each.key > after), limit))

    def count(self) -> int:
        """Return how many records there are."""
        self._check_open()
        return len(self._records)

    def quarantine(self, found: Iterable[tuple[StoredRecord, str]], at: float) -> None:
        """Move records aside (see `SessionStore`)."""
        self._check_open()
        places = {each.key: session_id for session_id, each in self._records.items()}
        for record, reason in found:
            place = places.pop(record.key, None)
            if place is not None:
                del self._records[place]
                size = len(record.snapshot) if isinstance(record.snapshot, bytes) else 0
                self._quarantined.append(Quarantined(id_of(record), reason, at, size))

    def quarantined(self) -> Sequence[Quarantined]:
        """Return what was moved aside, oldest first."""
        self._check_open()
        return tuple(self._quarantined)

    def close(self) -> None:
        """Forget everything."""
        self._is_closed = True
        self._records.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosedError("it is closed", "open another one")

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._records)} sessions>"
