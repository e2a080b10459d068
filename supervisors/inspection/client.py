"""A client of an inspection door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from supervisors.errors import SupervisorsError
from supervisors.inspection.line_connection import LineConnection
from supervisors.inspection.wire import ANSWER_MAX, VERSION, line_of
from supervisors.timers.service import checked_delay

__all__ = ["InspectionClient", "InspectionRefusal"]


class InspectionRefusal(SupervisorsError):  # noqa: N818 - a refusal is an answer, not an error
    """The other process says no.

    Attributes:
        code: that of the refusal, such as `no_actor`, `hangs` or `traced`; of the door itself are
            `busy`, `forbidden`, `idle`, `invalid`, `too_large`, `too_long` and `internal`.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, str(self))


@final
class InspectionClient:
    """One connection to a process that can be inspected.

    Args:
        path: of its socket.
        timeout: seconds that a line of an answer may take.

    Raises:
        OSError: nobody listens there, or it is not for this user.

    Thread: one at a time; `close()` any.
    """

    def __init__(self, path: str | Path, *, timeout: float = 15.0) -> None:
        self._lock = threading.Lock()  # guards _number
        self._number = 0
        self._connection = LineConnection(path, timeout=checked_delay("timeout", timeout), answer_max=ANSWER_MAX + 1)

    def call(self, do: str, /, **arguments: Any) -> Any:
        """Ask for something that is answered once, and return its value.

        Args:
            do: the operation.
            **arguments: its arguments.

        Raises:
            InspectionRefusal: the other process says no.
            TimeoutError: no answer came in time; the connection is closed.
            ConnectionError: the other process has gone.
        """
        answer = self._answer(self._send(do, arguments))
        return answer.get("value")

    def stream(self, do: str, /, **arguments: Any) -> Iterator[Any]:
        """Ask for something that is answered line by line; yield the values, without signs of life.

        Whoever does not take all of them closes the connection. Raises as `call()`.
        """
        number = self._send(do, arguments)
        is_whole = False
        try:
            while True:
                answer = self._answer(number)
                if not answer.get("more"):
                    is_whole = True
                    return
                if answer["value"] is not None:
                    yield answer["value"]
        except InspectionRefusal:
            is_whole = True
            raise
        finally:
            if not is_whole:
                self.close()

    def list(self, do: str, /, **arguments: Any) -> list[Any]:
        """Ask for something that is answered line by line, and return all items of all lines."""
        return [item for line in self.stream(do, **arguments) for item in line]

    def fileno(self) -> int:
        """Return the socket's number, for who waits for several things at once."""
        return self._connection.fileno()

    def ask(self, do: str, /, **arguments: Any) -> int:
        """Send a request whose answer is taken by `take()`; return its number."""
        return self._send(do, arguments)

    def take(self, number: int) -> Any:
        """Return the value of a request that was sent by `ask()`; raises as `call()`."""
        return self._answer(number).get("value")

    def close(self) -> None:
        """End the connection; more than once is fine."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, do: str, arguments: dict[str, Any]) -> int:
        with self._lock:
            self._number += 1
            number = self._number
        self._connection.send(line_of({"v": VERSION, "id": number, "do": do, **arguments}))
        return number

    def _answer(self, number: int) -> dict[str, Any]:
        return self._connection.answer(number, InspectionRefusal)
