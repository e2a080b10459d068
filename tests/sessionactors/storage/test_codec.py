"""What is stored of a session comes back as it was, and what is spoiled is found."""

import datetime as dt
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.effects import Transition, Verify
from sessionactors.errors import InvalidKind, InvalidValue, LoadFailed
from sessionactors.settings import Quota, SessionOptions
from sessionactors.snapshots import plain_options, restore, snapshot
from sessionactors.states import AUTH, IDLE, LIVE_STATES
from sessionactors.storage import codec
from sessionactors.storage.codec import SCHEMA, decode, deletion, encode, id_of
from sessionactors.storage.contract import StoredRecord
from sessionactors.storage.errors import DamagedRecordError, NewerRecordError
from tests.sessionactors.session_factory import session_in
from tests.sessionactors.storage.stored import record

QUOTAS = st.builds(Quota, max_requests=st.none() | st.integers(0, 9))


def found(written, epoch=1, key=1):
    """Return a written record as a store gives it back."""
    return StoredRecord(key, written.session_id.encode(), epoch, written.schema, written.checksum, written.snapshot)


def damaged(stored):
    with pytest.raises(DamagedRecordError) as raised:
        decode(stored)
    return raised.value.reason


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_session_comes_back_as_its_snapshot(state):
    data = session_in(state, metadata={"seen": [1, None, b"x"], "name": "Zoë"}, capabilities={"tools": True})
    data.requests, data.bytes, data.largest_message, data.suspend_reason = 7, 2**40, 9, "why"
    assert decode(found(encode(data, 110.0, 5.0))) == {**snapshot(data, 110.0, 5.0), "moment": 110.0}


def test_what_is_stored_beside_a_session_comes_back_with_it():
    data = session_in(IDLE)
    more = {"class": "shop:Cart", "user_state": {"items": [1, 2]}}
    assert decode(found(encode(data, 110.0, 5.0, more))) == {**snapshot(data, 110.0, 5.0), **more, "moment": 110.0}


def test_credentials_are_never_written():
    data = session_in(AUTH)
    data.question = Verify({"password": "swordfish"})
    assert "swordfish" not in repr(encode(data, 110.0, 5.0).snapshot)


def test_what_comes_back_can_be_restored():
    data = session_in(IDLE, persistent=True, idle_timeout=12.5)
    assert restore(decode(found(encode(data, 110.0, 5.0))), 3.0, 5.0).options == data.options


def test_equal_options_are_written_alike_whoever_shares_them():
    options = [SessionOptions(idle_timeout=each) for each in (1.0, 2.0)]
    packed = [record("a", options=each).snapshot for each in (*options, *options)]
    assert packed[0] == packed[2] != packed[1] == packed[3]


def test_options_beyond_those_that_are_remembered_are_written_right():
    for number in range(1, 600):
        written = record("a", options=SessionOptions(idle_timeout=float(number)))
        assert decode(found(written))["options"]["idle_timeout"] == number


def test_edges_beyond_those_that_are_remembered_are_written_right():
    for number in range(600):
        written = record("a", recorded=[Transition("new", "active", f"reason {number}", "activated"), 1.0])
        assert decode(found(written))["history"] == [["new", "active", f"reason {number}", "activated", 9.0]]


@given(st.builds(SessionOptions, persistent=st.booleans(), ttl=st.none() | st.floats(1.0, 9.0), quota=QUOTAS))
def test_options_are_complete_when_they_come_back_whatever_is_left_out_of_the_record(options):
    stored = decode(found(record("a", options=options, quota=options.quota)))
    assert (stored["options"], stored["quota"]) == (plain_options(options), options.quota.as_dict())


def test_a_session_with_the_usual_options_is_a_small_record():
    data = session_in(IDLE, persistent=True)
    assert len(encode(data, 110.0, 5.0).snapshot) < 300


def test_what_cannot_be_packed_is_refused_and_the_next_is_written():
    with pytest.raises(InvalidKind, match="snapshot"):
        record("a", metadata={"now": dt.datetime.now(tz=dt.UTC)})
    assert decode(found(record("a")))


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


UNREADABLE = msgpack.ExtType(5, b"x")._replace(code=-1)  # a point in time, of a length that none has


@pytest.mark.parametrize("key", [1, None, (1, 2), 1.5, True, msgpack.Timestamp(1), msgpack.ExtType(5, b"x")])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"seen": [0, {b"by": state}]}])
def test_a_key_that_would_not_come_back_is_refused_and_named(key, wrap):
    more = {"class": "shop:Cart", "user_state": wrap({key: 2})}
    with pytest.raises(InvalidKind, match=r"a key of user_state.* text or bytes"):
        encode(session_in(IDLE), 110.0, 5.0, more)


