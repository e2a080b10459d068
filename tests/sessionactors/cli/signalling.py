"""A session that sends signals to its process: while a daemon comes up with it, and when the interpreter ends."""

from __future__ import annotations

import atexit
import os
import signal

from sessionactors import Session


class Signalling(Session):
    """Sends what the environment names: when it comes back from the store, and at the end of the process."""

    def snapshot(self) -> dict[str, object]:
        return {"kept": True}

    def restore(self, state: object) -> None:
        for number in os.environ.get("SIGNALS", "").split():
            os.kill(os.getpid(), int(number))
        if "LATE" in os.environ:
            atexit.register(os.kill, os.getpid(), signal.SIGTERM)
