"""Takes connections, within limits, and has each served on a thread of its own.

Small on purpose: for a handful of probes and local programs, not for the world.
Whoever comes when there are as many connections as may be is told so and sent
away; whoever is slow is sent away when its time is up.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from supervisors.errors import InvalidArgumentError, SupervisorsError, UsageError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["CONNECTIONS_MAX", "Connection", "Listener", "TooLongError", "checked_connections"]

logger = logging.getLogger("supervisors.listener")

CONNECTIONS_MAX: Final = 1024
"""The most connections that a listener can be told to have at one time; each has a thread."""

_CHUNK: Final = 65_536
_LINGER: Final = 1.0  # seconds that a peer has to read the last answer
_CREDENTIALS: Final = struct.Struct("3i")  # process, user and group of a peer
_PAUSE: Final = 0.1  # seconds until the next try when the process has no file left


class TooLongError(SupervisorsError):
    """A peer has sent more than may be before the end of a line or a head.

    Attributes:
        most: bytes that may be.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"more than {most} bytes")


def checked_connections(field: str, given: object) -> int:
    """Return a number of connections, or raise what names the field."""
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= CONNECTIONS_MAX:
        raise InvalidArgumentError(field, given, f"an integer from 1 to {CONNECTIONS_MAX}")
    return given


