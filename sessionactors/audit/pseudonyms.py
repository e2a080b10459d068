"""What sessions are called in a log that does not tell their ids.

A pseudonym is a keyed hash (HMAC-SHA-256) of the id. Who has the key finds a session
by its id; who has not cannot even try ids. It has the number of its key in it, so that
it shows which key is wanted::

    hmac:9b1c0f2e:5e0c2a1f8b7d4c3e9a6f1b2d3c4e5f60

The key lies in a file of its own beside the log, `ids.key`, or elsewhere. It is one
line, for its owner only, and is not the key that signs: who may look sessions up is
not who may sign.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final, final

from sessionactors.audit.errors import AuditKeyError, AuditReadError, AuditWriteError
from sessionactors.audit.files import LogPaths, sync_directory
from sessionactors.audit.keys import load_secret, new_secret, store_secret
from sessionactors.audit.record import stored_name

__all__ = [
    "KEY_SIZE",
    "Pseudonyms",
    "create_ids_key",
    "is_pseudonym",
    "load_ids_key",
    "names_of_session",
    "pseudonyms_for_writing",
]

KEY_SIZE: Final = 32
"""Bytes of a key."""

_ROLE: Final = "audit ids key"
_PREFIX: Final = "IDS+KEY+"
_SESSION: Final = b"sessionactors audit session\0"
_NUMBER: Final = b"sessionactors audit ids key\0"
_DIGITS: Final = 32
_HASH: Final = "sha256"
_CACHED: Final = 65_536
_FORM: Final = re.compile(r"hmac:[0-9a-f]{8}:[0-9a-f]{32}")


@final
class Pseudonyms:
    """The names of sessions under one key.

    Args:
        key: 32 secret bytes.

    Attributes:
        number: eight hexadecimal digits that tell this key from others, and nothing about it.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_key", "_known", "number")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.number = self._hash(_NUMBER, b"")[:8]
        # A session has many events; hashing takes a microsecond, and this a tenth of it.
        self._known = lru_cache(maxsize=_CACHED)(self._made)

    def of(self, session: str) -> str:
        """Return what a session is called. Also an id that looks like a pseudonym gets one, or it would pass for it."""
        return self._known(session)

    def _made(self, session: str) -> str:
        raw = session.encode("utf-8", "backslashreplace")
        return f"hmac:{self.number}:{self._hash(_SESSION, raw)[:_DIGITS]}"

    def _hash(self, purpose: bytes, content: bytes) -> str:
        return hmac.digest(self._key, purpose + content, _HASH).hex()

    def __repr__(self) -> str:
        return f"<Pseudonyms under the key {self.number}>"


def is_pseudonym(name: str) -> bool:
    """Tell whether this is what `Pseudonyms.of()` gives."""
    return name.startswith("hmac:") and _FORM.fullmatch(name) is not None


def create_ids_key(path: Path) -> Pseudonyms:
    """Make a key and store it where nothing is yet; only its owner may read and write it (0600).

    Raises:
        AuditKeyError: the file exists or cannot be written.
    """
    key = new_secret(KEY_SIZE)
    made = Pseudonyms(key)
    store_secret(path, _ROLE, f"{_PREFIX}{made.number}+{base64.b64encode(key).decode()}\n")
    return made


def load_ids_key(path: Path) -> Pseudonyms:
    """Return the key in a file.

    Raises:
        AuditKeyError: there is none, it cannot be read, others can read it, or
            what it holds is no such key.
    """
    text = load_secret(path, _ROLE).removesuffix("\n")
    number, _, encoded = text.removeprefix(_PREFIX).partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or len(key) != KEY_SIZE or Pseudonyms(key).number != number:
        raise AuditKeyError(_ROLE, "the file holds no key for ids", "give the key that the log was written with", path)
    return Pseudonyms(key)


def pseudonyms_for_writing(paths: LogPaths, key_file: Path | None, *, is_wanted: bool | None) -> Pseudonyms | None:
    """Return what sessions are called in a log that is opened for writing; None for their own ids.

    Args:
        paths: the log.
        key_file: the key; None for the one in the log's directory.
        is_wanted: whether ids are to be hidden; None if they were before, or a key is given.

    Raises:
        AuditKeyError: the key is missing or unsafe, or not the one that was used before.
        AuditWriteError: its number cannot be written down.
    """
    used = _numbers(paths)
    if is_wanted is False or (is_wanted is None and key_file is None and not used):
        return None
    path = paths.ids_key if key_file is None else key_file
    found = load_ids_key(path) if path.exists() or used else create_ids_key(path)
    if used and found.number not in used:
        raise AuditKeyError(_ROLE, "it is not the key of this log", f"give the one with number {used[-1]}", path)
    if not used:
        _write_down(paths, found.number)
    return found


def names_of_session(paths: LogPaths, session: str, given: Pseudonyms | None) -> tuple[str, ...]:
    """Return under which names a log may have a session.

    Args:
        paths: the log.
        session: its id, or its pseudonym.
        given: the key; None to look whether it lies beside the log.

    Raises:
        AuditKeyError: the log does not tell ids, and nobody has given the key.
    """
    name = stored_name(session)
    used = _numbers(paths)
    if not used:
        return (name,)
    if given is None and paths.ids_key.exists():
        given = load_ids_key(paths.ids_key)
    if given is not None and given.number in used:
        return (name, given.of(session))
    if is_pseudonym(session):
        return (name,)
    raise AuditKeyError(
        _ROLE,
        "sessions appear under a keyed hash in this log",
        f"give the key with number {used[-1]}, or the hash",
        paths.ids_key,
    )


def _numbers(paths: LogPaths) -> tuple[str, ...]:
    """Return the numbers of the keys that were used in a log; none if it tells ids."""
    try:
        text = paths.ids_public.read_text("ascii", "replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise AuditReadError("audit ids", problem, "check its permissions", paths.ids_public) from error
    return tuple(text.split()) or ("unknown",)


def _write_down(paths: LogPaths, number: str) -> None:
    """Say beside the log that ids do not appear in it, before the first entry of that kind."""
    try:
        descriptor = os.open(paths.ids_public, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(descriptor)
        sync_directory(paths.directory)
    except OSError as error:
        problem = f"it cannot be written ({error.strerror})"
        raise AuditWriteError("audit ids", problem, "check the disk", paths.ids_public) from error
