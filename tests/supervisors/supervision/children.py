"""Actors to supervise, and shorthands for asking supervisors."""

from __future__ import annotations

from supervisors import SHUTDOWN, Actor, Exit, Exited
from supervisors.supervision.calls import which_children
from supervisors.supervision.child_spec import ChildSpec

__all__ = ["SharedWorker", "Stubborn", "Worker", "crash", "refs", "worker"]


class Worker(Actor):
    """Appends its id to a list when it starts and when it stops; calls what it is told with itself."""

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, events, child_id="w"):
        super().__init__()
        self.events = events
        self.child_id = child_id

    def on_start(self):
        self.trap_exit()
        self.events.append(f"+{self.child_id}")

    def on_stop(self):
        self.events.append(f"-{self.child_id}")

    def on_receive(self, message):
        if callable(message):
            return message(self)
        if isinstance(message, Exited) and message.source is self.actor_ref.parent:
            self.told(message.reason)
        return None

    def told(self, reason):
        raise Exit(reason)


class SharedWorker(Worker):
    """The same on the worker pool."""

    dispatch = "shared"


class Stubborn(Worker):
    """Does not end when it is asked to."""

    def told(self, reason):
        if reason != SHUTDOWN:
            raise Exit(reason)


def worker(events, child_id, kind=Worker, **fields):
    return ChildSpec(child_id, kind, (events, child_id), **fields)


def refs(supervisor):
    """Return id -> process (or state), in start order."""
    return {
        record.id: record.ref if record.ref is not None else record.state
        for record in reversed(which_children(supervisor))
    }


def crash(ref, reason="boom"):
    """Have a worker end by itself."""

    def end(_self):
        raise Exit(reason)

    ref.tell(end)
