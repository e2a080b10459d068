"""Small actors that several test files use."""

from __future__ import annotations

from supervisors import Actor, Exit

__all__ = ["Doer", "Echo", "Recorder", "SharedDoer", "SharedEcho"]


class Echo(Actor):
    """Replies with what it gets."""

    dispatch = "inline"

    def on_receive(self, message):
        return message


class SharedEcho(Echo):
    """The same on the worker pool."""

    dispatch = "shared"


class Recorder(Actor):
    """Keeps what it is told, and hands it out when asked for "seen"."""

    dispatch = "inline"

    def __init__(self, *, trap=False):
        super().__init__()
        self.trap = trap
        self.seen = []

    def on_start(self):
        if self.trap:
            self.trap_exit()

    def on_receive(self, message):
        if message == "seen":
            return list(self.seen)
        self.seen.append(message)
        return None


class Doer(Recorder):
    """Calls what it gets with itself; other messages are recorded."""

    crash_on_ask_error = True

    def on_receive(self, message):
        if callable(message):
            return message(self)
        if isinstance(message, tuple) and message[:1] == ("exit",):
            raise Exit(message[1])
        return super().on_receive(message)


class SharedDoer(Doer):
    """The same on the worker pool."""

    dispatch = "shared"
