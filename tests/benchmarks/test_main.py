"""The command ``python -m benchmarks`` measures, reports, and says what it cannot do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import Catalogue, Effort, missing, rate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def catalogue():
    """Hold one small but real benchmark: what does adding numbers in a loop cost?"""
    catalogue = Catalogue()

    @catalogue.benchmark("kernel")
    def adding(effort: Effort):
        count = effort.size(2_000, smoke=20)

        def loop() -> int:
            total = 0
            for number in range(count):
                total += number
            return total

        compared = effort.interleave(
            {
                "loop": lambda: rate(count, loop),
                "builtin": lambda: rate(count, lambda: sum(range(count))),
                "peer": None,
            }
        )
        return {
            "adding.loop": compared.figure("loop", "numbers/s"),
            "adding.builtin": compared.figure("builtin", "numbers/s"),
            "adding.peer": compared.figure("peer", "numbers/s"),
            "adding.ratio": compared.ratio("builtin", "loop"),
        }

    return catalogue


@pytest.mark.parametrize("options", [[], ["--smoke"], ["--only", "kernel"], ["--only", "audit,kernel"]])
def test_the_report_has_the_machine_and_the_figures(catalogue, tmp_path, options):
    path = tmp_path / "report.json"
    assert main(["--json", str(path), *options], catalogue) == 0
    report = json.loads(path.read_text())
    assert report.keys() == {"machine", "results"}
    assert report["results"].keys() == {"adding.loop", "adding.builtin", "adding.peer", "adding.ratio"}
    row = report["results"]["adding.loop"]
    assert row.keys() == {"median", "low", "high", "unit"}
    assert 0 < row["low"] <= row["median"] <= row["high"]
    assert row["unit"] == "numbers/s"
    assert report["results"]["adding.peer"]["median"] is None


def test_the_table_shows_every_key(catalogue, capsys):
    assert main(["--smoke"], catalogue) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["median", "low", "high"]
    assert [line.split()[0] for line in table[1:]] == ["adding.builtin", "adding.loop", "adding.peer", "adding.ratio"]


def test_groups_that_were_not_asked_for_are_not_run(catalogue, tmp_path):
    path = tmp_path / "report.json"
    assert main(["--only", "audit", "--json", str(path)], catalogue) == 0
    assert json.loads(path.read_text())["results"] == {}


def test_a_group_without_benchmarks_is_told_and_is_no_failure(capsys):
    assert main(["--only", "pools"], Catalogue()) == 0
    assert capsys.readouterr().err == "no benchmarks exist yet in pools\n"


@pytest.mark.parametrize("only", ["nonsense", "kernel,nonsense", "", "kernel,"])
def test_an_unknown_group_is_bad_usage(catalogue, capsys, only):
    assert main(["--only", only], catalogue) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"--only: there is no group {only.split(',')[-1]!r}; the groups are kernel, otp,")
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", ["missing/report.json", "."])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_measured(catalogue, tmp_path, capsys, name):
    assert main(["--json", str(tmp_path / name)], catalogue) == 2
    told = capsys.readouterr()
    assert told.err.startswith("--json: ")
    assert "kernel" not in told.err


def test_a_benchmark_that_fails_does_not_cost_the_figures_of_the_others(catalogue, tmp_path, capsys):
    @catalogue.benchmark("kernel")
    def broken(effort: Effort):
        raise RuntimeError("out of order")

    path = tmp_path / "report.json"
    assert main(["--smoke", "--json", str(path)], catalogue) == 1
    assert "adding.loop" in json.loads(path.read_text())["results"]
    told = capsys.readouterr().err
    assert "RuntimeError: out of order" in told
    assert "failed: broken" in told


def test_a_key_belongs_to_one_benchmark(catalogue, capsys):
    @catalogue.benchmark("otp")
    def thief(effort: Effort):
        return {"adding.loop": missing("numbers/s")}

    assert main(["--smoke"], catalogue) == 1
    assert "key: 'adding.loop' of thief is already in the report" in capsys.readouterr().err


def test_an_interrupt_ends_it_quietly(tmp_path, capsys):
    catalogue = Catalogue()

    @catalogue.benchmark("kernel")
    def endless(effort: Effort):
        raise KeyboardInterrupt

    path = tmp_path / "report.json"
    assert main(["--json", str(path)], catalogue) == 130
    assert not path.exists()
    assert capsys.readouterr().err.endswith("interrupted; nothing was written\n")


def test_the_command_refuses_an_unknown_group():
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("--only: there is no group 'nonsense'")
