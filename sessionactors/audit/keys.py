"""The files that the keys of an audit log live in.

The private key is made once and never overwritten. Its file belongs to one user
and nobody else may read it: a key that others can read signs for others.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from sessionactors.audit.checkpoint import SEED_SIZE, Signer, Verifier, is_origin
from sessionactors.audit.errors import AuditKeyError
from sessionactors.audit.handover import base_name
from supervisors.errors import InvalidArgumentError, SupervisorsError

__all__ = [
    "create_key",
    "load_key",
    "load_public_key",
    "load_secret",
    "new_secret",
    "store_public_key",
    "store_secret",
]

_PRIVATE: Final = "audit key"
_PUBLIC: Final = "audit public key"
_FILE_SIZE_MAX: Final = 2048


def create_key(path: Path, origin: str | None = None) -> Signer:
    """Make a key pair and store the private half where nothing is yet.

    Args:
        path: the new file; only its owner may read and write it (0600).
        origin: the name to sign under; None makes one from the key itself, so
            that no two logs have the same.

    Raises:
        AuditKeyError: the file exists or cannot be written.
        InvalidArgumentError: the origin has a form that notes cannot carry, or
            ends like the name of a log that follows another.
    """
    if origin is not None and is_origin(origin) and base_name(origin) != origin:
        raise InvalidArgumentError("origin", origin, "a name that does not end in /segment- and a number")
    seed = new_secret(SEED_SIZE)
    signer = Signer(origin or "unnamed", seed)
    if origin is None:
        signer = Signer(f"sessionactors-audit/{hashlib.sha256(signer.verifier.public).hexdigest()[:16]}", seed)
    store_secret(path, _PRIVATE, f"{signer.secret_text()}\n")
    return signer


def new_secret(size: int) -> bytes:
    """Return so many bytes that nobody can guess: a key, or a salt."""
    return secrets.token_bytes(size)


def store_secret(path: Path, role: str, text: str) -> None:
    """Write a secret where nothing is yet; only its owner may read and write it (0600).

    Raises:
        AuditKeyError: the file exists or cannot be written.
    """
    try:
        _write_new(path, text.encode(), 0o600)
    except FileExistsError as error:
        raise AuditKeyError(role, "the file exists", "keys are never overwritten; choose another file", path) from error
    except OSError as error:
        raise _unusable(role, path, error) from error


def load_secret(path: Path, role: str) -> str:
    """Return the text in a file that only its owner may read.

    Raises:
        AuditKeyError: there is none, it cannot be read, or others can read it.
    """
    return _read(path, role, is_secret=True)


def load_key(path: Path) -> Signer:
    """Return the private key in a file.

    Raises:
        AuditKeyError: there is none, it cannot be read, others can read it, or
            what it holds is no key.
    """
    text = load_secret(path, _PRIVATE)
    try:
        return Signer.parse(text)
    except SupervisorsError as error:
        raise AuditKeyError(
            _PRIVATE, "the file holds no private key", "give the key that the log was made with", path
        ) from error


def load_public_key(path: Path) -> Verifier:
    """Return the public key in a file.

    Raises:
        AuditKeyError: there is none, it cannot be read, or what it holds is no key.
    """
    text = _read(path, _PUBLIC, is_secret=False)
    try:
        verifier = Verifier.parse(text)
    except SupervisorsError as error:
        raise AuditKeyError(
            _PUBLIC, "the file holds no public key", "give the public key that you trust", path
        ) from error
    if text != f"{verifier}\n":
        raise AuditKeyError(
            _PUBLIC, "the file holds more than a public key", "give the public key that you trust", path
        )
    return verifier


def store_public_key(path: Path, verifier: Verifier) -> None:
    """Write a public key for everybody to read.

    Raises:
        AuditKeyError: the file exists or cannot be written.
    """
    try:
        _write_new(path, f"{verifier}\n".encode(), 0o644)
    except OSError as error:
        raise _unusable(_PUBLIC, path, error) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Create a file whole and on the disk, or not at all; one that is there stays as it is.

    It is written under another name and then linked: a crash on the way leaves
    no half of a key under the name of a key.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # of a crash before
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()


def _read(path: Path, role: str, *, is_secret: bool) -> str:
    try:
        # Opened first and looked at afterwards, so that both are about the same file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise AuditKeyError(role, "it is no regular file", "name a file", path)
            if is_secret and status.st_mode & 0o077:
                raise AuditKeyError(
                    role, "others may read it", "chmod 600 the file, or make a new log with a new key", path
                )
            return file.read(_FILE_SIZE_MAX).decode()
    except FileNotFoundError as error:
        raise AuditKeyError(role, "there is no such file", "name the file that holds it", path) from error
    except UnicodeDecodeError as error:
        raise AuditKeyError(role, "the file holds no text", "name the file that holds it", path) from error
    except OSError as error:
        raise _unusable(role, path, error) from error


def _unusable(role: str, path: Path, error: OSError) -> AuditKeyError:
    return AuditKeyError(
        role, f"the file cannot be used ({error.strerror})", "check the path and its permissions", path
    )
