from __future__ import annotations

import pytest

from sessionactors.audit.checkpoint import Checkpoint, Signer, open_checkpoint, sign_note
from sessionactors.audit.errors import AuditReadError
from sessionactors.audit.handover import (
    Handover,
    base_name,
    follow,
    next_name,
    open_handover,
    read_handovers,
    segment_number,
    sign_handover,
)
from supervisors.errors import InvalidArgumentError, SupervisorsError

SIGNERS = [Signer(next_name("a.example/log", number), bytes([number]) * 32) for number in range(1, 5)]


def handover(at):
    old, new = SIGNERS[at], SIGNERS[at + 1]
    return Handover(old.verifier, new.verifier, Checkpoint(old.verifier.name, 7 + at, bytes(32)))


def note(at):
    return sign_handover(handover(at), SIGNERS[at], SIGNERS[at + 1])


@pytest.mark.parametrize(
    ("name", "base", "number"),
    [
        ("a.example/log", "a.example/log", 1),
        ("a.example/log/segment-2", "a.example/log", 2),
        ("a.example/log/segment-10", "a.example/log", 10),
        ("a.example/log/segment-1", "a.example/log/segment-1", 1),
        ("a.example/log/segment-02", "a.example/log/segment-02", 1),
        ("/segment-2", "/segment-2", 1),
    ],
)
def test_a_name_says_which_log_of_its_row_it_is(name, base, number):
    assert (base_name(name), segment_number(name)) == (base, number)


def test_a_handover_is_read_as_it_was_signed():
    assert open_handover(note(0)) == handover(0)


def test_a_handover_is_no_checkpoint():
    with pytest.raises(InvalidArgumentError):
        open_checkpoint(note(0), SIGNERS[0].verifier)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_handover_needs_both_signatures(missing):
    one = sign_note(handover(0).body(), SIGNERS[1 - missing])
    with pytest.raises(InvalidArgumentError):
        open_handover(one)


def test_every_single_bit_of_a_handover_counts():
    raw = note(0)
    for at in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[at // 8] ^= 1 << at % 8
        with pytest.raises(SupervisorsError):
            open_handover(bytes(altered))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size 7", "size 07"),
        ("size 7", "size +7"),
        ("size 7", "size seven"),
        ("root ", "root  "),
        ("sealed", "Sealed"),
        ("old ", "new "),
        ("root ", "more\nroot "),
    ],
)
def test_what_is_signed_in_another_form_is_refused(old, new):
    body = handover(0).body().replace(old, new, 1)
    with pytest.raises(InvalidArgumentError):
        open_handover(sign_note(body, SIGNERS[0], SIGNERS[1]))


def test_a_key_does_not_hand_over_to_itself():
    same = Handover(SIGNERS[0].verifier, SIGNERS[0].verifier, handover(0).final)
    with pytest.raises(InvalidArgumentError):
        open_handover(sign_handover(same, SIGNERS[0], SIGNERS[0]))


def test_trust_follows_the_handovers_and_never_back():
    row = [handover(at) for at in range(3)]
    keys = [signer.verifier for signer in SIGNERS]
    assert [follow(keys[0], key, row) for key in keys] == [0, 1, 2, 3]
    assert follow(keys[2], keys[3], row) == 1
    assert follow(keys[2], keys[1], row) is None
    assert follow(keys[0], keys[3], row[1:]) is None


def test_a_file_has_them_in_their_order(tmp_path):
    (tmp_path / "file").write_bytes(note(0) + note(1) + note(2))
    assert read_handovers(tmp_path / "file") == tuple(handover(at) for at in range(3))


def test_without_a_file_there_are_none(tmp_path):
    assert read_handovers(tmp_path / "none") == ()


@pytest.mark.parametrize("raw", [note(1) + note(0), note(0) + note(2), note(0) + b"x", note(0)[:-3], b"\0"])
def test_a_file_with_anything_else_is_refused(tmp_path, raw):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(InvalidArgumentError):
        read_handovers(tmp_path / "file")


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(AuditReadError):
        read_handovers(tmp_path)
