"""The commands that look into a daemon, against one in this process."""

from __future__ import annotations

import json

import pytest

from sessionactors import SessionSystem
from sessionactors.cli import main
from sessionactors.cli.looking import amount, span
from sessionactors.inspection import SessionInspector, session_operations
from supervisors.inspection import InspectionDoor


@pytest.fixture
def system():
    with SessionSystem(session={"auth_required": False}) as system:
        yield system


@pytest.fixture
def call(system, tmp_path, monkeypatch, capsys):
    """Run a command; return its exit code and output."""
    path = tmp_path / "look"
    monkeypatch.setenv("SESSIONACTORS_INSPECTION__SOCKET", str(path))
    with SessionInspector(system) as inspector:
        door = InspectionDoor(path, session_operations(inspector), clock=system.actors.clock)
        door.start()

        def run(*arguments):
            capsys.readouterr()
            code = main(list(arguments))
            return code, capsys.readouterr()

        yield run
        assert door.stop() == 0


def jsons(text):
    return [json.loads(line) for line in text.splitlines()]


def test_ps_lists_actors_with_their_names_within_80_columns(call):
    code, out = call("ps")
    lines = out.out.splitlines()
    assert code == 0
    assert any(line.endswith("reaper (Reaper)") for line in lines)
    assert max(map(len, lines)) <= 80


def test_ps_can_be_limited_narrowed_sorted_and_be_json(call):
    _, out = call("ps", "--json", "--match", "reap", "--sort", "messages")
    assert [row["name"] for row in jsons(out.out)] == ["reaper"]
    _, out = call("ps", "--limit", "2")
    assert len(out.out.splitlines()) == 3


def test_ps_all_lists_more_than_a_line_holds(call, system):
    system.start_sessions(450)
    _, out = call("ps", "--all", "--json", "--match", "Session")
    assert len(jsons(out.out)) >= 450


def test_the_tree_begins_at_the_root_or_elsewhere(call, system):
    system.start_session("alice")
    _, out = call("tree")
    assert out.out.splitlines()[0].startswith("sessionactors") or "(AuditedSupervisor)" in out.out.splitlines()[0]
    _, out = call("tree", "alice", "--json")
    assert len(jsons(out.out)) == 1


def test_info_state_and_dump_show_one_and_all(call, system):
    system.start_session("alice")
    code, out = call("info", "alice")
    assert code == 0
    assert "class     sessionactors.session.Session, inline" in out.out
    _, out = call("info", "reaper", "--json")
    assert jsons(out.out)[0]["row"]["name"] == "reaper"
    code, out = call("state", "reaper")
    assert code == 0
    assert json.loads(out.out) == json.loads(call("state", "reaper", "--json")[1].out)
    assert "longest mailboxes:" in call("dump")[1].out
    assert "busy:" in jsons(call("dump", "--json")[1].out)[0]["dump"]


def test_a_trace_without_messages_ends_with_its_time(call):
    assert call("trace", "audit", "--seconds", "0.05")[0] == 0


def test_a_trace_shows_messages(call, system):
    system.start_session("alice")
    import threading

    is_over = threading.Event()

    def drive():
        while not is_over.is_set():
            system.get_state("alice")

    driving = threading.Thread(target=drive)
    driving.start()
    try:
        code, out = call("trace", "alice", "--count", "2", "--seconds", "30")
        assert code == 0
        assert len(out.out.splitlines()) == 2
        assert " ask " in out.out
        _, out = call("trace", "alice", "--count", "1", "--seconds", "30", "--json")
        assert jsons(out.out)[0]["kind"] == "ask"
    finally:
        is_over.set()
        driving.join(10.0)


def test_sessions_are_listed_shown_and_handled(call, system):
    system.start_session("alice")
    system.activate("alice")
    _, out = call("sessions", "list")
    assert "alice (anonymous" in out.out
    _, out = call("sessions", "list", "--json", "--state", "active")
    assert [row["id"] for row in jsons(out.out)] == ["alice"]
    assert json.loads(call("sessions", "show", "alice")[1].out)["info"]["state"] == "active"
    assert call("sessions", "suspend", "alice", "--reason", "noise")[1].out == "alice: suspended\n"
    assert jsons(call("sessions", "resume", "alice", "--json")[1].out) == [{"session": "alice", "state": "active"}]
    assert call("sessions", "terminate", "alice")[1].out == "alice: terminated\n"
    code, out = call("sessions", "terminate", "alice")
    assert (code, out.out) == (1, "")
    assert "alice" in out.err


def test_limits_are_shown_of_all_and_of_one(call, system):
    system.start_session("alice")
    system.check_rate_limit("alice")
    assert json.loads(call("limits")[1].out)["limiter"]["admitted"] == 1
    assert "requests" in jsons(call("limits", "alice", "--json")[1].out)[0]["buckets"]


def test_the_tail_of_the_audit_log_is_shown(call, system):
    system.log_event("alice", "security", {"what": "\x1b[2J"}, durable=True)
    code, out = call("audit", "tail", "-n", "1")
    assert code == 0
    assert "security/info  session=alice" in out.out
    assert "\x1b" not in out.out
    assert jsons(call("audit", "tail", "-n", "1", "--json")[1].out)[0]["type"] == "security"


def test_who_is_not_there_is_one_sentence(call):
    code, out = call("info", "nobody")
    assert (code, out.out) == (1, "")
    assert len(out.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(("ps",), 2), (("top", "--once"), 2), (("sessions", "list"), 2), (("audit", "tail"), 3)]
)
def test_without_a_daemon_it_says_so(arguments, code, tmp_path, capsys):
    assert main([*arguments, "--socket", str(tmp_path / "absent")]) == code
    assert "no daemon can be reached there: no such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("ps", "--limit", "0"), ("trace", "x", "--rate", "0"), ("top", "--sort", "x")])
def test_bad_usage_is_refused_before_anything_is_asked(arguments, tmp_path, capsys):
    assert main([*arguments, "--socket", str(tmp_path / "absent")]) == 2
    assert "no daemon" not in capsys.readouterr().err


def test_figures_stay_short():
    for number in (0, 9_999_999, 10_000_000, 999_999_999, 10**15, 10**18):
        assert len(amount(number)) <= 7
    assert [span(each) for each in (0.05, 12, 200, 18_720, 100_000)] == ["0.05s", "12s", "3m20s", "5h12m", "1d03h"]
