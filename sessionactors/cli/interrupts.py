"""Make Ctrl-C a request and not an exception, for as long as a command wants it so."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sessionactors.replay.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["interrupts_as_stop"]


@contextmanager
def interrupts_as_stop() -> Iterator[Stop]:
    """Turn the first Ctrl-C into a stop request, and the second into KeyboardInterrupt.

    A KeyboardInterrupt comes up in the middle of anything: an actor's turn, a
    write to the audit log. Asked to stop, a replay ends between two events, and
    what it leaves is whole. Somebody who presses again has waited long enough.

    Outside the main thread, where Python handles no signals, the flag is simply
    never raised.
    """
    stop = Stop()

    def on_interrupt(_: int, __: FrameType | None) -> None:
        if stop.is_requested:
            raise KeyboardInterrupt
        stop.request()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
