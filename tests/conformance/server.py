"""Replays recorded generic servers, whose callbacks answer from tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from supervisors import Actor, ActorRef, ActorSystem, Entropy, Exit, Exited, IgnoreStart, StartError, VirtualClock
from supervisors.callbacks import BadReturnError, Throw
from supervisors.exits import Crashed
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.server import HIBERNATE, IGNORE, TIMEOUT, Continue, NoReply, Reply, Server, Stop, cast, stop
from tests.conformance.difference import Difference, same
from tests.conformance.terms import RaisedError, from_term, to_term

__all__ = ["InlineReplayed", "Replayed", "matches", "replay"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: what it says, and its id in the recording."""

    id: str
    content: Any


class Script:
    """What the callbacks of a scenario answer, and the log of what was called."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.fuel = scenario["fuel"]
        self.trap = scenario["trap"]
        self.init = scenario["init"]
        self.data: Any = 0
        self.log: list[Any] = []
        self._rows = dict(scenario["rows"])
        self._visits: Counter[str] = Counter()

    def look_up(self, key: str) -> dict[str, Any]:
        """Return the response for a row; without a row or fuel, that nothing happens."""
        if self.fuel == 0:
            return {"ret": "noreply", "data": self.data}
        self.fuel -= 1
        responses = self._rows.get(key)
        if responses is None:
            return {"ret": "noreply", "data": self.data}
        response: dict[str, Any] = responses[self._visits[key] % len(responses)]
        self._visits[key] += 1
        return response


class Replayed(Server):
    """A server that answers as its script says."""

    dispatch: ClassVar[str] = "shared"

    def init(self, script: Script) -> Any:
        self.trap_exit(script.trap)
        self.script = script
        self.pending: list[str] = []
        self.owed: dict[str, Any] = {}
        response = script.init
        match response["ret"]:
            case "ok":
                return next_of(response)
            case "ignore":
                return IGNORE
            case "stop":
                return Stop(from_term(response["reason"]))
            case _:
                return self._raise_or_spoil(response)

    def handle_call(self, request: Asked) -> Any:
        self.pending.append(request.id)
        return self._answer("handle_call", ["call", request.id, request.content], f"call:{request.content}", request.id)

    def handle_cast(self, message: Any) -> Any:
        return self._answer("handle_cast", message, f"cast:{message}")

    def handle_info(self, message: Any) -> Any:
        if message is TIMEOUT:
            return self._answer("handle_info", "timeout", "timeout")
        if isinstance(message, Exited):
            return self._answer("handle_info", {"EXIT": to_term(message.reason)}, "EXIT")
        return self._answer("handle_info", message, f"info:{message}")

    def handle_continue(self, content: Any) -> Any:
        return self._answer("handle_continue", content, f"continue:{content}")

    def terminate(self, reason: Any) -> None:
        self.script.log.append(["terminate", reason_term(reason), self.script.data])

    def _answer(self, callback: str, content: Any, key: str, call: str | None = None) -> Any:
        script = self.script
        script.log.append(["cb", callback, content, script.data])
        response = script.look_up(key)
        for act in response.get("pre", []):
            self._do(act, call)
        try:
            return self._respond(response, call)
        finally:
            if call in self.pending:
                assert call is not None
                self.owed[call] = self.defer_reply()

    def _do(self, act: list[Any], call: str | None) -> None:
        match act:
            case ["reply", who, value]:
                to = call if who == "cur" else next(iter(self.pending), None)
                if to in self.pending:
                    assert to is not None
                    self.pending.remove(to)
                    (self.defer_reply() if to == call else self.owed[to]).set(value)
            case ["cast_self", content]:
                cast(self.actor_ref, content)
            case ["send_self", content]:
                self.actor_ref.send(content)
            case other:
                raise ValueError(f"unknown act {other!r}")

    def _respond(self, response: dict[str, Any], call: str | None) -> Any:
        match response["ret"]:
            case "reply" if call in self.pending:
                self.pending.remove(call)
                self.script.data = response["data"]
                return Reply(response["value"], next_of(response))
            case "reply" | "noreply":
                self.script.data = response["data"]
                return NoReply(next_of(response))
            case "stop_reply" if call in self.pending:
                self.pending.remove(call)
                self.script.data = response["data"]
                return Stop(from_term(response["reason"]), reply=response["value"])
            case "stop" | "stop_reply":
                self.script.data = response["data"]
                return Stop(from_term(response["reason"]))
            case _:
                return self._raise_or_spoil(response)

    def _raise_or_spoil(self, response: dict[str, Any]) -> Any:
        match response["ret"]:
            case "raise" if response["class"] == "throw":
                self.script.data = response["data"]
                raise Throw(NoReply())
            case "raise" if response["class"] == "exit":
                raise Exit(from_term(response["reason"]))
            case "raise":
                raise RaisedError(from_term(response["reason"]))
            case "bad":
                return from_term(response["value"])
            case other:
                raise ValueError(f"unknown ret {other!r}")


class InlineReplayed(Replayed):
    """The same, run by whoever sends."""

    dispatch = "inline"


class Parent(Actor):
    """Starts the server linked, and traps exits; does what it is told in its own turn."""

    dispatch = "inline"

    def on_start(self) -> None:
        self.trap_exit()

    def on_receive(self, message: Any) -> Any:
        return message() if callable(message) else None


def matches(record: dict[str, Any]) -> bool:
    """Tell whether a record is a generic server: only these say whether it traps exits."""
    return "trap" in record and "rows" in record


def replay(record: dict[str, Any], server: type[Replayed] = Replayed) -> Difference | None:
    """Replay a scenario; return where it first differs, or None."""
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(0), ask_timeout=None) as system:
        parent = system.start(Parent)
        script = Script(record)
        result, ref = _start(parent, server, script)
        try:
            system.settle()
            got = {"result": result} | _record(ref, script)
            difference = _compare("start", record["start"], got)
            for number, group in enumerate(record["groups"], start=1):
                if difference is not None or ref is None:
                    break
                _send_all(system, parent, ref, script, group["events"])
                expected = {part: value for part, value in group.items() if part != "events"}
                difference = _compare(f"group {number}", expected, _record(ref, script))
            return difference
        finally:
            parent.kill()
            if ref is not None:
                ref.kill()


def _compare(step: str, expected: dict[str, Any], got: dict[str, Any]) -> Difference | None:
    for part in sorted(expected.keys() | got.keys()):
        if not same(expected.get(part), got.get(part)):
            return Difference(f"{step}, {part}", expected.get(part), got.get(part))
    return None


def _start(parent: ActorRef[Any], server: type[Replayed], script: Script) -> tuple[Any, ActorRef[Any] | None]:
    def start() -> tuple[Any, ActorRef[Any] | None]:
        try:
            return "ok", server.start_link(script)
        except IgnoreStart:
            return "ignore", None
        except StartError as error:
            return {"t": ["error", reason_term(error.reason)]}, None

    outcome: tuple[Any, ActorRef[Any] | None] = parent.ask(start)
    return outcome


class Outside(Actor):
    """Sends a burst in one turn of its own: nobody gets to run before that is over."""

    dispatch = "inline"

    def on_receive(self, burst: Callable[[], None]) -> None:
        burst()


def _send_all(
    system: ActorSystem, parent: ActorRef[Any], ref: ActorRef[Any], script: Script, events: list[list[Any]]
) -> None:
    match events:
        case [["stop", reason]]:
            _stop(ref, from_term(reason))
        case [["wait", milliseconds]]:
            system.advance(milliseconds / 1000)
        case _:
            # A burst: everything is in the mailbox before the first message is handled. The server is
            # not suspended for that, because a suspended one handles stops and its parent's exit.
            outside = system.start(Outside)
            outside.ask(partial(_send, parent, ref, script, events))
            outside.stop()
    system.settle()


def _send(parent: ActorRef[Any], ref: ActorRef[Any], script: Script, burst: list[list[Any]]) -> None:
    for event in burst:
        match event:
            case ["cast", content]:
                cast(ref, content)
            case ["info", content]:
                ref.send(content)
            case ["call", content, call]:
                _ask(ref, script, call, content)
            case ["exit_signal", reason]:
                ref.exit(from_term(reason))
            case ["parent_exit", reason]:
                parent.ask(_exit_of(ref, from_term(reason)))
            case other:
                raise ValueError(f"unknown event {other!r}")


def _ask(ref: ActorRef[Any], script: Script, call: str, content: Any) -> None:
    future = ref.ask(Asked(call, content), block=False)

    def note() -> None:
        try:
            script.log.append(["reply", call, future.get(timeout=0)])
        except Exception:  # noqa: BLE001 - the server has ended instead
            return

    future.when_done(note)


def _exit_of(ref: ActorRef[Any], reason: Any) -> Callable[[], None]:
    return lambda: ref.exit(reason)


def _stop(ref: ActorRef[Any], reason: Any) -> None:
    try:
        stop(ref, reason)
    except ActorDeadError:
        return  # it has ended otherwise, and the record says how


def _record(ref: ActorRef[Any] | None, script: Script) -> dict[str, Any]:
    log = list(script.log)
    script.log.clear()
    if ref is None:
        return {"log": log}
    if ref.is_alive():
        return {"log": log, "data": script.data}
    return {"log": log, "exit": reason_term(ref.exit_reason)}


def next_of(response: dict[str, Any]) -> Any:
    """Return what comes next as our callbacks say it."""
    match response.get("next"):
        case None:
            return None
        case "infinity":
            return math.inf
        case "hibernate":
            return HIBERNATE
        case ["continue", content]:
            return Continue(content)
        case milliseconds:
            return milliseconds / 1000


def reason_term(reason: Any) -> Any:
    """Give a reason as gen_server does: an error with its stack, a bad return without (SRV-10, SRV-11)."""
    if isinstance(reason, Crashed) and isinstance(reason.error, BadReturnError):
        return {"t": ["bad_return_value", to_term(reason.error.value)]}
    return to_term(reason)
