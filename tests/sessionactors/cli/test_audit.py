from __future__ import annotations

import json
import shutil

import pytest

from sessionactors.audit.keys import load_key, load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import kind_of
from sessionactors.cli import main
from tests.sessionactors.audit.conftest import alter

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
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith("sessionactors: no audit log in ")
    assert printed.err.count("\n") == 1


def test_bad_usage_has_a_code_of_its_own(capsys):
    assert main(["audit", "verify"]) == 3
    assert capsys.readouterr().err == "sessionactors: Missing argument 'DIR'.\n"


def test_help_tells_the_exit_codes(capsys):
    assert main(["audit", "verify", "--help"]) == 0
    assert "1 something was altered" in " ".join(capsys.readouterr().out.split())


# --- Keys and heads ---------------------------------------------------------------------------------------------------


@pytest.fixture
def key(directory):
    return str(directory / "audit.pub")


@pytest.fixture
def other_key(tmp_path):
    assert main(["audit", "keygen", str(tmp_path / "other"), "--origin", "example.com/other"]) == 0
    return str(tmp_path / "other.pub")


@pytest.fixture
def old_head(directory, tmp_path, capsys):
    """The head of the first twenty entries; the log has thirty."""
    assert main(["audit", "head", str(directory)]) == 0
    path = tmp_path / "old.head"
    path.write_bytes(capsys.readouterr().out.encode())
    with AuditLog(directory) as log:
        log.append_many([(float(at), float(at), None, KIND, "note", None) for at in range(10)])
        log.commit()
    return path


