"""A client of the daemon's front."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from sessionactors import bounds
from sessionactors.errors import SessionActorsError
from supervisors.inspection.line_connection import LineConnection

__all__ = ["ANSWER_MAX", "FrontClient", "FrontRefusal"]

ANSWER_MAX: Final = 64 * 1024 * 1024
"""Bytes of an answer that are read."""


class FrontRefusal(SessionActorsError):  # noqa: N818 - a refusal is an answer, not an error
    """The daemon says no.

    Attributes:
        code: that of the refusal, such as `not_found`; of the front itself are `busy`,
            `forbidden`, `too_long`, `idle`, `stopping`, `timeout` and `internal`.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, str(self))


@final
class FrontClient:
    """One connection to a daemon.

    Args:
        where: path of the daemon's socket, or host and port.
        timeout: seconds that an answer may take.
        token: what a daemon wants to hear over TCP.

    Raises:
        OSError: nobody listens there.
        FrontRefusal: the token is wrong, or there are too many connections.

    Thread: every method is safe anywhere; one request is on its way at a time.
    """

    def __init__(self, where: str | Path | tuple[str, int], *, timeout: float = 30.0, token: str | None = None) -> None:
        self._lock = threading.Lock()  # held while a request is on its way; guards all below
        self._number = 0
        self._connection = LineConnection(where, timeout=bounds.seconds("timeout", timeout), answer_max=ANSWER_MAX)
        if token is not None:
            try:
                self.call("login", token=token)
            except BaseException:
                self.close()
                raise

    def call(self, do: str, /, **arguments: Any) -> Any:
        """Have something done, and return its value; see `sessionactors.daemon.requests`.

        Args:
            do: the operation.
            **arguments: its arguments; ``class`` is written ``class_``.

        Raises:
            FrontRefusal: the daemon says no.
            TimeoutError: no answer came in time; the connection is closed, and it is not known what was done.
            ConnectionError: the daemon has gone, or the connection was closed before.
        """
        request = {name.rstrip("_"): value for name, value in arguments.items()}
        with self._lock:
            self._number += 1
            self._connection.send(json.dumps({**request, "id": self._number, "do": do}).encode("ascii") + b"\n")
            return self._connection.answer(self._number, FrontRefusal)["value"]

    def start(self, session: str | None = None, **options: Any) -> str:
        """Start a session with options that differ from the daemon's; return its id."""
        arguments: dict[str, Any] = {"options": options} if options else {}
        if session is not None:
            arguments["session"] = session
        return str(self.call("start", **arguments))

    def state(self, session: str) -> str:
        """Return the state of a session."""
        return str(self.call("state", session=session))

    def close(self) -> None:
        """End the connection; more than once is fine."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
