"""What happens to the tasks of test_pools.py; quick to import, because each worker process does."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading

HANG_SECONDS = 1.0
"""Longer than the tasks' timeout, and short enough for threads to be waited for."""


def live(fate, number):
    if fate == "raise":
        raise ValueError("told to")
    if fate == "exit":
        os._exit(3)
    if fate == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "sigsegv":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    if fate == "memory":
        use_up_memory()
    if fate == "hang":
        threading.Event().wait(HANG_SECONDS)
    if fate == "nap":
        threading.Event().wait(0.01)
    if fate == "big":
        assert len(bytes(1 << 20)) == 1 << 20
    return 2 * number


async def live_in_a_loop(fate, number):
    if fate == "raise":
        raise ValueError("told to")
    if fate == "hang":
        await asyncio.Event().wait()
    return 2 * number


def use_up_memory():
    """Run into a limit of this process's own; the machine is not to suffer."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, limits[1]))
    try:
        kept = []
        while True:
            kept.append(bytearray(1 << 24))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
