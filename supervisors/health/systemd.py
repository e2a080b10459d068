"""What systemd wants to hear from a service: ready, alive, busy with what, stopping.

It listens at a datagram socket whose address is in the environment. The protocol is
lines of text, so no library is needed. Outside systemd there is no address, and every
method does nothing.

Source: sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final, final

from supervisors.errors import InvalidArgumentError

__all__ = ["STATUS_MAX", "Notifier"]

STATUS_MAX: Final = 500
"""Characters of a status; more is cut."""


@final
class Notifier:
    """Tells systemd about this process.

    Args:
        address: path of the socket, or ``@`` and the name of an abstract one; None tells nobody.
        watchdog_seconds: within which systemd wants a sign of life; None when it does not.

    Raises:
        InvalidArgumentError: the address is neither.

    Thread: every method is safe anywhere, and none blocks or raises: a service that
    cannot be heard goes on.
    """

    __slots__ = ("_address", "watchdog_seconds")

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        if address is not None and (not isinstance(address, str) or address[:1] not in ("/", "@") or len(address) < 2):
            raise InvalidArgumentError("address", address, "an absolute path, or @ and a name")
        self._address = None if address is None else ("\0" + address[1:] if address[0] == "@" else address)
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], process_id: int | None = None) -> Notifier:
        """Return the one that the environment describes.

        An address of a kind that is not known here, and a watchdog that is meant for
        another process, are ignored, as systemd wants it.

        Args:
            environment: such as `os.environ`.
            process_id: of this process; None asks the operating system.
        """
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and (address[0] not in "/@" or len(address) < 2):
            address = None
        seconds = None
        wanted = environment.get("WATCHDOG_USEC", "")
        meant_for = environment.get("WATCHDOG_PID")
        mine = str(os.getpid() if process_id is None else process_id)
        if wanted.isascii() and wanted.isdigit() and 0 < len(wanted) < 19 and int(wanted) and meant_for in (None, mine):
            seconds = int(wanted) / 1_000_000
        return cls(address, seconds)

    @property
    def is_listened_to(self) -> bool:
        """Tell whether there is an address."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Say that the service has come up (READY)."""
        return self._tell("READY=1", status)

    def reloading(self, monotonic: float) -> bool:
        """Say that the service reads its configuration again (RELOADING); `ready()` says that it has.

        Args:
            monotonic: the reading of the monotonic clock, seconds.
        """
        return self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * 1_000_000)}")

    def stopping(self, status: str = "") -> bool:
        """Say that the service is going to end (STOPPING)."""
        return self._tell("STOPPING=1", status)

    def watchdog(self) -> bool:
        """Give a sign of life (WATCHDOG); do so at least twice in `watchdog_seconds`, while there is progress."""
        return self._tell("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """Say in a line what the service does (STATUS)."""
        return self._tell("", text)

    def _tell(self, field: str, status: str = "") -> bool:
        if self._address is None:
            return False
        # A line break in a text would begin another field.
        shown = " ".join(str(status).split())[:STATUS_MAX]
        lines = [line for line in (field, f"STATUS={shown}" if shown else "") if line]
        data = "\n".join(lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                return out.sendto(data, self._address) == len(data)
        except (OSError, ValueError):
            return False
