"""What stands in for functions of the standard library while a simulation runs: new event loops, and the process.

``asyncio.run()`` and whatever else makes an event loop gets a simulated one, and code that
runs in a simulated process has that one's number, ends only that one, and signals it and others
like it. Outside of simulated code all of these do what they always do.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, final

from supervisors.runtime.turn import thread_turn
from supervisors.simulation.threads import PartScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.simulation.machine import SimulatedMachine, SimulatedProcess

__all__ = ["StandIns"]


@final
class StandIns:
    """Stand in from `begin()` to `end()`.

    Args:
        is_inside: tells whether the thread that asks runs simulated code now.
        machine: the machine of the simulation.
    """

    def __init__(self, is_inside: Callable[[], bool], machine: SimulatedMachine) -> None:
        self._is_inside = is_inside
        self._whole = machine
        self._before: list[tuple[Any, str, Any]] = []

    def begin(self) -> None:
        """Replace the functions."""
        self._replace(asyncio.events, "new_event_loop", self._new_event_loop)
        self._replace(asyncio, "new_event_loop", self._new_event_loop)
        self._replace(os, "getpid", self._getpid)
        self._replace(os, "_exit", self._exit)
        self._replace(signal, "raise_signal", self._raise_signal)
        for name in ("kill", "killpg"):
            if hasattr(os, name):
                self._replace(os, name, self._kill)

    def end(self) -> None:
        """Put everything back."""
        while self._before:
            owner, name, original = self._before.pop()
            setattr(owner, name, original)

    def _replace(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        original = getattr(owner, name)
        self._before.append((owner, name, original))
        setattr(owner, name, make(original))

    def _machine(self) -> SimulatedMachine | None:
        """Return the machine as the running code sees it; None: it is not simulated."""
        if not self._is_inside():
            return None
        current = thread_turn.turn.current
        scheduler = None if current is None else current.system.scheduler
        machine: SimulatedMachine = scheduler.machine if isinstance(scheduler, PartScheduler) else self._whole
        return machine

    def _process(self) -> SimulatedProcess | None:
        machine = self._machine()
        return None if machine is None else machine.process_here

    def _new_event_loop(self, original: Callable[[], Any]) -> Callable[[], Any]:
        def new_event_loop() -> Any:
            machine = self._machine()
            return original() if machine is None else machine.event_loop()

        return new_event_loop

    def _getpid(self, original: Callable[[], int]) -> Callable[[], int]:
        def getpid() -> int:
            process = self._process()
            return original() if process is None else process.pid

        return getpid

    def _exit(self, original: Callable[[int], None]) -> Callable[[int], None]:
        def exit_now(status: int) -> None:
            process = self._process()
            if process is None:
                original(status)
            else:
                process.die(status)

        return exit_now

    def _raise_signal(self, original: Callable[[int], None]) -> Callable[[int], None]:
        def raise_signal(signalnum: int) -> None:
            process = self._process()
            if process is None:
                original(signalnum)
            else:
                process.signal(signalnum)

        return raise_signal

    def _kill(self, original: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def kill(pid: int, number: int) -> None:
            machine = self._machine()
            process = None if machine is None else machine.find(pid)
            if process is None:
                original(pid, number)
            elif process.poll() is None:
                process.signal(number)
            else:
                raise ProcessLookupError(pid)

        return kill
