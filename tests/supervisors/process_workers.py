"""Actors for other processes: they must be importable there."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import NamedTuple

from supervisors import Actor, Exit, IgnoreStart, Refusal
from supervisors.runtime.frames import Coder
from supervisors.runtime.futures import ScheduledFuture

__all__ = ["Careful", "Color", "Cursed", "Declining", "FailingStart", "Level", "Pair", "Parting", "Point", "Worker"]


class Point:
    """Something that msgpack does not know."""

    def __init__(self, x, y):
        self.x, self.y = x, y


class Full(Refusal):
    code = "full"


class Pair(NamedTuple):
    """Something that msgpack takes for a list."""

    left: int
    right: int


class Level(IntEnum):
    """Something that msgpack takes for a number."""

    LOW = 1


class Color(StrEnum):
    RED = "red"


class Cursed:
    """Something that can be packed, and not be unpacked."""


def curse(value):
    raise KeyError(value)


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("it cannot be said")


class Worker(Actor):
    """Does what it is asked to."""

    dispatch = "process"
    crash_on_ask_error = True
    message_coders = (
        Coder(Point, "point", lambda point: [point.x, point.y], lambda pair: Point(*pair)),
        Coder(Pair, "pair", list, lambda pair: Pair(*pair)),
        Coder(Level, "level", int, Level),
        Coder(Cursed, "cursed", lambda value: 0, curse),
    )

    def __init__(self, path=None, start=0):
        super().__init__()
        self.path, self.total = path, start

    def on_stop(self):
        if self.path is not None:
            Path(self.path).write_text("stopped")

    def on_receive(self, message):
        if isinstance(message, Point):
            return Point(message.y, message.x)
        if isinstance(message, int):
            self.total += message
            return self.total
        verb = message[0] if isinstance(message, list) else message
        return getattr(self, verb)(*message[1:]) if isinstance(message, list) else getattr(self, verb)()

    def pid(self):
        return os.getpid()

    def echo(self, value):
        return value

    def shout(self):
        print("this must not disturb the frames")  # noqa: T201 - that is the test

    def typed(self):
        """Return what there is to read, for this process and for one that it starts."""
        head = subprocess.run(["head", "-c", "4"], stdout=subprocess.PIPE, check=True).stdout
        return [sys.stdin.read(), head]

    def refuse(self):
        raise Full("no room")

    def fail(self):
        raise ValueError("broken")

    def leave(self, reason):
        raise Exit(reason)

    def quit(self, code):
        os._exit(code)

    def die(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def devour(self, group):
        """Join a control group with little memory, and take more."""
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        taken = []
        while True:
            taken.append(bytearray(1 << 20))

    def starve(self):
        """Take more memory than the process may have by its own limit."""
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        return len(bytearray(2 << 30))

    def fork(self):
        """Leave a child behind that has all there is open in this process."""
        pid = os.fork()
        if not pid:
            signal.pause()
        return pid

    def hang(self):
        while True:
            signal.pause()

    def hang_and_say_so(self):
        print("hangs", file=sys.stderr, flush=True)  # noqa: T201 - the way past its own system
        self.hang()

    def wait(self):
        """For an hour, in whatever time there is."""
        gate = ScheduledFuture(self.system.scheduler)
        return not gate.settle(3600.0)

    def nest(self):
        """Start another one, in a process of its own, from this process."""
        self.inner = self.system.start(Worker)

    def nested(self):
        return self.inner.ask("pid")

    def others(self):
        return len(self.system.actors())

    def look(self):
        return time.time()

    def unpackable(self):
        return object()

    def cursed(self):
        return Cursed()

    def later(self):
        self.reply = self.defer_reply()


class Careful(Worker):
    """Tells the asker, and goes on."""

    crash_on_ask_error = False

    def mute(self):
        raise MuteError

    def half(self):
        raise ValueError("\ud800")


class Parting(Worker):
    """Does something at its end."""

    def __init__(self, *verbs, path=None):
        super().__init__()
        self.verbs, self.path = verbs, path

    def on_stop(self):
        for verb in self.verbs:
            getattr(self, verb)()
        super().on_stop()

    def deaf(self):
        self.trap_exit()


class FailingStart(Worker):
    def on_start(self):
        raise ValueError("not today")


class Declining(Worker):
    def on_start(self):
        raise IgnoreStart


class Narrow(Worker):
    mailbox_capacity = 1
