"""A terminal that is one screen while a block runs, and is afterwards as it was before."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import threading
import tty
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self, final

__all__ = ["Keys", "Terminal"]

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"  # the other screen, without a cursor
_LEAVE: Final = "\x1b[0m\x1b[?2026l\x1b[?25h\x1b[?1049l"
# A terminal that knows synchronized output shows what is between these at once; others pass over them.
_BEGIN_FRAME: Final = "\x1b[?2026h"
_END_FRAME: Final = "\x1b[?2026l"
_NAMED: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x1b": "escape",
    "\x03": "quit",
    "\x04": "quit",
}
_READ_MAX: Final = 1_024


@final
class Keys:
    """Turns what a terminal sends into keys: their character, or a name such as `"up"`.

    Of a sequence that arrives in two pieces the first one is kept, unless it is a single
    escape: that is the key of this name.
    """

    def __init__(self) -> None:
        self._rest = ""

    def read(self, data: bytes) -> list[str]:
        """Return the keys in what has arrived."""
        text = self._rest + data.decode("utf-8", "ignore")
        self._rest = ""
        keys: list[str] = []
        while text:
            if text[0] == "\x1b" and len(text) > 1 and text[1] in "[O":
                end = next((at for at, each in enumerate(text[2:], 3) if "@" <= each <= "~"), None)
                if end is None:
                    self._rest = text[:16]
                    break
                sequence, text = text[:end], text[end:]
                if sequence in _NAMED:
                    keys.append(_NAMED[sequence])
                continue
            character, text = text[0], text[1:]
            if character in _NAMED:
                keys.append(_NAMED[character])
            elif character.isprintable():
                keys.append(character)
        return keys


@final
class Terminal:
    """One screen, drawn line by line.

    It is put back however the block ends: also by SIGTERM and SIGHUP, which end it with `SystemExit`.

    Args:
        descriptor_in: where keys come from; a terminal.
        descriptor_out: where the screen is drawn; a terminal.

    Thread: the main thread, where alone Python handles signals; elsewhere they do what they did before.
    """

    def __init__(self, descriptor_in: int, descriptor_out: int) -> None:
        self._in = descriptor_in
        self._out = descriptor_out
        self._keys = Keys()
        self._before: list[Any] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._in)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _end)
        try:
            tty.setcbreak(self._in, termios.TCSADRAIN)
            changed = termios.tcgetattr(self._in)
            # Ctrl-C comes as a key, and nothing stops the program while it has the screen.
            changed[3] &= ~termios.ISIG
            termios.tcsetattr(self._in, termios.TCSADRAIN, changed)
            self._write(_ENTER)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        try:
            columns, rows = os.get_terminal_size(self._out)
        except OSError:
            return 80, 24
        return (columns, rows) if columns and rows else (80, 24)

    def draw(self, lines: list[tuple[str, bool]]) -> None:
        """Show lines, each with whether it is shown in inverse; nothing is left of what was there.

        They are one frame: a terminal with synchronized output never shows half of it.

        Args:
            lines: printable text that fits; as many as fit.
        """
        columns, _ = self.size()
        parts = [_BEGIN_FRAME, "\x1b[H"]
        for number, (text, is_inverse) in enumerate(lines):
            if number:
                parts.append("\r\n")
            parts.append(f"\x1b[7m{text:<{columns}}\x1b[0m" if is_inverse else f"{text}\x1b[K")
        parts.append("\x1b[J" + _END_FRAME)
        self._write("".join(parts))

    def read(self) -> list[str]:
        """Return the keys that were pressed; `"quit"` as well when nobody is there any more."""
        try:
            data = os.read(self._in, _READ_MAX)
        except OSError:
            data = b""
        return self._keys.read(data) if data else ["quit"]

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._out, data) :]

    def _restore(self) -> None:
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
