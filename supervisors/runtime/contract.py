"""What the mailbox relies on and does not own, as protocols.

`supervisors.system.ActorSystem` is the one that runs in production; the
simulator brings another scheduler behind the same contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.machine import Machine
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.turn import Turn

__all__ = ["Runner", "Runtime", "Scheduler", "SteppedScheduler"]


class Runner(Protocol):
    """Takes mailboxes that no sender runs.

    Attributes:
        enqueue: takes over a mailbox together with its ownership. A built-in
            function, so that no signal handler can run before it is done; `kick()`
            follows.
    """

    enqueue: Callable[[Cell], None]

    def kick(self) -> None:
        """See that somebody runs what has been put in by `enqueue`."""
        ...


class Scheduler(Runner, Protocol):
    """Decides which mailbox runs next, and on which thread.

    Attributes:
        is_threaded: workers run the mailboxes, so that another thread may simply block.
    """

    is_threaded: ClassVar[bool]

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership, and run it soon."""
        ...

    def abandon(self, turn: Turn) -> None:
        """Replace a thread whose turn has been fenced."""
        ...

    def before_await(self) -> Callable[[], None] | None:
        """Do what is needed so that somebody works while asyncio waits; return what is to be called after it."""
        ...

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Wait until the future is done; False when the time is up first."""
        ...


class SteppedScheduler(Scheduler, Protocol):
    """Decides every step of a system on a virtual clock, and makes its refs.

    Its refs are never run by a sender, so that each message is a step to decide on.
    """

    @property
    def machine(self) -> Machine:
        """The machine that the system lives on."""
        ...

    def settle(self) -> int:
        """Run until nothing is ready, without letting time pass; return how many steps that took."""
        ...

    def advance_to(self, reading: float) -> int:
        """Let time pass up to a reading of the clock; return how many timers fired."""
        ...

    def ref_class(self, *, bounded: bool) -> type[ActorRef[Any]]:
        """Return the class of the refs, for mailboxes with or without a bound."""
        ...


class Runtime(Protocol):
    """The part of an actor system that a mailbox talks to.

    Attributes:
        clock: what measures time.
        ask_timeout: seconds that an ask waits by default; None: without end.
        identity: makes the URNs of this system's actors its own.
        unlinks: (who unlinked, from whom) -> how many unlinks the other has not
            seen yet; short-lived, which is why it is here and not in each actor.
        last_links: what the actor that was linked at its start last has got as its
            links, so that all children of one parent share a tuple. Threads that start
            children of two parents at once at worst make it anew.
    """

    clock: Clock
    ask_timeout: float | None
    identity: bytes
    unlinks: dict[tuple[Cell, Cell], int]
    last_links: tuple[Cell] | None

    @property
    def scheduler(self) -> Scheduler:
        """Decides which mailbox runs next."""
        ...

    def ended(self, ref: Cell, reason: object) -> None:
        """Forget a dead actor: its name and its place among the living."""
        ...

    def dead_letter(self, ref: Cell, message: object) -> None:
        """Count and publish a message that nobody will handle."""
        ...

    def interrupted(self, ref: Cell, error: BaseException) -> None:
        """Note that a handler has raised what is no `Exception`; its actor will end."""
        ...

    def crashed(self, ref: Cell, reason: object) -> None:
        """Report an abnormal end that the actor's own code caused."""
        ...
