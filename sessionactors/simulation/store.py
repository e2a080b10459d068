"""A store of sessions on a simulated disk, which fails when the simulation wants it to.

=====================  ==================================================================
fault                  what it does
=====================  ==================================================================
`store_error`          a write, a read, or moving aside fails, and nothing has been done
`store_full`           a write finds no space left, and nothing has been done
`fsync_error`          what was written cannot be made durable, and is gone
`store_error_after`    a write has been done, and says that it failed
`store_slow`           a write or a read takes up to 10 virtual seconds
`lost_write`           a write says that it is durable, and what was there before is still there
`torn_write`           a crash leaves a part of the last write: one record is torn, those behind it are as before
=====================  ==================================================================

The last two break the promises of `sessionactors.storage.contract`, so they fire only
in a simulation that names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from sessionactors.simulation.disk import slow_down
from sessionactors.storage.codec import deletion
from sessionactors.storage.contract import Record, SessionStore
from sessionactors.storage.errors import StoreClosedError, StoreDiskError, StoreFullError
from sessionactors.storage.memory import MemoryStore
from supervisors.errors import InvalidTypeError
from supervisors.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sessionactors.storage.contract import Quarantined, StoredRecord

__all__ = ["SimulatedStore"]

_Batch: TypeAlias = "tuple[int, list[tuple[Record, StoredRecord | None]]]"


@final
class SimulatedStore:
    """The way of one process to a disk with sessions on it. Fulfils `SessionStore`.

    Args:
        simulation: throws the dice.
        disk: what keeps the records, and outlives the process; a new one in memory by default.

    Attributes:
        is_gone: whether its process has died, see `crash()`.

    Example:
        >>> from sessionactors.simulation import SimulatedStore
        >>> from supervisors.simulation import Simulation
        >>> with Simulation(1) as simulation:
        ...     store = SimulatedStore(simulation)
        ...     store.claim(), store.count(), store.crash().claim()
        (1, 0, 2)

    Thread: the simulation's.
    """

    def __init__(self, simulation: Simulation, disk: SessionStore | None = None) -> None:
        if not isinstance(simulation, Simulation):
            raise InvalidTypeError("simulation", simulation, "a Simulation")
        if not (disk is None or isinstance(disk, SessionStore)):
            raise InvalidTypeError("disk", disk, "a SessionStore, or None")
        self._simulation = simulation
        self._disk: SessionStore = MemoryStore() if disk is None else disk
        self._last: _Batch | None = None
        self._is_closed = False
        self.is_gone = False

    @property
    def kind(self) -> str:
        """That of the disk."""
        return self._disk.kind

    def claim(self) -> int:
        """Become the owner (see `SessionStore`); no fault strikes here."""
        self._check_open()
        return self._disk.claim()

    def write(self, epoch: int, records: Sequence[Record]) -> Mapping[str, str]:
        """Store and delete (see `SessionStore`), unless a fault strikes.

        Raises:
            StoreFullError: `store_full`.
            StoreDiskError: `store_error`, `fsync_error`, `store_error_after`, or the process has died.
        """
        self._check_open()
        strikes = self._simulation.strikes
        if strikes("store_full") is not None:
            raise StoreFullError("no space is left", "make room")
        if strikes("store_error") is not None:
            raise StoreDiskError("it cannot be written", "look at the disk")
        if strikes("fsync_error") is not None:
            raise StoreDiskError("what was written cannot be made durable", "look at the disk")
        slow_down(self._simulation)
        records = list(records)
        before = {record.session_id: self._disk.read(record.session_id) for record in records}
        refused = self._disk.write(epoch, records)
        taken = [(record, before[record.session_id]) for record in records if record.session_id not in refused]
        self._last = (epoch, taken)
        if strikes("lost_write") is not None:
            self._undo(epoch, taken)
        if strikes("store_error_after") is not None:
            raise StoreDiskError("it may have been written", "look at the disk")
        return refused

    def read(self, session_id: str) -> StoredRecord | None:
        """Return the record of one session, or None, unless `store_error` strikes."""
        self._look()
        return self._disk.read(session_id)

    def page(self, after: int | None, limit: int) -> Sequence[StoredRecord]:
        """Return records in the order of their keys (see `SessionStore`), unless `store_error` strikes."""
        self._look()
        return self._disk.page(after, limit)

    def count(self) -> int:
        """Return how many records there are."""
        self._check_open()
        return self._disk.count()

    def quarantine(self, found: Iterable[tuple[StoredRecord, str]], at: float) -> None:
        """Move records aside (see `SessionStore`), unless `store_error` strikes."""
        self._look()
        self._disk.quarantine(found, at)

    def quarantined(self) -> Sequence[Quarantined]:
        """Return what was moved aside, oldest first."""
        self._check_open()
        return self._disk.quarantined()

    def close(self) -> None:
        """Let go of the disk, which forgets nothing; another `SimulatedStore` may use it."""
        self._is_closed = True

    def crash(self) -> SimulatedStore:
        """Have the process die: nothing gets to the disk through this store any more.

        Where `torn_write` strikes, a part only of the last write is there.

        Returns:
            The store of the next process.
        """
        part = None if self.is_gone or self._is_closed else self._simulation.strikes("torn_write")
        self.is_gone = True
        if part is not None and self._last is not None:
            self._tear(*self._last, part)
        return SimulatedStore(self._simulation, self._disk)

    def _tear(self, epoch: int, taken: list[tuple[Record, StoredRecord | None]], part: float) -> None:
        whole = int(part * len(taken))
        self._undo(epoch, taken[whole:])
        if taken[whole:]:
            torn = taken[whole][0]
            if torn.snapshot is not None:
                self._disk.write(epoch, [torn._replace(snapshot=torn.snapshot[: len(torn.snapshot) // 2])])

    def _undo(self, epoch: int, taken: list[tuple[Record, StoredRecord | None]]) -> None:
        """Have again what was there before; it stays this owner's, as the contract wants."""
        self._disk.write(epoch, [_again(record.session_id, before) for record, before in taken])

    def _look(self) -> None:
        self._check_open()
        if self._simulation.strikes("store_error") is not None:
            raise StoreDiskError("it cannot be read", "look at the disk")
        slow_down(self._simulation)

    def _check_open(self) -> None:
        if self.is_gone:
            raise StoreDiskError("the process has died", "start another one, with what crash() returns")
        if self._is_closed:
            raise StoreClosedError("it is closed", "open another one")

    def __repr__(self) -> str:
        return f"<SimulatedStore{' that is gone' if self.is_gone else ''} on {self._disk!r}>"


def _again(session_id: str, before: StoredRecord | None) -> Record:
    if before is None:
        return deletion(session_id)
    schema, checksum, snapshot = before.schema, before.checksum, before.snapshot
    assert isinstance(schema, int)
    assert isinstance(checksum, bytes)
    assert isinstance(snapshot, bytes)
    return Record(session_id, schema, checksum, snapshot)
