"""This process's ends of the pipes to another one, which know when that one has ended.

A pipe alone does not tell: whoever the process has forked may hold its ends for hours, and
a read of the pipe has no end as long as somebody could still write. So each wait here is for the
pipe and for the end of the process, whichever comes first.

An end may be closed by one thread while another one waits at it: the descriptors stay
until that one has left, so that it never reads from a file that has got the same number.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING, Final, Self, final

if TYPE_CHECKING:
    from io import FileIO

__all__ = ["PipeReader", "PipeWriter"]

READ_BYTES: Final = 1 << 16
"""What a pipe holds on Linux."""


class _PipeEnd:
    """What both ends do alike; ``with`` one of them, its descriptors stay open.

    Args:
        pipe: the pipe; ours from now on.
        event: what it is waited for.
        ended: a descriptor that can be read once the process has ended; it is copied.
    """

    def __init__(self, pipe: FileIO, event: int, ended: int) -> None:
        self._pipe = pipe
        self._number = pipe.fileno()
        self._ended = os.dup(ended)
        os.set_blocking(self._number, False)
        self._waits = select.poll()
        self._waits.register(self._number, event)
        self._waits.register(self._ended, select.POLLIN)
        self._lock = threading.Lock()  # guards the two below
        self._uses = 0
        self._is_closed = False

    def _is_ready(self) -> bool:
        """Wait for the pipe; False: the process has ended, and there is nothing to wait for."""
        return any(number == self._number for number, _ in self._waits.poll())

    def close(self) -> None:
        """Close it; who waits at it hears of that when the process has ended."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            if was_closed or self._uses:
                return
        self._release()

    def _release(self) -> None:
        self._pipe.close()
        os.close(self._ended)

    def __enter__(self) -> Self:
        with self._lock:
            if self._is_closed:
                raise ValueError("this end of the pipe has been closed")
            self._uses += 1
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._uses -= 1
            if self._uses or not self._is_closed:
                return
        self._release()


@final
class PipeReader(_PipeEnd):
    """Reads what the process writes."""

    def __init__(self, pipe: FileIO, ended: int) -> None:
        super().__init__(pipe, select.POLLIN, ended)
        self._read = bytearray()

    def read(self, count: int) -> bytes:
        """Return so many bytes; fewer once there is nobody who writes, or the process has ended.

        Raises:
            ValueError: it has been closed.
        """
        have = self._read
        with self:
            while len(have) < count and self._is_ready():
                try:
                    more = os.read(self._number, READ_BYTES)
                except BlockingIOError:
                    continue  # somebody else has been quicker
                if not more:
                    break
                have += more
        data = bytes(have[:count])
        del have[:count]
        return data


@final
class PipeWriter(_PipeEnd):
    """Writes what the process reads."""

    def __init__(self, pipe: FileIO, ended: int) -> None:
        super().__init__(pipe, select.POLLOUT, ended)

    def write(self, data: bytes) -> int:
        """Write all, waiting for room if need be.

        Raises:
            BrokenPipeError: nobody reads any more, or the process has ended.
            ValueError: it has been closed.
        """
        left = memoryview(data)
        with self:
            while left:
                try:
                    left = left[os.write(self._number, left) :]
                except BlockingIOError:
                    if not self._is_ready():
                        raise BrokenPipeError("the process that reads this pipe has ended") from None
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""
