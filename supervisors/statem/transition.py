"""What one transition has noted so far, until it takes effect all at once (STM-20)."""

from __future__ import annotations

from typing import Any, TypeAlias, final

from supervisors.statem.actions import (
    Action,
    BadActionError,
    BadEnterActionError,
    CancelTimeout,
    Hibernate,
    NextEvent,
    Postpone,
    StartTimeout,
    UpdateTimeout,
)
from supervisors.statem.events import AnyEventType, TimeoutKind

__all__ = ["Event", "TimeoutAction", "Transition"]

Event: TypeAlias = tuple[AnyEventType, Any, Any]
"""Type, content, caller."""

TimeoutAction: TypeAlias = StartTimeout | CancelTimeout | UpdateTimeout


@final
class Transition:
    """The notes of a state callback and the enter calls that follow it.

    Attributes:
        event: the event in hand; None at the start of the machine.
        old_state: the state before, which an enter call gets to see (STM-18).
        old_data: the data before.
        is_change: whether the state has changed (STM-4).
        is_postponed: whether the event is to be put aside (STM-12).
        inserted: what `next_event` asked for, in order, or None (STM-10).
        timeouts: the last action for each kind of time-out, in order, or None (STM-29).
    """

    __slots__ = ("event", "inserted", "is_change", "is_postponed", "old_data", "old_state", "timeouts")

    def __init__(self, event: Event | None, old_state: object, old_data: object) -> None:
        self.event = event
        self.old_state = old_state
        self.old_data = old_data
        self.is_change = False
        self.is_postponed = False
        self.inserted: list[Event] | None = None
        self.timeouts: dict[TimeoutKind, TimeoutAction] | None = None

    def note(self, action: Action | object, *, is_enter: bool) -> None:
        """Note an action that takes effect at the end.

        Args:
            action: one of the action list.
            is_enter: whether an enter call asks for it.

        Raises:
            BadActionError: it is no such action, or not allowed here.
        """
        kind = type(action)
        if kind is StartTimeout or kind is CancelTimeout or kind is UpdateTimeout:
            self._note_timeout(action)  # type: ignore[arg-type]  # one of the three just named
        elif kind is NextEvent:
            self._note_event(action, is_enter=is_enter)  # type: ignore[arg-type]
        elif kind is Postpone:
            self._note_postpone(action, is_enter=is_enter)  # type: ignore[arg-type]
        elif kind is not Hibernate:  # STM-38: nothing to note
            raise BadActionError(action, "not an action; hand actions over one by one, not as a list")

    def _note_timeout(self, action: TimeoutAction) -> None:
        if self.timeouts is None:
            self.timeouts = {action.kind: action}
        else:
            # Out and in again: only the last of a kind counts (STM-29), at its own place (STM-32).
            self.timeouts.pop(action.kind, None)
            self.timeouts[action.kind] = action

    def _note_event(self, action: NextEvent, *, is_enter: bool) -> None:
        if is_enter:  # STM-22
            raise BadEnterActionError(action, "an enter call cannot insert events")
        event = (action.event_type, action.content, action.caller)
        if self.inserted is None:
            self.inserted = [event]
        else:
            self.inserted.append(event)

    def _note_postpone(self, action: Postpone, *, is_enter: bool) -> None:
        # OTP tells `postpone` and `{postpone, true}` apart here, and allows
        # `{postpone, false}`, which undoes that of the state callback (STM-22).
        if is_enter and action.flag is None:
            raise BadEnterActionError(action, "an enter call is no event that could be postponed")
        if is_enter and action.flag:
            raise BadActionError(action, "an enter call is no event that could be postponed")
        self.is_postponed = action.flag is not False  # the last one counts: STM-17
