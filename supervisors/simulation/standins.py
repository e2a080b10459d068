"""What stands in for functions of the standard library while a simulation runs: new event loops, and the process.

``asyncio.run()`` and whatever else makes an event loop gets a simulated one, and code that
runs in a simulated process has that one's number, ends only that one, and signals it and others
like it. There, and on a simulated thread, ``time.sleep()`` takes virtual time. Who waits for a
condition variable, or for what is made of one (events, semaphores, queues, futures of the
standard library), lets others run and virtual time pass. Outside of simulated code all of
these do what they always do.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import queue
import signal
import sys
import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.threads import PartScheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from supervisors.simulation.machine import SimulatedMachine, SimulatedProcess
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.system import ActorSystem

__all__ = ["StandIns"]


_THREAD_START: Final = threading.Thread.start.__code__
"""Waits until its thread has begun, which is no wait of anybody's program."""


@final
class _Waiter:
    """Stands among the waiters of a condition variable, where a lock is expected that is released."""

    __slots__ = ("_notified", "_scheduler")

    def __init__(self, notified: ScheduledFuture[None], scheduler: SimulatedScheduler) -> None:
        self._notified = notified
        self._scheduler = scheduler

    def release(self) -> None:
        """Wake who waits."""
        if get_ident() != self._scheduler.running:
            self._scheduler.refuse_thread("whoever waits for a condition variable")
        self._notified.offer()


@final
class StandIns:
    """Stand in from `begin()` to `end()`.

    Args:
        is_inside: tells whether the thread that asks runs simulated code now.
        scheduler: of the simulation.
        system: the actor system that is simulated.
        saw: is told what cannot be repeated, and in which frame.
    """

    def __init__(
        self,
        is_inside: Callable[[], bool],
        scheduler: SimulatedScheduler,
        system: ActorSystem,
        saw: Callable[[str, FrameType], None],
    ) -> None:
        self._scheduler = scheduler
        self._system = system
        self._saw = saw
        self._is_inside = is_inside
        self._whole = scheduler.machine
        self._before: list[tuple[Any, str, Any]] = []

    def begin(self) -> None:
        """Replace the functions."""
        self._replace(asyncio.events, "new_event_loop", self._new_event_loop)
        self._replace(asyncio, "new_event_loop", self._new_event_loop)
        self._replace(os, "getpid", self._getpid)
        self._replace(os, "_exit", self._exit)
        self._replace(signal, "raise_signal", self._raise_signal)
        self._replace(time, "sleep", self._sleep)
        self._replace(threading.Condition, "wait", self._wait)
        self._replace(ScheduledFuture, "wait_blocking", self._wait_blocking)
        # Deadlines of waits are counted with these, so they have to be on the same clock as the waits are.
        self._replace(threading, "_time", self._monotonic)
        self._replace(queue, "time", self._monotonic)
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
        instead = functools.update_wrapper(make(original), original)
        if inspect.ismodule(owner):
            instead.__module__, instead.__qualname__ = owner.__name__, name  # where `pickle` finds it again
        setattr(owner, name, instead)

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

    def _sleep(self, original: Callable[[float], None]) -> Callable[[float], None]:
        def sleep(seconds: float) -> None:
            machine = self._machine()
            current = thread_turn.turn.current
            if machine is None or current is None or current.system is self._system:
                self._saw("time.sleep", sys._getframe(1))  # noqa: SLF001 - what inspect.currentframe() is
                original(seconds)
            else:
                machine.part.wait(ScheduledFuture(), max(0.0, seconds))

        return sleep

    def _wait_blocking(self, original: Callable[..., bool]) -> Callable[..., bool]:
        def wait_blocking(future: ScheduledFuture[Any], timeout: float | None) -> bool:
            machine = self._machine()
            return original(future, timeout) if machine is None else machine.part.wait(future, timeout)

        return wait_blocking

    def _monotonic(self, original: Callable[[], float]) -> Callable[[], float]:
        def monotonic() -> float:
            return original() if self._machine() is None else self._system.clock.monotonic()

        return monotonic

    def _wait(self, original: Callable[..., bool]) -> Callable[..., bool]:
        def wait(condition: Any, timeout: float | None = None) -> bool:
            machine = self._machine()
            above = sys._getframe(1).f_back  # noqa: SLF001 - what inspect.currentframe() is
            if machine is None or (above is not None and above.f_code is _THREAD_START):
                return original(condition, timeout)
            if not condition._is_owned():  # noqa: SLF001 - as the original does; see tests/contracts
                raise RuntimeError("cannot wait on un-acquired lock")
            notified: ScheduledFuture[None] = ScheduledFuture(machine.part)
            waiter = _Waiter(notified, self._scheduler)
            condition._waiters.append(waiter)  # noqa: SLF001 - it stands in for the method of that class
            saved = condition._release_save()  # noqa: SLF001 - likewise
            try:
                machine.part.wait(notified, timeout)
            finally:
                condition._acquire_restore(saved)  # noqa: SLF001 - likewise
                if waiter in condition._waiters:  # noqa: SLF001 - likewise
                    condition._waiters.remove(waiter)  # noqa: SLF001 - likewise
            return notified.is_done()

        return wait

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
