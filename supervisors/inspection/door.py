"""The door for inspections from other processes: a Unix socket for its owner alone.

The file's permissions keep others out, and the kernel is asked who has connected as well.
Requests of a connection are answered one after the other. Limits: how many connections,
how long a line, how long silence, how long a peer takes to read. Whoever breaks one is
sent away; the others and the system do not notice.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from supervisors.errors import InvalidArgumentError, SupervisorsError
from supervisors.health.listener import Connection, Listener, TooLongError
from supervisors.inspection.local_socket import LocalSocket
from supervisors.inspection.wire import REQUEST_MAX, Request, answered, parsed, refused
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["Caller", "InspectionDoor", "Operation"]

logger = logging.getLogger("supervisors.inspection")

_SEND_TIMEOUT: Final = 10.0  # seconds that a peer has to take a line


@final
class Caller:
    """One connection, as operations see it.

    Attributes:
        user: the user id of the process at the other end; None where the system does not tell.
        notes: what operations keep for the next request of the same connection.
    """

    __slots__ = ("_stopping", "notes", "user")

    def __init__(self, user: int | None, stopping: threading.Event) -> None:
        self.user = user
        self.notes: dict[str, Any] = {}
        self._stopping = stopping

    def pause(self, seconds: float) -> bool:
        """Wait; return whether the door is being closed, so that whoever streams has to end."""
        return self._stopping.wait(seconds)


class Operation(NamedTuple):
    """What can be asked for.

    Attributes:
        run: gets the caller and the arguments by name; returns the value, or an iterator of
            values, each of which is a line of the answer.
        required: arguments that must be there.
        optional: arguments that may be.
    """

    run: Callable[..., object]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@final
class InspectionDoor:
    """Answers inspections, from `start()` to `stop()`.

    Args:
        path: of the socket; one that a crash has left there is replaced.
        operations: by name, such as `supervisors.inspection.operations.actor_operations()`.
        clock: real time.
        mode: permissions of the file; with 0o600 only processes of the same user, and of
            the superuser, are answered.
        connections_max: peers at the same time.
        idle_timeout: seconds of silence that end a connection, and that a line may take.

    Raises:
        SocketTakenError: another process listens there, or what is there is no socket.
        InvalidArgumentError: the path is too long, or a number is not allowed.
        OSError: it cannot be made.

    Thread: every method is safe anywhere.
    """

    def __init__(
        self,
        path: str | Path,
        operations: Mapping[str, Operation],
        *,
        clock: Clock,
        mode: int = 0o600,
        connections_max: int = 8,
        idle_timeout: float = 600.0,
    ) -> None:
        self._operations = dict(operations)
        self._idle_timeout = checked_delay("idle_timeout", idle_timeout)
        self._is_for_owner = not mode & 0o070
        self._stopping = threading.Event()
        self._socket = LocalSocket(path, mode)
        try:
            self._listener = Listener(
                self._socket.listening,
                self._serve,
                clock=clock,
                connections_max=connections_max,
                busy=refused(None, "busy", "there are as many connections as may be; try again later"),
                name="supervisors-inspection",
            )
        except BaseException:
            self._socket.listening.close()
            self._socket.remove()
            raise

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start()

    def limit(self, *, connections_max: int, idle_timeout: float) -> None:
        """Change limits; they count from the next connection and the next line on."""
        self._listener.limit(connections_max)
        self._idle_timeout = checked_delay("idle_timeout", idle_timeout)

    def stop(self, timeout: float = 5.0) -> int:
        """End all connections and remove the socket; return how many did not end in time."""
        self._stopping.set()
        left = self._listener.stop(timeout)
        self._socket.remove()
        return left

    def _serve(self, connection: Connection) -> None:
        user = connection.peer_user()
        if self._is_for_owner and user is not None and user not in (0, os.geteuid()):
            connection.send(refused(None, "forbidden", "this is for the owner of the process"), _SEND_TIMEOUT)
            return
        caller = Caller(user, self._stopping)
        while not self._stopping.is_set():
            try:
                line = connection.read_until(b"\n", REQUEST_MAX, self._idle_timeout)
            except TooLongError as error:
                connection.send(refused(None, "too_long", f"a line has at most {error.most} bytes"), _SEND_TIMEOUT)
                return
            except TimeoutError:
                connection.send(refused(None, "idle", "no request came in time"), _SEND_TIMEOUT)
                return
            if line.strip():
                self._answer(line, caller, connection)

    def _answer(self, line: bytes, caller: Caller, connection: Connection) -> None:
        request: Request | None = None
        try:
            request = parsed(line)
            value = self._run(request, caller)
            if not isinstance(value, Iterator):
                connection.send(answered(request.id, value), _SEND_TIMEOUT)
                return
            try:
                for each in value:
                    connection.send(answered(request.id, each, more=True), _SEND_TIMEOUT)
            finally:
                close = getattr(value, "close", None)
                if close is not None:
                    close()  # also when the peer has gone: what it began is ended
            connection.send(answered(request.id, None, more=False), _SEND_TIMEOUT)
        except (EOFError, TimeoutError):
            raise  # the peer is not there any more; nobody is to be told
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer is told, and the next request is answered
            request_id = None if request is None else request.id
            connection.send(_refusal(request_id, error), _SEND_TIMEOUT)

    def _run(self, request: Request, caller: Caller) -> object:
        operation = self._operations.get(request.do)
        if operation is None:
            raise InvalidArgumentError("do", request.do, f"one of {', '.join(sorted(self._operations))}")
        known = (*operation.required, *operation.optional)
        for field in operation.required:
            if field not in request.arguments:
                raise InvalidArgumentError(field, None, f"a value; {request.do!r} needs one")
        for field in request.arguments:
            if field not in known:
                raise InvalidArgumentError(
                    "request", field, f"the fields of {request.do!r}: {', '.join(known) or 'none'}"
                )
        return operation.run(caller, **request.arguments)


def _refusal(request_id: object, error: Exception) -> bytes:
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return refused(request_id, code, str(error))
    if isinstance(error, SupervisorsError):
        return refused(request_id, "invalid" if isinstance(error, (ValueError, TypeError)) else "refused", str(error))
    logger.error("an inspection could not be answered", exc_info=error)
    return refused(request_id, "internal", f"something went wrong ({type(error).__name__}); see the log")
