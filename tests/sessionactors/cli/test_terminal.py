from __future__ import annotations

import os
import pty
import select
import termios

import pytest

from sessionactors.cli.terminal import Keys, Terminal


def test_sequences_are_keys_also_in_two_pieces():
    keys = Keys()
    assert keys.read(b"a\x1b[A\x1bOB\r\x7f\x03") == ["a", "up", "down", "enter", "backspace", "quit"]
    assert keys.read(b"\x1b[") == []
    assert keys.read(b"6~q") == ["page down", "q"]


def test_an_escape_alone_is_a_key():
    assert Keys().read(b"\x1b") == ["escape"]


def test_what_is_no_key_of_ours_is_ignored():
    assert Keys().read(b"\x1b[1;5C\x01\xff\xc3\xa4x") == ["ä", "x"]


def test_a_sequence_without_an_end_does_not_grow():
    keys = Keys()
    for _ in range(100):
        keys.read(b"\x1b[" + b"1" * 100)
    assert len(keys._rest) <= 16


@pytest.fixture
def ends():
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_whatever_is_raised_the_terminal_is_as_before(ends):
    master, slave = ends
    before = termios.tcgetattr(slave)

    def fail():
        with Terminal(slave, slave):
            assert termios.tcgetattr(slave) != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert termios.tcgetattr(slave) == before
    seen = b""
    # What was written in two pieces may be read in two.
    while not seen.endswith(b"\x1b[?25h\x1b[?1049l"):
        assert select.select([master], [], [], 10.0)[0], seen
        seen += os.read(master, 1_000)


def test_what_is_drawn_is_one_frame(ends):
    master, slave = ends
    Terminal(slave, slave).draw([("first", False), ("last", True)])
    seen = b""
    while b"\x1b[?2026l" not in seen:
        assert select.select([master], [], [], 10.0)[0], seen
        seen += os.read(master, 1_000)
    assert seen.startswith(b"\x1b[?2026h\x1b[Hfirst")
    assert seen.endswith(b"\x1b[?2026l")
    assert seen.count(b"\x1b[?2026h") == 1


def test_without_a_size_it_is_80_by_24(ends):
    _, slave = ends
    assert Terminal(slave, slave).size() == (80, 24)


def test_when_nobody_is_there_any_more_that_is_the_end():
    reading, writing = os.pipe()
    os.close(writing)
    assert Terminal(reading, reading).read() == ["quit"]
    os.close(reading)
