"""What an earlier version has stored can still be read, byte for byte."""

import msgpack
import pytest

from sessionactors.snapshots import restore
from sessionactors.storage import first_schema
from sessionactors.storage.codec import decode
from sessionactors.storage.contract import StoredRecord
from sessionactors.storage.errors import DamagedRecordError

# A session that version 1 of the schema has written: idle, of a class of its own.
CHECKSUM = bytes.fromhex("247aeb3d34bf6579d0fda8de6f41f249")
CONTENT = bytes.fromhex(
    "de0016aa73657373696f6e5f6964a3732d31a57374617465a469646c65a873617665645f6174cb4014000000000000a3616765cb402400"
    "0000000000a973746174655f616765cb4024000000000000a469646c65cb4024000000000000b161757468656e746963617465645f6167"
    "65cb4024000000000000a7757365725f6964a3616461a86d6574616461746182a47365656e9301c0c40178a46e616d65a45a6fc3aba76f"
    "7074696f6e73c5017dde0015ac69646c655f74696d656f7574cb4029000000000000ac617574685f74696d656f7574cb403e0000000000"
    "00af73757370656e645f74696d656f7574c0b06162736f6c7574655f74696d656f7574c0a374746ccb40ac200000000000af6869626572"
    "6e6174655f6166746572c0ab7370696c6c5f6166746572c0b16d61785f617574685f617474656d70747303b57374726963745f61757468"
    "656e7469636174696f6ec2ad617574685f7265717569726564c3aa6c6f636b65645f6f7574c2ae726573756d655f616c6c6f776564c3b1"
    "6d6967726174696f6e5f616c6c6f776564c2aa70657273697374656e74c3a76261636b656e64a764656661756c74af6b6565705f706572"
    "73697374656e74c2ac6d656d6f72795f6c696d6974ce06400000b070726f746f636f6c5f76657273696f6eaa323032352d31312d3235ac"
    "6361706162696c697469657381a5746f6f6c73c3b06d61785f686973746f72795f73697a6564b461756469745f72657175657374735f65"
    "7665727964a571756f746183ac6d61785f726571756573747307af6d61785f636f6e6e656374696f6e730ab06d61785f6d657373616765"
    "5f73697a65ce00a00000a8726571756573747300a5627974657300af6c6172676573745f6d65737361676500ad617574685f617474656d"
    "70747301a66c6f636b6564c2ae73757370656e645f726561736f6ec0ab7472616e736974696f6e7303b17265636f766572795f61747465"
    "6d70747300a7686973746f72799395a36e6577a461757468a9726571756573746564ac617574685f617474656d7074cb40240000000000"
    "0095a461757468a6616374697665ad61757468656e74696361746564ac617574685f73756363657373cb402400000000000095a6616374"
    "697665a469646c65a9726571756573746564ab6465616374697661746564cb4024000000000000a5636c617373a973686f703a43617274"
    "aa757365725f737461746581a56974656d7303"
)


def found(content=CONTENT, checksum=CHECKSUM, session_id=b"s-1"):
    return StoredRecord(1, session_id, 1, 1, checksum, content)


def signed(content):
    packed = content if isinstance(content, bytes) else msgpack.packb(content)
    return found(packed, first_schema.checksum(b"s-1", packed))


def test_a_session_comes_back_with_all_that_it_had():
    stored = decode(found())
    assert (stored["class"], stored["user_state"]) == ("shop:Cart", {"items": 3})
    data = restore(stored, 100.0, 5.0)
    assert (data.session_id, data.state, data.user_id, data.transitions) == ("s-1", "idle", "ada", 3)
    assert data.metadata == {"seen": [1, None, b"x"], "name": "Zoë"}
    assert (data.options.idle_timeout, data.options.capabilities, data.options.persistent) == (
        12.5,
        {"tools": True},
        True,
    )
    assert (data.quota.max_requests, data.auth_attempts, data.created_at) == (7, 1, 90.0)
    assert [each.to_state for each in data.recorded[::2]] == ["auth", "active", "idle"]


@pytest.mark.parametrize("position", range(0, len(CONTENT), 37))
def test_a_changed_byte_is_found(position):
    spoiled = bytearray(CONTENT)
    spoiled[position] ^= 1
    with pytest.raises(DamagedRecordError, match="checksum"):
        decode(found(bytes(spoiled)))


def test_a_record_under_another_id_is_found():
    with pytest.raises(DamagedRecordError, match="checksum"):
        decode(found(session_id=b"s-2"))


def test_the_content_of_one_schema_is_none_of_another():
    with pytest.raises(DamagedRecordError, match="checksum"):
        decode(found()._replace(schema=2))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        [1, 2],
        {"session_id": "s-1"},
        {"session_id": "s-1", "options": {}},
        {"session_id": "s-1", "options": b"\x01"},
        b"\x91" * 5000,
        CONTENT + b"\x00",
        {"session_id": "s-1", "options": msgpack.ExtType(1, b"x")},
    ],
)
def test_content_that_is_no_snapshot_is_found(content):
    with pytest.raises(DamagedRecordError, match="its content is no snapshot"):
        decode(signed(content))


def test_content_that_names_another_session_is_found():
    with pytest.raises(DamagedRecordError, match="it belongs to another session"):
        decode(signed({"session_id": "b", "options": msgpack.packb({})}))
