"""Proofs hold for what they are about, for nothing else, and are read only in the form they are written."""

from __future__ import annotations

import base64

import pytest

from sessionactors.audit.checkpoint import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.proofs import (
    ConsistencyProof,
    InclusionProof,
    open_head,
    parse_proof,
    prove_consistency,
    prove_inclusion,
    signed_head,
)
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import decode
from supervisors.errors import InvalidArgumentError
from tests.sessionactors.audit.conftest import SEED, alter, look


@pytest.fixture
def reader(log_path):
    with AuditReader(log_path) as reader:
        yield reader


@pytest.fixture
def verifier(log_path):
    return load_public_key(LogPaths(log_path).public_key)


@pytest.fixture
def old(log_path, verifier):
    """The head of the first ten entries."""
    ((note,),) = look(log_path, "SELECT note FROM heads WHERE size = 10")
    return open_checkpoint(note, verifier)


class TestInclusion:
    def test_each_entry_can_be_proved(self, reader, verifier):
        for index in range(23):
            proof = parse_proof(prove_inclusion(reader, verifier, index).to_bytes())
            assert isinstance(proof, InclusionProof)
            assert proof.check(verifier).size == 23
            assert decode(proof.leaf).sequence == index

    def test_the_text_is_that_of_the_specification(self, signer):
        leaf, sibling = b"leaf", bytes(32)
        note = sign_checkpoint(Checkpoint("example.com/log", 2, bytes(32)), signer)
        text = InclusionProof(0, leaf, (sibling,), note).to_bytes()
        encoded = base64.b64encode(sibling)
        assert text == b"c2sp.org/tlog-proof@v1\nextra bGVhZg==\nindex 0\n" + encoded + b"\n\n" + note

    def test_a_log_of_one_entry_needs_no_hashes(self, signer):
        note = sign_checkpoint(Checkpoint("example.com/log", 1, bytes(32)), signer)
        proof = InclusionProof(0, b"leaf", (), note)
        assert parse_proof(proof.to_bytes()) == proof

    @pytest.mark.parametrize("index", [3, 5, 22])
    def test_it_holds_for_no_other_place(self, reader, verifier, index):
        proof = prove_inclusion(reader, verifier, 4)
        with pytest.raises(AuditDamagedError, match=f"from entry {index} "):
            InclusionProof(index, proof.leaf, proof.path, proof.note).check(verifier)

    def test_it_holds_for_no_other_entry(self, reader, verifier):
        proof = prove_inclusion(reader, verifier, 4)
        with pytest.raises(AuditDamagedError):
            InclusionProof(4, reader.leaf(5), proof.path, proof.note).check(verifier)

    def test_another_key_is_refused(self, reader, verifier, signer):
        proof = prove_inclusion(reader, verifier, 4)
        with pytest.raises(AuditKeyError, match="another key"):
            proof.check(signer.verifier)

    def test_no_proof_is_made_for_an_altered_entry(self, log_path, verifier):
        alter(log_path, "UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE sequence = 5) WHERE sequence = 4")
        with AuditReader(log_path) as reader, pytest.raises(AuditDamagedError, match="from entry 4 "):
            prove_inclusion(reader, verifier, 4)

    def test_hashes_that_a_crash_kept_from_the_file_are_not_missed(self, log_path, verifier):
        path = LogPaths(log_path).hashes
        path.write_bytes(path.read_bytes()[: 20 * 32 + 7])
        with AuditReader(log_path) as reader:
            assert prove_inclusion(reader, verifier, 4).check(verifier).size == 23


