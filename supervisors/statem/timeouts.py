"""Which time-outs of a state machine are running, and which have run out.

Pure book-keeping: no clock, no timer. What a real timer must do comes out as
effects, `StartTimer` and `CancelTimer`; when a timer has fired, `fired()` tells
whether it still means anything.

A time-out is in one of three conditions:

* not known here: it does not run;
* *running*: a real timer has been asked for, under a generation that no other
  timer of this machine has;
* *due*: it was started with time 0, so there is no timer, and its event waits
  for its turn (STM-31).

The generation is what makes a stale timer harmless (STM-36):

1. a timer fires, and its message waits behind others;
2. one of those others cancels or replaces the time-out;
3. the message has its turn, but its generation is not the running one any more.

So cancelling needs no look into the mailbox, and it does not matter whether the
real timer could still be stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, final

from supervisors.statem.actions import StartTimeout, UpdateTimeout
from supervisors.statem.effects import CancelTimer, Effect, StartTimer
from supervisors.statem.events import STATE_TIMEOUT, TIMEOUT, TimeoutKind
from supervisors.statem.transition import TimeoutAction

__all__ = ["Timeouts"]

_DUE: Final = 0
"""The generation of a time-out that needs no timer; real ones start at 1."""


@final
class Timeouts:
    """The time-outs of one machine, of all kinds (STM-25).

    Attributes:
        known: what is running or due; read it, but change it only through the methods.
        due_count: how many are due, for a cheap look before `take_due()`.
    """

    # One dictionary for all: its order is the order of starting, which is the
    # order in which due ones fire (STM-32), and most machines have none or one.
    __slots__ = ("_generation", "due_count", "known")

    def __init__(self) -> None:
        self.known: dict[TimeoutKind, tuple[int, Any]] = {}
        self._generation = 0
        self.due_count = 0

    def settle(self, noted: Mapping[TimeoutKind, TimeoutAction], effects: list[Effect], *, is_change: bool) -> None:
        """Do what one transition does to the time-outs.

        Args:
            noted: the last action of each kind, in list order (STM-29).
            effects: what the timers must do is appended here.
            is_change: the state has changed.

        Order: cancelled by the event, cancelled by the change, then the actions.
        """
        # A time-out that is started anew is not cancelled first: the new timer
        # replaces the old one, so one effect is enough. Any other action must
        # find it gone: an update then starts it.
        known = self.known
        if TIMEOUT in known and type(noted.get(TIMEOUT)) is not StartTimeout:  # STM-15
            self.cancel(TIMEOUT, effects)
        # Named ones go on (STM-33).
        if is_change and STATE_TIMEOUT in known and type(noted.get(STATE_TIMEOUT)) is not StartTimeout:  # STM-16
            self.cancel(STATE_TIMEOUT, effects)
        for action in noted.values():
            if type(action) is StartTimeout:
                self.start(action, effects)
            elif type(action) is UpdateTimeout:
                self.update(action.kind, action.content)
            else:
                self.cancel(action.kind, effects)

    def start(self, action: StartTimeout, effects: list[Effect]) -> None:
        """Start a time-out, or replace a running one: new time, new content (STM-26)."""
        kind, seconds = action.kind, action.seconds
        if seconds == math.inf:  # STM-27
            self.cancel(kind, effects)
            return
        # Out and in again, so that a restarted one goes to the back (STM-32).
        old = self.known.pop(kind, None)
        if old is not None and old[0] == _DUE:
            self.due_count -= 1
        if seconds == 0:  # STM-31; as a point in time, too, as in OTP
            self.known[kind] = (_DUE, action.content)
            self.due_count += 1
            if old is not None and old[0] != _DUE:
                effects.append(CancelTimer(kind, old[0]))
            return
        self._generation += 1
        self.known[kind] = (self._generation, action.content)
        effects.append(StartTimer(kind, seconds, action.absolute, self._generation))

    def cancel(self, kind: TimeoutKind, effects: list[Effect]) -> None:
        """Stop a time-out; nothing happens if it is not running (STM-27)."""
        old = self.known.pop(kind, None)
        if old is None:
            return
        if old[0] == _DUE:
            self.due_count -= 1
        else:
            effects.append(CancelTimer(kind, old[0]))

    def update(self, kind: TimeoutKind, content: object) -> None:
        """Change the content and leave time and place; start with 0 if not running (STM-28)."""
        old = self.known.get(kind)
        if old is None:
            self.due_count += 1
            self.known[kind] = (_DUE, content)
        else:
            self.known[kind] = (old[0], content)

    def take_due(self) -> tuple[TimeoutKind, Any]:
        """Take the due time-out that was started first (STM-32).

        Returns:
            Its kind and content; it is no longer known afterwards (STM-30).
        """
        assert self.due_count > 0, "take_due() without a due time-out"
        kind, content = next((kind, known[1]) for kind, known in self.known.items() if known[0] == _DUE)
        del self.known[kind]
        self.due_count -= 1
        return kind, content

    def fired(self, kind: TimeoutKind, generation: int) -> tuple[TimeoutKind, Any] | None:
        """Take the time-out whose timer has fired (STM-30).

        Returns:
            Its kind and content, or None if the timer is stale (STM-36).
        """
        known = self.known.get(kind)
        if known is None or known[0] != generation:
            return None
        del self.known[kind]
        return kind, known[1]

    def timers(self) -> list[tuple[TimeoutKind, int]]:
        """Return kind and generation of each timer that was asked for and is still wanted."""
        return [(kind, generation) for kind, (generation, _) in self.known.items() if generation != _DUE]
