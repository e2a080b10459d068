"""Drives a daemon from a process of its own until it stops, and tells what was acknowledged.

Run as ``python -m tests.torture.serve_load SOCKET COUNT OUT``. Several connections start
persistent sessions and activate them; then each drives its own on and on: idle, active
again, checked, stored. When the daemon says that it stops, OUT gets the ids of all
sessions whose start was acknowledged, and the last line of the output says how much was done.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Final

from sessionactors.daemon.client import FrontClient, FrontRefusal

__all__ = ["main"]

CONNECTIONS: Final = 4


class Driver:
    """One connection and its share of the sessions."""

    def __init__(self, path: str, number: int, count: int) -> None:
        self.path = path
        self.names = [f"load-{number}-{each}" for each in range(count)]
        self.started: list[str] = []
        self.calls = 0
        self.ended = ""
        self.is_up = threading.Event()

    def run(self) -> None:
        try:
            with FrontClient(self.path, timeout=120.0) as client:
                self._start(client)
                self.is_up.set()
                self._drive(client)
        except (FrontRefusal, ConnectionError) as end:
            self.ended = getattr(end, "code", "gone")
        finally:
            self.is_up.set()

    def _start(self, client: FrontClient) -> None:
        for name in self.names:
            client.start(name, persistent=True, auth_required=False)
            self.started.append(name)
            client.call("activate", session=name)
            self.calls += 2

    def _drive(self, client: FrontClient) -> None:
        while True:
            for name in self.names:
                client.call("deactivate", session=name)
                client.call("resume", session=name)
                client.call("check", session=name)
                self.calls += 3


def main(path: str, count: int, out: Path) -> None:
    """Drive so many sessions until the daemon stops."""
    drivers = [Driver(path, number, count // CONNECTIONS) for number in range(CONNECTIONS)]
    threads = [threading.Thread(target=driver.run) for driver in drivers]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for driver in drivers:
        driver.is_up.wait()
    _say(f"up {time.monotonic() - began:.1f}")
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    out.write_text("\n".join(name for driver in drivers for name in driver.started))
    calls = sum(driver.calls for driver in drivers)
    _say(f"calls {calls} in {seconds:.1f} s; ended by {sorted({driver.ended for driver in drivers})}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
