"""The door for other programs: JSON lines over a Unix socket, or over TCP.

Who may connect to a Unix socket is decided by the permissions of its file. Over TCP a
peer first says ``{"do": "login", "token": "..."}``; nothing else is answered before. A peer
has a line answered before its next one is read, so nobody can pile up requests; a line
that is too long, and silence for too long, end the connection.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from sessionactors import bounds
from sessionactors.daemon.agreement import TOKEN_LEAST
from sessionactors.daemon.requests import answer, done, refusal
from sessionactors.errors import InvalidKind, InvalidValue
from supervisors.health.listener import Connection, Listener, TooLongError
from supervisors.inspection.local_socket import LocalSocket

if TYPE_CHECKING:
    from sessionactors.session import Session
    from sessionactors.system import SessionSystem

__all__ = ["TOKEN_LEAST", "Front"]

_SEND_TIMEOUT: Final = 10.0  # seconds that a peer has to take an answer
_LOGIN_TIMEOUT: Final = 10.0  # seconds, or less, that a peer has to say its token
_LOGIN_MAX: Final = 4_096  # bytes of that line


@final
class Front:
    """Answers requests of other programs, from `start()` to `stop()`.

    Args:
        system: what they drive.
        where: path of a Unix socket, where a socket that a crash has left is replaced; or host
            and port of TCP, the host being an address in numbers and port 0 any that is free.
        mode: permissions of the socket's file.
        token: what a peer has to say over TCP, 16 characters or more; there it is needed.
        allow_remote: let TCP listen at an address that other machines can reach. There is no
            encryption: whoever sees the connection sees the token.
        classes: classes of sessions by the names under which they can be asked for.
        line_max: bytes of a request.
        connections_max: peers at the same time.
        idle_timeout: seconds of silence that end a connection, and that a line may take.

    Attributes:
        address: host and port that it listens at, or None.

    Raises:
        SocketTakenError: another process listens at the path, or it is no socket.
        InvalidValue, InvalidKind, InvalidArgumentError: bad input.
        OSError: it cannot be made.

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        system: SessionSystem,
        where: str | Path | tuple[str, int],
        *,
        mode: int = 0o600,
        token: str | None = None,
        allow_remote: bool = False,
        classes: Mapping[str, type[Session]] | None = None,
        line_max: int = 65_536,
        connections_max: int = 64,
        idle_timeout: float = 300.0,
    ) -> None:
        self._system = system
        self._classes = {} if classes is None else dict(classes)
        self.limit(line_max=line_max, idle_timeout=idle_timeout)
        self._clock = system.actors.clock
        self._idle = threading.Condition()  # guards the next two
        self._busy = 0  # requests that are being answered
        self._is_closing = False
        self._file: LocalSocket | None = None
        self._token: bytes | None = None
        self.address: tuple[str, int] | None = None
        if isinstance(where, tuple):
            self._token = _checked_token(token)
            listening = _tcp(where, allow_remote=allow_remote)
            self.address = listening.getsockname()[:2]
        else:
            self._file = LocalSocket(where, mode)
            listening = self._file.listening
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
            if self._file is not None:
                self._file.remove()
            raise

    def limit(
        self,
        *,
        line_max: int | None = None,
        idle_timeout: float | None = None,
        connections_max: int | None = None,
    ) -> None:
        """Change limits; those of a line count from the next one on, and nobody who is there is sent away."""
        if line_max is not None:
            self._line_max = bounds.count("line_max", line_max)
        if idle_timeout is not None:
            self._idle_timeout = bounds.seconds("idle_timeout", idle_timeout)
        if connections_max is not None:
            self._listener.limit(connections_max)

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
        if self._file is not None:
            self._file.remove()
        return left

    def _serve(self, connection: Connection) -> None:
        if self._token is not None and not self._logs_in(connection):
            return
        while True:
            line = self._next_line(connection, self._line_max, self._idle_timeout)
            if line is None:
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

    @staticmethod
    def _next_line(connection: Connection, most: int, timeout: float) -> bytes | None:
        """Return the next line; None when the peer has been told why there is none."""
        try:
            return connection.read_until(b"\n", most, timeout)
        except TooLongError as error:
            connection.send(refusal(None, "too_long", f"a line has at most {error.most} bytes"), _SEND_TIMEOUT)
        except TimeoutError:
            connection.send(refusal(None, "idle", "no request came in time"), _SEND_TIMEOUT)
        return None

    def _logs_in(self, connection: Connection) -> bool:
        """Have a peer say the token; there is one try in a connection."""
        line = self._next_line(connection, _LOGIN_MAX, min(self._idle_timeout, _LOGIN_TIMEOUT))
        if line is None:
            return False
        assert self._token is not None
        try:
            given = json.loads(line)
        except (ValueError, RecursionError):
            given = None
        request = given if isinstance(given, dict) and given.get("do") == "login" else {}
        said, request_id = request.get("token"), request.get("id")
        # Compared in a time that does not tell how much of it is right.
        if isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "replace"), self._token):
            is_id = isinstance(request_id, (int, str)) and not isinstance(request_id, bool)
            connection.send(done(request_id if is_id else None, None), _SEND_TIMEOUT)
            return True
        connection.send(refusal(None, "forbidden", 'the first line is {"do": "login", "token": ...}'), _SEND_TIMEOUT)
        return False


def _checked_token(token: object) -> bytes:
    allowed = f"{TOKEN_LEAST} characters or more, because over TCP everybody on the machine can connect"
    if token is not None and not isinstance(token, str):
        raise InvalidKind("token", token, allowed)
    if token is None or len(token) < TOKEN_LEAST:
        raise InvalidValue("token", None, allowed)  # what was given is not shown
    return token.encode("utf-8", "replace")


def _tcp(where: tuple[str, int], *, allow_remote: bool) -> socket.socket:
    host, port = where
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidValue("host", host, "an address in numbers, such as 127.0.0.1 or ::1") from error
    if not address.is_loopback and allow_remote is not True:
        raise InvalidValue("host", host, "127.0.0.1 or ::1, unless allow_remote says that other machines may come")
    bounds.count("port", port, least=0, most=65_535)
    listening = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening
