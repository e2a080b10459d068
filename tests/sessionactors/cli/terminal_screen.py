"""A terminal to test with: a pty whose output is read as a screen of characters.

It knows the sequences that our commands use, and fails on any other: what it does not
know, a terminal of the user might show in its own way.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """What is to be seen on a terminal of so many columns and rows."""

    def __init__(self, columns=80, rows=24):
        self.columns, self.rows = columns, rows
        self.x = self.y = 0
        self.is_other = False  # the screen of a program that has one of its own
        self.has_cursor = True
        self.is_whole = True  # no frame has begun that has not ended
        self.wrapped = 0  # characters that did not fit into their line
        self.scrolled = 0
        self.cells = self._blank()
        self._kept = None
        self._rest = ""

    def _blank(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def feed(self, text):
        text = self._rest + text
        self._rest = ""
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    assert len(text) - at < 16, f"an unknown sequence: {text[at : at + 16]!r}"
                    self._rest = text[at:]
                    return
                self._obey(*found.groups())
                at = found.end()
                continue
            at += 1
            if character == "\r":
                self.x = 0
            elif character == "\n":
                self._line_feed()
            else:
                assert character.isprintable(), f"a control character: {character!r}"
                if self.x >= self.columns:
                    self.wrapped += 1
                    self.x = 0
                    self._line_feed()
                self.cells[self.y][self.x] = character
                self.x += 1

    def _line_feed(self):
        if self.y == self.rows - 1:
            self.cells = [*self.cells[1:], [" "] * self.columns]
            self.scrolled += 1
        else:
            self.y += 1

    def _obey(self, private, numbers, command):
        if private:
            is_set = command == "h"
            if numbers == "25":
                self.has_cursor = is_set
            elif numbers == "2026":
                self.is_whole = not is_set
            elif numbers == "1049":
                if is_set:
                    self._kept, self.cells = self.cells, self._blank()
                else:
                    self.cells = self._kept
                self.is_other = is_set
            else:
                raise AssertionError(f"an unknown mode: {numbers}")
        elif command == "H":
            self.x = self.y = 0
        elif command == "K":
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
        elif command == "J":
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
            if numbers == "2":
                self.cells = self._blank()
            else:
                self.cells[self.y + 1 :] = [[" "] * self.columns for _ in range(self.rows - self.y - 1)]
        else:
            assert command == "m", f"an unknown sequence: {numbers}{command}"

    @property
    def lines(self):
        return ["".join(cells).rstrip() for cells in self.cells]

    def __str__(self):
        return "\n".join(self.lines)


class Program:
    """One of our commands in a terminal."""

    def __init__(self, *arguments, columns=80, rows=24):
        self.screen = Screen(columns, rows)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.settings = termios.tcgetattr(self.slave)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sessionactors", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )

    def press(self, keys):
        os.write(self.master, keys.encode())

    def until(self, wanted, timeout=30.0):
        """Read until a function of the screen is true, or a text is on it; return the screen.

        A frame is looked at when it has come whole.
        """
        is_there = wanted if callable(wanted) else lambda screen: wanted in str(screen)
        deadline = time.monotonic() + timeout
        while not (self.screen.is_whole and is_there(self.screen)):
            assert self._read(deadline), f"it has ended, or the time is up:\n{self.screen}"
        return self.screen

    def end(self, timeout=30.0):
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(min(deadline, time.monotonic() + 0.05))
        code = self.process.wait(max(deadline - time.monotonic(), 0.1))
        while self._read(time.monotonic()):
            pass
        return code

    def is_as_before(self):
        """Tell whether the terminal is set as it was, its cursor is there, and its own screen."""
        now = termios.tcgetattr(self.slave)
        return now == self.settings and self.screen.has_cursor and not self.screen.is_other

    def close(self):
        self.process.kill()
        self.process.wait(10.0)
        os.close(self.master)
        os.close(self.slave)

    def _read(self, deadline):
        ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0.0))
        if not ready:
            return False
        self.screen.feed(self._decoder.decode(os.read(self.master, 65_536)))
        return True
