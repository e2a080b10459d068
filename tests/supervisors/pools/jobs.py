"""What the workers of the tests do. Importable, and quick to import, so that processes can do it too."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar


def same(value):
    return value


def double(value):
    return value * 2


def fail(message="broken"):
    raise ValueError(message)


def fail_if_odd(number):
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def wait_for(event):
    """Until somebody lets it go; for threads."""
    assert event.wait(10)
    return "let go"


def hang(*_):
    """For ever, for all that a test is concerned."""
    threading.Event().wait(3600)


def touch_and_hang(path):
    Path(path).write_text("begun")
    hang()


def spin(path):
    """As busy as can be."""
    Path(path).write_text("begun")
    while True:
        pass


def pid(*_):
    return os.getpid()


def look_at_clock(*_):
    return time.time()


def die(how):
    """End the process in one of the ways there are."""
    if how == "exit":
        os._exit(3)
    if how == "segv":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    hang()


def die_if_seven(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_until(path, times):
    """Die so many times, then work: the file counts."""
    count = int(Path(path).read_text()) if Path(path).exists() else 0
    if count < times:
        Path(path).write_text(str(count + 1))
        os._exit(1)
    return count


def leave():
    sys.exit(4)


def unpicklable(*_):
    return threading.Lock()


class Unloadable(Exception):  # noqa: N818 - named for what it does
    """Can be pickled, and not unpickled."""

    def __init__(self, one, two):
        super().__init__(one)
        self.two = two


def raise_unloadable():
    raise Unloadable(1, 2)


class Unreadable:
    """Can be pickled, and raises when it is unpickled."""

    def __reduce__(self):
        return fail, ("cannot be read",)


class Counter:
    """Counts what it has done, and notes its hooks in a list or a file."""

    log: ClassVar[list] = []

    def setup(self):
        self.count = 0
        self.log.append("setup")

    def handle(self, what="count"):
        if what == "fail":
            raise ValueError("told to")
        if what == "log":
            return list(self.log)
        self.count += 1
        return self.count

    def reset(self):
        self.count = 100
        self.log.append("reset")

    def teardown(self):
        self.log.append("teardown")


class NoStart:
    def setup(self):
        raise RuntimeError("no database")

    def handle(self, what):
        return what


class NoHandle:
    def setup(self):
        pass


class NoReset(Counter):
    def reset(self):
        raise RuntimeError("cannot be reset")


class Hog:
    """Keeps what it is told to allocate."""

    def __init__(self):
        self.kept = []

    def handle(self, size_bytes):
        self.kept.append(b"x" * size_bytes)
        return os.getpid()


def note_in(shared, key):
    shared[key] = os.getpid()


class Counting:
    """Counts what it is asked, in its own process."""

    def __init__(self):
        self.asked = 0

    def handle(self):
        self.asked += 1
        return self.asked
