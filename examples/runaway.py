"""Four sessions that run away, in both tiers of isolation, and a thousand that do not.

=========  ==========================  ======================================  ==================================
session    what it does                in process                              in a process of its own
=========  ==========================  ======================================  ==================================
hoarder    keeps more at each request  warned at 80 percent of its limit,      warned, then ended: the operating
                                       then ended                              system gives it no more
spinner    computes without end, many  ended once its average exceeds its      slowed down to its CPU limit;
           requests or one             CPU limit, between two requests         killed at its deadline
flooder    handles messages without    ended once it has handled more than     ended likewise
           end                         its limit
hanger     does not return from C      ended when the call returns. Others go  killed at its deadline, also when
           code                        on only if that lets go of the          it keeps the interpreter
                                       interpreter, as here
=========  ==========================  ======================================  ==================================

A turn cannot be stopped from outside in Python: what never returns, or keeps the
interpreter to itself, has to be in a process of its own.

Run it:  python examples/runaway.py
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass

import runaway_handlers

from sessionactors import IsolationEvent, Session, SessionRefusal, SessionSystem
from supervisors import ActorDeadError, AskTimeoutError

MIB = 1024 * 1024
REQUEST, FLOOD = "request", "flood"

LIMITS: dict[str, dict[str, object]] = {
    "hoarder": {"memory_limit": 32 * MIB},
    "spinner": {"cpu_limit": 30.0},
    "flooder": {"message_limit": 5000},
    "hanger": {"memory_limit": 8 * MIB},
}


class Hoarder(Session):
    """Keeps another MiB at each request."""

    def receive_ask(self, message: object) -> object:
        if message == REQUEST:
            hoard = self.__dict__.setdefault("hoard", [])
            hoard.append(bytes(MIB))
            return len(hoard)
        return super().receive_ask(message)


class Spinner(Session):
    """Computes for some milliseconds at each request."""

    def receive_ask(self, message: object) -> object:
        if message == REQUEST:
            return sum(range(200_000))
        return super().receive_ask(message)


class Flooder(Session):
    """Sends itself two messages for each that it gets."""

    def receive_ask(self, message: object) -> object:
        if message in (REQUEST, (FLOOD,)):
            self.actor_ref.send((FLOOD,))
            self.actor_ref.send((FLOOD,))
            return None
        return super().receive_ask(message)


class Hanger(Session):
    """Takes more than it may, and then waits in C code for longer than anybody should."""

    seconds = 2.0

    def receive_ask(self, message: object) -> object:
        if message == REQUEST:
            self.__dict__["hoard"] = bytes(9 * MIB)
            threading.Event().wait(self.seconds)
            return None
        return super().receive_ask(message)


RUNAWAYS: dict[str, type[Session]] = {"hoarder": Hoarder, "spinner": Spinner, "flooder": Flooder, "hanger": Hanger}


HANDLERS: dict[str, type] = {
    "hoarder": runaway_handlers.Hoarder,
    "spinner": runaway_handlers.Spinner,
    "flooder": runaway_handlers.Flooder,
    "hanger": runaway_handlers.Hanger,
}
DEADLINE = 1.0  # seconds that a request may take in a process of its own


@dataclass(frozen=True)
class Outcome:
    """What became of the runaways, and how the others fared meanwhile.

    Attributes:
        events: what isolation told about each runaway, in order; a process that has
            ended with why.
        states: what each of them is in the end.
        quiet_alive: how many of the quiet sessions live.
        p50: seconds that half of the calls to quiet sessions took at most.
        p99: the same for 99 of 100 calls.
        seconds: how long it took until all runaways were dealt with.
    """

    events: dict[str, list[str]]
    states: dict[str, str | None]
    quiet_alive: int
    p50: float
    p99: float
    seconds: float


def run(quiet: int = 1000, patience: float = 60.0) -> Outcome:
    """Let the runaways loose among so many quiet sessions, and see what happens.

    Args:
        quiet: sessions that behave.
        patience: seconds after which it is given up.
    """
    events: dict[str, list[str]] = {}

    def heard(event: IsolationEvent) -> None:
        why = f" ({event.value['reason']})" if isinstance(event.value, dict) and "reason" in event.value else ""
        events[event.session_id].append(event.event + why)

    with SessionSystem(
        session={"auth_required": False, "idle_timeout": None},
        # No ceiling of all together: each of them is to end for its own doing.
        isolation={"sample_interval": 0.02, "cpu_window": 2.0, "max_cpu": 1000.0},
        max_restarts=0,
    ) as system:
        for number in range(quiet):
            system.start_session(f"quiet-{number}")
            system.activate(f"quiet-{number}")
        drivers = [loose(system, name, kind, events) for name, kind in RUNAWAYS.items()]
        drivers += [loose_in_process(system, name, kind, events) for name, kind in HANDLERS.items()]
        for name in events:
            system.subscribe_isolation(name, heard)
        begun = time.monotonic()
        for each in drivers:
            each.start()
        waits = []
        while any(each.is_alive() for each in drivers) and time.monotonic() < begun + patience:
            for number in range(0, quiet, 10):
                asked = time.perf_counter()
                system.update_resources(f"quiet-{number}", bytes=1)
                waits.append(time.perf_counter() - asked)
            time.sleep(0.001)
        seconds = time.monotonic() - begun
        while any(system.state_of(name) != "terminated" for name in events) and time.monotonic() < begun + patience:
            time.sleep(0.001)  # the process has ended, and its session does so now
        waits.sort()
        return Outcome(
            events=events,
            states={name: system.state_of(name) for name in events},
            quiet_alive=sum(name.startswith("quiet-") for name in system.live_sessions()),
            p50=waits[len(waits) // 2],
            p99=waits[int(len(waits) * 0.99)],
            seconds=seconds,
        )


def loose(system: SessionSystem, name: str, kind: type[Session], events: dict[str, list[str]]) -> threading.Thread:
    """Start a runaway in process; return the thread that is going to ask it."""
    system.start_session(name, session_class=kind)
    system.activate(name)
    system.isolate(name, **LIMITS[name])
    events[name] = []
    return threading.Thread(target=drive, args=(system, name), daemon=True)


def loose_in_process(system: SessionSystem, name: str, kind: type, events: dict[str, list[str]]) -> threading.Thread:
    """Start a runaway in a process of its own; return the thread that is going to ask it."""
    session_id = f"{name}-process"
    system.start_session(session_id)
    system.activate(session_id)
    limits = {"memory_limit": 64 * MIB} if name == "hoarder" else {**LIMITS[name], "memory_limit": 256 * MIB}
    system.isolate(session_id, isolated="process", handler=kind, deadline=DEADLINE, **limits)
    events[session_id] = []
    return threading.Thread(target=drive_process, args=(system, session_id), daemon=True)


def drive(system: SessionSystem, name: str) -> None:
    """Send requests to one session until it has ended."""
    ref = system.directory.get(name)
    while ref is not None and ref.is_alive():
        try:
            ref.ask(REQUEST, timeout=10.0)
        except (ActorDeadError, AskTimeoutError, SessionRefusal):
            return
        time.sleep(0.002)


def drive_process(system: SessionSystem, session_id: str) -> None:
    """Send requests to the process of one session until it has ended."""
    while True:
        try:
            system.call_isolated(session_id, REQUEST)
        except SessionRefusal:
            return


def main() -> None:
    """Run, and say what happened."""
    parser = argparse.ArgumentParser(description="Four sessions that run away, and many that do not.")
    parser.add_argument("--quiet", type=int, default=1000, help="how many sessions behave")
    outcome = run(parser.parse_args().quiet)
    for name, told in outcome.events.items():
        print(f"{name:15} {outcome.states[name]:10} {', '.join(told)}")
    print(f"{outcome.quiet_alive} quiet sessions live; their calls took {outcome.p50 * 1e3:.3f} ms at the median,")
    print(f"{outcome.p99 * 1e3:.3f} ms at the 99th percentile, in the {outcome.seconds:.1f} s that this took.")


if __name__ == "__main__":
    main()
