"""Replays what the real gen_statem did, step by step, against the pure engine.

The tables and their meaning are those of the conformance suite; what is special
here is the driver: no actor, a clock that is a number, and a list of timers. It runs
twice. In the second run no timer is ever cancelled, so that every stale one fires.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from supervisors.statem.actions import Reply
from supervisors.statem.effects import CancelTimer, StartTimer, Terminate
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, CAST, INFO
from tests.conformance.statem import Asked, Script, exit_term
from tests.conformance.terms import from_term


class Run:
    """One scenario under way: the engine, a clock and timers."""

    def __init__(self, scenario: dict[str, Any], *, forgets_cancels: bool) -> None:
        self.script = Script(scenario)
        self.exit: Any = None
        self._clock = 0.0
        self._timers: list[tuple[float, Any, int]] = []
        self._forgets_cancels = forgets_cancels
        self.engine = Engine(self.script.modules["a"])
        self._perform_all(self.engine.start(self.script.initial))

    def send(self, events: list[Any]) -> None:
        """Do what one group says."""
        mailbox = deque(events)
        while mailbox and self.exit is None:
            match mailbox.popleft():
                case ["cast", content]:
                    self._perform_all(self.engine.handle(CAST, content))
                case ["info", content]:
                    self._perform_all(self.engine.handle(INFO, content))
                case ["call", content, call]:
                    self._perform_all(self.engine.handle(CALL, Asked(call, content), call))
                case ["stop", reason]:
                    self._perform_all(self.engine.terminate(from_term(reason)))
                case ["wait", milliseconds]:
                    self._pass(milliseconds / 1000)
                case other:
                    raise ValueError(f"unknown event {other!r}")

    def take_record(self) -> dict[str, Any]:
        """Return what has happened since the last record."""
        log = list(self.script.log)
        self.script.log.clear()
        if self.exit is not None:
            return {"log": log, "exit": self.exit}
        return {"log": log, "state": self.engine.state, "data": self.engine.data}

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
                self.script.log.append(["reply", self.engine.caller if to is None else to, value])
            case StartTimer(kind, seconds, absolute, generation):
                assert not absolute
                self._drop_timer(kind)
                self._timers.append((self._clock + seconds, kind, generation))
            case CancelTimer(kind, generation):
                assert self._forgets_cancels or any(timer[1:] == (kind, generation) for timer in self._timers)
                self._drop_timer(kind)
            case Terminate(reason, state, data):
                self.engine.module.terminate(reason, state, data)
                self.exit = exit_term(reason)
            case other:
                raise ValueError(f"unknown effect {other!r}")

    def _drop_timer(self, kind: Any) -> None:
        if not self._forgets_cancels:
            self._timers = [timer for timer in self._timers if timer[1] != kind]


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
def test_the_engine_does_what_gen_statem_did(shared_path, forgets_cancels):
    recorded = shared_path / "otp-traces" / "statem.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of state machines in the shared folder")
    lines = recorded.read_text().splitlines()
    failures = [told for line in lines if (told := replay(json.loads(line), forgets_cancels=forgets_cancels))]
    assert len(lines) > 1000
    assert failures == [], f"{len(lines) - len(failures)} passed, {len(failures)} failed; first: {failures[0]}"
