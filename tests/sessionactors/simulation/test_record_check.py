from __future__ import annotations

import pytest

from sessionactors.effects import Transition
from sessionactors.lifecycle import DEACTIVATE, RESUME, decide
from sessionactors.simulation.record_check import fault_of_record
from sessionactors.states import ACTIVE, LIVE_STATES
from tests.sessionactors.session_factory import session_in


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_session_of_each_state_is_sound(state):
    assert fault_of_record(session_in(state)) is None


def test_one_whose_history_is_full_is_sound():
    data = session_in(ACTIVE, max_history_size=2)
    for moment in range(200, 210, 2):
        decide(data, DEACTIVATE, float(moment), None)
        decide(data, RESUME, float(moment + 1), None)
    assert fault_of_record(data) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("state", "zombie", "its state is 'zombie'"),
        ("auth_attempts", 4, "4 attempts, where there may be 3"),
        ("auth_attempts", -1, "-1 attempts"),
        ("requests", -1, "requests is -1"),
        ("bytes", -1, "bytes is -1"),
        ("connections", -1, "connections is -1"),
        ("largest_message", -1, "largest_message is -1"),
        ("transitions", -1, "transitions is -1"),
        ("state", "idle", "it is idle, and its history ends in active"),
    ],
)
def test_what_there_cannot_be_is_told(name, value, told):
    data = session_in(ACTIVE)
    setattr(data, name, value)
    assert told in str(fault_of_record(data))


def edge(source, target):
    return Transition(source, target, "requested", "any")


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ([edge("new", "idle"), 1.0, edge("idle", "active"), 2.0], "from new to idle, where no edge leads"),
        ([edge("terminated", "active"), 1.0], "from terminated to active"),
        ([edge("new", "zombie"), 1.0], "from new to zombie"),
        ([edge("new", "auth"), 1.0, edge("idle", "active"), 2.0], "it came to auth and left idle"),
        ([edge("new", "auth"), 2.0, edge("auth", "active"), 1.0], "it left auth before it came there"),
        ([edge("idle", "active"), 1.0, edge("active", "idle"), 1.0] * 3, "6 transitions are remembered"),
    ],
)
def test_a_history_that_there_cannot_be_is_told(recorded, told):
    data = session_in(ACTIVE, max_history_size=5)
    data.recorded = recorded
    assert told in str(fault_of_record(data))
