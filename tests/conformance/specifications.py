"""Replays recorded answers to supervisor flags and child specifications, good and bad."""

from __future__ import annotations

from typing import Any, Final

from supervisors import Actor, ActorSystem, Entropy, IgnoreStart, StartError, VirtualClock
from supervisors.supervision import calls
from supervisors.supervision.child_spec import InvalidChildSpec, check_child_specs
from supervisors.supervision.supervisor import Supervisor
from tests.conformance.difference import Difference, same
from tests.conformance.terms import from_term

__all__ = ["matches", "replay"]

FLAGS: Final = {"intensity": "max_restarts", "period": "max_seconds"}
"""Names of flags that are others in a recording; periods are seconds in both."""

FIELDS: Final = ("restart", "shutdown", "type", "significant")


class CALLBACK(Supervisor):
    """Returns from init what it is started with; named as in the recordings."""

    def init(self, returned: Any) -> Any:
        return returned


class Idle(Actor):
    """A child that does nothing; the class is a good start function."""

    dispatch = "inline"


def specification(recorded: dict[str, Any]) -> Any:
    """Return what a program would give for a recorded specification; milliseconds become seconds."""
    if "bad" in recorded:
        return from_term(recorded["bad"])
    given = {name: from_term(value) for name, value in recorded.items() if name != "start"}
    if "start" in recorded:
        given["start"] = Idle if recorded["start"] == "ok" else from_term(recorded["start"]["bad"])
    if type(given.get("shutdown")) is int:
        given["shutdown"] /= 1000
    return given


def returned_by_init(recorded: dict[str, Any]) -> Any:
    """Return what the recorded init callback would return here."""
    if "returns" in recorded:
        return from_term(recorded["returns"])
    flags = recorded["flags"]
    given = {FLAGS.get(name, name): from_term(value) for name, value in flags.items()}
    return from_term(flags["bad"]) if "bad" in flags else given, [specification(one) for one in recorded["specs"]]


def recorded_form(value: Any) -> Any:
    """Return how a recording would write a value."""
    if isinstance(value, tuple):
        return {"t": [recorded_form(item) for item in value]}
    if isinstance(value, list):
        return [recorded_form(item) for item in value]
    if isinstance(value, dict):
        return {name: recorded_form(item) for name, item in value.items()}
    if isinstance(value, float):
        return round(value * 1000)
    return "ok" if value is Idle else value


def checked(specs: list[Any], *auto_shutdown: Any) -> Any:
    """Return the answer to a list of specifications."""
    try:
        check_child_specs(specs, *auto_shutdown)
    except InvalidChildSpec as refusal:
        return recorded_form(("error", refusal.why))
    return "ok"


def started(system: ActorSystem, returned: Any) -> Any:
    """Return the result of starting a supervisor."""
    try:
        system.start(CALLBACK, returned).stop()
    except IgnoreStart:
        return "ignore"
    except StartError as error:
        return recorded_form(("error", error.reason))
    return "ok"


def started_child(system: ActorSystem, given: Any) -> Any:
    """Start a child in a fresh supervisor; return what that then says of its specification."""
    supervisor = system.start(Supervisor, auto_shutdown="any_significant")
    try:
        calls.start_child(supervisor, given)
        spec = calls.get_childspec(supervisor, given["id"])
    except InvalidChildSpec as refusal:
        return recorded_form(("error", refusal.why))
    finally:
        supervisor.stop()
    return {"ok": {name: recorded_form(getattr(spec, name)) for name in FIELDS}}


def matches(record: dict[str, Any]) -> bool:
    """Tell whether a record is one of specifications."""
    return "check_childspecs" in record


def replay(record: dict[str, Any]) -> Difference | None:
    """Replay the answers; return the first that differs, or None."""
    specs = [specification(one) for one in record["specs"]]
    autos = record["check_childspecs_auto"]
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as system:
        got = {
            "check_childspecs": checked(specs),
            "check_childspecs_auto": {auto: checked(specs, auto) for auto in autos},
            "start_link": started(system, returned_by_init(record["init"])),
            "start_child": [started_child(system, one) for one in specs],
        }
    for step, answer in got.items():
        if not same(record[step], answer):
            return Difference(step, record[step], answer)
    return None
