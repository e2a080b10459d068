"""The files of an audit log and how they are written so that they are there after a power cut.

==============  ==================================================================
`audit.db`      the entries, their index and the signed heads (SQLite)
`hashes`        32 bytes for each entry: the hash of its leaf, in order
`checkpoints`   the signed heads again, one after the other, as text
`audit.pub`     the public key, as text
`audit.key`     the private key, unless it is kept elsewhere
`personal.db`   what opens the commitments in entries, see `sessionactors.audit.openings`
`ids.key`       the key of the hash under which sessions appear, unless it is kept elsewhere
`ids.pub`       the numbers of the keys that were ever used for that, if any was
`handovers`     how the logs before this one passed on to it, if there were any
`archive`       those logs, see `sessionactors.audit.archives`
`next`          a log that is to follow this one, while that is being sealed
`sealing`       there while the two change places, see `sessionactors.audit.sealing`
==============  ==================================================================

The database is committed first and the two files follow. So they are never
ahead of it, and behind it by at most the last commit. Whoever alters the
database alone is found out by the files, entry by entry.
"""

from __future__ import annotations

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sessionactors.audit.errors import AuditError, AuditLockedError, AuditReadError, AuditWriteError

__all__ = ["DurableFile", "LogPaths", "sync_directory"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class LogPaths:
    """Where the parts of a log are.

    Attributes:
        directory: the log.
        overlay: a directory whose files count in place of those in the log, or None.
        elsewhere: what `home` is, where the directory does not show it.
    """

    directory: Path
    overlay: Path | None = None
    elsewhere: Path | None = None

    @classmethod
    def for_reading(cls, directory: Path, home: Path | None = None) -> LogPaths:
        """Return where the parts are for somebody who may change nothing.

        Where a seal was interrupted, the next log is complete, but some of its
        files are still in the directory in which it was made.
        """
        paths = cls(directory)
        return cls(directory, paths.draft if paths.sealing.exists() else None, home)

    def part(self, name: str) -> Path:
        """Return where a file of the log is."""
        if self.overlay is not None and (self.overlay / name).exists():
            return self.overlay / name
        return self.directory / name

    @property
    def database(self) -> Path:
        return self.part("audit.db")

    @property
    def write_ahead_log(self) -> Path:
        """Where SQLite keeps what is on its way into the database; there while a writer is, or after it crashed."""
        return self.part("audit.db-wal")

    @property
    def rollback_journal(self) -> Path:
        """What a writer leaves that was interrupted while it made the database one file."""
        return self.part("audit.db-journal")

    @property
    def hashes(self) -> Path:
        return self.part("hashes")

    @property
    def checkpoints(self) -> Path:
        return self.part("checkpoints")

    @property
    def public_key(self) -> Path:
        return self.part("audit.pub")

    @property
    def private_key(self) -> Path:
        return self.part("audit.key")

    @property
    def home(self) -> Path:
        """The directory of the row of logs that this one belongs to: a sealed one lies in its archive."""
        if self.elsewhere is not None:
            return self.elsewhere
        return self.directory.parent.parent if self.directory.parent.name == "archive" else self.directory

    @property
    def personal(self) -> Path:
        return self.home / "personal.db"

    @property
    def ids_key(self) -> Path:
        return self.home / "ids.key"

    @property
    def ids_public(self) -> Path:
        return self.part("ids.pub")

    @property
    def handovers(self) -> Path:
        return self.part("handovers")

    @property
    def archive(self) -> Path:
        return self.directory / "archive"

    @property
    def draft(self) -> Path:
        """Where the log that is to follow is made."""
        return self.directory / "next"

    @property
    def sealing(self) -> Path:
        """What says that the log in `draft` is complete and takes the place of this one."""
        return self.directory / "sealing"


@final
class DurableFile:
    """A file that grows at its end, and whose growth survives.

    Args:
        path: made if it is not there, for the owner only.
        role: what it is, for messages.
        is_synced: whether a write waits until it is on the disk.

    Raises:
        AuditWriteError: it cannot be opened for writing.

    Thread: one at a time; the owner's.
    """

    __slots__ = ("_descriptor", "_is_synced", "_path", "_role")

    def __init__(self, path: Path, role: str, *, is_synced: bool = True) -> None:
        self._path = path
        self._is_synced = is_synced
        self._role = role
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise self._failed(error) from error

    def lock(self) -> None:
        """Become the only writer until the file is closed, also against other logs of this process.

        Raises:
            AuditLockedError: somebody else is.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AuditLockedError(
                "audit log",
                "another writer has it open",
                "close that one first, or write to another directory",
                self._path.parent,
            ) from error
        except OSError as error:
            raise self._failed(error) from error
        if not self.is_in_place():
            # It was opened, then the log was sealed by its writer, then it was locked.
            raise AuditLockedError("audit log", "it has just been sealed", "open it again", self._path.parent)

    def is_in_place(self) -> bool:
        """Tell whether the file is still the one under its name, or whether a sealed log has taken it along."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def size(self) -> int:
        """Return its length in bytes."""
        return os.fstat(self._descriptor).st_size

    def read(self, start: int, size: int) -> bytes:
        """Return the bytes from a place on, fewer where the file ends before."""
        try:
            return os.pread(self._descriptor, size, start)
        except OSError as error:
            raise AuditReadError(
                self._role, f"it cannot be read ({error.strerror})", "check the disk", self._path
            ) from error

    def write(self, start: int, content: bytes) -> None:
        """Write bytes at a place and wait until they are on the disk.

        Raises:
            AuditWriteError: not all of it arrived; writing the same again is safe.

        Blocks: for one synchronisation of the disk.
        """
        view = memoryview(content)
        try:
            while view:
                written = os.pwrite(self._descriptor, view, start)
                start += written
                view = view[written:]
            if self._is_synced:
                os.fdatasync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Give the file and its lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _failed(self, error: OSError) -> AuditError:
        if error.errno in _FULL:
            return AuditWriteError(self._role, "the disk is full", "free some space and commit again", self._path)
        if error.errno in _FORBIDDEN:
            return AuditWriteError(
                self._role, "it may not be written", "check its permissions and the file system", self._path
            )
        return AuditWriteError(
            self._role, f"it cannot be written ({error.strerror})", "check the disk and the path", self._path
        )

    def __repr__(self) -> str:
        return f"<DurableFile {self._role}>"


def sync_directory(path: Path) -> None:
    """Wait until the names of new files in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
