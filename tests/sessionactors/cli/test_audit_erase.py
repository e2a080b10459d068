"""`sessionactors audit erase`, and keys for ids on the command line."""

from __future__ import annotations

import json

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.plain_values import PERSONAL_FIELDS
from sessionactors.cli import main
from tests.sessionactors.audit.test_erasing import write


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "log")


def run(capsys, *arguments):
    code = main(["audit", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


class TestErase:
    def test_says_how_much_and_where_it_is_noted(self, path, capsys):
        code, out, _ = run(capsys, "erase", path, "alice", "--noted-by", "admin:eve", "--reason", "article 17")
        assert (code, out) == (0, "erased 4 values; entry 3 says so\n")
        code, out, _ = run(capsys, "verify", path)
        assert code == 0
        assert "2 open, 4 erased, 0 not at hand" in out

    def test_a_second_time_is_no_error_and_says_where_the_first_is(self, path, capsys):
        run(capsys, "erase", path, "alice")
        code, out, err = run(capsys, "erase", path, "alice")
        assert (code, out) == (0, "")
        assert "see entry 3" in err

    def test_of_somebody_unknown_says_so(self, path, capsys):
        code, out, err = run(capsys, "erase", path, "nobody")
        assert (code, out) == (3, "")
        assert "ever kept" in err

    def test_needs_a_log(self, tmp_path, capsys):
        assert run(capsys, "erase", tmp_path, "alice")[0] == 3

    def test_needs_the_log_to_itself(self, path, capsys):
        with AuditLog(path):
            assert run(capsys, "erase", path, "alice")[0] == 4

    @pytest.mark.parametrize("given", [("",), ("alice", "--noted-by", " "), ("alice", "--reason", "")])
    def test_refuses_empty_names(self, path, capsys, given):
        assert run(capsys, "erase", path, *given)[0] == 3

    def test_is_named_by_the_report_on_that_person_and_by_no_other(self, path, capsys):
        run(capsys, "erase", path, "alice", "--noted-by", "admin:eve")
        _, out, _ = run(capsys, "report", path, "gdpr", "--subject", "alice")
        found = json.loads(out)
        assert found["event_count"] == 0
        (erasure,) = found["personal_data"]["erasures"]
        assert (erasure["actor"], erasure["commitments"], erasure["sequence"]) == ("admin:eve", 4, 3)
        _, out, _ = run(capsys, "report", path, "gdpr", "--subject", "bob")
        assert json.loads(out)["personal_data"]["erasures"] == []
        assert json.loads(out)["event_count"] == 1


class TestQuery:
    def test_shows_commitments_if_nothing_personal_is_wanted(self, path, capsys):
        assert "alice" in run(capsys, "query", path)[1]
        shown = run(capsys, "query", path, "--no-personal", "--json")[1]
        assert "$personal" in shown
        assert '"alice"' not in shown

    def test_says_that_sealed_logs_were_left_out(self, path, capsys):
        run(capsys, "seal", path)
        code, out, err = run(capsys, "query", path)
        assert (code, out.count("log_continues")) == (0, 1)
        assert "1 sealed logs" in err
        _, out, err = run(capsys, "query", path, "--sealed")
        assert (out.count("login"), err) == (3, "")

    def test_of_a_packed_log_has_its_personal_data(self, path, capsys):
        run(capsys, "seal", path)
        assert "alice" in run(capsys, "query", path / "archive" / "00000001.tar.gz")[1]


def test_a_packed_log_can_be_proved_from(path, capsys):
    run(capsys, "seal", path)
    packed = path / "archive" / "00000001.tar.gz"
    code, head, _ = run(capsys, "head", packed)
    assert (code, head.splitlines()[1]) == (0, "3")
    code, proof, _ = run(capsys, "prove", packed, 1)
    assert (code, "index 1" in proof) == (0, True)
    (path / "old.head").write_text(head)
    assert run(capsys, "consistency", packed, path / "old.head")[0] == 0


class TestAKeyForIds:
    def test_is_made_apart_from_those_that_sign(self, tmp_path, capsys):
        code, out, _ = run(capsys, "keygen", tmp_path / "ids", "--ids")
        assert (code, out.startswith("key for ids, number ")) == (0, True)
        assert (tmp_path / "ids").stat().st_mode & 0o777 == 0o600
        assert run(capsys, "keygen", tmp_path / "ids", "--ids")[0] == 4
        assert run(capsys, "keygen", tmp_path / "more", "--ids", "--origin", "a")[0] == 3

    def test_finds_sessions_and_is_asked_for(self, tmp_path, capsys):
        run(capsys, "keygen", tmp_path / "ids", "--ids")
        path = write(tmp_path / "log", redact_ids=True, ids_key_file=tmp_path / "ids", personal=PERSONAL_FIELDS)
        code, _, err = run(capsys, "query", path, "--session", "s-alice")
        assert (code, "keyed hash" in err) == (4, True)
        _, out, _ = run(capsys, "query", path, "--session", "s-alice", "--ids-key", tmp_path / "ids")
        assert out.count("login") == 2
        code, out, _ = run(capsys, "report", path, "session", "--session", "s-bob", "--ids-key", tmp_path / "ids")
        assert (code, json.loads(out)["event_count"]) == (0, 1)
        for options, count in ((["--ids-key", tmp_path / "ids"], 2), ([], 0)):
            code, out, _ = run(capsys, "report", path, "gdpr", "--subject", "s-alice", *options)
            assert (code, json.loads(out)["event_count"]) == (0, count)
            assert ("key is not here" in out) is (count == 0)
        assert run(capsys, "seal", path)[0] == 4
        assert run(capsys, "seal", path, "--ids-key", tmp_path / "ids")[0] == 0

    def test_keeps_the_id_that_was_exported_out_of_the_log(self, tmp_path, capsys):
        path = write(tmp_path / "log", redact_ids=True)
        code, out, _ = run(capsys, "export", path, "--format", "jsonl", "--session", "s-bob", "--noted-by", "admin:eve")
        assert (code, out.count("login")) == (0, 1)
        assert b"s-bob" not in (path / "audit.db").read_bytes()
