"""What the simulated scheduler chooses among, besides mailboxes, and the threads that carry turns."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell

__all__ = ["Carrier", "Time", "Waiter"]


@final
class Waiter:
    """A turn, or the program outside, that waits; a unit once it can go on."""

    __slots__ = ("error", "gate", "has_baton", "id", "is_idle_enough", "limit", "over", "ref")

    def __init__(self, ref: Cell | None) -> None:
        self.id = 0 if ref is None else ref.id
        self.ref = ref
        self.gate = threading.Lock()
        self.gate.acquire()
        self.has_baton = False
        self.over = False  # it is a unit, or has gone on
        self.error: BaseException | None = None
        self.is_idle_enough = False  # goes on when nothing is ready
        self.limit: float | None = None  # goes on when time would pass this


@final
class Time:
    """The unit that lets what is due happen."""

    __slots__ = ()
    id: Final = -1


@final
class Carrier:
    """A thread that runs mailboxes while it has the baton.

    It takes its unit out of a list that may be offered twice: a wake-up without a unit
    does nothing. See `_regain()`.
    """

    __slots__ = ("gate", "offer", "thread")

    def __init__(self, work: Callable[[Carrier], None], number: int) -> None:
        self.offer: list[Any] = []
        self.gate = threading.Lock()
        self.gate.acquire()
        self.thread = threading.Thread(target=work, args=(self,), name=f"supervisors-simulation-{number}", daemon=True)
