"""A client's end of a connection on which each request and each answer is a line: one JSON object.

What goes wrong half-way leaves it unknown which request the next answer belongs to. So the
connection ends then, and whoever uses it again is told.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

from supervisors.clock import SystemClock

__all__ = ["LineConnection"]

_CHUNK: Final = 65_536
_monotonic: Final = SystemClock().monotonic


@final
class LineConnection:
    """A connection to a Unix socket, or to a host and a port.

    Args:
        where: path of the socket, or host and port.
        timeout: seconds that connecting, sending a line and a whole line of an answer may take each.
        answer_max: bytes of a line that are read.

    Raises:
        OSError: nobody listens there, or it is not for this user.

    Thread: one at a time; `close()` any.
    """

    __slots__ = ("_answer_max", "_buffer", "_socket", "_timeout", "is_closed")

    def __init__(self, where: str | Path | tuple[str, int], *, timeout: float, answer_max: int) -> None:
        self._timeout = timeout
        self._answer_max = answer_max
        self._buffer = bytearray()
        self.is_closed = False
        if isinstance(where, tuple):
            self._socket = socket.create_connection(where, timeout)
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(where))
        except BaseException:
            self._socket.close()
            raise

    def send(self, line: bytes) -> None:
        """Send a request.

        Raises:
            ConnectionError: the connection was closed.
            TimeoutError: the other side does not take it; the connection is closed.
        """
        if self.is_closed:
            raise ConnectionError("the connection was closed")
        try:
            self._socket.settimeout(self._timeout)
            # Who is sent away, because there are too many or the line is too long, is told why all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(line)
        except BaseException:
            self.close()
            raise

    def answer(self, number: int, refusal: Callable[[str, str], Exception]) -> dict[str, Any]:
        """Return the answer to a request.

        Args:
            number: the `id` of the request.
            refusal: makes an exception of the code and the message of an answer that says no.

        Raises:
            Exception: what `refusal` made.
            TimeoutError: no answer came in time; the connection is closed.
            ConnectionError: the other side has gone, what it says is no answer, or the connection was closed before.
        """
        if self.is_closed:
            raise ConnectionError("the connection was closed")
        try:
            found = json.loads(self._line())
        except ValueError as error:
            self.close()
            raise ConnectionError("what the other process says is no answer") from error
        except BaseException:
            # The answer would be taken for that of the next request.
            self.close()
            raise
        is_answer = isinstance(found, dict)
        if not is_answer or found.get("id") != number:
            self.close()  # what it says is about the connection, which is over
        if not is_answer or (found.get("ok") and self.is_closed):
            raise ConnectionError("what the other process says is no answer")
        if not found.get("ok"):
            raise refusal(str(found.get("code")), str(found.get("message")))
        return dict(found)

    def fileno(self) -> int:
        """Return the socket's number, for who waits for several things at once."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the connection, and let go whoever waits for an answer; more than once is fine."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _line(self) -> bytes:
        """Return the next line; a byte now and then does not buy it more time."""
        deadline = _monotonic() + self._timeout
        buffer = self._buffer
        looked = 0
        while (at := buffer.find(b"\n", looked)) < 0:
            looked = len(buffer)
            left = deadline - _monotonic()
            if left <= 0:
                raise TimeoutError("no answer came in time")
            if looked > self._answer_max:
                raise ConnectionError(f"an answer has more than {self._answer_max} bytes")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionError("the other process has gone") from error
            if not data:
                raise ConnectionError("the other process has gone")
            buffer += data
        line = bytes(buffer[:at])
        del buffer[: at + 1]
        return line