class TestConsistency:
    def test_each_older_head_is_the_beginning(self, log_path, reader, verifier):
        for (note,) in look(log_path, "SELECT note FROM heads"):
            old = open_checkpoint(note, verifier)
            proof = parse_proof(prove_consistency(reader, verifier, old).to_bytes())
            assert isinstance(proof, ConsistencyProof)
            assert proof.check(verifier, old).size == 23

    def test_a_head_with_another_root_is_not(self, reader, verifier, old):
        other = Checkpoint(old.origin, old.size, bytes(32))
        with pytest.raises(AuditDamagedError, match="not shown to continue"):
            prove_consistency(reader, verifier, other)

    def test_a_longer_log_was_cut_off(self, reader, verifier, old):
        with pytest.raises(AuditDamagedError, match="cut off"):
            prove_consistency(reader, verifier, Checkpoint(old.origin, 24, old.root))

    def test_a_proof_for_another_size_does_not_hold(self, reader, verifier, old):
        proof = prove_consistency(reader, verifier, old)
        with pytest.raises(AuditDamagedError):
            ConsistencyProof(9, proof.path, proof.note).check(verifier, old)


class TestHead:
    def test_the_last_one_is_given(self, reader, verifier):
        head, note = signed_head(reader, verifier)
        assert (head.size, open_checkpoint(note, verifier).root) == (23, head.root)

    def test_an_altered_one_is_told_from_that_of_another_key(self, signer):
        note = sign_checkpoint(Checkpoint("example.com/log", 2, bytes(32)), signer)
        with pytest.raises(AuditDamagedError):
            open_head(note.replace(b"\n2\n", b"\n3\n"), signer.verifier)
        with pytest.raises(AuditKeyError):
            open_head(note, Signer("example.com/log", SEED[::-1]).verifier)

    def test_an_older_one_put_last_is_found(self, log_path, verifier):
        alter(log_path, "DELETE FROM heads WHERE size > 20")
        with AuditReader(log_path) as reader, pytest.raises(AuditDamagedError):
            signed_head(reader, verifier)


class TestForm:
    @pytest.fixture
    def text(self, signer):
        note = sign_checkpoint(Checkpoint("example.com/log", 2, bytes(32)), signer)
        return InclusionProof(1, b"leaf", (bytes(32),), note).to_bytes()

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            (b"@v2", b"@v1"),
            (b"index 01", b"index 1"),
            (b"index -1", b"index 1"),
            (b"index", b"extra bGVhZg==\nindex"),
            (b"AAAB", b"AAAA"),
            (b"bGVhZh==", b"bGVhZg=="),
            (b"\n", b"\n\n"),
            (b"\xff", b"index"),
        ],
    )
    def test_another_form_is_refused(self, text, wrong, right):
        changed = text.replace(right, wrong, 1) if wrong != b"AAAB" else text.replace(b"AAA=", b"AAB=", 1)
        assert changed != text
        with pytest.raises(InvalidArgumentError):
            parse_proof(changed)

    def test_what_is_too_long_is_not_read(self):
        with pytest.raises(InvalidArgumentError, match="at most"):
            parse_proof(b"c2sp.org/tlog-proof@v1\n" * 10_000)

    def test_more_hashes_than_a_tree_can_need_are_refused(self, signer):
        note = sign_checkpoint(Checkpoint("example.com/log", 2, bytes(32)), signer)
        with pytest.raises(InvalidArgumentError, match="128 lines"):
            parse_proof(ConsistencyProof(1, (bytes(32),) * 129, note).to_bytes())


def _flips(text):
    """Yield a text with each of its bits flipped."""
    for position in range(len(text)):
        for bit in range(8):
            yield text[:position] + bytes((text[position] ^ 1 << bit,)) + text[position + 1 :]


def test_every_flipped_bit_of_an_inclusion_proof_is_refused(reader, verifier, old):
    text = prove_inclusion(reader, verifier, 13).to_bytes()
    for changed in _flips(text):
        with pytest.raises((InvalidArgumentError, AuditDamagedError, AuditKeyError)):
            _check(parse_proof(changed), verifier, old)


def test_every_flipped_bit_of_a_consistency_proof_is_refused(reader, verifier, old):
    text = prove_consistency(reader, verifier, old).to_bytes()
    for changed in _flips(text):
        with pytest.raises((InvalidArgumentError, AuditDamagedError, AuditKeyError)):
            _check(parse_proof(changed), verifier, old)


def _check(proof, verifier, old):
    if isinstance(proof, ConsistencyProof):
        proof.check(verifier, old)
    else:
        proof.check(verifier)
