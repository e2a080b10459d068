"""What the rate limiter wants to find again after the death of the process, in a small file beside the store.

The file is written whole and put in place of the old one, so it is always one of
the two. It begins with a hash over the rest; a file that is spoiled, or in a format of
a newer program, is moved aside and not used. Nothing in it is worth refusing a start.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
import threading
from pathlib import Path
from typing import Final, final

import msgpack

__all__ = ["KEEP_LIMITS", "LimitsFile"]

logger = logging.getLogger("sessionactors.storage")

KEEP_LIMITS: Final = "keep_limits"
"""Message to the store actor: there is something to write into the file of limits."""

_FORMAT: Final = 1
_SIZE_MAX: Final = 64 * 1024 * 1024
_DIGEST_SIZE: Final = 32


@final
class LimitsFile:
    """Keeps the last value that it was given.

    Args:
        path: the file; made when there is something to keep.
        synchronous: whether it waits until the value is on the disk, or leaves that to the operating system.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_is_failing", "_latest", "_path", "_synchronous", "_writing")

    def __init__(self, path: str | os.PathLike[str], *, synchronous: bool = True) -> None:
        self._path = Path(path).absolute()  # also when the program goes to another directory
        self._synchronous = synchronous
        self._latest: object = None
        self._is_failing = False
        self._writing = threading.Lock()  # guards the file; nothing else is called while it is held

    def put(self, value: object) -> None:
        """Take a value that is to be written by the next `flush()`; it replaces one that was not written yet.

        Args:
            value: plain data.
        """
        self._latest = value

    def flush(self) -> bool:
        """Write what waits; False when that failed, and the value waits on.

        Blocks: for one synchronisation of the disk.
        """
        with self._writing:
            value, self._latest = self._latest, None
            if value is None:
                return True
            try:
                self._write(value)
            except OSError:
                if self._latest is None:
                    self._latest = value
                if not self._is_failing:
                    logger.exception("%s cannot be written; it is tried again with the next change", self._path)
                self._is_failing = True
                return False
            self._is_failing = False
            return True

    def read(self) -> object:
        """Return what was written last, or None."""
        try:
            raw = self._raw()
        except FileNotFoundError:
            return None
        except OSError:
            logger.exception("%s cannot be read; no debt and no block of an earlier process is known", self._path)
            return None
        body = raw[_DIGEST_SIZE:]
        value: object = None
        if len(raw) <= _SIZE_MAX and hashlib.sha256(body).digest() == raw[:_DIGEST_SIZE]:
            with contextlib.suppress(ValueError, TypeError, msgpack.UnpackException):
                value = msgpack.unpackb(body)
        if isinstance(value, list) and len(value) == 2 and value[0] == _FORMAT:
            return value[1]
        self._move_aside()
        return None

    def _raw(self) -> bytes:
        # Without waiting: opening a pipe would last until somebody writes into it.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file", str(self._path))
            return file.read(_SIZE_MAX + 1)

    def _write(self, value: object) -> None:
        body = msgpack.packb([_FORMAT, value])
        fresh = self._path.with_name(f"{self._path.name}.new")
        # What an earlier process left there is not written into: it may be a link to elsewhere, or a pipe.
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(body).digest() + body)
            file.flush()
            if self._synchronous:
                os.fsync(file.fileno())
        fresh.replace(self._path)
        if self._synchronous:
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _move_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.spoiled")
        logger.error("%s is spoiled, or of a newer program, and is moved to %s", self._path, aside)
        with contextlib.suppress(OSError):
            self._path.replace(aside)

    def __repr__(self) -> str:
        return f"<LimitsFile {self._path}>"
