"""Replays what the real gen_statem did, step by step, against the pure engine.

The replayer knows the format of the recordings and no single recording: a
scenario is a set of tables that say what a callback answers, then groups of
events, and for each group the ordered log of callbacks and replies.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest

from supervisors.errors import Exit
from supervisors.exits import Crashed
from supervisors.statem.actions import (
    BadActionError,
    BadEnterActionError,
    NextEvent,
    PopCallbackModule,
    Postpone,
    Refuse,
    Reply,
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
from supervisors.statem.effects import CancelTimer, StartTimer, Terminate
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, CAST, ENTER, INFO, INTERNAL, STATE_TIMEOUT, TIMEOUT, EventType, Named
from supervisors.statem.results import (
    SAME,
    BadEnterReturnError,
    BadReturnError,
    Throw,
    initial_state,
    keep_state,
    next_state,
    repeat_state,
    stop,
    stop_and_reply,
)

NAMES = {
    CAST: "cast",
    INFO: "info",
    INTERNAL: "internal",
    ENTER: "enter",
    TIMEOUT: "timeout",
    STATE_TIMEOUT: "state_timeout",
}
KINDS = {name: kind for kind, name in NAMES.items()}


class PlannedError(Exception):
    """What a table means by an error of some reason."""

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class Table:
    """A callback module that answers as its table says."""

    def __init__(self, name: str, table: dict[str, Any], run: Run) -> None:
        self.callback_mode = table["callback_mode"]
        self.state_enter = table["state_enter"]
        self._name = name
        self._rows = {(state, key): responses for state, key, responses in table["rows"]}
        self._visits: Counter[tuple[str, str]] = Counter()
        self._run = run

    def s0(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s0", event_type, content, data)

    def s1(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s1", event_type, content, data)

    def s2(self, event_type: Any, content: Any, data: Any) -> Any:
        return self._answer("s2", event_type, content, data)

    def handle_event(self, event_type: Any, content: Any, state: Any, data: Any) -> Any:
        return self._answer(state, event_type, content, data)

    def _answer(self, state: str, event_type: Any, content: Any, data: Any) -> Any:
        run = self._run
        caller = run.engine.caller
        run.log.append(["cb", self._name, state, type_term(event_type, caller), content, data])
        if caller is not None and caller not in run.seen:
            run.seen.add(caller)
            run.pending.append(caller)
        if run.fuel == 0:
            return keep_state()
        run.fuel -= 1
        key = (state, row_key(event_type, content))
        if key not in self._rows:
            return keep_state()
        responses = self._rows[key]
        response = responses[self._visits[key] % len(responses)]
        self._visits[key] += 1
        return run.respond(response, caller)


class Run:
    """One scenario under way: the engine, a clock and timers, and the log."""

    def __init__(self, scenario: dict[str, Any], *, forgets_cancels: bool) -> None:
        self.fuel = scenario["fuel"]
        self.log: list[Any] = []
        self.pending: list[str] = []
        self.seen: set[str] = set()
        self.exit: Any = None
        self._clock = 0.0
        self._timers: list[tuple[float, Any, int]] = []
        self._forgets_cancels = forgets_cancels
        self._modules = {name: Table(name, table, self) for name, table in scenario["modules"].items()}
        self.engine = Engine(self._modules["a"])
        init = scenario["init"]
        self._perform_all(
            self.engine.start(
                initial_state(init["state"], *self.actions(init.get("actions", []), None), data=init["data"])
            )
        )

    def respond(self, response: dict[str, Any], caller: Any) -> Any:
        """Turn a response of a table into a result, or raise what it says."""
        data = response.get("data", SAME)
        match response["ret"]:
            case "next_state":
                return next_state(response["state"], *self.actions(response["actions"], caller), data=data)
            case "keep_state" | "keep_state_and_data":
                return keep_state(*self.actions(response["actions"], caller), data=data)
            case "repeat_state" | "repeat_state_and_data":
                return repeat_state(*self.actions(response["actions"], caller), data=data)
            case "stop":
                return stop(response["reason"], data=data)
            case "stop_and_reply":
                return stop_and_reply(response["reason"], *self.actions(response["actions"], caller), data=data)
            case "raise" if response["class"] == "throw":
                raise Throw(keep_state(data=data))
            case "raise" if response["class"] == "exit":
                raise Exit(response["reason"])
            case "raise":
                raise PlannedError(response["reason"])
            case "bad":
                return response["value"]
            case other:
                raise AssertionError(f"unknown ret {other!r}")

    def actions(self, terms: list[Any], caller: Any) -> list[Any]:
        return [made for term in terms for made in self._action(term, caller)]

    def _action(self, term: list[Any], caller: Any) -> list[Any]:
        match term:
            case ["reply", "cur", value]:
                if caller not in self.pending:
                    return []
                self.pending.remove(caller)
                return [reply(value)]
            case ["reply", "old", value]:
                return [reply(value, to=self.pending.pop(0))] if self.pending else []
            case ["postpone", *flag]:
                return [postpone(*flag)]
            case ["next_event", kind, content]:
                return [next_event(kind_of(kind), content)]
            case ["hibernate", *flag]:
                return [hibernate(*flag)]
            case ["push_callback_module", name]:
                return [push_callback_module(self._modules[name])]
            case ["change_callback_module", name]:
                return [change_callback_module(self._modules[name])]
            case ["pop_callback_module"]:
                return [pop_callback_module()]
            case [kind, "cancel"]:
                return [cancel_timeout(kind_of(kind))]
            case [kind, "update", content]:
                return [update_timeout(kind_of(kind), content)]
            case [kind, time, content]:
                seconds = float("inf") if time == "infinity" else time / 1000
                return [start_timeout(kind_of(kind), seconds, content)]
            case other:
                raise AssertionError(f"unknown action {other!r}")

    def send(self, events: list[Any]) -> None:
        """Do what one group says."""
        mailbox = deque(events)
        while mailbox and self.exit is None:
            match mailbox.popleft():
                case ["cast", content]:
                    self._perform_all(self.engine.handle(CAST, content))
                case ["info", content]:
                    self._perform_all(self.engine.handle(INFO, content))
                case ["call", content, caller]:
                    self._perform_all(self.engine.handle(CALL, content, caller))
                case ["stop", reason]:
                    self._perform_all(self.engine.terminate(reason))
                case ["wait", milliseconds]:
                    self._pass(milliseconds / 1000)
                case other:
                    raise AssertionError(f"unknown event {other!r}")

    def _pass(self, seconds: float) -> None:
        end = self._clock + seconds
        while self.exit is None:
            due = min((timer for timer in self._timers if timer[0] <= end), key=lambda timer: timer[0], default=None)
            if due is None:
                break
            self._timers.remove(due)
            self._clock = due[0]
            self._perform_all(self.engine.timed_out(due[1], due[2]))
        self._clock = end

    def _perform_all(self, effects: Any) -> None:
        while True:
            for effect in effects:
                self._perform(effect)
            if not self.engine.is_ready:
                return
            effects = self.engine.proceed()

    def _perform(self, effect: Any) -> None:
        match effect:
            case Reply(value, to):
                self.log.append(["reply", self.engine.caller if to is None else to, value])
            case StartTimer(kind, seconds, absolute, generation):
                assert not absolute
                self._drop_timer(kind)
                self._timers.append((self._clock + seconds, kind, generation))
            case CancelTimer(kind, generation):
                assert self._forgets_cancels or any(timer[1:] == (kind, generation) for timer in self._timers)
                self._drop_timer(kind)
            case Terminate(reason, state, data):
                name = self.engine.module._name
                self.log.append(["terminate", name, reason_term(reason), state, data])
                self.exit = exit_term(reason)
            case other:
                raise AssertionError(f"unknown effect {other!r}")

    def _drop_timer(self, kind: Any) -> None:
        if not self._forgets_cancels:
            self._timers = [timer for timer in self._timers if timer[1] != kind]

    def take_record(self) -> dict[str, Any]:
        """Return what has happened since the last record."""
        log, self.log = self.log, []
        if self.exit is not None:
            return {"log": log, "exit": self.exit}
        return {"log": log, "state": self.engine.state, "data": self.engine.data}


def kind_of(name: str) -> EventType | Named:
    return Named(name.removeprefix("timeout:")) if name.startswith("timeout:") else KINDS[name]


def start_timeout(kind: Any, seconds: float, content: Any) -> Any:
    if kind is TIMEOUT:
        return event_timeout(seconds, content)
    if kind is STATE_TIMEOUT:
        return state_timeout(seconds, content)
    return named_timeout(kind.name, seconds, content)


def type_term(event_type: Any, caller: Any = None) -> Any:
    if event_type is CALL:
        return ["call", caller]
    return f"timeout:{event_type.name}" if isinstance(event_type, Named) else NAMES[event_type]


def row_key(event_type: Any, content: Any) -> str:
    if event_type in (CALL, CAST, INFO):
        return f"event:{content}"
    if event_type is INTERNAL:
        return f"internal:{content}"
    return str(type_term(event_type))


def reason_term(reason: Any) -> Any:
    """Give the reason as gen_statem hands it to terminate."""
    if not isinstance(reason, Crashed):
        return reason
    match reason.error:
        case PlannedError(reason=planned):
            return planned
        case BadEnterReturnError(value=value):
            return {"t": ["bad_state_enter_return_from_state_function", result_term(value)]}
        case BadReturnError(value=value):
            return {"t": ["bad_return_from_state_function", value]}
        case BadEnterActionError(action=action):
            return {"t": ["bad_state_enter_action_from_state_function", action_term(action)]}
        case BadActionError(action=action):
            return {"t": ["bad_action_from_state_function", action_term(action)]}
        case other:
            return repr(other)


def exit_term(reason: Any) -> Any:
    return {"t": [reason_term(reason), "*"]} if isinstance(reason, Crashed) else reason


def result_term(result: Any) -> Any:
    return {"t": ["next_state", result.state, result.data]}


def action_term(action: Any) -> Any:
    match action:
        case PopCallbackModule():
            return "pop_callback_module"
        case Postpone(None):
            return "postpone"
        case Postpone(flag):
            return {"t": ["postpone", flag]}
        case NextEvent(event_type=kind, content=content):
            return {"t": ["next_event", type_term(kind), content]}
        case Reply() | Refuse() | _:
            return repr(action)


def replay(scenario: dict[str, Any], *, forgets_cancels: bool) -> str | None:
    """Return what differs first, or None."""
    run = Run(scenario, forgets_cancels=forgets_cancels)
    for number, group in enumerate([scenario["start"], *scenario["groups"]]):
        run.send(group.get("events", []))
        got = run.take_record()
        expected = {key: value for key, value in group.items() if key != "events"}
        if got != expected:
            return f"{scenario['id']} group {number}: expected {expected}, got {got}"
    return None


@pytest.mark.parametrize("forgets_cancels", [False, True], ids=["timers_are_cancelled", "stale_timers_fire"])
def test_the_engine_does_what_gen_statem_did(shared_path: Path, forgets_cancels: bool) -> None:
    lines = (shared_path / "otp-traces" / "statem.jsonl").read_text().splitlines()
    failures = [told for line in lines if (told := replay(json.loads(line), forgets_cancels=forgets_cancels))]
    assert len(lines) > 1000
    assert failures == [], f"{len(lines) - len(failures)} passed, {len(failures)} failed; first: {failures[0]}"
