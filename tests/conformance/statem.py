"""Replays recorded state machines, whose callbacks answer from tables.

`Script` is the part that knows the tables. It is shared with the test that drives
the engine without an actor; `Machine` drives it through the public API.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from supervisors import ActorRef, ActorSystem, Entropy, Exit, VirtualClock
from supervisors.callbacks import BadReturnError, Throw
from supervisors.exits import Crashed
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.statem.actions import (
    BadActionError,
    BadEnterActionError,
    CancelTimeout,
    ChangeCallbackModule,
    Hibernate,
    NextEvent,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    StartTimeout,
    UpdateTimeout,
    cancel_timeout,
    change_callback_module,
    event_timeout,
    hibernate,
    named_timeout,
    next_event,
    pop_callback_module,
    postpone,
    push_callback_module,
    reply,
    state_timeout,
    update_timeout,
)
from supervisors.statem.events import CALL, CAST, ENTER, INFO, INTERNAL, STATE_TIMEOUT, TIMEOUT, EventType, Named
from supervisors.statem.machine import StateMachine, cast, get_state, stop
from supervisors.statem.results import (
    SAME,
    BadEnterReturnError,
    NextState,
    initial_state,
    keep_state,
    next_state,
    repeat_state,
    stop_and_reply,
)
from supervisors.statem.results import stop as stop_result
from tests.conformance.difference import Difference, same
from tests.conformance.terms import STACK, RaisedError, from_term, to_term

__all__ = ["Asked", "Script", "exit_term", "matches", "replay", "terminate_term"]

NAMES: Final = {
    CAST: "cast",
    INFO: "info",
    INTERNAL: "internal",
    ENTER: "enter",
    TIMEOUT: "timeout",
    STATE_TIMEOUT: "state_timeout",
}
KINDS: Final = {name: kind for kind, name in NAMES.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """The content of a call: what it says, and its id in the recording."""

    id: str
    content: Any


class Script:
    """What the callbacks of a scenario answer, and the log of what was called.

    Args:
        scenario: the recording.

    Attributes:
        owe: returns how the call in hand, of this id, can be answered later.
    """

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.fuel = scenario["fuel"]
        self.log: list[Any] = []
        self.pending: list[str] = []
        self.owed: dict[str, Any] = {}
        self.seen: set[str] = set()
        self.owe: Callable[[str], Any] = lambda call: call
        self.modules = {name: Table(name, table, self) for name, table in scenario["modules"].items()}
        init = scenario["init"]
        # The recorded machine has its first module from the beginning; here it
        # comes with the first action, which is before anything is called.
        self.initial = initial_state(
            init["state"],
            change_callback_module(self.modules["a"]),
            *self.actions(init.get("actions", []), None),
            data=init["data"],
        )

    def respond(self, response: dict[str, Any], call: str | None) -> Any:
        """Turn a response of a table into a result, or raise what it says."""
        data = response.get("data", SAME)
        match response["ret"]:
            case "next_state":
                return next_state(response["state"], *self.actions(response["actions"], call), data=data)
            case "keep_state" | "keep_state_and_data":
                return keep_state(*self.actions(response["actions"], call), data=data)
            case "repeat_state" | "repeat_state_and_data":
                return repeat_state(*self.actions(response["actions"], call), data=data)
            case "stop":
                return stop_result(from_term(response["reason"]), data=data)
            case "stop_and_reply":
                reason = from_term(response["reason"])
                return stop_and_reply(reason, *self.actions(response["actions"], call), data=data)
            case "raise" if response["class"] == "throw":
                raise Throw(keep_state(data=data))
            case "raise" if response["class"] == "exit":
                raise Exit(from_term(response["reason"]))
            case "raise":
                raise RaisedError(from_term(response["reason"]))
            case "bad":
                return from_term(response["value"])
            case other:
                raise ValueError(f"unknown ret {other!r}")

    def actions(self, terms: list[Any], call: str | None) -> list[Any]:
        """Work out an action list, from left to right."""
        return [made for term in terms for made in self._action(term, call)]

    def _action(self, term: list[Any], call: str | None) -> list[Any]:
        match term:
            case ["reply", "cur", value]:
                return self._reply(call, value, call) if call in self.pending else []
            case ["reply", "old", value]:
                return self._reply(self.pending[0], value, call) if self.pending else []
            case ["postpone", *flag]:
                return [postpone(*flag)]
            case ["next_event", kind, content]:
                return [next_event(kind_of(kind), content)]
            case ["hibernate", *flag]:
                return [hibernate(*flag)]
            case ["push_callback_module", name]:
                return [push_callback_module(self.modules[name])]
            case ["change_callback_module", name]:
                return [change_callback_module(self.modules[name])]
            case ["pop_callback_module"]:
                return [pop_callback_module()]
            case [kind, "cancel"]:
                return [cancel_timeout(kind_of(kind))]
            case [kind, "update", content]:
                return [update_timeout(kind_of(kind), content)]
            case [kind, time, content]:
                seconds = math.inf if time == "infinity" else time / 1000
                return [start_timeout(kind_of(kind), seconds, content)]
            case other:
                raise ValueError(f"unknown action {other!r}")

    def _reply(self, to: Any, value: Any, call: str | None) -> list[Any]:
        self.pending.remove(to)
        # A call that has been deferred is answered through what is owed to it.
        return [reply(value) if to == call and to not in self.owed else reply(value, to=self.owed[to])]


class Table:
    """A callback module that answers as its table says."""

    def __init__(self, name: str, table: dict[str, Any], script: Script) -> None:
        self.name = name
        self.callback_mode = table["callback_mode"]
        self.state_enter = table["state_enter"]
        self._rows = {(state, key): responses for state, key, responses in table["rows"]}
        self._visits: Counter[tuple[str, str]] = Counter()
        self._script = script

    def s0(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s0", event_type, content, data)

    def s1(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s1", event_type, content, data)

    def s2(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s2", event_type, content, data)

    def handle_event(self, event_type: Any, content: Any, state: Any, data: Any) -> Any:
        return self._answer(state, event_type, content, data)

    def terminate(self, reason: Any, state: Any, data: Any) -> None:
        self._script.log.append(["terminate", self.name, terminate_term(reason), state, data])

    def _answer(self, state: str, event_type: Any, content: Any, data: Any) -> Any:
        script = self._script
        call: str | None = None
        if event_type is CALL:
            call, content = content.id, content.content
            if call not in script.seen:
                script.seen.add(call)
                script.pending.append(call)
        script.log.append(["cb", self.name, state, type_term(event_type, call), content, data])
        try:
            return self._look_up(state, event_type, content, call)
        finally:
            if call is not None and call in script.pending and call not in script.owed:
                script.owed[call] = script.owe(call)

    def _look_up(self, state: str, event_type: Any, content: Any, call: str | None) -> Any:
        script = self._script
        if script.fuel == 0:
            return keep_state()
        script.fuel -= 1
        key = (state, row_key(event_type, content))
        if key not in self._rows:
            return keep_state()
        responses = self._rows[key]
        response = responses[self._visits[key] % len(responses)]
        self._visits[key] += 1
        return script.respond(response, call)


class Machine(StateMachine):
    """Hands everything to the first table of the script."""

    callback_mode = "handle_event_function"
    dispatch: ClassVar[str] = "shared"

    def init(self, script: Script) -> Any:
        script.owe = lambda call: self.defer_reply()
        return script.initial


class InlineMachine(Machine):
    """The same, run by whoever sends."""

    dispatch = "inline"


def matches(record: dict[str, Any]) -> bool:
    """Tell whether a record is a state machine: only these have callback modules."""
    return "modules" in record and "groups" in record


def replay(record: dict[str, Any], machine: type[Machine] = Machine) -> Difference | None:
    """Replay a scenario; return where it first differs, or None."""
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(0), ask_timeout=None) as system:
        script = Script(record)
        ref = system.start(machine, script)
        try:
            for number, group in enumerate([record["start"], *record["groups"]]):
                for event in group.get("events", []):
                    _send(system, ref, script, event)
                system.settle()
                expected = {part: value for part, value in group.items() if part != "events"}
                got = _record(ref, script)
                for part in sorted(expected.keys() | got.keys()):
                    if not same(expected.get(part), got.get(part)):
                        what = f"group {number}, {part}" if number else f"start, {part}"
                        return Difference(what, expected.get(part), got.get(part))
            return None
        finally:
            ref.kill()


def _send(system: ActorSystem, ref: ActorRef[Any], script: Script, event: list[Any]) -> None:
    match event:
        case ["cast", content]:
            cast(ref, content)
        case ["info", content]:
            ref.send(content)
        case ["call", content, call]:
            # Held back, so that the reply can be seen in its place in the log
            # also by an actor that would have answered by now.
            ref.suspend()
            future = ref.ask(Asked(call, content), block=False)
            future.when_done(lambda: note_reply(script.log, call, future))
            ref.resume()
        case ["stop", reason]:
            try:
                stop(ref, from_term(reason))
            except ActorDeadError:
                return  # it has ended otherwise, and the record says how
        case ["wait", milliseconds]:
            system.advance(milliseconds / 1000)
        case other:
            raise ValueError(f"unknown event {other!r}")


def note_reply(log: list[Any], call: str, future: Any) -> None:
    """Put a reply into the log; the fate of an unanswered call is not recorded."""
    try:
        log.append(["reply", call, future.get(timeout=0)])
    except Exception:  # noqa: BLE001 - the machine has ended instead
        return


def _record(ref: ActorRef[Any], script: Script) -> dict[str, Any]:
    log = list(script.log)
    script.log.clear()
    if not ref.is_alive():
        return {"log": log, "exit": exit_term(ref.exit_reason)}
    state, data = get_state(ref)
    return {"log": log, "state": state, "data": data}


def kind_of(name: str) -> EventType | Named:
    return Named(name.removeprefix("timeout:")) if name.startswith("timeout:") else KINDS[name]


def start_timeout(kind: Any, seconds: float, content: Any) -> Any:
    if kind is TIMEOUT:
        return event_timeout(seconds, content)
    if kind is STATE_TIMEOUT:
        return state_timeout(seconds, content)
    return named_timeout(kind.name, seconds, content)


def type_term(event_type: Any, call: str | None = None) -> Any:
    if event_type is CALL:
        return ["call", call]
    return f"timeout:{event_type.name}" if isinstance(event_type, Named) else NAMES[event_type]


def row_key(event_type: Any, content: Any) -> str:
    if event_type in (CALL, CAST, INFO):
        return f"event:{content}"
    if event_type is INTERNAL:
        return f"internal:{content}"
    return str(type_term(event_type))


def terminate_term(reason: Any) -> Any:
    """Give a reason as gen_statem hands it to terminate: an error without its stack (STM-47)."""
    if not isinstance(reason, Crashed):
        return to_term(reason)
    match reason.error:
        case RaisedError(term=term):
            return to_term(term)
        case BadEnterReturnError(value=value):
            return {"t": ["bad_state_enter_return_from_state_function", _result_term(value)]}
        case BadReturnError(value=value):
            return {"t": ["bad_return_from_state_function", to_term(value)]}
        case BadEnterActionError(action=action):
            return {"t": ["bad_state_enter_action_from_state_function", _action_term(action)]}
        case BadActionError(action=action):
            return {"t": ["bad_action_from_state_function", _action_term(action)]}
        case other:
            return repr(other)


def exit_term(reason: Any) -> Any:
    """Give a reason as gen_statem exits with it: an error with its stack (STM-47)."""
    return {"t": [terminate_term(reason), STACK]} if isinstance(reason, Crashed) else to_term(reason)


def _result_term(result: Any) -> Any:
    if not isinstance(result, NextState):
        return repr(result)
    actions = [[_action_term(action) for action in result.actions]] if result.actions else []
    return {"t": ["next_state", result.state, result.data, *actions]}


def _kind_term(kind: Any) -> Any:
    return {"t": ["timeout", kind.name]} if isinstance(kind, Named) else type_term(kind)


def _action_term(action: Any) -> Any:
    match action:
        case PopCallbackModule():
            return "pop_callback_module"
        case PushCallbackModule(module=module):
            return {"t": ["push_callback_module", module.name]}
        case ChangeCallbackModule(module=module):
            return {"t": ["change_callback_module", module.name]}
        case Postpone(None):
            return "postpone"
        case Postpone(flag):
            return {"t": ["postpone", flag]}
        case Hibernate(flag):
            return "hibernate" if flag else {"t": ["hibernate", False]}
        case NextEvent(event_type=kind, content=content):
            return {"t": ["next_event", _kind_term(kind), content]}
        case CancelTimeout(kind=kind):
            return {"t": [_kind_term(kind), "cancel"]}
        case UpdateTimeout(kind=kind, content=content):
            return {"t": [_kind_term(kind), "update", content]}
        case StartTimeout(kind=kind, seconds=seconds, content=content):
            time = "infinity" if seconds == math.inf else round(seconds * 1000)
            return {"t": [_kind_term(kind), time, content]}
        case _:
            return repr(action)