@final
class Connection:
    """One peer.

    Thread: the one that serves it; `break_off()` any.
    """

    __slots__ = ("_buffer", "_clock", "_peer")

    def __init__(self, peer: socket.socket, clock: Clock) -> None:
        self._peer = peer
        self._clock = clock
        self._buffer = bytearray()

    def read_until(self, mark: bytes, most: int, timeout: float) -> bytes:
        """Return what comes before a mark, without it.

        Args:
            mark: such as a line break.
            most: bytes that may come before it.
            timeout: seconds for all of it; a byte now and then does not buy more.

        Raises:
            TooLongError: there was no mark within so many bytes.
            TimeoutError: the time is up.
            EOFError: the peer has gone, or the listener stops.
        """
        buffer = self._buffer
        deadline = self._clock.monotonic() + timeout
        looked = 0
        while True:
            at = buffer.find(mark, max(looked - len(mark) + 1, 0), most + len(mark))
            if at >= 0:
                found = bytes(buffer[:at])
                del buffer[: at + len(mark)]
                return found
            looked = len(buffer)
            if looked >= most + len(mark):
                raise TooLongError(most)
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise TimeoutError
            self._peer.settimeout(left)
            try:
                data = self._peer.recv(min(_CHUNK, most + len(mark) - looked))
            except TimeoutError:
                raise
            except OSError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            buffer += data

    @property
    def is_between(self) -> bool:
        """Tell whether nothing has been read of what has not been returned."""
        return not self._buffer

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of it.

        Raises:
            TimeoutError: the peer does not take it in time.
            EOFError: the peer has gone.
        """
        self._peer.settimeout(max(timeout, 0.001))
        try:
            self._peer.sendall(data)  # its timeout is for all of it, as Python documents
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError from error

    def peer_user(self) -> int | None:
        """Return the user id of the process at the other end of a Unix socket; None where the system does not tell."""
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None or self._peer.family != socket.AF_UNIX:
            return None
        try:
            _, user, _ = _CREDENTIALS.unpack(self._peer.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
        except (OSError, struct.error):
            return None
        return int(user)

    def break_off(self) -> None:
        """End the connection; whoever reads or sends meets the end."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection so that the peer still gets the last answer.

        Closing while something unread is there would make the kernel throw away what
        is on its way to the peer. So it is read, for a moment.
        """
        deadline = self._clock.monotonic() + _LINGER
        with self._peer, contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_WR)
            while (left := deadline - self._clock.monotonic()) > 0:
                self._peer.settimeout(left)
                if not self._peer.recv(_CHUNK):
                    break


@final
class Listener:
    """Serves the peers of one listening socket, from `start()` to `stop()`.

    Args:
        listening: a bound stream socket; it is closed with the listener.
        serve: called with each connection on a thread of its own; what it raises
            ends that connection.
        clock: measures time.
        connections_max: peers at the same time, 1 to 1024.
        busy: what a peer too many is told before it is sent away.
        name: prefix of thread names.

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        listening: socket.socket,
        serve: Callable[[Connection], object],
        *,
        clock: Clock,
        connections_max: int = 16,
        busy: bytes = b"",
        name: str = "supervisors-listener",
    ) -> None:
        self._most = checked_connections("connections_max", connections_max)
        self._listening = listening
        self._serve = serve
        self._clock = clock
        self._busy = busy
        self._name = name
        self._lock = threading.Lock()  # guards the next four
        self._open: dict[Connection, threading.Thread] = {}
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self.turned_away = 0
        self._wake, self._woken = socket.socketpair()

    def start(self) -> None:
        """Begin to take connections.

        Raises:
            UsageError: it was started or stopped before.
        """
        self._listening.listen(min(self._most, 128))
        self._listening.setblocking(False)
        with self._lock:
            if self._thread is not None or self._is_stopping:
                raise UsageError("a listener is started once")
            self._thread = threading.Thread(target=self._accept, name=self._name, daemon=True)
            self._thread.start()

    def limit(self, connections_max: int) -> None:
        """Change how many peers there may be; nobody who is there is sent away."""
        self._most = checked_connections("connections_max", connections_max)

    def pause(self) -> None:
        """Take no more connections; those that are there go on."""
        with self._lock:
            self._is_stopping = True
            thread = self._thread
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        self._listening.close()

    def stop(self, timeout: float = 5.0) -> int:
        """Take no more connections and end those that are there.

        Args:
            timeout: seconds for them to end.

        Returns:
            How many connections were still being served when the time was up.
        """
        deadline = self._clock.monotonic() + checked_delay("timeout", timeout)
        self.pause()
        with self._lock:
            left = dict(self._open)
        for connection in left:
            connection.break_off()
        for thread in left.values():
            if thread is not threading.current_thread():
                thread.join(max(deadline - self._clock.monotonic(), 0.0))
        self._wake.close()
        self._woken.close()
        with self._lock:
            return len(self._open)

    @property
    def connections(self) -> int:
        """How many peers there are now."""
        return len(self._open)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                selector.select()
                if self._is_stopping:
                    return
                try:
                    peer, _ = self._listening.accept()
                except BlockingIOError:
                    continue
                except OSError as error:
                    # No file left, or the peer has gone already. The peer waits in the queue meanwhile.
                    logger.warning("a connection could not be taken: %s", error)
                    selector.unregister(self._listening)
                    selector.select(_PAUSE)
                    selector.register(self._listening, selectors.EVENT_READ)
                    continue
                self._take(peer)

    def _take(self, peer: socket.socket) -> None:
        peer.setblocking(True)
        connection = Connection(peer, self._clock)
        with self._lock:
            is_room = len(self._open) < self._most and not self._is_stopping
            if is_room:
                thread = threading.Thread(
                    target=self._run, args=(connection,), name=f"{self._name}-connection", daemon=True
                )
                self._open[connection] = thread
        if not is_room:
            self.turned_away += 1
            with peer, contextlib.suppress(OSError):
                peer.setblocking(False)
                peer.send(self._busy)
            return
        try:
            thread.start()
        except RuntimeError:  # the process can have no more threads
            logger.warning("a connection could not be served: there is no thread for it")
            with self._lock:
                del self._open[connection]
            peer.close()

    def _run(self, connection: Connection) -> None:
        try:
            self._serve(connection)
        except (EOFError, TimeoutError, TooLongError):
            pass  # the peer's own doing, and its own loss
        except Exception:
            logger.exception("serving a connection went wrong; the connection is ended")
        finally:
            connection.close()
            with self._lock:
                self._open.pop(connection, None)
