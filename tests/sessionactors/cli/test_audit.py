from __future__ import annotations

import json
import shutil

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import kind_of
from sessionactors.cli import main

KIND = kind_of("lifecycle")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("audit")
    log = AuditLog(directory)
    log.append_many([(float(at), float(at), f"session-{at}", KIND, "note", {"at": at}) for at in range(20)])
    log.commit()
    log.close()
    return directory


@pytest.fixture
def directory(made, tmp_path):
    """Return a copy of a good log that the test may spoil."""
    return shutil.copytree(made, tmp_path / "log")


def test_a_good_log_is_accepted(directory, capsys):
    assert main(["audit", "verify", str(directory)]) == 0
    assert capsys.readouterr().out.startswith("valid: 20 entries")


def test_json_is_one_object(directory, capsys):
    assert main(["audit", "verify", "--json", str(directory)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["size"], found["exit_code"]) == ("valid", 20, 0)


def test_the_first_altered_entry_is_named(directory, capsys):
    path = directory / "audit.db"
    content = path.read_bytes()
    assert content.count(b"session-13") == 1
    path.write_bytes(content.replace(b"session-13", b"session-99"))
    assert main(["audit", "verify", str(directory)]) == 1
    assert "entry 13" in capsys.readouterr().out
    assert main(["audit", "verify", "--json", str(directory)]) == 1
    assert json.loads(capsys.readouterr().out)["first_bad"] == 13


def test_no_log_is_bad_usage(tmp_path, capsys):
    assert main(["audit", "verify", str(tmp_path)]) == 3
    assert "no audit log" in capsys.readouterr().out


def test_bad_usage_has_a_code_of_its_own(capsys):
    assert main(["audit", "verify"]) == 3
    assert capsys.readouterr().err == "sessionactors: Missing argument 'DIR'.\n"


def test_help_tells_the_exit_codes(capsys):
    assert main(["audit", "verify", "--help"]) == 0
    assert "1 something was altered" in " ".join(capsys.readouterr().out.split())
