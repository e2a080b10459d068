from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.errors import InvalidKind, InvalidSessionId
from sessionactors.identifiers import ID_MAX_BYTES, from_token, generate, is_same, parse, redact


@pytest.mark.parametrize("name", ["x", "client-7", "10.0.0.1#3", "älö 漢字", "x" * ID_MAX_BYTES, "é" * 128])
def test_a_proper_name_is_returned_as_it_is(name):
    assert parse(name) == name


def test_utf8_bytes_become_text():
    assert parse("é#1".encode()) == "é#1"


@pytest.mark.parametrize(
    "name",
    [
        "",
        b"",
        "x" * (ID_MAX_BYTES + 1),
        b"x" * (ID_MAX_BYTES + 1),
        "é" * 129,
        "x" * 10_000_000,
        b"\xff\xfe",
        "a\x00b",
        b"a\x00b",
        "a\nb",
        "a\x1b[31m",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u202eb",
        "a\ud800b",
    ],
)
def test_a_name_that_could_forge_a_log_line_or_is_too_long_is_refused(name):
    with pytest.raises(InvalidSessionId) as refused:
        parse(name)
    assert refused.value.field == "session_id"
    assert "1 to 256 bytes" in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", [None, 7, 1.5, True, ["x"], object()])
def test_what_is_no_text_is_refused_by_its_kind(name):
    with pytest.raises(InvalidKind, match="session_id"):
        parse(name)


@given(st.one_of(st.text(), st.binary()))
def test_what_passes_can_be_written_on_one_line(name):
    try:
        parsed = parse(name)
    except InvalidSessionId:
        return
    assert 0 < len(parsed.encode()) <= ID_MAX_BYTES
    assert len(parsed.splitlines()) == 1


def test_a_generated_id_is_32_hexadecimal_digits():
    made = generate(random.Random(1))
    assert len(made) == 32
    assert int(made, 16) > 0
    assert parse(made) == made


def test_the_same_stream_makes_the_same_ids_again():
    first, second = random.Random("replay"), random.Random("replay")
    assert [generate(first) for _ in range(3)] == [generate(second) for _ in range(3)]


def test_generated_ids_keep_their_leading_zeros():
    class Low(random.Random):
        def getrandbits(self, k):
            return 5

    assert generate(Low()) == "0" * 31 + "5"


def test_a_token_becomes_an_id():
    assert from_token(bytes(range(16))) == "000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_token_of_another_size_is_refused(size):
    with pytest.raises(InvalidSessionId, match="16 bytes"):
        from_token(bytes(size))


@pytest.mark.parametrize(
    ("left", "right", "same"), [("abc", "abc", True), ("abc", "abd", False), ("abc", "ab", False), ("é", "é", True)]
)
def test_ids_are_the_same_when_their_bytes_are(left, right, same):
    assert is_same(left, right) is same


def test_a_long_id_shows_its_ends_only():
    assert redact("0123456789abcdef") == "0123...cdef"


@pytest.mark.parametrize("name", ["x", "0123456789ab"])
def test_a_short_id_shows_nothing(name):
    assert redact(name) == "****"
