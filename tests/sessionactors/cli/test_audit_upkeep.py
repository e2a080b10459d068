from __future__ import annotations

import json

import pytest

from sessionactors.cli import main
from tests.sessionactors.audit.conftest import write_log


@pytest.fixture
def directory(tmp_path):
    return write_log(tmp_path / "log", (5, 5), origin="example.com/log")


def run(capsys, *arguments):
    code = main(["audit", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


class TestSeal:
    def test_archives_the_log_and_goes_on(self, directory, capsys):
        code, out, _ = run(capsys, "seal", directory, "--noted-by", "admin:alice")
        packed = directory / "archive" / "00000001.tar.gz"
        assert (code, out) == (0, f"sealed with 10 entries: {packed}\ngoes on as example.com/log/segment-2\n")
        assert run(capsys, "verify", packed)[0] == run(capsys, "verify", directory)[0] == 0
        entry = json.loads(run(capsys, "query", directory, "--json")[1])
        assert (entry["actor"], entry["data"]["event"]) == ("admin:alice", "log_continues")

    def test_leaves_a_log_that_can_be_queried_and_exported(self, directory, capsys):
        run(capsys, "seal", directory)
        packed = directory / "archive" / "00000001.tar.gz"
        assert len(run(capsys, "query", packed)[1].splitlines()) == 10
        assert json.loads(run(capsys, "export", packed, "--format", "json")[1])["count"] == 10

    def test_goes_on_with_a_new_key_that_follows_from_the_old(self, directory, capsys, tmp_path):
        trusted = tmp_path / "trusted.pub"
        trusted.write_bytes((directory / "audit.pub").read_bytes())
        run(capsys, "keygen", tmp_path / "new", "--origin", "example.com/log")
        assert run(capsys, "seal", directory, "--new-key", tmp_path / "new")[0] == 0
        assert run(capsys, "verify", directory, "--public-key", trusted)[0] == 0

    def test_of_nothing_says_so(self, directory, capsys):
        run(capsys, "seal", directory)
        code, out, err = run(capsys, "seal", directory)
        assert (code, out) == (0, "")
        assert "nothing to seal" in err

    def test_makes_no_log_where_none_is(self, tmp_path, capsys):
        assert run(capsys, "seal", tmp_path / "none")[0] == 3
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("arguments", [["--noted-by", " "], ["--new-key"], ["--nonsense"]])
    def test_refuses_bad_usage(self, directory, capsys, arguments):
        assert run(capsys, "seal", directory, *arguments)[0] == 3

    def test_refuses_a_key_that_is_missing(self, directory, capsys):
        assert run(capsys, "seal", directory, "--key", "none")[0] == 4


class TestVerifySealed:
    def test_shows_every_log_of_the_row(self, directory, capsys):
        run(capsys, "seal", directory)
        code, out, _ = run(capsys, "verify", directory, "--sealed")
        assert code == 0
        assert "archive/00000001.tar.gz: valid: 10 entries" in out
        assert ".: valid: 1 entries" in out
        code, out, _ = run(capsys, "verify", directory, "--sealed", "--json")
        found = json.loads(out)
        assert (code, found["exit_code"]) == (0, 0)
        assert [(each["log"], each["size"]) for each in found["logs"]] == [("archive/00000001.tar.gz", 10), (".", 1)]

    def test_ends_with_the_worst_result(self, directory, capsys):
        run(capsys, "seal", directory)
        (directory / "archive/00000001.tar.gz").unlink()
        code, out, _ = run(capsys, "verify", directory, "--sealed")
        assert code == 1
        assert "none in the archive" in out

    def test_of_nothing_is_bad_usage(self, tmp_path, capsys):
        assert run(capsys, "verify", tmp_path, "--sealed")[0] == 3


class TestWitness:
    def test_prints_a_head_to_verify_with(self, directory, capsys, tmp_path):
        code, out, err = run(capsys, "witness", directory, tmp_path / "folder", "--name", "example.org/witness")
        assert code == 0
        assert "compared with nothing" in err
        (tmp_path / "head").write_text(out)
        assert run(capsys, "verify", directory, "--known-head", tmp_path / "head")[0] == 0
        code, out, err = run(capsys, "witness", directory, tmp_path / "folder")
        assert (code, err) == (0, "")

    def test_refuses_a_log_that_was_cut_off(self, directory, capsys, tmp_path):
        run(capsys, "witness", directory, tmp_path / "folder")
        shorter = write_log(tmp_path / "shorter", (5,), origin="example.com/log", key_file=directory / "audit.key")
        code, out, err = run(capsys, "witness", shorter, tmp_path / "folder")
        assert (code, out) == (1, "")
        assert "cut off" in err

    def test_refuses_another_log(self, directory, capsys, tmp_path):
        run(capsys, "witness", directory, tmp_path / "folder")
        assert run(capsys, "witness", write_log(tmp_path / "other", (20,)), tmp_path / "folder")[0] == 4

    def test_refuses_bad_usage(self, directory, capsys, tmp_path):
        assert run(capsys, "witness", directory)[0] == 3
        assert run(capsys, "witness", directory, tmp_path / "folder", "--name", "a b")[0] == 3
        assert run(capsys, "witness", tmp_path / "none", tmp_path / "folder")[0] == 3


class TestTiles:
    def test_are_a_directory_that_is_itself_logged(self, directory, capsys, tmp_path):
        out = tmp_path / "tiles"
        code, printed, err = run(capsys, "export", directory, "--format", "tiles", "--out", out, "--noted-by", "alice")
        assert (code, printed) == (0, "")
        assert "logged as entry 10" in err
        assert (out / "tile" / "0" / "000.p" / "10").is_file()

    @pytest.mark.parametrize("arguments", [[], ["--out", "x", "--session", "s"], ["--out", "."]])
    def test_are_refused_without_a_new_directory_or_with_a_selection(self, directory, capsys, arguments):
        code, out, _ = run(capsys, "export", directory, "--format", "tiles", "--noted-by", "alice", *arguments)
        assert (code, out) == (3, "")
        assert len(run(capsys, "query", directory)[1].splitlines()) == 10
