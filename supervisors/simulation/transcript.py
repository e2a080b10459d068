"""What has happened in a run, one line per event, and a hash over all of it.

Columns: the step, the virtual time in seconds, the actor, and what it did. Names
are the actor's class and its number in order of start; nothing in a line depends
on addresses, hash seeds or the Python version, so two runs of one seed can be
compared by their hash, and two transcripts with ``diff``.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any, Final, final

from supervisors.exits import Crashed
from supervisors.runtime.cell import Cell
from supervisors.runtime.signals import Ask

__all__ = ["Transcript", "label_of", "message_in_words", "reason_in_words"]

_FLUSH_LINES: Final = 512
_TEXT_MAX: Final = 40
_INT_MAX: Final = 1 << 63
_PLAIN: Final = frozenset({bool, float, type(None)})


@final
class Transcript:
    """Keeps the lines of a run and hashes them on the way.

    Args:
        keep: whether `lines` holds them; the hash covers them in any case.

    Attributes:
        lines: all lines so far.
    """

    __slots__ = ("_digest", "_flushed", "_keep", "_moment", "_now", "_pending", "lines")

    def __init__(self, *, keep: bool = True) -> None:
        self.lines: list[str] = []
        self._keep = keep
        self._pending: list[str] = []
        self._digest = hashlib.sha256()
        self._flushed = 0
        self._now = 0.0
        self._moment = f"{0.0:>14.6f}"

    @property
    def count(self) -> int:
        """How many lines there are, kept or not."""
        return self._flushed + len(self._pending)

    def add(self, step: int, now: float, who: str, what: str) -> None:
        """Write one line.

        Args:
            step: how many choices have been made so far.
            now: virtual time, seconds.
            who: an actor's stable name, or the part of the simulator that acts.
            what: one event, in words.
        """
        if now != self._now:
            # Most events come at the same moment as the one before, and floats are slow to print.
            self._now = now
            self._moment = f"{now:>14.6f}"
        pending = self._pending
        pending.append(f"{step:>8} {self._moment} {who:<24} {what}")
        if len(pending) >= _FLUSH_LINES:
            self._flush()

    def hash(self) -> str:
        """Return the SHA-256 of all lines so far, in hexadecimal."""
        self._flush()
        return self._digest.hexdigest()

    def text(self) -> str:
        """Return all lines that were kept, each with its line end."""
        self._flush()
        return "".join(line + "\n" for line in self.lines)

    def _flush(self) -> None:
        if self._pending:
            self._digest.update(("\n".join(self._pending) + "\n").encode())
            if self._keep:
                self.lines += self._pending
            self._flushed += len(self._pending)
            self._pending.clear()


def label_of(ref: Cell | None) -> str:
    """Return an actor's stable name, such as ``Worker#3``; ``outside`` for no actor."""
    return "outside" if ref is None else f"{ref.actor_class.__name__}#{ref.id}"


def message_in_words(message: Any) -> str:
    """Describe a message by what is the same in every process."""
    kind = message.__class__
    if kind is Ask:
        return "ask " + message_in_words(message.message)
    if kind is str:
        return ascii(message if len(message) <= _TEXT_MAX else message[:_TEXT_MAX] + "...")
    if kind in _PLAIN or (kind is int and -_INT_MAX < message < _INT_MAX):
        return repr(message)
    if kind is tuple:
        return "(" + ", ".join([message_in_words(each) for each in message[:3]]) + (", ...)" if message[3:] else ")")
    if isinstance(message, Enum):
        return f"{kind.__name__}.{message.name}"
    if isinstance(message, Cell):
        return label_of(message)
    return str(kind.__name__)


def reason_in_words(reason: object) -> str:
    """Describe an exit reason by what is the same in every process."""
    if isinstance(reason, str):
        return reason
    if isinstance(reason, Crashed):
        return f"crashed, {type(reason.error).__name__}"
    return message_in_words(reason)
