"""Signed heads of the log, in formats that other people's programs read.

A *checkpoint* (C2SP tlog-checkpoint) says how many entries a log has and what
the root of its tree is; a *signed note* (C2SP signed-note) is text with Ed25519
signatures under it::

    example.com/log42                               origin: which log
    20852163                                        entries
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    root of the tree
                                                    (an empty line)
    — example.com/log42 Az3grlgtzPICa5OS8npVmf1M... name, key id and signature

Keys are written as Go's note package writes them: a public key as
``name+keyid+key``, a private one with ``PRIVATE+KEY+`` in front.

Reading is strict: text that decodes to the same bytes but is written in another
way is refused, so that there is one checkpoint for one statement.

`cryptography` is imported when the first key is used, not before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from sessionactors.audit.merkle import HASH_SIZE
from supervisors.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = [
    "NOTE_SIZE_MAX",
    "Checkpoint",
    "Signer",
    "Verifier",
    "is_origin",
    "open_checkpoint",
    "open_note",
    "parse_body",
    "sign_checkpoint",
    "sign_note",
    "signatures_of",
]

NOTE_SIZE_MAX: Final = 16_384
"""Bytes of the longest note that is read."""

SEED_SIZE: Final = 32
"""Bytes of an Ed25519 private key, and of a public one."""

_ED25519: Final = b"\x01"
_KEY_ID_SIZE: Final = 4
_SIGNATURE_SIZE: Final = 64
_SIGNATURE_LINE: Final = "\u2014 "
_PRIVATE: Final = "PRIVATE+KEY+"
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f\u2014]{1,255}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement about a log at one moment.

    Attributes:
        origin: which log.
        size: how many entries it has.
        root: the root hash of the tree over them.
    """

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@final
class Verifier:
    """A public key and the name it signs under.

    Attributes:
        name: the name in signature lines; for a log, its origin.
        public: the Ed25519 public key, 32 bytes.
        key_id: four bytes that tell keys of one name apart.

    Raises:
        InvalidArgumentError: the name or the key has a form that notes cannot carry.
    """

    __slots__ = ("_key", "key_id", "name", "public")

    def __init__(self, name: str, public: bytes) -> None:
        _check_name(name)
        _check_key("public", public)
        self.name = name
        self.public = public
        self.key_id = hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_SIZE]
        self._key: Ed25519PublicKey | None = None

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Return the key that a line ``name+keyid+key`` describes."""
        name, key_id, public = _parse_key("public_key", text.strip())
        verifier = cls(name, public)
        if verifier.key_id != key_id:
            raise InvalidArgumentError("public_key", text, "name+keyid+key where the key id belongs to name and key")
        return verifier

    def is_valid(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature over a message was made with the private key."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module's docstring
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - only when called for

        if self._key is None:
            self._key = Ed25519PublicKey.from_public_bytes(self.public)
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"

    def __repr__(self) -> str:
        return f"<Verifier {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verifier) and (self.name, self.public) == (other.name, other.public)

    def __hash__(self) -> int:
        return hash((self.name, self.public))


@final
class Signer:
    """A private key and the name it signs under; never shown.

    Attributes:
        verifier: the public half.

    Raises:
        InvalidArgumentError: the name or the key has a form that notes cannot carry.
    """

    __slots__ = ("_key", "_seed", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only when called for

        _check_key("seed", seed)
        self._seed = seed
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Return the key that a line ``PRIVATE+KEY+name+keyid+key`` describes."""
        line = text.strip()
        if not line.startswith(_PRIVATE):
            raise InvalidTypeError("private_key", text, f"text that begins with {_PRIVATE}")
        name, key_id, seed = _parse_key("private_key", line.removeprefix(_PRIVATE))
        signer = cls(name, seed)
        if signer.verifier.key_id != key_id:
            # The text is a secret, so the error must not show any of it.
            raise InvalidTypeError("private_key", text, "a key whose id belongs to its name and key")
        return signer

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes; the same message gives the same signature."""
        return self._key.sign(message)

    def renamed(self, name: str) -> Signer:
        """Return the same key under another name: a log that follows a sealed one has a name of its own."""
        return Signer(name, self._seed)

    def secret_text(self) -> str:
        """Return the private key as it is kept in a file."""
        key_id = self.verifier.key_id.hex()
        return f"{_PRIVATE}{self.verifier.name}+{key_id}+{_base64(_ED25519 + self._seed)}"

    def __repr__(self) -> str:
        return f"<Signer for {self.verifier.name}>"


def is_origin(name: object) -> bool:
    """Tell whether a name can stand in notes: text without white space, plus signs and control characters."""
    return isinstance(name, str) and name.isprintable() and _NAME.fullmatch(name) is not None


def sign_note(body: str, *signers: Signer) -> bytes:
    """Return a text, which ends with a newline, as a note with a signature of each signer under it."""
    raw = body.encode()
    lines = [
        f"{_SIGNATURE_LINE}{signer.verifier.name} {_base64(signer.verifier.key_id + signer.sign(raw))}\n"
        for signer in signers
    ]
    return f"{body}\n{''.join(lines)}".encode()


def open_note(note: bytes, verifier: Verifier) -> str:
    """Return the text of a note that a key has signed; signatures of others are passed over.

    Raises:
        InvalidArgumentError: it is no such note, or the key has not signed it;
            `allowed` says what is missing.
    """
    body, signatures = signatures_of(note)
    signature = next(
        (raw for name, key_id, raw in signatures if (name, key_id) == (verifier.name, verifier.key_id)), None
    )
    if signature is None:
        raise InvalidArgumentError("checkpoint", note, f"a note signed by {verifier.name}+{verifier.key_id.hex()}")
    if len(signature) != _SIGNATURE_SIZE or not verifier.is_valid(body.encode(), signature):
        raise InvalidArgumentError("checkpoint", note, "a note whose signature is right")
    return body


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return a checkpoint as a signed note, ready to be stored or sent."""
    return sign_note(checkpoint.body(), signer)


