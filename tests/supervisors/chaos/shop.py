"""A small live system for experiments, and plans for it."""

from __future__ import annotations

import threading

from supervisors import Actor, ChildSpec, Supervisor
from supervisors.chaos import Chaos

__all__ = ["Clerk", "Laggard", "LimitedClerk", "experiment", "opened", "struck"]


class Clerk(Actor):
    """Has a name, answers, and hands on what it is told to."""

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, name, told=None):
        super().__init__()
        self._name = name
        self._told = told

    def on_start(self):
        self.system.register(self._name, self.actor_ref)

    def on_receive(self, message):
        if isinstance(message, tuple) and message[0] == "hand on":
            message[1].tell(message[2])
        elif self._told is not None:
            self._told.append(message)
        return message

    def on_stop(self):
        if self._told is not None:
            self._told.append("stopped")


class LimitedClerk(Clerk):
    mailbox_capacity = 2


class Laggard(Clerk):
    """One that other threads run."""

    dispatch = "shared"


def opened(system, *names, kind=Clerk, told=None):
    """Start clerks under a supervisor; return the first one."""
    specs = [ChildSpec(name, kind, (name, told)) for name in names]
    system.start(Supervisor, specs, max_restarts=1000)
    return system.whereis(names[0])


def experiment(system, *faults, on_event=None, **parts):
    """Make an experiment whose faults come at once unless they say otherwise, and which is as short as can be."""
    method = [{"at": [0.0], **fault} for fault in faults]
    parts.setdefault("budget", {"seconds": 10.0})
    parts.setdefault("blast_radius", {"at_once": 10, "settle": 0.0})
    return Chaos(system, {"method": method, **parts}, seed=1, on_event=on_event)


class struck:  # noqa: N801 - reads as a phrase
    """Tells when so many faults have been struck or laid; give it to an experiment as `on_event`."""

    def __init__(self, count=1, events=("struck", "laid")):
        self.events = []
        self._left = count
        self._kinds = events
        self._done = threading.Event()

    def __call__(self, event):
        self.events.append(event)
        if event.event in self._kinds:
            self._left -= 1
            if self._left <= 0:
                self._done.set()

    def wait(self):
        assert self._done.wait(10), f"{self._left} too few: {self.events}"
