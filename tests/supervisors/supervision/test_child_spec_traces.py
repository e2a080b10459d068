"""Validation against what Erlang/OTP 25 answered (SPEC-1 to SPEC-12, SUP-2)."""

from __future__ import annotations

import json

import pytest

from supervisors.supervision.child_spec import ChildSpec, InvalidChildSpec, check_child_specs
from supervisors.supervision.configuration import InvalidConfiguration, configure
from supervisors.supervision.effects import Reply, ReplyError, StartChild
from supervisors.supervision.flags import SupervisorFlags
from supervisors.supervision.outcomes import Started
from supervisors.supervision.requests import Request
from supervisors.supervision.static_core import StaticCore

FLAG_NAMES = {"intensity": "max_restarts", "period": "max_seconds"}


def start():
    """Stand for a start function; nothing here calls it."""


def term(recorded):
    """Turn a recorded Erlang term into a value: tuples are tuples, lists are lists."""
    if isinstance(recorded, dict) and "t" in recorded:
        return tuple(term(item) for item in recorded["t"])
    return [term(item) for item in recorded] if isinstance(recorded, list) else recorded


def spec(recorded):
    """Turn a recorded specification into what a program would give; milliseconds become seconds."""
    if "bad" in recorded:
        return term(recorded["bad"])
    given = {name: term(value) for name, value in recorded.items()}
    if "start" in recorded:
        given["start"] = start if recorded["start"] == "ok" else term(recorded["start"]["bad"])
    if isinstance(given.get("shutdown"), int):
        given["shutdown"] /= 1000
    return given


def flags(recorded):
    """Turn recorded flags into ours; periods are seconds already."""
    if "bad" in recorded:
        return term(recorded["bad"])
    return {FLAG_NAMES.get(name, name): term(value) for name, value in recorded.items()}


def recorded_form(value):
    """Turn a value back into the form of the recording."""
    if isinstance(value, tuple):
        return {"t": [recorded_form(item) for item in value]}
    if isinstance(value, list):
        return [recorded_form(item) for item in value]
    if isinstance(value, dict):
        return {name: recorded_form(item) for name, item in value.items()}
    if isinstance(value, float):
        return round(value * 1000)
    return "ok" if value is start else value


def error(why):
    return recorded_form(("error", why))


def checked(specs, *auto_shutdown):
    try:
        check_child_specs(specs, *auto_shutdown)
    except InvalidChildSpec as refusal:
        return error(refusal.why)
    return "ok"


def started(init):
    if "returns" in init:
        returned = term(init["returns"])
    else:
        returned = flags(init["flags"]), [spec(one) for one in init["specs"]]
    try:
        configuration = configure(returned, "CALLBACK")
    except InvalidConfiguration as refusal:
        return error(refusal.reason)
    return "ignore" if configuration is None else "ok"


def started_child(given):
    """Start a child in a fresh supervisor, and return what it then says of the specification."""
    settings = SupervisorFlags(auto_shutdown="any_significant")
    core = StaticCore(settings, (), supervisor="root", liveness=lambda ref: True)
    core.start(0.0)
    [effect] = core.handle(Request("start_child", given, None), 0.0)
    if isinstance(effect, ReplyError):
        assert isinstance(effect.error, InvalidChildSpec)
        return error(effect.error.why)
    assert isinstance(effect, StartChild)
    core.handle(Started(object()), 0.0)
    [answer] = core.handle(Request("get_childspec", given["id"], None), 0.0)
    assert isinstance(answer, Reply)
    assert isinstance(answer.value, ChildSpec)
    fields = ("restart", "shutdown", "type", "significant")
    return {"ok": {name: recorded_form(getattr(answer.value, name)) for name in fields}}


@pytest.fixture(scope="module")
def scenarios(shared_path):
    lines = (shared_path / "otp-traces" / "childspec.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_spec_9_check_childspecs_answers_as_recorded(scenarios):
    for scenario in scenarios:
        specs = [spec(one) for one in scenario["specs"]]
        assert checked(specs) == scenario["check_childspecs"], scenario["id"]


def test_spec_9_check_childspecs_with_auto_shutdown_answers_as_recorded(scenarios):
    for scenario in scenarios:
        specs = [spec(one) for one in scenario["specs"]]
        answers = {auto: checked(specs, auto) for auto in scenario["check_childspecs_auto"]}
        assert answers == scenario["check_childspecs_auto"], scenario["id"]


def test_spec_10_a_supervisor_starts_or_not_as_recorded(scenarios):
    for scenario in scenarios:
        assert started(scenario["init"]) == scenario["start_link"], scenario["id"]


def test_spec_11_start_child_answers_as_recorded(scenarios):
    for scenario in scenarios:
        answers = [started_child(spec(one)) for one in scenario["specs"]]
        assert answers == scenario["start_child"], scenario["id"]


def test_the_recording_is_not_empty(scenarios):
    assert len(scenarios) == 240