def open_checkpoint(note: bytes, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of a note that a key has signed.

    Signatures of others are passed over, and so are lines that extend the
    checkpoint, as the specification wants.

    Raises:
        InvalidArgumentError: it is no such note, speaks about another log, or
            the key has not signed it; `allowed` says what is missing.
    """
    checkpoint = parse_body(note, open_note(note, verifier))
    if checkpoint.origin != verifier.name:
        raise InvalidArgumentError("checkpoint", note, f"one of the log {verifier.name}")
    return checkpoint


def signatures_of(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text of a note, and name, key id and signature of each signature line; checks no signature.

    Raises:
        InvalidArgumentError: it has not the form of a signed note.
    """
    if not note.endswith(b"\n") or len(note) > NOTE_SIZE_MAX:
        raise InvalidArgumentError("note", note, f"at most {NOTE_SIZE_MAX} bytes that end with a newline")
    try:
        text = note.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError("note", note, "UTF-8") from error
    if any(ord(character) < 0x20 and character != "\n" for character in text):
        raise InvalidArgumentError("note", note, "no control characters but newlines")
    body, separator, under = text.rpartition("\n\n")
    if not separator or not body:
        raise InvalidArgumentError("note", note, "a text, an empty line, and signatures")
    return f"{body}\n", [_parse_signature(note, line) for line in under.removesuffix("\n").split("\n")]


def _parse_signature(note: bytes, line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_SIGNATURE_LINE).partition(" ")
    raw = _from_base64(encoded)
    if not line.startswith(_SIGNATURE_LINE) or not is_origin(name) or raw is None or len(raw) <= _KEY_ID_SIZE:
        raise InvalidArgumentError("note", note, "signature lines: a dash, a name, key id and signature in base64")
    return name, raw[:_KEY_ID_SIZE], raw[_KEY_ID_SIZE:]


def parse_body(note: bytes, body: str) -> Checkpoint:
    """Return the checkpoint that the text of a note is; `note` is for the error.

    Raises:
        InvalidArgumentError: it is none.
    """
    lines = body.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise InvalidArgumentError("checkpoint", note, "at least three lines, none empty")
    origin, size, root = lines[:3]
    raw = _from_base64(root)
    if not _SIZE.fullmatch(size) or int(size) > 2**63 - 1:
        raise InvalidArgumentError("checkpoint", note, "a size in decimal without leading zeros")
    if raw is None or len(raw) != HASH_SIZE:
        raise InvalidArgumentError("checkpoint", note, f"a root of {HASH_SIZE} bytes in base64")
    return Checkpoint(origin, int(size), raw)


def _parse_key(field: str, line: str) -> tuple[str, bytes, bytes]:
    """Return name, key id and key of ``name+keyid+key``; errors show nothing of it."""
    allowed = "name+keyid+key with an Ed25519 key in base64"
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _from_base64(encoded)
    if raw is None or len(raw) != SEED_SIZE + 1 or raw[:1] != _ED25519 or not is_origin(name):
        raise InvalidTypeError(field, line, allowed)
    if not re.fullmatch(r"[0-9a-f]{8}", key_id):
        raise InvalidTypeError(field, line, allowed)
    return name, bytes.fromhex(key_id), raw[1:]


def _check_name(name: object) -> None:
    if not is_origin(name):
        raise InvalidArgumentError(
            "name", name, "1 to 255 printable characters without white space, plus and long dash"
        )


def _check_key(field: str, key: object) -> None:
    if not isinstance(key, bytes) or len(key) != SEED_SIZE:
        raise InvalidTypeError(field, key, f"{SEED_SIZE} bytes")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from_base64(text: str) -> bytes | None:
    """Return the bytes, or None unless the text is the one way to write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if _base64(raw) == text else None
