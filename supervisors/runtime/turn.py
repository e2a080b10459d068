"""Which actor is running on this thread, and what it leaves to be run next.

Every thread has one `Turn`. `current` is the actor whose code runs now; `depth`
counts inline turns nested on this thread's stack; `ready` holds inline actors
that got a message during those turns. They are run when the outermost inline
turn ends, by the same thread: a send never runs the receiver inside the
sender's own turn, and never switches threads either.

The fields belong to their thread alone; nothing here needs a lock.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from supervisors.runtime.spinning import Spinner

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.pace import Pace

__all__ = [
    "DRAIN_MAX",
    "HAS_GIL",
    "NESTING_MAX",
    "QUANTUM_MESSAGES",
    "Turn",
    "all_turns",
    "current_ref",
    "drain",
    "forget_threads",
    "hand_over",
    "thread_turn",
]

HAS_GIL: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether one thread at a time runs Python code."""

NESTING_MAX: Final = 48
"""Inline turns on one stack; a deeper ask goes to the pool (six frames each)."""

QUANTUM_MESSAGES: Final = 64
"""Messages one mailbox may handle before others get their turn."""

DRAIN_MAX: Final = 4096
"""Ready mailboxes one thread runs after its own turn; the rest goes to the pool."""


_turns_lock = threading.Lock()  # guards _turns; a thread takes it once in its life
_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


class Turn:
    """What one thread is doing for actors right now."""

    __slots__ = (
        "__weakref__",
        "abandoned",
        "current",
        "depth",
        "is_late",
        "pace",
        "ready",
        "spinner",
        "thread_id",
        "worker",
    )

    def __init__(self) -> None:
        self.current: Cell | None = None
        self.depth = 0
        self.ready: deque[Cell] = deque()
        self.worker: object | None = None
        self.pace: Pace | None = None  # of a worker: when it leaves an actor for others
        self.spinner = Spinner()  # decides whether the thread looks before it sleeps for a reply
        self.abandoned = False  # set by a killer: the thread ends when it can
        # Of a worker, and its roster's: whether the mailbox that it runs takes too long; None: it runs none.
        self.is_late: bool | None = None
        self.thread_id = threading.get_ident()
        with _turns_lock:
            _turns.add(self)


class _ThreadTurn(threading.local):
    """The turn of the thread that looks; made at its first look."""

    def __init__(self) -> None:
        self.turn = Turn()
        # Makes the ref of the actor under construction: set by the system just
        # before it calls the class, taken by Actor.__init__().
        self.birth: Callable[[Any], Cell] | None = None


thread_turn: Final = _ThreadTurn()


def all_turns() -> list[Turn]:
    """Return the turns of all threads that have had one and live; others' fields may change any time."""
    with _turns_lock:
        return list(_turns)


def forget_threads() -> None:
    """Start anew in a forked child, where no other thread is left to give a lock back."""
    global _turns_lock, _turns  # noqa: PLW0603 - the one moment when it is safe
    _turns_lock = threading.Lock()
    _turns = weakref.WeakSet()
    thread_turn.turn = Turn()


def current_ref() -> Cell | None:
    """Return the actor whose code runs on this thread, or None outside any turn."""
    return thread_turn.turn.current


def drain(turn: Turn) -> None:
    """Run what the turns on this thread have made ready, in order.

    Inside a shared actor's turn, and beyond `DRAIN_MAX` runs, the mailboxes go
    to the scheduler instead: see `Cell._wake`.
    """
    ready = turn.ready
    budget = DRAIN_MAX if turn.current is None else 0
    turn.depth += 1
    cell: Cell | None = None
    try:
        while ready and budget:
            cell = ready[0]
            del ready[0]  # not a call: a signal handler that raises comes before it or finds whom to look after
            # Empty: whoever has taken the message that was the reason has the mailbox.
            if cell._outer or cell._inner is not None:  # noqa: SLF001 - the other half of Cell._wake()
                budget -= 1
                cell._run(turn)  # noqa: SLF001 - a turn runs cells, and nobody else does
    except BaseException:
        if cell is not None:
            cell.look_again()
        raise
    finally:
        turn.depth -= 1
        if ready:
            hand_over(turn)


def hand_over(turn: Turn) -> None:
    """Give everything that is ready on this thread to the scheduler."""
    ready = turn.ready
    while ready:
        cell = ready[0]
        del ready[0]  # as in drain()
        try:
            cell._hand_over()  # noqa: SLF001 - the other half of Cell._wake()
        except BaseException:
            ready.appendleft(cell)
            raise
