"""What a store of sessions is, wherever it keeps them.

A store maps session ids to *records*. It knows nothing of what a snapshot means:
it keeps bytes, and says whose they are. Four promises:

1. **Durable when it returns.** What `write()` was given is there after the death
   of the process, and with durability `each` and `group` after a power cut.
2. **All or nothing.** `write()` does all of it or, when it raises, nothing.
3. **One owner.** `claim()` makes its caller the owner, under an epoch that is
   higher than any before. Who writes with an older epoch is refused: as a whole
   when another owner has claimed the store, and for a single record when that
   one has been written under a newer epoch.
4. **Nothing is dropped silently.** A record that cannot be used is moved aside by
   `quarantine()`, with the reason, and stays there for people to look at. A record
   of a newer schema is neither replaced nor deleted.

`tests/sessionactors/storage/test_contract.py` is the same in code; every store passes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final, runtime_checkable

__all__ = ["Quarantined", "Record", "SessionStore", "StoredRecord"]


@final
class Record(NamedTuple):
    """What is to become of one session in the store.

    Attributes:
        session_id: whose it is.
        schema: version of the snapshot's meaning, see `sessionactors.storage.codec`.
        checksum: over everything else, see there.
        snapshot: the encoded session; None deletes what is stored.
    """

    session_id: str
    schema: int
    checksum: bytes
    snapshot: bytes | None


@final
class StoredRecord(NamedTuple):
    """A record as it was found; what a damaged file returns may be of any kind.

    Attributes:
        key: where it is, rising; for `after` and `quarantine()`.
        session_id: the id as bytes, because a damaged one need not be text.
        epoch: the owner who wrote it.
        schema: version of the snapshot's meaning.
        checksum: as above.
        snapshot: as above, never None.
    """

    key: int
    session_id: object
    epoch: object
    schema: object
    checksum: object
    snapshot: object


@final
@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that was moved aside.

    Attributes:
        session_id: the id, as far as it could be read.
        reason: why, in words.
        found_at: UTC seconds.
        size: bytes of its snapshot.
    """

    session_id: str
    reason: str
    found_at: float
    size: int


@runtime_checkable
class SessionStore(Protocol):
    """Keeps records; see the top of the file for its promises.

    Everything raises `StoreError` when it cannot be done.

    Thread: one at a time; the owner's. Nothing here takes a lock.
    """

    @property
    def kind(self) -> str:
        """What it is called in options: `memory` or `sqlite`."""
        ...

    def claim(self) -> int:
        """Become the owner; return an epoch that is higher than any before.

        Raises:
            StoreError: it could not be noted durably; the last owner still is.
        """
        ...

    def write(self, epoch: int, records: Sequence[Record]) -> Mapping[str, str]:
        """Store and delete, at most one record for each session.

        Args:
            epoch: the writer's, from `claim()`.
            records: in any order; no two of the same session.

        Returns:
            By session id, in words, why a record was refused; empty when all were taken.

        Raises:
            StoreFencedError: somebody has claimed the store since; nothing was done.
            StoreError: it could not be done, and nothing was.

        Blocks: for one synchronisation of the disk.
        """
        ...

    def read(self, session_id: str) -> StoredRecord | None:
        """Return the record of one session, or None."""
        ...

    def page(self, after: int | None, limit: int) -> Sequence[StoredRecord]:
        """Return records in the order of their keys.

        Args:
            after: only those with a larger key; None begins, because a damaged file may have any key.
            limit: at most so many; fewer only at the end.
        """
        ...

    def count(self) -> int:
        """Return how many records there are, without those in quarantine."""
        ...

    def quarantine(self, found: Iterable[tuple[StoredRecord, str]], at: float) -> None:
        """Move records aside, durably.

        Args:
            found: records of `read()` or `page()`, each with the reason in words.
            at: UTC seconds.
        """
        ...

    def quarantined(self) -> Sequence[Quarantined]:
        """Return what was moved aside, oldest first."""
        ...

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""
        ...
