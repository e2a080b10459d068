from __future__ import annotations

import os

import pytest

from sessionactors.daemon.pid_file import AlreadyRunningError, pid_file


def test_the_number_is_there_while_the_block_runs(tmp_path):
    path = tmp_path / "pid"
    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path):
    path = tmp_path / "pid"
    with pid_file(path):
        with pytest.raises(AlreadyRunningError, match=str(os.getpid())), pid_file(path):
            pass
        assert path.exists()


def test_a_file_that_a_crash_has_left_keeps_nobody_out(tmp_path):
    path = tmp_path / "pid"
    path.write_text("99999999 and more\n")
    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_symbolic_link_is_refused(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "pid").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"), pid_file(tmp_path / "pid"):
        pass
    assert target.read_text() == "precious"


def test_a_file_that_is_gone_at_the_end_is_fine(tmp_path):
    path = tmp_path / "pid"
    with pid_file(path):
        path.unlink()
