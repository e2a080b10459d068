"""Passwords as hashes, and the authenticator that checks them."""

from __future__ import annotations

import base64

import argon2
import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sessionactors.errors import AuthenticationFailed, InvalidKind, InvalidValue
from sessionactors.passwords import PASSWORD_MAX_BYTES, PasswordAuthenticator, hash_password, verify_password
from sessionactors.system import SessionSystem

METHODS = ["argon2", "scrypt"]

# RFC 7914, section 12: password "pleaseletmein", salt "SodiumChloride", N = 16384, r = 8, p = 1.
RFC_7914_KEY = bytes.fromhex(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


def scrypt_text(log_cost: int, salt: bytes, key: bytes) -> str:
    salt_text, key_text = (base64.b64encode(raw).decode().rstrip("=") for raw in (salt, key))
    return f"$scrypt$ln={log_cost},r=8,p=1${salt_text}${key_text}"


# Cheap ones: what a real one costs is not the question here.
PASSWORDS = {
    "alice": scrypt_text(4, b"salt", Scrypt(b"salt", 32, n=16, r=8, p=1).derive(b"correct horse")),
    "bob": argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("battery staple"),
}


@pytest.fixture(scope="module")
def authenticate():
    return PasswordAuthenticator(PASSWORDS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("password", ["пароль", b"\x00\xff"])
def test_a_password_fits_its_own_hash_and_no_other_does(method, password):
    stored = hash_password(password, method)
    assert verify_password(stored, password)
    other = password[:-1] + (b"!" if isinstance(password, bytes) else "!")
    assert not verify_password(stored, other)


@pytest.mark.parametrize("method", METHODS)
def test_every_hash_has_a_salt_of_its_own(method):
    assert hash_password("x", method) != hash_password("x", method)


def test_the_example_of_the_rfc_is_right():
    stored = scrypt_text(14, b"SodiumChloride", RFC_7914_KEY)
    assert verify_password(stored, "pleaseletmein")
    assert not verify_password(stored, "pleaseletmeout")


def test_without_a_method_it_is_argon2():
    assert hash_password("x").startswith("$argon2id$")


@pytest.mark.parametrize(("user", "password"), [("alice", "correct horse"), ("bob", "battery staple")])
def test_who_knows_the_password_is_let_in(authenticate, user, password):
    assert authenticate({"user_id": user, "password": password}) == user
    assert authenticate({"user_id": user, "password": password.encode()}) == user


@pytest.mark.parametrize(
    "context",
    [
        {"user_id": "alice", "password": "battery staple"},
        {"user_id": "carol", "password": "correct horse"},
        {"user_id": "alice", "password": ""},
        {"user_id": "alice", "password": "x" * (PASSWORD_MAX_BYTES + 1)},
        {"user_id": "alice", "password": "\ud800"},
        {"user_id": "alice", "password": 5},
        {"user_id": "alice"},
        {"password": "correct horse"},
        {"user_id": ["alice"], "password": "correct horse"},
        {"user_id": "alice", "authenticated": True},
        "alice:correct horse",
        None,
    ],
)
def test_everybody_else_is_turned_away(authenticate, context):
    assert authenticate(context) is False


def test_a_user_who_is_taken_out_is_unknown_at_once():
    users = dict(PASSWORDS)
    authenticate = PasswordAuthenticator(users)
    del users["alice"]
    assert authenticate({"user_id": "alice", "password": "correct horse"}) is False


def test_the_key_of_the_user_id_can_be_another_one():
    authenticate = PasswordAuthenticator(PASSWORDS, field="login")
    assert authenticate({"login": "alice", "password": "correct horse"}) == "alice"


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "correct horse",
        "$scrypt$ln=16",
        "$scrypt$ln=16,r=8,p=1$!!!$AAAA",
        "$scrypt$ln=16,r=8,p=1$AAAA$A",
        "$2b$12$abcdefghijklmnopqrstuv",
    ],
)
def test_what_is_no_hash_is_refused_by_name_and_not_shown(stored):
    with pytest.raises(InvalidValue) as refused:
        PasswordAuthenticator({"alice": stored})
    assert "alice" in str(refused.value)
    assert not stored or stored not in str(refused.value)


@pytest.mark.parametrize(
    "costs", ["ln=21,r=8,p=1", "ln=0,r=8,p=1", "ln=16,r=33,p=1", "ln=16,r=8,p=17", "ln=16,r=0,p=1"]
)
def test_a_hash_that_would_take_all_the_memory_is_refused(costs):
    with pytest.raises(InvalidValue, match="ln up to 20"):
        verify_password(f"$scrypt${costs}$U29kaXVt$cCO9yzr9c0g", "x")


@pytest.mark.parametrize("given", [None, 5, ["alice"]])
def test_hashes_that_are_no_mapping_of_texts_are_refused(given):
    with pytest.raises(InvalidKind):
        PasswordAuthenticator(given)
    with pytest.raises(InvalidKind):
        PasswordAuthenticator({"alice": given})


@pytest.mark.parametrize(("password", "error"), [("", InvalidValue), (None, InvalidKind), (5, InvalidKind)])
def test_what_is_no_password_is_refused(password, error):
    with pytest.raises(error, match="password"):
        hash_password(password)


def test_an_unknown_method_is_refused():
    with pytest.raises(InvalidValue, match="method"):
        hash_password("x", "md5")


def test_an_argon2_hash_that_is_damaged_fits_nobody():
    assert not verify_password(PASSWORDS["bob"][:-5], "battery staple")


def test_sessions_are_let_in_by_it(authenticate):
    with SessionSystem(authenticator=authenticate) as system:
        system.start_session("a")
        system.authenticate("a", {"user_id": "alice", "password": "correct horse"})
        assert system.activate("a") == "active"
        assert system.get_info("a").user_id == "alice"
        system.start_session("b")
        system.authenticate("b", {"user_id": "alice", "password": "wrong"})
        with pytest.raises(AuthenticationFailed):
            system.activate("b")
