"""What travels over a pipe, and what is refused; without any process."""

from __future__ import annotations

import io
from collections import OrderedDict
from enum import Enum

import msgpack
import pytest

from supervisors.errors import InvalidTypeError
from supervisors.runtime.frames import Coder, Frames, Packing, UnreadableError, in_words
from tests.supervisors.process_workers import Color, Level, MuteError, Pair, Worker

PACKING = Packing(Worker.message_coders)


class Kind(str, Enum):  # noqa: UP042 - many programs still have such ones
    NEW = "new"


class Ratio(float):
    pass


class Token(bytes):
    pass


def there_and_back(value, packing=PACKING):
    return packing.unpack(packing.pack(value))


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Level.LOW, 1),
        (Pair(1, 2), [1, 2]),
        (Color.RED, "red"),
        (Kind.NEW, "new"),
        (Ratio(1.5), 1.5),
        (Token(b"x"), b"x"),
        (OrderedDict(a=(1,)), {"a": [1]}),
        ({1: 2, b"k": 3, None: 4}, {1: 2, b"k": 3, None: 4}),
    ],
)
def test_without_a_coder_what_is_derived_from_a_known_type_arrives_as_that(value, arrives):
    back = there_and_back(value, Packing())
    assert back == arrives
    assert type(back) is type(arrives)


@pytest.mark.parametrize("value", [msgpack.ExtType(5, b"ab"), msgpack.Timestamp(1, 2)])
def test_what_msgpack_has_for_others_travels_as_it_is(value):
    assert there_and_back(value) == value


@pytest.mark.parametrize("value", [{(1, 2): 3}, {"a": [{(): 1}]}, [Pair({(1,): 2}, 1)]])
def test_a_key_that_would_arrive_as_a_list_is_refused(value):
    with pytest.raises(InvalidTypeError, match="unhashable"):
        PACKING.pack(value)


def test_a_frame_that_cannot_be_read_is_the_only_one_that_is_lost():
    pipe = io.BytesIO()
    frames = Frames(pipe, pipe, PACKING)
    frames.write(msgpack.ExtType(1, b"\xc1"))
    frames.write("next")
    pipe.seek(0)
    with pytest.raises(UnreadableError):
        frames.read()
    assert frames.read() == ["next"]
    assert frames.read() is None


def test_an_error_is_told_whatever_its_text_does():
    assert in_words(MuteError()) == "MuteError: <an error that cannot be shown>"
    assert in_words(ValueError("\ud800")) == r"ValueError: \ud800"


def test_a_lack_of_memory_says_nothing_about_a_message():
    def lack(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        Packing([Coder(Pair, "pair", lack, lack)]).pack(Pair(1, 2))
    packed = Packing([Coder(Pair, "pair", list, lack)]).pack(Pair(1, 2))
    with pytest.raises(MemoryError):
        Packing([Coder(Pair, "pair", list, lack)]).unpack(packed)
