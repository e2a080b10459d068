import errno
import os

import pytest

from sessionactors.storage.limits_file import LimitsFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.limits"


def test_what_was_written_is_read(path):
    file = LimitsFile(path)
    file.put({"at": 1.5, "debts": [["a", "requests", "7"]]})
    assert file.flush()
    assert LimitsFile(path).read() == {"at": 1.5, "debts": [["a", "requests", "7"]]}


def test_a_file_that_is_not_there_says_nothing(path):
    assert LimitsFile(path).read() is None


def test_the_last_value_counts(path):
    file = LimitsFile(path)
    file.put([1])
    file.put([2])
    file.flush()
    assert file.read() == [2]


def test_nothing_is_written_without_a_value(path):
    assert LimitsFile(path).flush()
    assert not path.exists()


def test_the_file_is_for_its_owner_only(path):
    file = LimitsFile(path)
    file.put([1])
    file.flush()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:-1], lambda raw: raw[:40] + b"?" + raw[41:], lambda _: b"", lambda _: b"x"]
)
def test_a_spoiled_file_is_moved_aside(path, spoil, caplog):
    file = LimitsFile(path)
    file.put({"debts": ["a"] * 20})
    file.flush()
    path.write_bytes(spoil(path.read_bytes()))
    assert file.read() is None
    assert not path.exists()
    assert path.with_name("store.limits.spoiled").exists()
    assert "is spoiled" in caplog.text


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_not_waited_for_and_said(path, make, caplog):
    make(path)
    assert LimitsFile(path).read() is None
    assert "cannot be read" in caplog.text


def test_a_pipe_in_the_place_of_the_file_is_replaced(path):
    os.mkfifo(path)
    file = LimitsFile(path)
    file.put([1])
    assert file.flush()
    assert file.read() == [1]


def test_what_an_earlier_process_left_half_written_is_not_written_into(path, tmp_path):
    victim = tmp_path / "somebody's"
    victim.write_text("precious")
    path.with_name("store.limits.new").symlink_to(victim)
    file = LimitsFile(path)
    file.put([1])
    assert file.flush()
    assert (file.read(), victim.read_text()) == ([1], "precious")


def test_a_pipe_beside_the_file_keeps_nobody_waiting(path):
    os.mkfifo(path.with_name("store.limits.new"))
    file = LimitsFile(path)
    file.put([1])
    assert file.flush()


def test_a_write_that_fails_leaves_the_old_value_and_is_tried_again(path, monkeypatch, caplog):
    file = LimitsFile(path)
    file.put([1])
    file.flush()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        file.put([2])
        assert not file.flush()
        assert not file.flush()
    assert caplog.text.count("cannot be written") == 1
    assert file.read() == [1]
    assert file.flush()
    assert file.read() == [2]


def test_a_newer_value_takes_the_place_of_one_that_could_not_be_written(path):
    file = LimitsFile(path.parent / "missing" / "file")
    file.put([1])
    assert not file.flush()
    file.put([2])
    path.parent.joinpath("missing").mkdir()
    assert file.flush()
    assert file.read() == [2]


def test_a_program_that_goes_elsewhere_finds_its_file_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = LimitsFile("s.limits")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    file.put([1])
    assert file.flush()
    assert (tmp_path / "s.limits").exists()
