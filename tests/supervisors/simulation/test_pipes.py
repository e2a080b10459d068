from __future__ import annotations

import pytest

from supervisors.simulation.pipes import PIPE_BYTES, Pipe, PipeReader, PipeWriter


@pytest.fixture
def pipe():
    return Pipe()


def writer_of(pipe, system):
    return PipeWriter(pipe, system.scheduler, lambda: None)


def test_bytes_come_in_order_and_are_gone_when_they_are_taken(pipe):
    assert pipe.put(b"abc") == 3
    assert pipe.put(b"de") == 2
    assert [pipe.take(4), pipe.take(4), pipe.take(4)] == [b"abcd", b"e", b""]


def test_it_takes_no_more_than_there_is_room_for(pipe):
    assert pipe.put(bytes(PIPE_BYTES - 1)) == PIPE_BYTES - 1
    assert pipe.has_room
    assert pipe.put(b"ab") == 1
    assert not pipe.has_room
    assert pipe.put(b"ab") == 0


def test_who_writes_where_nobody_reads_is_told(pipe):
    pipe.put(b"lost")
    pipe.close_reading()
    with pytest.raises(BrokenPipeError):
        pipe.put(b"a")
    assert pipe.take(4) == b""


def test_what_was_written_still_comes_when_the_writer_is_gone(pipe, system):
    pipe.put(b"last")
    pipe.close_writing()
    reader = PipeReader(pipe, system.scheduler)
    assert [reader.read(3), reader.read(3), reader.read(3)] == [b"las", b"t", b""]


def test_each_change_is_told(pipe):
    changes = []
    pipe.on_change = lambda: changes.append(len(pipe.data))
    pipe.put(b"ab")
    pipe.take(1)
    pipe.take(0)
    pipe.close_writing()
    assert changes == [2, 1, 1]


@pytest.mark.parametrize("end", ["reader", "writer"])
def test_an_end_that_was_closed_is_of_no_use(pipe, system, end):
    reader, writer = PipeReader(pipe, system.scheduler), writer_of(pipe, system)
    ends = {"reader": (reader, lambda: reader.read(1)), "writer": (writer, lambda: writer.write(b"a"))}
    closed, use = ends[end]
    closed.close()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        use()
