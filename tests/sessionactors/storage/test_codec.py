import datetime as dt

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.settings import SessionOptions
from sessionactors.snapshots import restore, snapshot
from sessionactors.states import IDLE, LIVE_STATES
from sessionactors.storage import codec
from sessionactors.storage.codec import SCHEMA, decode, deletion, encode, id_of
from sessionactors.storage.contract import StoredRecord
from sessionactors.storage.errors import DamagedRecordError, NewerRecordError
from tests.sessionactors.session_factory import session_in
from tests.sessionactors.storage.stored import record, snapshot_of


def found(written, epoch=1, key=1):
    """Return a written record as a store gives it back."""
    return StoredRecord(key, written.session_id.encode(), epoch, written.schema, written.checksum, written.snapshot)


def damaged(stored):
    with pytest.raises(DamagedRecordError) as raised:
        decode(stored)
    return raised.value.reason


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_snapshot_comes_back_as_it_was(state):
    data = session_in(state, metadata={"seen": [1, None, b"x"], "name": "Zoë"}, capabilities={"tools": True})
    taken = snapshot(data, 110.0, 5.0)
    assert decode(found(encode(dict(taken)))) == taken


def test_what_comes_back_can_be_restored():
    data = session_in(IDLE, persistent=True, idle_timeout=12.5)
    assert restore(decode(found(encode(snapshot(data, 110.0, 5.0)))), 3.0, 5.0).options == data.options


def test_equal_options_are_written_alike_whoever_shares_them():
    options = [SessionOptions(idle_timeout=each) for each in (1.0, 2.0)]
    taken = [snapshot_of("a", options=each) for each in (*options, *options)]
    packed = [encode(each).snapshot for each in taken]
    assert packed[0] == packed[2] != packed[1] == packed[3]


def test_options_beyond_those_that_are_remembered_are_written_right():
    for number in range(1, 600):
        written = encode(snapshot_of("a", options=SessionOptions(idle_timeout=float(number))))
        assert decode(found(written))["options"]["idle_timeout"] == number


def test_what_cannot_be_packed_is_refused_and_the_next_is_written():
    with pytest.raises(InvalidKind, match="snapshot"):
        encode({**snapshot_of("a"), "metadata": {"now": dt.datetime.now(tz=dt.UTC)}})
    assert encode(snapshot_of("a")) == record("a")


def test_a_snapshot_may_not_be_larger_than_a_record(monkeypatch):
    monkeypatch.setattr(codec, "SNAPSHOT_SIZE_MAX", 100)
    with pytest.raises(InvalidValue, match="at most 100 bytes"):
        encode(snapshot_of("a"))


def test_a_deletion_has_no_content():
    assert (deletion("a").session_id, deletion("a").snapshot) == ("a", None)


@given(st.data())
def test_every_changed_byte_is_found(data):
    written = record("a", requests=5)
    position = data.draw(st.integers(0, len(written.snapshot) - 1))
    value = data.draw(st.integers(1, 255))
    spoiled = bytearray(written.snapshot)
    spoiled[position] ^= value
    assert damaged(found(written._replace(snapshot=bytes(spoiled)))) == "its checksum is not that of its content"


@given(st.integers(0, 600))
def test_a_record_that_was_cut_is_found(size):
    written = record("a")
    cut = written.snapshot[: min(size, len(written.snapshot) - 1)]
    assert "checksum" in damaged(found(written._replace(snapshot=cut)))


def test_a_record_under_another_id_is_found():
    assert "checksum" in damaged(found(record("a")._replace(session_id="b")))


def test_a_record_with_the_checksum_of_another_is_found():
    assert "checksum" in damaged(found(record("a")._replace(checksum=record("a", requests=1).checksum)))


def signed(content, session_id="a"):
    """Return a record whose checksum is right, whatever is in it."""
    packed = content if isinstance(content, bytes) else msgpack.packb(content)
    checksum = codec._checksum(session_id.encode(), SCHEMA.to_bytes(2, "big"), packed)
    return StoredRecord(1, session_id.encode(), 1, SCHEMA, checksum, packed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        [1, 2],
        {"session_id": "a"},
        {"session_id": "a", "options": {}},
        {"session_id": "a", "options": b"\x01"},
        {1: 2},
        b"\x91" * 5000,
        msgpack.packb({"session_id": "a"}) + b"\x00",
        b"\xdf\xff\xff\xff\xff",
        {"session_id": "a", "options": msgpack.ExtType(1, b"x")},
    ],
)
def test_content_that_is_no_snapshot_is_found(content):
    assert damaged(signed(content)).startswith("its content is no snapshot")


def test_content_that_names_another_session_is_found():
    assert damaged(signed({"session_id": "b", "options": msgpack.packb({})})) == "it belongs to another session"


@pytest.mark.parametrize(
    "field",
    [
        {"schema": None},
        {"schema": "1"},
        {"schema": True},
        {"schema": 0},
        {"schema": -1},
        {"schema": 2**16},
        {"epoch": None},
        {"epoch": 1.0},
        {"epoch": -1},
        {"session_id": "a"},
        {"session_id": None},
        {"snapshot": None},
        {"snapshot": "text"},
        {"checksum": None},
    ],
)
def test_a_column_of_the_wrong_kind_is_found(field):
    assert damaged(found(record("a"))._replace(**field))


def test_a_newer_schema_is_refused_with_a_sentence_that_says_so():
    with pytest.raises(NewerRecordError) as refused:
        decode(found(record("a"))._replace(schema=SCHEMA + 1))
    assert refused.value.reason == (
        f"it has schema {SCHEMA + 1}, and this program knows up to {SCHEMA}; use the program that wrote it"
    )


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"a", "a"), (b"\xff\x00x", "\N{REPLACEMENT CHARACTER}" * 2 + "x"), (None, "None")]
)
def test_an_id_is_shown_as_far_as_it_can_be_read(raw, shown):
    assert id_of(found(record("a"))._replace(session_id=raw)) == shown


def test_what_is_shown_of_an_id_is_not_longer_than_an_id():
    assert len(id_of(found(record("a"))._replace(session_id=b"x" * 10_000))) == 256
