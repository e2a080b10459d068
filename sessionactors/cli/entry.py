"""Where the program begins: nothing of it is loaded yet."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program `sessionactors`, loading it first; never ends in a traceback of Ctrl-C.

    Args:
        argv: the arguments after the program's name; None takes the process's own.

    Returns:
        The exit code; see `sessionactors.cli.program`. 130 after Ctrl-C, however early or often.
    """
    try:
        from sessionactors.cli.program import main as run  # noqa: PLC0415 - Ctrl-C may come while it is loaded

        return run(argv)
    except KeyboardInterrupt:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses again and again is being obeyed already
        print("sessionactors: interrupted", file=sys.stderr)
        return 130
