"""How long messages wait in mailboxes, by sampling, without a time in any message.

A mailbox is handled in order, and the runtime counts what it has handled. So the number
of a message is known when it is sent: one more than what was handled and what waits.
Of every so many messages one is marked: its number and the time are noted beside the
mailbox; and when as many messages have been handled, it has come to its turn. No
message is wrapped, so whatever else happens to it happens as ever.

How exact that is: senders that send to one mailbox at the same moment may get each other's
number; and what waits and is never handled as a message (a signal, or what is dropped at
a bound) makes the marks behind it count some messages late, at the latest when the
mailbox is empty. Who waits for ever is not counted at all; for that there is the age of
the oldest message.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from supervisors.telemetry.histogram import ThreadRow, count

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["MARKS_MAX", "REFS_MAX", "Waits"]

REFS_MAX: Final = 4096
"""Mailboxes in which something is marked at the same time."""

MARKS_MAX: Final = 64
"""Marked messages that wait in one mailbox at the same time."""

_Marks: TypeAlias = "deque[tuple[int, float]]"


@final
class Waits:
    """The marks of one measuring.

    Args:
        now: monotonic seconds.
        every: one message of so many is marked.
        is_measured: tells for a class of actors whether somebody calls `met()` for it.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_every", "_is_measured", "_now", "_tick", "marked")

    def __init__(self, now: Callable[[], float], every: int, is_measured: Callable[[type], bool]) -> None:
        self._now = now
        self._every = every
        self._is_measured = is_measured
        # Two threads that draw the same number mark both or neither; that is as good a sample.
        self._tick = itertools.count(1).__next__
        # By mailbox, (number of the message, when it was sent), oldest first. Senders append, the owner takes.
        self.marked: dict[ActorRef[Any], _Marks] = {}

    def sent(self, ref: ActorRef[Any], message: Any) -> Any:
        """Mark a message that is about to be sent, if it is its turn; return it as it is."""
        if self._tick() % self._every or not self._is_measured(ref.actor_class):
            return message
        marks = self.marked.get(ref)
        if marks is None:
            if len(self.marked) >= REFS_MAX:
                self._make_room()
            marks = self.marked[ref] = deque()
        if len(marks) < MARKS_MAX:
            marks.append((ref.messages_handled + ref.mailbox_length + 1, self._now()))
        return message

    def met(self, ref: ActorRef[Any], here: ThreadRow) -> None:
        """Count the marked messages whose turn has come; called in the actor's own turn."""
        marks = self.marked.get(ref)
        if marks is None:
            return
        # In an empty mailbox nobody waits, whatever the numbers say.
        handled = ref.messages_handled if ref.mailbox_length else math.inf
        while marks and marks[0][0] <= handled:
            count(here, self._now() - marks.popleft()[1])
        if not marks:
            # A mark that is put in just now is lost; one sample is no loss.
            self.marked.pop(ref, None)

    def _make_room(self) -> None:
        """Forget the dead; if there are none, the mailbox that has been there longest."""
        for ref in list(self.marked):
            if not ref.is_alive():
                self.marked.pop(ref, None)
        if len(self.marked) >= REFS_MAX:
            self.marked.pop(next(iter(list(self.marked))), None)
