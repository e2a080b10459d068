"""Signed heads are those of the published formats, and nothing else passes."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.checkpoint import (
    NOTE_SIZE_MAX,
    Checkpoint,
    Signer,
    Verifier,
    is_origin,
    open_checkpoint,
    sign_checkpoint,
    signatures_of,
)
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from tests.sessionactors.audit.conftest import SEED

# The example of the signed note format, as its first implementation has it.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

CHECKPOINT = Checkpoint("example.com/log", 20_852_163, bytes(range(32)))


@pytest.fixture
def note(signer):
    return sign_checkpoint(CHECKPOINT, signer)


class TestTheFormat:
    def test_a_published_key_is_read(self):
        verifier = Verifier.parse(PUBLISHED_KEY)
        assert (verifier.name, verifier.key_id.hex()) == ("PeterNeumann", "c74f20a3")
        assert str(verifier) == PUBLISHED_KEY

    def test_a_published_note_is_verified(self):
        verifier = Verifier.parse(PUBLISHED_KEY)
        body, ((name, key_id, signature),) = signatures_of(PUBLISHED_NOTE)
        assert (name, key_id) == (verifier.name, verifier.key_id)
        assert verifier.is_valid(body.encode(), signature)
        assert not verifier.is_valid(body.upper().encode(), signature)

    def test_a_checkpoint_is_three_lines_and_a_signature(self, signer, note):
        origin, size, root, empty, signature, end = note.decode().split("\n")
        assert (origin, size, empty, end) == ("example.com/log", "20852163", "", "")
        assert root == base64.b64encode(CHECKPOINT.root).decode()
        dash, name, encoded = signature.split(" ")
        assert (dash, name) == ("\u2014", "example.com/log")
        raw = base64.b64decode(encoded)
        public = signer.verifier.public
        assert raw[:4] == hashlib.sha256(b"example.com/log\n\x01" + public).digest()[:4]
        assert len(raw) == 68

    def test_the_same_head_is_signed_the_same_way_each_time(self, signer, note):
        assert sign_checkpoint(CHECKPOINT, signer) == note

    @given(st.integers(min_value=0, max_value=2**63 - 1), st.binary(min_size=32, max_size=32))
    def test_what_is_signed_is_read_back(self, size, root):
        signer = Signer("example.com/log", SEED)
        checkpoint = Checkpoint("example.com/log", size, root)
        assert open_checkpoint(sign_checkpoint(checkpoint, signer), signer.verifier) == checkpoint

    def test_lines_that_extend_a_checkpoint_are_passed_over(self, signer):
        body = f"{CHECKPOINT.body()}more\n"
        signature = base64.b64encode(signer.verifier.key_id + signer.sign(body.encode())).decode()
        note = f"{body}\n\u2014 example.com/log {signature}\n".encode()
        assert open_checkpoint(note, signer.verifier) == CHECKPOINT

    def test_signatures_of_others_are_passed_over(self, signer, note):
        other = Signer("witness.example.com", bytes(32))
        extra = base64.b64encode(other.verifier.key_id + other.sign(b"whatever")).decode()
        line = f"\u2014 witness.example.com {extra}\n".encode()
        head, _, tail = note.partition(b"\n\n")
        for several in (note + line, head + b"\n\n" + line + tail):
            assert open_checkpoint(several, signer.verifier) == CHECKPOINT

    def test_openssl_accepts_the_signature(self, signer, note, tmp_path):
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("there is no program openssl on this machine")
        body, ((_, _, signature),) = signatures_of(note)
        # The public key in its usual wrapping: the algorithm's number and 32 bytes.
        wrapped = bytes.fromhex("302a300506032b6570032100") + signer.verifier.public
        pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(wrapped).decode()}\n-----END PUBLIC KEY-----\n"
        (tmp_path / "key").write_text(pem)
        (tmp_path / "body").write_text(body)
        (tmp_path / "signature").write_bytes(signature)
        command = [program, "pkeyutl", "-verify", "-pubin", "-rawin"]
        command += ["-inkey", "key", "-in", "body", "-sigfile", "signature"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert "Verified Successfully" in done.stdout
        (tmp_path / "body").write_text(body.replace("2", "3"))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0


class TestRefused:
    def test_every_single_bit(self, signer, note):
        for bit in range(len(note) * 8):
            altered = bytearray(note)
            altered[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidArgumentError):
                open_checkpoint(bytes(altered), signer.verifier)

    def test_every_cut(self, signer, note):
        for size in range(len(note)):
            with pytest.raises(InvalidArgumentError):
                open_checkpoint(note[:size], signer.verifier)

    def test_another_key(self, note):
        with pytest.raises(InvalidArgumentError) as caught:
            open_checkpoint(note, Signer("example.com/log", bytes(32)).verifier)
        assert "signed by example.com/log+" in caught.value.allowed

    def test_another_log_of_the_same_key(self, signer):
        note = sign_checkpoint(Checkpoint("example.com/other", 1, bytes(32)), signer)
        with pytest.raises(InvalidArgumentError) as caught:
            open_checkpoint(note, signer.verifier)
        assert "the log example.com/log" in caught.value.allowed

    @pytest.mark.parametrize(
        "body",
        [
            "example.com/log\n1\n",
            "example.com/log\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "example.com/log\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "example.com/log\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "example.com/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
            "example.com/log\n1\nAAAA\n",
            "example.com/log\n1\n!!!!\n",
        ],
    )
    def test_text_that_is_signed_but_no_checkpoint(self, signer, body):
        signature = base64.b64encode(signer.verifier.key_id + signer.sign(body.encode())).decode()
        with pytest.raises(InvalidArgumentError) as caught:
            open_checkpoint(f"{body}\n\u2014 example.com/log {signature}\n".encode(), signer.verifier)
        assert caught.value.field == "checkpoint"

    @pytest.mark.parametrize(
        "note",
        [
            b"",
            b"\n",
            b"\n\n",
            b"text\n",
            b"text\n\n",
            b"text\n\nno dash\n",
            "text\n\n\u2014 name\n".encode(),
            "text\n\n\u2014 name AAAA\n".encode(),
            "text\n\n\u2014 na+me AAAAAAAA\n".encode(),
            "text\n\n\u2014 name AAAAAAAA\nmore".encode(),
            b"\xff\n\n\n",
            b"te\x00xt\n\nx\n",
            b"x" * (NOTE_SIZE_MAX + 1) + b"\n",
        ],
    )
    def test_what_is_no_note(self, note):
        with pytest.raises(InvalidArgumentError) as caught:
            signatures_of(note)
        assert caught.value.field == "note"


class TestKeys:
    def test_a_private_key_is_read_back(self, signer):
        again = Signer.parse(f"{signer.secret_text()}\n")
        assert again.verifier == signer.verifier
        assert again.sign(b"x") == signer.sign(b"x")

    def test_a_private_key_is_not_shown(self, signer):
        secret = base64.b64encode(SEED).decode()
        assert secret[2:20] not in repr(signer)
        assert repr(signer) == "<Signer for example.com/log>"

    def test_a_public_key_shows_itself(self, signer):
        assert repr(signer.verifier) == f"<Verifier {signer.verifier}>"

    def test_equal_public_keys_are_equal(self, signer):
        twin = Verifier.parse(str(signer.verifier))
        assert twin == signer.verifier
        assert len({twin, signer.verifier}) == 1
        assert twin != Verifier("other", twin.public)
        assert twin != str(twin)

    @pytest.mark.parametrize(
        "text", ["", "name", "name+0011", "name+00112233+AAAA", "PRIVATE+KEY+x", "a+b+c+d", "\u2014"]
    )
    def test_other_text_is_refused_without_being_shown(self, text):
        for parse in (Verifier.parse, Signer.parse):
            with pytest.raises(InvalidTypeError) as caught:
                parse(text)
            assert "a str is not allowed" in str(caught.value)

    def test_a_key_with_the_id_of_another_is_refused(self, signer):
        other = Signer("example.com/other", bytes(32))
        with pytest.raises(InvalidArgumentError):
            Verifier.parse(str(signer.verifier).replace(signer.verifier.key_id.hex(), "00000000"))
        with pytest.raises(InvalidTypeError) as caught:
            Signer.parse(signer.secret_text().replace(signer.verifier.key_id.hex(), other.verifier.key_id.hex()))
        assert base64.b64encode(SEED).decode()[2:20] not in str(caught.value)

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "\u2014", "x" * 256, None, 5])
    def test_names_that_notes_cannot_carry_are_refused(self, name):
        assert not is_origin(name)
        with pytest.raises(InvalidArgumentError) as caught:
            Verifier(name, bytes(32))
        assert caught.value.field == "name"

    @pytest.mark.parametrize("name", ["example.com/log42", "a", "ü/log", "x" * 255])
    def test_other_names_are_accepted(self, name):
        assert is_origin(name)
        assert Verifier.parse(str(Verifier(name, bytes(32)))).name == name

    @pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "x" * 32, None])
    def test_keys_of_another_size_are_refused(self, key):
        with pytest.raises(InvalidTypeError) as caught:
            Verifier("name", key)
        assert caught.value.field == "public"
        with pytest.raises(InvalidTypeError):
            Signer("name", key)
