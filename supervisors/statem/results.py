"""What a state callback returns: where to go, with what data, doing what (STM-3).

==================================  ===========================================
`next_state(state, *actions)`       go there (STM-4)
`keep_state(*actions)`              stay; the same as going to the current state
`repeat_state(*actions)`            stay, but make the enter call again (STM-18)
`stop(reason)`                      end (STM-5, STM-45)
`stop_and_reply(reason, *replies)`  answer callers, then end (STM-46)
`initial_state(state, *actions)`    from `init` only (STM-42)
==================================  ===========================================

All of them take ``data=`` for new data; without it the data stays. Results are
values: making one does nothing, and one may be kept and returned many times,
which is the fastest way to return it::

    _OPENED = next_state("open", reply("welcome"))

Results are frozen for the type checker only (``Final``): they are made for
nearly every event, and a run-time guard would treble their price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from supervisors.callbacks import BadReturnError
from supervisors.exits import NORMAL
from supervisors.statem.actions import Action, Refuse, Reply

__all__ = [
    "SAME",
    "BadEnterReturnError",
    "InitialState",
    "KeepState",
    "NextState",
    "RepeatState",
    "Result",
    "Same",
    "Stop",
    "StopAndReply",
    "initial_state",
    "keep_state",
    "next_state",
    "repeat_state",
    "stop",
    "stop_and_reply",
]

# Names of states are few and written in the source. The bound is for machines
# that make up state names from what users send.
_CACHED_STATES_MAX: Final = 1024


@final
class Same:
    """The type of `SAME`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SAME"

    def __reduce__(self) -> str:
        return "SAME"


SAME: Final = Same()
"""In place of data: what it was before."""


class BadEnterReturnError(BadReturnError):
    """An enter call wanted to go to another state (STM-22)."""


@final
@dataclass(slots=True, unsafe_hash=True)
class NextState:
    """Go to a state; a change only if it is not equal to the current one (STM-4)."""

    state: Final[Any]
    actions: Final[tuple[Action, ...]] = ()
    data: Final[Any] = SAME


@final
@dataclass(slots=True, unsafe_hash=True)
class KeepState:
    """Stay (STM-4)."""

    actions: Final[tuple[Action, ...]] = ()
    data: Final[Any] = SAME


@final
@dataclass(slots=True, unsafe_hash=True)
class RepeatState:
    """Stay, and make the enter call again; `KeepState` without enter calls (STM-24)."""

    actions: Final[tuple[Action, ...]] = ()
    data: Final[Any] = SAME


@final
@dataclass(slots=True, unsafe_hash=True)
class Stop:
    """End with a reason (STM-45)."""

    reason: Final[Any] = NORMAL
    data: Final[Any] = SAME


@final
@dataclass(slots=True, unsafe_hash=True)
class StopAndReply:
    """Answer callers, then end with a reason (STM-46)."""

    reason: Final[Any]
    replies: Final[tuple[Reply | Refuse, ...]]
    data: Final[Any] = SAME


@final
@dataclass(slots=True, unsafe_hash=True)
class InitialState:
    """Where a machine starts; only `init` may return it (STM-42)."""

    state: Final[Any]
    actions: Final[tuple[Action, ...]] = ()
    data: Final[Any] = None


Result: TypeAlias = NextState | KeepState | RepeatState | Stop | StopAndReply

_KEEP_STATE: Final = KeepState()
_REPEAT_STATE: Final = RepeatState()
_STOP: Final = Stop()
_next_states: Final[dict[str, NextState]] = {}


def next_state(state: object, *actions: Action, data: object = SAME) -> NextState:
    """Go to a state, which may be the current one (STM-4).

    Args:
        state: with `state_functions`, the name of its function; with
            `handle_event_function`, any value that can be compared.
        *actions: done in this order (STM-9).
        data: the new data; without it the data stays.
    """
    # Only strings are kept: 1, 1.0 and True are one key but three states.
    if not actions and data is SAME and type(state) is str:
        result = _next_states.get(state)
        if result is None:
            result = NextState(state)
            if len(_next_states) < _CACHED_STATES_MAX:
                _next_states[state] = result
        return result
    return NextState(state, actions, data)


def keep_state(*actions: Action, data: object = SAME) -> KeepState:
    """Stay in the current state (STM-4).

    Args:
        *actions: done in this order (STM-9).
        data: the new data; without it the data stays.
    """
    if not actions and data is SAME:
        return _KEEP_STATE
    return KeepState(actions, data)


def repeat_state(*actions: Action, data: object = SAME) -> RepeatState:
    """Stay in the current state, and make its enter call again (STM-18, STM-24).

    Args:
        *actions: done in this order (STM-9).
        data: the new data; without it the data stays.
    """
    if not actions and data is SAME:
        return _REPEAT_STATE
    return RepeatState(actions, data)


def stop(reason: object = NORMAL, *, data: object = SAME) -> Stop:
    """End the machine (STM-5, STM-45).

    Args:
        reason: the exit reason.
        data: what `terminate` is to see; without it the current data.
    """
    if reason is NORMAL and data is SAME:
        return _STOP
    return Stop(reason, data)


def stop_and_reply(reason: object, *replies: Reply | Refuse, data: object = SAME) -> StopAndReply:
    """Answer callers in this order, then end the machine (STM-46).

    Args:
        reason: the exit reason.
        *replies: go out before `terminate` is called.
        data: what `terminate` is to see; without it the current data.
    """
    return StopAndReply(reason, replies, data)


def initial_state(state: object, *actions: Action, data: object = None) -> InitialState:
    """Start in a state; for `init` only (STM-42).

    Args:
        state: the first state.
        *actions: as from a state callback, but a `postpone` has no effect.
        data: the first data.
    """
    return InitialState(state, actions, data)
