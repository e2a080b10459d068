from __future__ import annotations

import json

import pytest

from sessionactors.cli import main
from tests.sessionactors.audit.conftest import alter, write_log


@pytest.fixture
def directory(tmp_path):
    return write_log(tmp_path / "log", (5, 5), origin="example.com/log")


def run(capsys, *arguments):
    code = main(["audit", "report", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("kind", ["soc2", "pci-dss", "hipaa"])
def test_a_framework_is_reported_on(directory, capsys, kind):
    code, out, err = run(capsys, directory, kind)
    found = json.loads(out)
    assert (code, found["report"], found["verification"]["outcome"]) == (0, kind, "valid")
    assert "not logged" in err


def test_a_session_is_reported_on(directory, capsys):
    found = json.loads(run(capsys, directory, "session", "--session", "10.0.0.1#1")[1])
    assert found["event_count"] == len(found["events"]) == 2


def test_a_person_is_reported_on(directory, capsys):
    assert json.loads(run(capsys, directory, "gdpr", "--subject", "10.0.0.1#1")[1])["event_count"] == 2


def test_a_report_is_itself_an_entry(directory, capsys, tmp_path):
    out = tmp_path / "report.json"
    code, _, err = run(capsys, directory, "soc2", "--noted-by", "admin:alice", "--out", out)
    assert code == 0
    assert "logged as entry 10" in err
    assert json.loads(out.read_text())["log"]["size"] == 10  # it is not in itself
    main(["audit", "query", str(directory), "--actor", "admin:alice", "--json"])
    assert json.loads(capsys.readouterr().out)["data"] == {"action": "report", "report": "soc2"}


def test_a_log_that_was_altered_is_reported_as_such(directory, capsys):
    alter(directory, "UPDATE tip SET checkpoints_size = 1")
    code, out, err = run(capsys, directory, "soc2")
    assert (code, json.loads(out)["status"]) == (1, "non_compliant")
    assert "does not verify" in err


def test_a_packed_log_is_reported_on(directory, capsys):
    main(["audit", "seal", str(directory)])
    capsys.readouterr()
    packed = directory / "archive" / "00000001.tar.gz"
    assert json.loads(run(capsys, packed, "soc2", "--since", "2001-01-01")[1])["event_count"] == 10


def test_csv_is_for_spreadsheets(directory, capsys):
    assert run(capsys, directory, "hipaa", "--format", "csv")[1].startswith('"name","value"\r\n"report","hipaa"')


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["session"],
        ["gdpr"],
        ["soc2", "--session", "s"],
        ["session", "--subject", "s"],
        ["soc2", "--since", "yesterday"],
        ["soc2", "--since", "2026-01-02", "--until", "2026-01-01"],
        ["soc2", "--key", "file"],
        ["soc2", "--noted-by", " "],
        ["soc2", "--retention-days", "0"],
    ],
)
def test_bad_usage_is_refused_and_logs_nothing(directory, capsys, arguments):
    code, out, _ = run(capsys, directory, *arguments)
    assert (code, out) == (3, "")
    main(["audit", "verify", "--json", str(directory)])
    assert json.loads(capsys.readouterr().out)["size"] == 10


def test_another_key_is_refused(directory, capsys, tmp_path):
    main(["audit", "keygen", str(tmp_path / "other")])
    capsys.readouterr()
    assert run(capsys, directory, "soc2", "--public-key", tmp_path / "other.pub")[0] == 4
