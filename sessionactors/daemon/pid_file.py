"""A file with the process's number, which also says whether the process lives.

The file is locked for as long as the process lives, so a file that a crash has left
keeps nobody from starting, and a number that now belongs to somebody else misleads nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sessionactors.errors import SessionActorsError

__all__ = ["AlreadyRunningError", "pid_file"]


class AlreadyRunningError(SessionActorsError):
    """Another process that lives has the file."""


@contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """Keep this process's number in a file while the block runs.

    Raises:
        AlreadyRunningError: another process has it.
        OSError: it cannot be written, or it is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise AlreadyRunningError(f"{path} belongs to process {owner or '?'}, which is running") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # somebody else has removed it
                path.unlink()
    finally:
        os.close(descriptor)
