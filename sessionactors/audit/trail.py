"""Entries of a log that a program reads one by one, however many there are.

Nothing is left out silently: what was asked for comes, or the trail says what does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from sessionactors.audit.archives import is_archive, unpacked
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError, AuditReadError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import segment_number
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.sealing import archive_name

if TYPE_CHECKING:
    from sessionactors.audit.pseudonyms import Pseudonyms
    from sessionactors.audit.record import AuditRecord
    from sessionactors.audit.selection import Selection

__all__ = ["AuditTrail", "opened_log", "sealed_log", "sealed_logs", "trail_of"]


@final
class AuditTrail(Iterator["AuditRecord"]):
    """An iterator over entries, oldest first, with what it leaves out.

    Args:
        entries: makes the iterator over them.
        limit: how many at most; None for all.
        sealed: sealed logs that are not looked into.
        forgotten: entries that a log in memory does not have any more.

    Attributes:
        sealed: see above.
        forgotten: see above.
        is_cut: whether there was more than the limit allowed; known at the end.

    Thread: one at a time. Give it back with `close()`, or use it as a context
    manager, if it is not read to its end.
    """

    def __init__(
        self, entries: Iterator[AuditRecord], *, limit: int | None = None, sealed: int = 0, forgotten: int = 0
    ) -> None:
        self._entries = entries
        self._left = limit
        self.sealed = sealed
        self.forgotten = forgotten
        self.is_cut = False

    def __next__(self) -> AuditRecord:
        record = next(self._entries)
        if self._left is not None:
            if not self._left:
                self.is_cut = True
                self.close()
                raise StopIteration
            self._left -= 1
        return record

    def close(self) -> None:
        """Let go of the log; there is nothing more to come."""
        close: Callable[[], None] | None = getattr(self._entries, "close", None)
        if close is not None:
            close()
        self._entries = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sealed_logs(directory: Path) -> list[Path]:
    """Return the logs before this one, the oldest first: directories, or packed files.

    Raises:
        AuditReadError: the archive cannot be read.
    """
    archive = LogPaths(directory).archive
    try:
        if not archive.is_dir():
            return []
        found = {path.name.split(".")[0]: path for path in sorted(archive.iterdir(), reverse=True)}
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise AuditReadError("audit archive", problem, "check its permissions", archive) from error
    # Of one that is just being packed there are both; the directory is whole.
    return [path for name, path in sorted(found.items()) if name.isdigit() and not path.name.endswith(".part")]


def sealed_log(directory: Path, number: int) -> Path | None:
    """Return where a log of the row is in the archive, or None if it is not there.

    Raises:
        AuditReadError: the archive cannot be read.
    """
    wanted = archive_name(number)
    return next((path for path in sealed_logs(directory) if path.name.split(".")[0] == wanted), None)


def _logs_before(directory: Path, *, is_wanted: bool) -> tuple[list[Path], int]:
    """Return the logs before this one, and how many there were.

    Raises:
        AuditReadError: they are wanted, and not all of them are there.
    """
    number = 1  # of a log without its public key, what is there is all that is known
    with contextlib.suppress(AuditKeyError):
        number = segment_number(load_public_key(LogPaths.for_reading(directory).public_key).name)
    found = sealed_logs(directory)  # looked for last: a log may be sealed meanwhile
    there = {path.name.split(".")[0] for path in found}
    missing = [name for name in map(archive_name, range(1, number)) if name not in there]
    if missing and is_wanted:
        problem = f"{len(missing)} of {number - 1} sealed logs are not there, from {missing[0]} on"
        raise AuditReadError("audit archive", problem, "bring them back, or ask without them", directory / "archive")
    return found, max(number - 1, len(found))


@contextmanager
def opened_log(path: Path, pseudonyms: Pseudonyms | None = None, *, is_personal: bool = True) -> Iterator[AuditReader]:
    """Open a log for reading, also a packed one, for the time of the block.

    Raises:
        AuditError: it cannot be read, or is none.
    """
    home = LogPaths(path).home
    if not is_archive(path):
        with AuditReader(path, pseudonyms=pseudonyms, home=home, is_personal=is_personal) as reader:
            yield reader
        return
    with (
        unpacked(path) as directory,
        AuditReader(directory, pseudonyms=pseudonyms, home=home, is_personal=is_personal) as reader,
    ):
        yield reader


def trail_of(
    directory: Path,
    selection: Selection,
    *,
    pseudonyms: Pseudonyms | None = None,
    limit: int | None = None,
    with_sealed: bool = False,
    is_personal: bool = True,
) -> AuditTrail:
    """Return what is wanted of a log on disk, up to the entries that it has now.

    Args:
        directory: the log; a writer may be at work.
        selection: what is wanted.
        pseudonyms: the key under which sessions appear, where they do.
        limit: how many at most; None for all.
        with_sealed: whether to begin with the logs that were sealed before.
        is_personal: whether personal data are put back in their places.

    Raises:
        AuditError: the log cannot be read, or not all that were sealed before it, where they are wanted.
    """
    before, count = _logs_before(directory, is_wanted=with_sealed)
    with AuditReader(directory) as reader:
        size = reader.size

    def entries() -> Iterator[AuditRecord]:
        for path, stop in [*((path, None) for path in before if with_sealed), (directory, size)]:
            with opened_log(path, pseudonyms, is_personal=is_personal) as log:
                if stop is None and log.number != int(path.name.split(".")[0]):
                    raise AuditDamagedError("audit archive", "it is another log of the row", "verify --sealed", path)
                yield from selection.among(log, stop)

    return AuditTrail(entries(), limit=limit, sealed=0 if with_sealed else count)
