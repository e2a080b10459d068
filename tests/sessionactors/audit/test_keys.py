"""A private key is made once, for one user, and nothing of it is ever shown."""

from __future__ import annotations

import os
import stat

import pytest

from sessionactors.audit.errors import AuditKeyError
from sessionactors.audit.keys import create_key, load_key, load_public_key, store_public_key
from supervisors.errors import InvalidArgumentError


def test_a_new_key_can_be_loaded(tmp_path):
    signer = create_key(tmp_path / "key", "example.com/log")
    assert load_key(tmp_path / "key").verifier == signer.verifier


def test_two_new_keys_differ_also_in_name(tmp_path):
    one, other = create_key(tmp_path / "one"), create_key(tmp_path / "other")
    assert one.verifier.public != other.verifier.public
    assert one.verifier.name != other.verifier.name


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_new_key_is_for_its_owner_only(tmp_path, mask):
    before = os.umask(mask)
    try:
        create_key(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path):
    create_key(tmp_path / "key")
    content = (tmp_path / "key").read_bytes()
    with pytest.raises(AuditKeyError) as caught:
        create_key(tmp_path / "key")
    assert "the file exists" in str(caught.value)
    assert (tmp_path / "key").read_bytes() == content


def test_no_draft_is_left(tmp_path):
    create_key(tmp_path / "key")
    with pytest.raises(AuditKeyError):
        create_key(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_draft_of_a_crash_is_replaced(tmp_path):
    (tmp_path / "key.new").write_text("half a key")
    create_key(tmp_path / "key")
    load_key(tmp_path / "key")


def test_a_link_to_nowhere_is_not_followed(tmp_path):
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditKeyError):
        create_key(tmp_path / "key")
    assert not (tmp_path / "elsewhere").exists()


def test_an_origin_that_notes_cannot_carry_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InvalidArgumentError):
        create_key(tmp_path / "key", "a b")
    assert not list(tmp_path.iterdir())


def test_a_key_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(AuditKeyError) as caught:
        create_key(tmp_path / "no" / "key")
    assert caught.value.path == tmp_path / "no" / "key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_use_is_refused(tmp_path, mode):
    create_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(AuditKeyError) as caught:
        load_key(tmp_path / "key")
    assert "chmod 600" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"secretvalue", b"\xff\xfe", b"PRIVATE+KEY+secretvalue", b"x" * 10_000])
def test_a_file_without_a_key_is_refused_and_not_shown(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(AuditKeyError) as caught:
        load_key(tmp_path / "key")
    assert "secretvalue" not in str(caught.value)
    assert caught.value.code == "audit_key"
    with pytest.raises(AuditKeyError):
        load_public_key(tmp_path / "key")


@pytest.mark.parametrize("load", [load_key, load_public_key])
def test_a_missing_file_is_told(tmp_path, load):
    with pytest.raises(AuditKeyError) as caught:
        load(tmp_path / "key")
    assert "there is no such file" in str(caught.value)


@pytest.mark.parametrize("load", [load_key, load_public_key])
def test_a_directory_is_told(tmp_path, load):
    with pytest.raises(AuditKeyError):
        load(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(AuditKeyError) as caught:
        load_key(tmp_path / "key")
    assert "no regular file" in str(caught.value)


def test_a_public_key_is_read_back_and_for_everybody(tmp_path, signer):
    store_public_key(tmp_path / "pub", signer.verifier)
    assert load_public_key(tmp_path / "pub") == signer.verifier
    assert (tmp_path / "pub").read_text() == f"{signer.verifier}\n"


def test_a_public_key_is_not_overwritten_either(tmp_path, signer):
    store_public_key(tmp_path / "pub", signer.verifier)
    with pytest.raises(AuditKeyError):
        store_public_key(tmp_path / "pub", signer.verifier)


@pytest.mark.parametrize("text", ["{}", "{}\n\n", " {}\n", "{}\nmore\n"])
def test_a_file_with_more_than_a_public_key_is_refused(tmp_path, signer, text):
    (tmp_path / "pub").write_text(text.format(signer.verifier))
    with pytest.raises(AuditKeyError):
        load_public_key(tmp_path / "pub")
