"""Wait until something is so, with a deadline."""

from __future__ import annotations

import threading
import time

_never = threading.Event()


def until(condition, timeout=20.0):
    """Look again and again; fail when the time is up."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        _never.wait(0.005)
