from __future__ import annotations

import io

import pytest

from sessionactors.cli.progress import REDRAW_SECONDS, Progress
from supervisors.clock import VirtualClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def drawn(stream: io.StringIO) -> list[str]:
    return [line.rstrip() for line in stream.getvalue().split("\r") if line.strip()]


def test_nothing_is_written_where_no_terminal_is():
    clock, stream = VirtualClock(), io.StringIO()
    with Progress(stream, clock, label="replaying", total=10) as progress:
        clock.move_to(100)
        progress.update(5)
    assert stream.getvalue() == ""


def test_a_line_has_share_rate_and_time_left():
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="replaying", total=100_000)
    clock.move_to(2)
    progress.update(25_000)
    assert drawn(stream) == ["replaying  [########----------------------]   25%  12,500/s  0:06 left"]


def test_it_is_not_drawn_more_often_than_a_terminal_needs():
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="replaying", total=100)
    for step in range(1, 101):
        clock.move_to(step * REDRAW_SECONDS / 10)
        progress.update(step)
    assert len(drawn(stream)) == pytest.approx(10, abs=1)


def test_hours_are_told_as_such():
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="replaying", total=3601)
    clock.move_to(1)
    progress.update(1)
    assert drawn(stream)[0].endswith("1:00:00 left")


def test_without_a_first_step_nobody_knows_how_long_it_takes():
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="replaying", total=10)
    clock.move_to(1)
    progress.update(0)
    assert drawn(stream)[0].endswith("-:-- left")


def test_without_a_total_it_counts():
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="reading")
    clock.move_to(1)
    progress.update(12_345)
    assert drawn(stream) == ["reading  12,345"]


@pytest.mark.parametrize("columns", ["1", "20", "40", "300"])
def test_it_never_wraps(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    clock, stream = VirtualClock(), Terminal()
    progress = Progress(stream, clock, label="replaying", total=10)
    clock.move_to(1)
    progress.update(5)
    assert all(len(line) < int(columns) for line in stream.getvalue().split("\r") if line)


def test_it_is_erased_at_the_end():
    clock, stream = VirtualClock(), Terminal()
    with Progress(stream, clock, label="replaying", total=10) as progress:
        clock.move_to(1)
        progress.update(5)
    assert stream.getvalue().endswith("\r" + " " * 79 + "\r")
