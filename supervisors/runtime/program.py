"""What the program of a process does first: see `supervisors.runtime.machine.Program`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import BinaryIO, Final

__all__ = ["begin"]

_PR_SET_PDEATHSIG: Final = 1


def begin() -> tuple[BinaryIO, BinaryIO]:
    """Begin as a process that its parent talks to over standard input and output.

    What runs here, and what that starts, has neither: it finds nothing to read, and what
    it prints goes to standard error. On Linux, the process dies with its parent, even
    while it computes; elsewhere, it ends when it finds that its pipe has been closed.

    Returns:
        What the parent writes, and what it reads.
    """
    _die_with_parent()
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reader, writer


def _die_with_parent() -> None:
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        # The parent may be dead already; then the pipe is closed, which is found before anything else is done.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
