"""What the table in `examples/runaway.py` promises is what happens."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "runaway.py"

ENDED = ["soft_limit_warning", "hard_limit_violation", "enforcement_taken", "session_destroyed"]


@pytest.fixture(scope="module")
def runaway():
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("runaway", SCRIPT)
    module = sys.modules["runaway"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["runaway"], sys.modules["runaway_handlers"]
    sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module")
def outcome(runaway):
    runaway.Hanger.seconds = 0.5
    return runaway.run(quiet=1000)


@pytest.mark.parametrize("name", ["hoarder", "spinner", "flooder", "hanger", "flooder-process"])
def test_a_runaway_is_warned_and_ended(outcome, name):
    assert outcome.states[name] == "terminated"
    # Between two looks it may fall below the soft limit and rise again.
    told = [each for each in outcome.events[name] if each != "soft_limit_cleared"]
    assert list(dict.fromkeys(told)) == ENDED


@pytest.mark.parametrize(
    ("name", "reason"),
    [("hoarder", "out_of_memory"), ("spinner", "deadline_exceeded"), ("hanger", "deadline_exceeded")],
)
def test_a_runaway_in_a_process_of_its_own_is_ended_with_it(outcome, name, reason):
    told = outcome.events[f"{name}-process"]
    assert outcome.states[f"{name}-process"] == "terminated"
    # What was seen of its memory may exceed the limit just before the operating system says no.
    assert f"process_ended ({reason})" in told or "hard_limit_violation" in told
    # It may be seen to hold nothing any more before its end has been told.
    assert [each for each in told if each != "soft_limit_cleared"][-2:] == ["enforcement_taken", "session_destroyed"]


def test_the_others_live_and_answer(outcome):
    assert outcome.quiet_alive == 1000
    assert 0.0 < outcome.p50 <= outcome.p99


def test_a_call_that_does_not_return_is_waited_for(outcome):
    assert outcome.seconds >= 0.5
