from __future__ import annotations

import pytest

from sessionactors.audit.checkpoint import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from sessionactors.audit.cosignature import cosign, cosigned_at, key_line
from supervisors.errors import SupervisorsError

LOG = Signer("example.com/log", bytes(32))
WITNESS = Signer("example.org/witness", bytes([1]) * 32)
NOTE = sign_checkpoint(Checkpoint("example.com/log", 42, bytes(32)), LOG)


def test_a_cosigned_head_is_still_the_head():
    assert open_checkpoint(cosign(NOTE, WITNESS, 7), LOG.verifier).size == 42


def test_a_cosignature_tells_when_it_was_made():
    assert cosigned_at(cosign(NOTE, WITNESS, 1_800_000_000), WITNESS.verifier) == 1_800_000_000


def test_a_later_cosignature_replaces_the_earlier_one():
    note = cosign(cosign(NOTE, WITNESS, 1), WITNESS, 2)
    assert (note.count("\u2014".encode()), cosigned_at(note, WITNESS.verifier)) == (2, 2)


def test_two_witnesses_sign_beside_each_other():
    other = Signer("example.net/other", bytes([2]) * 32)
    note = cosign(cosign(NOTE, WITNESS, 1), other, 2)
    assert (cosigned_at(note, WITNESS.verifier), cosigned_at(note, other.verifier)) == (1, 2)


def test_the_time_is_signed_as_well():
    note = cosign(NOTE, WITNESS, 1)
    last = note.rindex(b" ")
    for at in range(last, len(note) - 1):
        altered = bytearray(note)
        altered[at] ^= 1
        with pytest.raises(SupervisorsError):
            cosigned_at(bytes(altered), WITNESS.verifier)


def test_a_signature_of_a_head_is_no_cosignature():
    with pytest.raises(SupervisorsError):
        cosigned_at(sign_checkpoint(Checkpoint("example.org/witness", 1, bytes(32)), WITNESS), WITNESS.verifier)


def test_the_key_has_another_type_than_that_of_a_log():
    assert key_line(WITNESS.verifier) != str(WITNESS.verifier)
    assert key_line(WITNESS.verifier).startswith("example.org/witness+")