def _sentence(capsys):
    """Return what was said on standard error, which must be one line and no traceback."""
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith("sessionactors: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_made_key_pair_can_be_used(tmp_path, capsys):
    path = tmp_path / "key"
    assert main(["audit", "keygen", str(path), "--origin", "example.com/log"]) == 0
    public = load_public_key(tmp_path / "key.pub")
    assert capsys.readouterr().out == f"{public}\n"
    assert load_key(path).verifier == public
    assert path.stat().st_mode & 0o777 == 0o600
    with AuditLog(tmp_path / "log", key_file=path) as log:
        assert log.origin == "example.com/log"


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_no_key_is_overwritten(taken, tmp_path, capsys):
    (tmp_path / taken).write_text("mine")
    assert main(["audit", "keygen", str(tmp_path / "key")]) == 4
    assert "never overwritten" in _sentence(capsys)
    assert [path.name for path in tmp_path.iterdir()] == [taken]


def test_an_origin_that_notes_cannot_carry_is_bad_usage(tmp_path, capsys):
    assert main(["audit", "keygen", str(tmp_path / "key"), "--origin", "two words"]) == 3
    assert "white space" in _sentence(capsys)


def test_a_head_is_the_signed_note(directory, old_head):
    with AuditReader(directory) as reader:
        assert reader.head().size == 30
    assert old_head.read_text().splitlines()[1] == "20"


def test_the_head_of_a_log_with_an_altered_tip_is_refused(directory, capsys):
    path = directory / "audit.db"
    content = path.read_bytes()
    with AuditReader(directory) as reader:
        note = reader.head().note
    path.write_bytes(content.replace(note, note.replace(b"\n20\n", b"\n21\n")))
    assert main(["audit", "head", str(directory)]) == 1
    assert "signature" in _sentence(capsys)


def test_a_log_is_verified_with_key_and_head_from_elsewhere(directory, key, old_head, capsys):
    assert main(["audit", "verify", str(directory), "--public-key", key, "--known-head", str(old_head), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["is_key_given"], found["is_head_given"], found["size"]) == (True, True, 30)


def test_what_was_cut_off_is_found_with_a_known_head(directory, made, old_head, capsys):
    with AuditReader(directory) as reader:
        old_head.write_bytes(reader.head().note)
    assert main(["audit", "verify", str(made), "--known-head", str(old_head)]) == 1
    assert "entry 20" in capsys.readouterr().out


def test_another_key_is_told_by_code_and_sentence(directory, other_key, capsys):
    capsys.readouterr()
    assert main(["audit", "verify", str(directory), "--public-key", other_key]) == 4
    assert "the key does not fit" in _sentence(capsys)
    for command in (["head", str(directory)], ["prove", str(directory), "3"]):
        assert main(["audit", *command, "--public-key", other_key]) == 4
        assert "another key" in _sentence(capsys)


def test_a_known_head_that_is_none_is_bad_usage(directory, key, capsys):
    assert main(["audit", "verify", str(directory), "--known-head", key]) == 3
    assert "is no signed head" in _sentence(capsys)


# --- Proofs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proof(directory, tmp_path, capsys):
    assert main(["audit", "prove", str(directory), "13"]) == 0
    path = tmp_path / "13.tlog-proof"
    path.write_bytes(capsys.readouterr().out.encode())
    return path


def test_a_proof_is_checked_without_the_log(proof, key, capsys):
    assert main(["audit", "verify-proof", str(proof), "--public-key", key]) == 0
    assert "entry 13 of 20" in (said := capsys.readouterr().out)
    assert "session-13" in said
    assert main(["audit", "verify-proof", str(proof), "--public-key", key, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["event"]["data"] == {"at": 13}


def test_heads_and_proofs_are_made_beside_a_writer(directory, capsys):
    with AuditLog(directory) as log:
        log.append_many([(1.0, 1.0, None, KIND, "note", None)])
        log.commit()
        log.append_many([(1.0, 1.0, None, KIND, "note", None)])  # not committed, so not there
        assert main(["audit", "head", str(directory)]) == 0
        assert capsys.readouterr().out.splitlines()[1] == "21"
        assert main(["audit", "prove", str(directory), "20"]) == 0
        assert main(["audit", "prove", str(directory), "21"]) == 3


def test_a_proof_of_another_place_does_not_hold(proof, key, capsys):
    proof.write_bytes(proof.read_bytes().replace(b"index 13", b"index 12"))
    assert main(["audit", "verify-proof", str(proof), "--public-key", key]) == 1
    assert "do not lead" in _sentence(capsys)


def test_a_proof_under_another_key_is_told(proof, other_key, capsys):
    capsys.readouterr()
    assert main(["audit", "verify-proof", str(proof), "--public-key", other_key]) == 4
    assert "another key" in _sentence(capsys)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"x" * 200_000], ids=["empty", "binary", "long"])
def test_a_file_that_is_no_proof_is_bad_usage(content, proof, key, capsys):
    proof.write_bytes(content)
    assert main(["audit", "verify-proof", str(proof), "--public-key", key]) == 3
    assert "proof" in _sentence(capsys)


def test_consistency_is_proved_and_checked_without_the_log(directory, old_head, key, tmp_path, capsys):
    assert main(["audit", "consistency", str(directory), str(old_head)]) == 0
    path = tmp_path / "consistency"
    path.write_bytes(capsys.readouterr().out.encode())
    assert path.read_bytes().startswith(b"old 20\n")
    command = ["audit", "verify-proof", str(path), "--public-key", key]
    assert main([*command, "--old-head", str(old_head)]) == 0
    assert capsys.readouterr().out.startswith("valid: the log of 30 entries continues the one of 20\n")
    assert main(command) == 3
    assert "--old-head" in capsys.readouterr().err


def test_a_log_that_was_cut_off_does_not_continue_its_head(made, directory, old_head, tmp_path, capsys):
    assert main(["audit", "head", str(directory)]) == 0
    path = tmp_path / "new.head"
    path.write_bytes(capsys.readouterr().out.encode())
    assert main(["audit", "consistency", str(made), str(path)]) == 1
    assert "cut off" in capsys.readouterr().err


# --- Entries ----------------------------------------------------------------------------------------------------------


def test_a_query_gives_every_entry(directory, capsys):
    assert main(["audit", "query", str(directory), "--json"]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["sequence"] for line in printed.out.splitlines()] == list(range(20))
    assert not printed.err


def test_a_query_gives_what_is_wanted_only(directory, capsys):
    command = ["audit", "query", str(directory), "--session", "session-13", "--type", "lifecycle", "--severity", "info"]
    assert main([*command, "--actor", "note", "--since", "13", "--until", "1970-01-01T00:00:14Z"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["13", "1970-01-01T00:00:13.000000Z"]


def test_a_limit_says_when_it_cuts_and_only_then(directory, capsys):
    assert main(["audit", "query", str(directory), "--limit", "19"]) == 0
    printed = capsys.readouterr()
    assert (printed.out.count("\n"), "after 19 entries" in printed.err) == (19, True)
    assert main(["audit", "query", str(directory), "--limit", "20"]) == 0
    assert not capsys.readouterr().err


def test_an_entry_that_is_none_is_told_as_damage(directory, capsys):
    alter(directory, "UPDATE entries SET leaf = x'c1c1c1c1c1' WHERE sequence = 0")
    assert main(["audit", "query", str(directory)]) == 1
    assert "verify the log" in _sentence(capsys)


@pytest.mark.parametrize("export_format", ["json", "jsonl", "csv", "syslog"])
def test_an_export_has_every_entry(directory, export_format, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["audit", "export", str(directory), "--format", export_format, "--out", str(out)]) == 0
    content = out.read_text()
    assert all(content.count(f'session-{at}"') == 1 for at in range(20))
    assert "was not logged" in _sentence(capsys)
    assert main(["audit", "export", str(directory), "--format", export_format]) == 0
    assert capsys.readouterr().out.splitlines() == content.splitlines()


def test_an_export_replaces_no_file(directory, tmp_path, capsys):
    out = tmp_path / "out"
    out.write_text("mine")
    assert main(["audit", "export", str(directory), "--format", "csv", "--out", str(out)]) == 3
    assert "exists" in _sentence(capsys)
    assert out.read_text() == "mine"


def test_an_export_that_fails_leaves_no_half_of_a_file(directory, tmp_path, capsys):
    alter(directory, "UPDATE entries SET leaf = x'c1c1c1c1c1' WHERE sequence = 19")
    out = tmp_path / "new" / "out"
    out.parent.mkdir()
    assert main(["audit", "export", str(directory), "--format", "csv", "--out", str(out)]) == 1
    assert not list(out.parent.iterdir())


def test_a_noted_export_is_an_entry_of_the_log(directory, tmp_path, capsys):
    command = ["audit", "export", str(directory), "--format", "json", "--session", "session-1"]
    assert main([*command, "--noted-by", "admin:alice"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["count"] == 1
    assert "logged as entry 20" in printed.err
    with AuditReader(directory) as reader:
        (record,) = reader.events(start=20)
    assert (record.type, record.actor) == ("compliance", "admin:alice")
    assert record.data == {"action": "export", "format": "json", "selection": {"session": "session-1"}, "size": 20}
    assert main(["audit", "verify", str(directory)]) == 0


def test_an_export_cannot_be_noted_beside_a_writer(directory, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["audit", "export", str(directory), "--format", "csv", "--out", str(out), "--noted-by", "me"]
    with AuditLog(directory):
        assert main(command) == 4
    assert "another writer" in _sentence(capsys)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["head"],
        ["head", "no such directory"],
        ["prove", "DIR", "20"],
        ["prove", "DIR", "-1"],
        ["prove", "DIR", "one"],
        ["consistency", "DIR", "no such file"],
        ["verify", "DIR", "--known-head", "no such file"],
        ["verify-proof", "no such file", "--public-key", "KEY"],
        ["verify-proof", "KEY"],
        ["query", "no such directory"],
        ["query", "DIR", "--since", "yesterday"],
        ["query", "DIR", "--type", "nonsense"],
        ["query", "DIR", "--limit", "0"],
        ["export", "DIR"],
        ["export", "DIR", "--format", "xml"],
        ["export", "DIR", "--format", "csv", "--key", "KEY"],
        ["export", "DIR", "--format", "csv", "--noted-by", " "],
        ["export", "DIR", "--format", "csv", "--out", "no such directory/out"],
        ["keygen"],
    ],
)
def test_bad_input_is_one_sentence_and_code_3(arguments, directory, key, capsys):
    known = {"DIR": str(directory), "KEY": key}
    assert main(["audit", *(known.get(argument, argument) for argument in arguments)]) == 3
    _sentence(capsys)


@pytest.mark.parametrize(
    "command", ["consistency", "export", "head", "keygen", "prove", "query", "verify", "verify-proof"]
)
def test_every_command_has_help_with_its_exit_codes(command, capsys):
    assert main(["audit", command, "--help"]) == 0
    assert "Exit codes: 0 " in capsys.readouterr().out
