from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.otp_traces import main
from tests.conformance.test_links import SPAWN

GOOD = json.dumps(SPAWN)
BAD = json.dumps({**SPAWN, "id": "wrong", "final": {**dict(SPAWN["final"]), "alive": []}})


@pytest.fixture(autouse=True)
def logging_as_before():
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def run(tmp_path, capsys):
    """Write a file of lines, replay it, and return the exit code and what was printed."""

    def run_file(*lines: str, name: str = "any.name", zipped: bool = False) -> tuple[int, list[str]]:
        content = "".join(f"{line}\n" for line in lines).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if zipped else content)
        code = main([str(path)])
        return code, capsys.readouterr().out.replace(str(tmp_path) + "/", "").splitlines()

    return run_file


def test_all_passed_is_exit_code_0(run):
    assert run(GOOD, GOOD) == (0, ["2 passed, 0 failed"])


def test_a_failing_scenario_is_one_line_with_file_number_step_and_both_sides(run):
    assert run(GOOD, BAD) == (
        1,
        ['any.name:2: wrong: final, alive: expected [], got ["p1"]', "1 passed, 1 failed"],
    )


def test_a_gzipped_file_is_known_by_its_content_not_its_name(run):
    assert run(GOOD, name="recordings", zipped=True) == (0, ["1 passed, 0 failed"])


def test_empty_lines_are_no_scenarios(run):
    assert run("", GOOD, "  ") == (0, ["1 passed, 0 failed"])


def test_nothing_replayed_is_no_success(run):
    assert run() == (1, ["0 passed, 0 failed"])


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "x"}'])
def test_a_line_that_nobody_knows_fails(run, line):
    code, printed = run(line)
    assert code == 1
    assert printed[-1] == "0 passed, 1 failed"


def test_what_a_replay_raises_fails_its_scenario_only(run):
    broken = json.dumps(SPAWN | {"ops": [{"op": "run", "proc": "nobody", "acts": []}]})
    code, printed = run(broken, GOOD)
    assert code == 1
    assert printed[-1] == "1 passed, 1 failed"


def test_a_file_that_is_not_there_fails(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"


def damaged(content):
    """Return zipped data that is broken in several ways."""
    whole = gzip.compress(content)
    middle = len(whole) // 2
    return [
        whole[:-4],  # the end is missing
        whole[:middle],
        whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 8]) + whole[middle + 8 :],
        whole[:-8] + bytes(4) + whole[-4:],  # the check sum is wrong
        whole[:2] + b"\xff" + whole[3:],  # an unknown method
        whole + b"rubbish",
        whole[:5],
    ]


@pytest.mark.parametrize("data", damaged((GOOD + "\n").encode()))
def test_damaged_data_are_one_sentence_that_names_the_file(tmp_path, capsys, data):
    path = tmp_path / "damaged.gz"
    path.write_bytes(data)
    assert main([str(path)]) == 1
    *replayed, sentence, count = capsys.readouterr().out.splitlines()
    assert sentence.startswith(f"{path}: cannot be read to its end: ")
    assert replayed == []
    assert count.endswith(" 1 failed")


def test_no_file_named_is_wrong_usage(capsys):
    assert main([]) == 2
    assert "FILES" in capsys.readouterr().out


def test_it_runs_as_a_program(tmp_path):
    path = tmp_path / "traces"
    path.write_text(BAD)
    command = [sys.executable, "-m", "tests.conformance.otp_traces", str(path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"
