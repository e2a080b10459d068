"""A state machine whose callbacks answer what a test says, driven without an actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from supervisors.statem.effects import Effect, Terminate
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, CAST, AnyEventType
from supervisors.statem.results import initial_state, keep_state

Answers = Callable[[AnyEventType, Any, Any, Any], Any]
"""Event type, content, state, data -> a result; None keeps the state."""


class Module:
    """A callback module in the style of one handler for all."""

    callback_mode = "handle_event_function"

    def __init__(self, answers: Answers, *, enter: bool = False, name: str = "") -> None:
        self.state_enter = enter
        self._answers = answers
        self._name = name
        self.log: list[Any] = []

    def handle_event(self, event_type, content, state, data):
        told = (event_type, content, state, data)
        self.log.append((self._name, *told) if self._name else told)
        answer = self._answers(*told)
        return keep_state() if answer is None else answer


class Scripted:
    """An engine with its log: what was called and what came out, in one order.

    `log` has a tuple for each callback (event type, content, state, data) and
    each effect as it is.
    """

    def __init__(
        self, answers: Answers, *init: Any, state: Any = "a", data: Any = 0, enter: bool = False, name: str = ""
    ) -> None:
        self.module = Module(answers, enter=enter, name=name)
        self.log = self.module.log
        self.engine = Engine(self.module)
        self._perform(self.engine.start(initial_state(state, *init, data=data)))

    def cast(self, *contents: Any) -> list[Any]:
        """Send casts one by one and return what was called and done since the last look."""
        for content in contents:
            self._perform(self.engine.handle(CAST, content))
        return self.look()

    def call(self, content: Any, caller: Any) -> list[Any]:
        self._perform(self.engine.handle(CALL, content, caller))
        return self.look()

    def event(self, event_type: AnyEventType, content: Any = None) -> list[Any]:
        self._perform(self.engine.handle(event_type, content))
        return self.look()

    def fire(self, kind: AnyEventType, generation: int) -> list[Any]:
        self._perform(self.engine.timed_out(kind, generation))
        return self.look()

    def look(self) -> list[Any]:
        """Return what was called and done since the last look."""
        seen = list(self.log)
        self.log.clear()
        return seen

    def send(self, *contents: Any) -> list[Any]:
        """Send casts one by one and return the contents of all events handled because of them."""
        return [entry[1] for entry in self.cast(*contents) if type(entry) is tuple]

    def _perform(self, effects: Sequence[Effect]) -> None:
        while True:
            self.log.extend(effects)
            if not self.engine.is_ready:
                return
            effects = self.engine.proceed()


def ends(log: Sequence[Any]) -> Terminate:
    """Return how a machine has ended, which must be the last thing it did."""
    end = log[-1]
    assert type(end) is Terminate
    return end


def table(answers: dict[Any, Any]) -> Answers:
    """Answer by content, or by state and content; a function is called with the data."""

    def answer(event_type: AnyEventType, content: Any, state: Any, data: Any) -> Any:
        found = answers.get((state, content), answers.get(content))
        return found(data) if callable(found) else found

    return answer
