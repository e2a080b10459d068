from __future__ import annotations

import enum
import hashlib

import pytest

from supervisors import Crashed
from supervisors.runtime.signals import Ask
from supervisors.simulation.transcript import Transcript, message_in_words, reason_in_words


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (None, "None"),
        (True, "True"),
        (7, "7"),
        pytest.param(10**5000, "int", id="huge"),
        (0.5, "0.5"),
        ("text", "'text'"),
        ("ä" * 50, ascii("ä" * 40 + "...")),
        (("add", 1), "('add', 1)"),
        ((1, 2, 3, 4), "(1, 2, 3, ...)"),
        (Colour.RED, "Colour.RED"),
        ({"b", "a"}, "set"),
        (object(), "object"),
        (Ask("x", None), "ask 'x'"),
    ],
)
def test_a_message_is_told_by_what_is_the_same_everywhere(message, words):
    assert message_in_words(message) == words


def test_a_crash_is_told_by_the_type_of_its_error():
    assert reason_in_words(Crashed(ValueError("at 0x7f00"))) == "crashed, ValueError"


def test_columns_are_fixed():
    transcript = Transcript()
    transcript.add(3, 1.5, "Worker#2", "starts")
    transcript.add(1000, 86400.25, "Supervisor#1", "starts")
    first, second = transcript.text().splitlines()
    assert first.index("Worker#2") == second.index("Supervisor#1")
    assert first.index("starts") == second.index("starts")


def test_the_hash_is_that_of_the_text_however_often_it_is_asked_for():
    transcript = Transcript()
    for step in range(2000):
        transcript.add(step, 0.0, "Worker#1", "handles 'x'")
        if step % 700 == 0:
            transcript.hash()
    assert transcript.hash() == hashlib.sha256(transcript.text().encode()).hexdigest()


def test_the_hash_does_not_need_the_lines_to_be_kept():
    kept, hashed = Transcript(), Transcript(keep=False)
    for transcript in (kept, hashed):
        transcript.add(1, 0.0, "Worker#1", "starts")
    assert kept.hash() == hashed.hash()
    assert hashed.text() == ""
