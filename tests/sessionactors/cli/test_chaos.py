"""The command `sessionactors chaos run`: verdicts, reports, mistakes."""

from __future__ import annotations

import io
import json
import os
import pty
from xml.etree import ElementTree as ET

import pytest

from sessionactors.cli import main
from sessionactors.cli.chaos_progress import ChaosProgress
from supervisors import Actor, ActorSystem, ChildSpec, Supervisor
from supervisors.chaos import Chaos

world = {"well": True}


def opened():
    """Start the system that the plans below name."""
    system = ActorSystem()
    system.start(Supervisor, [ChildSpec("one", Actor)], max_restarts=1000)
    return system


def badly_opened():
    raise ZeroDivisionError("no room")


def well():
    return world["well"]


def break_it():
    world["well"] = False


@pytest.fixture(autouse=True)
def healed():
    world["well"] = True


@pytest.fixture
def run(tmp_path, capsys):
    def run(*arguments, start="opened", steady="", rollback="", more=""):
        path = tmp_path / "plan.toml"
        path.write_text(
            f'title = "a plan"\nseed = 1\n{more}\n[system]\nstart = "{__name__}:{start}"\n'
            '[[method]]\nkind = "kill"\nat = [0]\n[recovery]\nwithin = 0.05\nevery = 0.01\n'
            f"{steady}\n{rollback}\n"
        )
        code = main(["chaos", "run", str(path), *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


PROBE = f'[[steady]]\nname = "well"\nkind = "call"\nfunction = "{__name__}:well"\n'
BREAK = f'[[rollback]]\nname = "break it"\ncall = "{__name__}:break_it"\n'


def test_a_system_that_stands_it_is_zero(run):
    code, out, _ = run(steady=PROBE)
    assert code == 0
    assert "a plan: ok, 1 faults" in out
    assert "probe 'well': passes" in out


def test_a_steady_state_that_does_not_hold_before_is_three(run):
    world["well"] = False
    code, out, _ = run(steady=PROBE)
    assert code == 3
    assert "unsteady" in out


def test_a_system_that_does_not_recover_is_five(run):
    code, out, _ = run(steady=PROBE, rollback=BREAK)
    assert code == 5
    assert "not recovered" in out


def test_a_steady_state_that_is_broken_meanwhile_is_four(run):
    # The probe breaks by itself when it has been looked at once.
    plan = f'[[steady]]\nname = "once"\nkind = "call"\nfunction = "{__name__}:once"\n'
    more = '[[method]]\nkind = "kill"\nat = [3600]\n[budget]\nseconds = 4000\n[stop]\nevery = 0.01\npatience = 0\n'
    world["well"] = True
    code, out, _ = run(steady=plan + more)
    assert code == 4
    assert "violated" in out


def once():
    was, world["well"] = world["well"], False
    return was


def test_json_is_all_that_is_printed(run):
    code, out, _ = run("--json", "--seed", "9")
    told = json.loads(out)
    assert code == 0
    assert (told["title"], told["seed"], told["verdict"]) == ("a plan", 9, "ok")


def test_a_report_for_build_servers_is_written(run, tmp_path):
    run("--junit", str(tmp_path / "junit.xml"), steady=PROBE)
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "2"


def test_a_report_that_cannot_be_written_is_told(run, tmp_path):
    code, _, err = run("--junit", str(tmp_path / "no" / "junit.xml"))
    assert code == 1
    assert "cannot be written" in err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[[steady]]\nkind = 'x'", "steady[0].kind: 'x' is not allowed"),
        ("[budget]\nfaults = 0", "budget.faults: 0 is not allowed"),
        ("]", "TOML"),
    ],
)
def test_a_bad_plan_is_two_and_one_sentence(run, more, said):
    code, _, err = run(steady=more)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_each_mistake_of_a_plan_has_a_line_with_its_place(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text('[[method]]\nkind = "boom"\nrate = 1\n[budget]\nseconds = "long"\nfaults = 0\n[stopp]\n')
    assert main(["chaos", "run", str(path)]) == 2
    told = capsys.readouterr().err
    for field in ("stopp", "method[0].kind", "budget.seconds", "budget.faults"):
        assert f"{path}: {field}: " in told


def test_a_file_that_is_not_there_is_two(tmp_path, capsys):
    assert main(["chaos", "run", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_plan_that_starts_nothing_is_two(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text('[[method]]\nkind = "kill"\nat = [0]\n')
    assert main(["chaos", "run", str(path)]) == 2
    assert "system.start" in capsys.readouterr().err


def test_a_system_that_does_not_start_is_one(run):
    code, _, err = run(start="badly_opened")
    assert code == 1
    assert "no room" in err


def test_progress_is_drawn_on_a_terminal_and_taken_away():
    reader, writer = pty.openpty()
    with opened() as system, os.fdopen(writer, "w") as terminal:
        chaos = Chaos(system, {"method": [{"kind": "kill", "at": [0.0]}]})
        with ChaosProgress(terminal, chaos) as progress:
            progress.draw()
        shown = os.read(reader, 4096).decode()
    os.close(reader)
    assert "0 of 60 s, 0 faults, 0 suffer now" in shown
    assert shown.rstrip("\r").endswith(" ")


def test_nothing_is_drawn_elsewhere():
    elsewhere = io.StringIO()
    with opened() as system:
        ChaosProgress(elsewhere, Chaos(system, {"method": [{"kind": "kill", "at": [0.0]}]})).draw()
    assert elsewhere.getvalue() == ""
