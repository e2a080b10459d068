"""How long messages have waited at least, without a time in any message.

A mailbox is handled in order, and the runtime counts what it has handled. So who looks
twice knows more than the two lengths: if a mailbox had 5 messages when 100 had been
handled, the last of these is number 105; and while fewer than 105 have been handled,
that one still waits, since the first look at least. So looking is enough, and senders pay nothing.

The age is a lower bound: a message that has come and gone between two looks is not
seen, and one that came just after a look counts from the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, final

__all__ = ["MARKS_MAX", "Ages"]

MARKS_MAX: Final = 16
"""Looks that are remembered of one mailbox; of the older ones every other is forgotten."""


class _Counted(Protocol):
    """What is read of an `ActorRef`."""

    @property
    def id(self) -> int: ...

    @property
    def messages_handled(self) -> int: ...

    @property
    def mailbox_length(self) -> int: ...


@final
class Ages:
    """Remembers what mailboxes looked like.

    Thread: one at a time, except where it says so.
    """

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        # By the number of the actor, (when, the number of the last message that waited then), oldest first.
        self._marks: dict[int, list[tuple[float, int]]] = {}

    def look(self, filled: Iterable[_Counted], now: float) -> float:
        """Look at all mailboxes in which something waits; return the age of the oldest message, in seconds.

        Args:
            filled: their actors; who is not among them has an empty mailbox.
            now: monotonic seconds, not before the last look.
        """
        oldest = 0.0
        marks: dict[int, list[tuple[float, int]]] = {}
        for ref in filled:
            handled = ref.messages_handled  # before the length: a message in between only makes it less
            length = ref.mailbox_length
            if not length:
                continue
            still = [mark for mark in self._marks.get(ref.id, ()) if mark[1] > handled]
            still.append((now, handled + length))
            if len(still) > MARKS_MAX:
                still[1:-1] = still[2:-1:2]
            marks[ref.id] = still
            oldest = max(oldest, now - still[0][0])
        self._marks = marks
        return oldest

    def age_of(self, ref: _Counted, now: float) -> float:
        """Return how long the oldest message of a mailbox has waited at least, in seconds; 0.0 where nothing is known.

        Thread: any.
        """
        handled = ref.messages_handled
        return next((now - when for when, last in self._marks.get(ref.id, ()) if last > handled), 0.0)
