from __future__ import annotations

import io

import pytest

from supervisors import VirtualClock
from supervisors.pools import WorkerPool
from supervisors.pools import progress as progress_module
from supervisors.pools.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return VirtualClock()


def test_a_bar_tells_share_rate_and_time_left(clock):
    terminal = Terminal()
    bar = ProgressBar(range(100), clock, terminal)
    for _ in range(50):
        clock.move_to(clock.monotonic() + 0.125)
        bar.advance()
    shown = terminal.getvalue().rsplit("\r", 1)[1]
    assert "50%" in shown
    assert "50/100" in shown
    assert "8.0/s" in shown
    assert "0:06 spent, 0:06 left" in shown


def test_without_a_length_it_counts(clock):
    terminal = Terminal()
    bar = ProgressBar(iter(range(100)), clock, terminal)
    for _ in range(3):
        clock.move_to(clock.monotonic() + 0.5)
        bar.advance()
    assert "3 done, 2.0/s, 0:01" in terminal.getvalue()


def test_the_line_is_not_written_too_often(clock):
    terminal = Terminal()
    bar = ProgressBar(range(1000), clock, terminal)
    for _ in range(1000):
        clock.move_to(clock.monotonic() + 0.001)
        bar.advance()
    assert terminal.getvalue().count("\r") <= 10


def test_the_last_line_is_whole_and_ends_once(clock):
    terminal = Terminal()
    bar = ProgressBar([1], clock, terminal)
    bar.advance()
    bar.close()
    bar.close()
    assert terminal.getvalue().count("\n") == 1
    assert "100%" in terminal.getvalue()


def test_without_a_terminal_nothing_is_written(clock):
    stream = io.StringIO()
    bar = ProgressBar([1], clock, stream)
    clock.move_to(1.0)
    bar.advance()
    bar.close()
    assert stream.getvalue() == ""


def test_map_shows_its_progress(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress_module.sys, "stderr", terminal)
    with WorkerPool(int, 1, kind="inline") as pool:
        assert list(pool.map(range(3), progress=True)) == [0, 1, 2]
    assert "3/3" in terminal.getvalue()


def test_hours_are_told(clock):
    bar = ProgressBar(range(10), clock, Terminal())
    assert "1:01:01" in bar.line(3661.0)
