"""A pipe between two processes of a simulated machine: bytes in order, a bound, two ends that can go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pipe", "PipeReader", "PipeWriter"]

PIPE_BYTES: Final = 1 << 16
"""What a pipe takes before its writer has to wait, as on Linux."""


@final
class Pipe:
    """What is on its way.

    Attributes:
        data: the bytes.
        is_written: somebody may still write.
        is_read: somebody may still read.
        on_change: is called whenever one of the three has changed.
    """

    __slots__ = ("_waiting", "data", "is_read", "is_written", "on_change")

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_written = True
        self.is_read = True
        self.on_change: Callable[[], object] | None = None
        self._waiting: list[ScheduledFuture[None]] = []

    @property
    def has_room(self) -> bool:
        """Whether it takes at least one byte."""
        return len(self.data) < PIPE_BYTES

    def changed(self) -> None:
        """Wake who waits for the other end."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.offer()
        if self.on_change is not None:
            self.on_change()

    def wait(self, scheduler: Any) -> None:
        """Wait until something has changed."""
        mine: ScheduledFuture[None] = ScheduledFuture(scheduler)
        self._waiting.append(mine)
        scheduler.wait(mine, None)

    def close_reading(self) -> None:
        """Nobody reads any more; what is on its way is lost."""
        self.is_read = False
        self.data.clear()
        self.changed()

    def close_writing(self) -> None:
        """Nobody writes any more; what is on its way still comes."""
        self.is_written = False
        self.changed()

    def put(self, data: bytes | memoryview) -> int:
        """Take what there is room for, and say how much that is.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if not self.is_read:
            raise BrokenPipeError("nobody reads from this pipe any more")
        room = PIPE_BYTES - len(self.data)
        if room > 0:
            self.data += data[:room]
            self.changed()
        return min(max(room, 0), len(data))

    def take(self, count: int) -> bytes:
        """Return so many bytes at most; fewer, or none, if there are not more."""
        data = bytes(self.data[:count])
        del self.data[:count]
        if data:
            self.changed()
        return data


@final
class PipeReader:
    """The end that one process reads from, as a buffered file.

    Args:
        pipe: what is on its way.
        scheduler: lets others run while it is empty.
    """

    def __init__(self, pipe: Pipe, scheduler: Any) -> None:
        self._pipe = pipe
        self._scheduler = scheduler

    def read(self, count: int) -> bytes:
        """Return so many bytes; fewer when the writer has gone."""
        refuse_fenced()
        pipe = self._pipe
        data = b""
        while len(data) < count:
            if not pipe.is_read:
                raise ValueError("read of closed file")
            if pipe.data:
                data += pipe.take(count - len(data))
            elif not pipe.is_written:
                break
            else:
                pipe.wait(self._scheduler)
        return data

    def close(self) -> None:
        """Close it."""
        if self._pipe.is_read:
            self._pipe.close_reading()


@final
class PipeWriter:
    """The end that one process writes to.

    Args:
        pipe: what is on its way.
        scheduler: lets others run while it is full.
        before: is called before each write.
    """

    def __init__(self, pipe: Pipe, scheduler: Any, before: Callable[[], object]) -> None:
        self._pipe = pipe
        self._scheduler = scheduler
        self._before = before

    def write(self, data: bytes) -> int:
        """Write all, waiting for room if need be."""
        self._before()
        refuse_fenced()
        if not self._pipe.is_written:
            raise ValueError("write to closed file")
        left = memoryview(data)
        while left:
            left = left[self._pipe.put(left) :]
            if left:
                self._pipe.wait(self._scheduler)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""

    def close(self) -> None:
        """Close it."""
        if self._pipe.is_written:
            self._pipe.close_writing()
