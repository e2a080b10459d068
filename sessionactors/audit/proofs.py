"""Proofs that stand for themselves: made from a log, written as text, checked without it.

An *inclusion proof* shows that an entry is in the log that a head describes; it
has the form of a C2SP tlog-proof::

    c2sp.org/tlog-proof@v1
    extra mQEBAgTLQdlT...                           the entry's bytes
    index 4                                         its position, from 0
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=    hashes, the one next to the leaf first
                                                    (an empty line)
    (a checkpoint, as in `sessionactors.audit.checkpoint`)

The format calls the ``extra`` line opaque and not to be trusted. Here it is what
the hashes start from, so it is as good as the proof is.

A *consistency proof* shows that a log only grew since an older head. It has the
form in which C2SP's tlog-witness is sent a new checkpoint: ``old`` and the older
size in the first line, then the hashes, an empty line, and the newer checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from sessionactors.audit.checkpoint import NOTE_SIZE_MAX, Checkpoint, Verifier, open_checkpoint, signatures_of
from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError
from sessionactors.audit.merkle import HASH_SIZE, is_consistent, is_included, leaf_hash
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import LEAF_SIZE_MAX
from supervisors.errors import InvalidArgumentError, SupervisorsError

__all__ = [
    "PROOF_SIZE_MAX",
    "ConsistencyProof",
    "InclusionProof",
    "open_head",
    "parse_proof",
    "prove_consistency",
    "prove_inclusion",
    "signed_head",
]

_PATH_MAX: Final = 2 * 64
"""Hashes of the longest proof of a tree with 64-bit positions."""

PROOF_SIZE_MAX: Final = NOTE_SIZE_MAX + 4 * (LEAF_SIZE_MAX // 3 + 1) + _PATH_MAX * 45 + 100
"""Bytes of the longest proof that is read."""

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_ADVICE: Final = "verify the log to see what was altered"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """What shows that an entry is in a log.

    Attributes:
        index: the entry's position, from 0.
        leaf: its bytes.
        path: sibling hashes, the one next to the leaf first.
        note: the signed checkpoint that the path leads to.
    """

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        """Return the proof as text."""
        head = f"{_FIRST_LINE}\nextra {_base64(self.leaf)}\nindex {self.index}\n"
        return f"{head}{_lines(self.path)}\n".encode() + self.note

    def check(self, verifier: Verifier) -> Checkpoint:
        """Return the head that the entry is proved to be under.

        Raises:
            AuditKeyError: the key has not signed the checkpoint.
            AuditDamagedError: the proof does not hold.
        """
        checkpoint = open_head(self.note, verifier)
        if not is_included(self.index, checkpoint.size, leaf_hash(self.leaf), checkpoint.root, self.path):
            problem = f"the hashes do not lead from entry {self.index} to the signed root"
            raise AuditDamagedError("inclusion proof", problem, "ask for another proof, or take it as a forgery")
        return checkpoint


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """What shows that a log only grew.

    Attributes:
        old_size: entries that the log had.
        path: the hashes that lead to both roots.
        note: the signed checkpoint of the larger log.
    """

    old_size: int
    path: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        """Return the proof as text."""
        return f"old {self.old_size}\n{_lines(self.path)}\n".encode() + self.note

    def check(self, verifier: Verifier, old: Checkpoint) -> Checkpoint:
        """Return the head that the older one is proved to be the beginning of.

        Args:
            verifier: the key that must have signed the newer head.
            old: the older head, whose signature was checked already.

        Raises:
            AuditKeyError: the key has not signed the checkpoint.
            AuditDamagedError: the proof does not hold.
        """
        checkpoint = open_head(self.note, verifier)
        is_about_it = old.size == self.old_size
        if not is_about_it or not is_consistent(old.size, checkpoint.size, old.root, checkpoint.root, self.path):
            problem = f"the log of {checkpoint.size} entries is not shown to continue the one of {old.size}"
            raise AuditDamagedError("consistency proof", problem, "ask for another proof, or take it as a forgery")
        return checkpoint


def parse_proof(raw: bytes) -> InclusionProof | ConsistencyProof:
    """Return the proof that a text is; checks its form only.

    Raises:
        InvalidArgumentError: it is no proof; `allowed` says what is wrong.
    """
    if len(raw) > PROOF_SIZE_MAX:
        raise InvalidArgumentError("proof", raw, f"at most {PROOF_SIZE_MAX} bytes")
    above, separator, note = raw.partition(b"\n\n")
    try:
        lines = above.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError("proof", raw, "ASCII above the checkpoint") from error
    if not separator:
        raise InvalidArgumentError("proof", raw, "a few lines, an empty line and a checkpoint")
    signatures_of(note)
    if lines[0].startswith("old "):
        return ConsistencyProof(_number(raw, lines[0], "old "), _path(raw, lines[1:]), note)
    if lines[0] != _FIRST_LINE or len(lines) < 3 or not lines[1].startswith("extra "):
        raise InvalidArgumentError("proof", raw, f"the lines {_FIRST_LINE}, extra with the entry, and index")
    leaf = _from_base64(lines[1].removeprefix("extra "))
    if leaf is None or len(leaf) > LEAF_SIZE_MAX:
        raise InvalidArgumentError("proof", raw, f"an entry of at most {LEAF_SIZE_MAX} bytes in base64")
    return InclusionProof(_number(raw, lines[2], "index "), leaf, _path(raw, lines[3:]), note)


def open_head(note: bytes, verifier: Verifier) -> Checkpoint:
    """Return what a signed head says.

    Raises:
        InvalidArgumentError: it is no signed note.
        AuditKeyError: the key has not signed it.
        AuditDamagedError: the key has signed something, but not this.
    """
    _, signatures = signatures_of(note)
    if all((name, key_id) != (verifier.name, verifier.key_id) for name, key_id, _ in signatures):
        problem = "it was signed by another key"
        raise AuditKeyError("audit head", problem, f"the key given is {verifier.name}+{verifier.key_id.hex()}")
    try:
        return open_checkpoint(note, verifier)
    except SupervisorsError as error:
        problem = "the signature is not one of these lines"
        raise AuditDamagedError("audit head", problem, "fetch the head again, or take it as altered") from error


def signed_head(reader: AuditReader, verifier: Verifier) -> tuple[AuditHead, bytes]:
    """Return the last head of a log and its note, after checking that the key has signed it.

    Raises:
        AuditKeyError: the key has not signed it.
        AuditDamagedError: it contradicts what is stored beside it.
        AuditReadError: the log cannot be read.
    """
    head = reader.head()
    note = head.note if isinstance(head.note, bytes) else b""
    try:
        checkpoint = open_head(note, verifier)
    except SupervisorsError as error:
        if isinstance(error, AuditKeyError | AuditDamagedError):
            raise
        raise AuditDamagedError("audit head", "the last one is no signed note", _ADVICE) from error
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        raise AuditDamagedError("audit head", "the last one is not that of the stored tree", _ADVICE)
    return head, note


def prove_inclusion(reader: AuditReader, verifier: Verifier, index: int) -> InclusionProof:
    """Return the proof that an entry is in the log under its last head, checked.

    Raises:
        InvalidArgumentError: the log has no such entry.
        AuditError: see `signed_head()`; or what is stored does not lead to the signed root.

    Blocks: for about a microsecond for each entry of the log.
    """
    head, note = signed_head(reader, verifier)
    leaf = reader.leaf(index)
    proof = InclusionProof(index, leaf, tuple(reader.prove_inclusion(index, head.size)), note)
    proof.check(verifier)
    return proof


def prove_consistency(reader: AuditReader, verifier: Verifier, old: Checkpoint) -> ConsistencyProof:
    """Return the proof that the log continues an older head, checked.

    Args:
        reader: of the log.
        verifier: the key of the log.
        old: the older head, whose signature was checked already.

    Raises:
        AuditError: see `signed_head()`; or the log does not continue that head.

    Blocks: for about a microsecond for each entry of the log.
    """
    head, note = signed_head(reader, verifier)
    if old.size > head.size:
        problem = f"it has {head.size} entries, but {old.size} were signed: the others were cut off"
        raise AuditDamagedError("audit log", problem, _ADVICE)
    proof = ConsistencyProof(old.size, tuple(reader.prove_consistency(old.size, head.size)), note)
    proof.check(verifier, old)
    return proof


def _number(raw: bytes, line: str, word: str) -> int:
    digits = line.removeprefix(word)
    if not line.startswith(word) or not _NUMBER.fullmatch(digits) or int(digits) > 2**63 - 1:
        raise InvalidArgumentError("proof", raw, f"a line with {word.strip()} and a whole number")
    return int(digits)


def _path(raw: bytes, lines: list[str]) -> tuple[bytes, ...]:
    hashes = tuple(found for line in lines if (found := _from_base64(line)) is not None and len(found) == HASH_SIZE)
    if len(hashes) != len(lines) or len(hashes) > _PATH_MAX:
        raise InvalidArgumentError("proof", raw, f"at most {_PATH_MAX} lines with a hash each, in base64")
    return hashes


def _lines(path: tuple[bytes, ...]) -> str:
    return "".join(f"{_base64(node)}\n" for node in path)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from_base64(text: str) -> bytes | None:
    """Return the bytes, or None unless the text is the one way to write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if _base64(raw) == text else None