def test_a_key_of_metadata_that_was_changed_later_is_refused_as_well():
    with pytest.raises(InvalidKind, match=r"a key of metadata\.seen"):
        record("a", metadata={"seen": {42: "x"}})


@pytest.mark.parametrize("state", [UNREADABLE, [UNREADABLE], {"at": UNREADABLE}, nested(5000), 2**64, -(2**63) - 1])
def test_what_cannot_be_read_again_is_refused(state):
    with pytest.raises(InvalidKind, match="snapshot"):
        encode(session_in(IDLE), 110.0, 5.0, {"class": "shop:Cart", "user_state": state})


KEYS = st.text(max_size=3) | st.binary(max_size=3) | st.integers() | st.none() | st.booleans() | st.floats()
SCALARS = (
    KEYS | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary()) | st.builds(msgpack.Timestamp, st.integers())
)
STATES = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(KEYS, each), max_leaves=8)


@given(STATES)
def test_whatever_is_accepted_comes_back(state):
    more = {"class": "shop:Cart", "user_state": state}
    try:
        written = encode(session_in(IDLE), 110.0, 5.0, more)
    except InvalidKind:
        return
    assert repr(decode(found(written))["user_state"]) == repr(state)  # NaN is not equal to itself


class Lazy(dict):
    """A mapping of a user's that has another session packed while it is."""

    def items(self):
        record("inner")
        return super().items()


def test_a_record_is_whole_where_another_is_packed_in_the_middle_of_it():
    data = session_in(IDLE)
    state = {"before": [1, 2], "lazy": Lazy(a=1), "behind": "x" * 50}
    more = {"class": "shop:Cart", "user_state": state}
    assert decode(found(encode(data, 110.0, 5.0, more))) == {**snapshot(data, 110.0, 5.0), **more, "moment": 110.0}


def test_the_memory_for_a_huge_record_is_given_back():
    tracemalloc.start()
    try:
        encode(session_in(IDLE), 110.0, 5.0, {"class": "shop:Cart", "user_state": "x" * 8_000_000})
        assert tracemalloc.get_traced_memory()[0] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_snapshot_may_not_be_larger_than_a_record(monkeypatch):
    monkeypatch.setattr(codec, "SNAPSHOT_SIZE_MAX", 50)
    with pytest.raises(InvalidValue, match="at most 50 bytes"):
        record("a")


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


@given(st.integers(0, 300))
def test_a_record_that_was_cut_is_found(size):
    written = record("a")
    cut = written.snapshot[: min(size, len(written.snapshot) - 1)]
    assert "checksum" in damaged(found(written._replace(snapshot=cut)))


def test_a_record_under_another_id_is_found():
    assert damaged(found(record("a")._replace(session_id="b"))) == "it belongs to another session"


def test_a_record_with_the_checksum_of_another_is_found():
    assert "checksum" in damaged(found(record("a")._replace(checksum=record("a", requests=1).checksum)))


def signed(content, session_id="a"):
    """Return a record whose checksum is right, whatever is in it."""
    packed = content if isinstance(content, bytes) else msgpack.packb(content)
    return StoredRecord(1, session_id.encode(), 1, SCHEMA, codec._checksum(packed), packed)


def values(**changed):
    """Return the content of a good record with some values changed; `None` as `more` is nil."""
    content = msgpack.unpackb(record("a", recorded=[EDGE, 1.0]).snapshot)
    more = changed.pop("more", None)
    for name, value in changed.items():
        content[codec._FIELDS.index(name)] = value
    return [*content[:-1], more]


EDGE = Transition("new", "active", "requested", "activated")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        [],
        [1, 2],
        {"session_id": "a", "options": msgpack.packb({})},
        {1: 2},
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff",
        msgpack.packb(values()) + b"\x00",
        values()[:-1],
        [*values(), None],
        values(options={}),
        values(options=b"\x01"),
        values(options=b""),
        values(options=msgpack.ExtType(1, b"x")),
        values(quota=None),
        values(quota=b"\x90"),
        values(history=None),
        values(history={}),
        values(history=[b"\x90"]),
        values(history=["edge", 1.0]),
        values(history=[b"\x01", 1.0]),
        values(more=[]),
        values(more={"session_id": "a"}),
        values(more={"state": "active"}),
    ],
)
def test_content_that_is_no_snapshot_is_found(content):
    assert damaged(signed(content)).startswith("its content is no snapshot")


@pytest.mark.parametrize("history", [[b"\x90", 1.0], [b"\x94\x01\x02\x03\x04", 1.0], [msgpack.packb(["new"] * 9), 1.0]])
def test_an_edge_that_never_was_is_refused_by_who_restores_it(history):
    with pytest.raises(LoadFailed):
        restore(decode(signed(values(history=history))), 3.0, 5.0)


def test_content_that_names_another_session_is_found():
    assert damaged(signed(values(session_id="b"))) == "it belongs to another session"


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
