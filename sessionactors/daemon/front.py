"""The door for other programs: JSON lines over a Unix socket.

Who may connect is decided by the permissions of the socket's file. A peer has a line
answered before its next one is read, so nobody can pile up requests; a line that is
too long, and silence for too long, end the connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from sessionactors import bounds
from sessionactors.daemon.requests import answer, refusal
from sessionactors.errors import InvalidValue, SessionActorsError
from supervisors.health.listener import Connection, Listener, TooLongError

if TYPE_CHECKING:
    from sessionactors.session import Session
    from sessionactors.system import SessionSystem

__all__ = ["Front", "SocketTakenError"]

_SEND_TIMEOUT: Final = 10.0  # seconds that a peer has to take an answer
_PATH_MAX: Final = 107  # bytes that fit into the kernel's address of a Unix socket


class SocketTakenError(SessionActorsError):
    """Something else is at the socket's path."""


@final
class Front:
    """Answers requests of other programs, from `start()` to `stop()`.

    Args:
        system: what they drive.
        path: of the socket; a socket that a crash has left there is replaced.
        mode: permissions of its file.
        classes: classes of sessions by the names under which they can be asked for.
        line_max: bytes of a request.
        connections_max: peers at the same time.
        idle_timeout: seconds of silence that end a connection, and that a line may take.

    Raises:
        SocketTakenError: another process listens there, or it is no socket.
        OSError: it cannot be made.

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        system: SessionSystem,
        path: Path,
        *,
        mode: int = 0o600,
        classes: Mapping[str, type[Session]] | None = None,
        line_max: int = 65_536,
        connections_max: int = 64,
        idle_timeout: float = 300.0,
    ) -> None:
        self._system = system
        self._path = path
        self._classes = {} if classes is None else dict(classes)
        self._line_max = bounds.count("line_max", line_max)
        self._idle_timeout = bounds.seconds("idle_timeout", idle_timeout)
        self._clock = system.actors.clock
        self._idle = threading.Condition()  # guards the next two
        self._busy = 0  # requests that are being answered
        self._is_closing = False
        listening = _bound(path, mode)
        self._identity = _identity(path)
        try:
            self._listener = Listener(
                listening,
                self._serve,
                clock=self._clock,
                connections_max=connections_max,
                busy=refusal(None, "busy", "there are as many connections as may be; try again later"),
                name="supervisors-front",
            )
        except BaseException:
            listening.close()
            path.unlink(missing_ok=True)
            raise

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start()

    def drain(self, timeout: float) -> int:
        """Take no more connections and requests, and wait for those that are being answered.

        Returns:
            How many were still being answered when the seconds were over.
        """
        with self._idle:
            self._is_closing = True
        self._listener.pause()
        deadline = self._clock.monotonic() + timeout
        with self._idle:
            while self._busy and (left := deadline - self._clock.monotonic()) > 0:
                self._idle.wait(left)
            return self._busy

    def stop(self, timeout: float = 5.0) -> int:
        """End all connections and remove the socket; return how many did not end in time."""
        left = self._listener.stop(timeout)
        # Another process may have put its own there meanwhile.
        if self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)
        return left

    def _serve(self, connection: Connection) -> None:
        while True:
            try:
                line = connection.read_until(b"\n", self._line_max, self._idle_timeout)
            except TooLongError as error:
                connection.send(refusal(None, "too_long", f"a line has at most {error.most} bytes"), _SEND_TIMEOUT)
                return
            except TimeoutError:
                connection.send(refusal(None, "idle", "no request came in time"), _SEND_TIMEOUT)
                return
            if not line.strip():
                continue
            with self._idle:
                is_closing = self._is_closing
                self._busy += not is_closing
            if is_closing:
                connection.send(refusal(None, "stopping", "the daemon stops; nothing was done"), _SEND_TIMEOUT)
                return
            try:
                connection.send(answer(line, self._system, self._classes), _SEND_TIMEOUT)
            finally:
                with self._idle:
                    self._busy -= 1
                    self._idle.notify_all()


def _bound(path: Path, mode: int) -> socket.socket:
    if len(os.fsencode(path)) > _PATH_MAX:
        raise InvalidValue("socket", str(path), f"a path of at most {_PATH_MAX} bytes")
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nobody can connect before listen(), so the permissions are right before anybody comes.
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(before)
    path.chmod(mode)
    return listening


def _clear(path: Path) -> None:
    """Remove a socket at which nobody listens; refuse to touch anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTakenError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise SocketTakenError(f"{path} belongs to somebody else") from error
    raise SocketTakenError(f"another process listens at {path}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
