"""The code of the runaways that live in processes of their own; see `runaway.py`."""

from __future__ import annotations

MIB = 1024 * 1024


class Hoarder:
    """Keeps another 4 MiB at each request."""

    def __init__(self) -> None:
        self.hoard: list[bytearray] = []

    def handle_request(self, request: object) -> int:
        self.hoard.append(bytearray(4 * MIB))
        return len(self.hoard)


class Spinner:
    """Computes for ever at its first request."""

    def handle_request(self, request: object) -> object:
        while True:
            pass


class Flooder:
    """Is asked without end."""

    def handle_request(self, request: object) -> object:
        return request


class Hanger:
    """Makes one call into C that keeps the interpreter for minutes."""

    def handle_request(self, request: object) -> str:
        return str(pow(3, 10**8))
