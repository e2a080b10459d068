"""A timer of an actor that costs next to nothing to set again.

Idle times and event time-outs are put off at every message and hardly ever run
out. So the timer below an alarm is left armed when the alarm is put off, and when
it rings too early it is armed once more for the rest: however many messages come,
there is one ring for each full period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from supervisors.runtime.signals import ControlMessage

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.timers.service import Timer

__all__ = ["Alarm", "Rung"]


@final
class Rung(ControlMessage):
    """The message of an alarm's timer; hand it to `Alarm.is_due()`."""

    __slots__ = ("alarm",)

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm


@final
class Alarm:
    """One point in time that an actor waits for.

    Args:
        actor: gets a `Rung` message in its mailbox, perhaps too early.
        about: whatever the actor wants to remember with it.

    Thread: the actor's own turn only.
    """

    __slots__ = ("_actor", "_armed_for", "_rung", "_timer", "_wanted", "about")

    def __init__(self, actor: Actor, about: Any = None) -> None:
        self._actor = actor
        self._wanted: float | None = None
        self._armed_for = 0.0
        self._timer: Timer | None = None
        self._rung: Rung | None = None
        self.about = about

    def set(self, deadline: float) -> None:
        """Wait for a reading of the monotonic clock, instead of any before."""
        self._wanted = deadline
        if self._timer is not None:
            if deadline >= self._armed_for:
                return
            self._timer.cancel()
        self._arm(deadline)

    def put_off(self) -> None:
        """Wait no more for now; cheap if the alarm is set again soon."""
        self._wanted = None

    def cancel(self) -> None:
        """Wait no more, and take the timer away."""
        self._wanted = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_due(self, rung: Rung) -> bool:
        """Tell whether the time has come; False for a ring too early or too late.

        The message of a timer that was cancelled too late, or that the alarm has
        been set anew since, is never due (STM-36).
        """
        if rung is not self._rung:
            return False
        self._timer = self._rung = None
        if self._wanted is None:
            return False
        if self._wanted > self._actor.system.clock.monotonic():
            self._arm(self._wanted)
            return False
        return True

    def _arm(self, deadline: float) -> None:
        # A message of its own for each arming: an old one in the mailbox is known by it.
        self._rung = Rung(self)
        self._armed_for = deadline
        self._timer = self._actor.system.timers.send_at(deadline, self._actor.actor_ref, self._rung)
