"""Every way in which a store can fail its owner.

::

    SessionActorsError
    ├── StoreError                  store_failed
    │   ├── StoreLockedError        store_locked       another program has it
    │   ├── StoreReadOnlyError      store_read_only    it may not be written
    │   ├── StoreFullError          store_full         there is no room left
    │   ├── StoreDiskError          store_disk_failed  the disk does not do what it should
    │   ├── StoreDamagedError       store_damaged      it is no database of sessions, or a spoiled one
    │   ├── StoreMissingError       store_missing      it cannot be opened
    │   ├── StoreVersionError       store_version      a newer program has made it
    │   ├── StoreFencedError        store_fenced       somebody else owns it by now
    │   └── StoreClosedError        store_closed       it was closed, or the process was forked
    └── RecordError                 record_refused     one stored session, not the store
        ├── DamagedRecordError      record_damaged     it is not what was written
        └── NewerRecordError        record_newer       a newer program has written it

A store that fails has changed nothing, and may be asked again. None of them is a
refusal: it is the actor in front of the store who turns them into answers.
"""

from __future__ import annotations

from pathlib import Path

from sessionactors.errors import SessionActorsError

__all__ = [
    "DamagedRecordError",
    "NewerRecordError",
    "RecordError",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreDiskError",
    "StoreError",
    "StoreFencedError",
    "StoreFullError",
    "StoreLockedError",
    "StoreMissingError",
    "StoreReadOnlyError",
    "StoreVersionError",
]


class StoreError(SessionActorsError):
    """The store cannot do what was asked; nothing was changed.

    Attributes:
        code: a stable name for programs.
        problem: what is wrong, in words.
        path: where the store is, if it is anywhere.
    """

    code = "store_failed"

    def __init__(self, problem: str, advice: str, path: Path | None = None) -> None:
        self.problem = problem
        self.path = path
        where = "" if path is None else f" {str(path)!r}"
        super().__init__(f"store of sessions{where}: {problem}; {advice}")


class StoreLockedError(StoreError):
    """Another program, or another system of this one, has the store open."""

    code = "store_locked"


class StoreReadOnlyError(StoreError):
    """The store may be read but not written."""

    code = "store_read_only"


class StoreFullError(StoreError):
    """There is no room left on the disk, or below a limit."""

    code = "store_full"


class StoreDiskError(StoreError):
    """The disk has failed to read or to write."""

    code = "store_disk_failed"


class StoreDamagedError(StoreError):
    """The file is no store of sessions, or a spoiled one."""

    code = "store_damaged"


class StoreMissingError(StoreError):
    """The file is not there or cannot be opened."""

    code = "store_missing"


class StoreVersionError(StoreError):
    """A newer program has made the store."""

    code = "store_version"


class StoreFencedError(StoreError):
    """Somebody else has become the owner of the store since."""

    code = "store_fenced"


class StoreClosedError(StoreError):
    """The store was closed, or belongs to the process that this one was forked from."""

    code = "store_closed"


class RecordError(SessionActorsError):
    """One stored session cannot be used; all others can.

    Attributes:
        code: a stable name for programs.
        reason: what is wrong with it, in words.
    """

    code = "record_refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the stored session cannot be used: {reason}")


class DamagedRecordError(RecordError):
    """The record is not what was written."""

    code = "record_damaged"


class NewerRecordError(RecordError):
    """A newer program has written the record; this one leaves it alone."""

    code = "record_newer"
