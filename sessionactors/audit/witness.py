"""A witness keeps the heads of somebody else's log, and signs only what continues them.

Whoever holds a log's key can cut entries off and sign anew, or show one log to one
reader and another to the next. A witness that keeps the last head on another machine
finds the first out and makes the second useless. Its folder has::

    log.pub                  the log's key: the one that was given, or the first that was seen
    witness.key, .pub        its own key
    heads/                   what it has signed: a file for each, by number of the log and entries

A log that was sealed has passed on to another. The hand-overs are followed from
`log.pub` on, and the sealed one must have been the continuation of what was kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionactors.audit.archives import unpacked
from sessionactors.audit.checkpoint import (
    NOTE_SIZE_MAX,
    Checkpoint,
    Signer,
    Verifier,
    open_checkpoint,
    parse_body,
    signatures_of,
)
from sessionactors.audit.cosignature import cosign, key_line
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError, AuditReadError, AuditWriteError
from sessionactors.audit.files import LogPaths, sync_directory
from sessionactors.audit.handover import Handover, follow, read_handovers, segment_number
from sessionactors.audit.keys import create_key, load_key, load_public_key, store_public_key
from sessionactors.audit.proofs import prove_consistency, signed_head
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.sealing import archive_name
from supervisors.errors import SupervisorsError

__all__ = ["Witnessed", "witness"]

_ROLE: Final = "audit witness"
_ADVICE: Final = "keep the log and the witness's folder as evidence"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness has found.

    Attributes:
        checkpoint: the head that it has signed.
        note: that head, with the signatures of the log and of the witness.
        before: the head that it had kept, or None the first time.
    """

    checkpoint: Checkpoint
    note: bytes
    before: Checkpoint | None


def witness(
    directory: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    time: float,
    *,
    public_key: Verifier | None = None,
    name: str | None = None,
) -> Witnessed:
    """Check that a log continues what was kept of it, and keep and cosign its head.

    Args:
        directory: the log, or a copy of it.
        folder: the witness's own, made the first time; it belongs on another machine.
        time: seconds since 1970 UTC.
        public_key: the log's key, for the first time; None trusts what is found then.
        name: what the witness signs as, for the first time.

    Raises:
        AuditDamagedError: the log does not continue what was kept: entries were cut
            off or rewritten. Nothing is signed.
        AuditKeyError: the log is not signed by the key that was kept.
        AuditReadError: something cannot be read, such as the archive of a sealed log.
        AuditWriteError: the folder cannot be written.

    Blocks: for about a microsecond for each entry of the log.
    """
    paths = LogPaths.for_reading(Path(directory))
    state = Path(folder)
    if not paths.database.is_file():
        raise AuditReadError("audit log", "there is none here", "name a directory with audit.db in it", paths.directory)
    own = load_public_key(paths.public_key)
    with AuditReader(directory) as reader:
        head, note = signed_head(reader, own)
        with _writing(state):
            (state / "heads").mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted = _pinned(state, public_key or own)
        if public_key is not None and public_key != trusted:
            problem = f"the key given is not the one that was kept, {trusted}"
            raise AuditKeyError(_ROLE, problem, "use another folder for another log", state)
        handovers = _handovers(paths)
        if follow(trusted, own, handovers) is None:
            problem = f"the log's key {own} does not follow from {trusted}"
            raise AuditKeyError(_ROLE, problem, _ADVICE, paths.public_key)
        before = _last_kept(state, trusted, handovers)
        if before is not None:
            _check_continues(paths, reader, own, handovers, before)
    signer = _own_key(state, name)
    cosigned = cosign(note, signer, int(time))
    checkpoint = Checkpoint(own.name, head.size, head.root)
    _keep(state, f"{archive_name(segment_number(own.name))}-{head.size:019}.head", cosigned)
    return Witnessed(checkpoint, cosigned, before)


def _handovers(paths: LogPaths) -> tuple[Handover, ...]:
    try:
        return read_handovers(paths.handovers)
    except SupervisorsError as error:
        raise AuditDamagedError("audit handovers", "they are not what both keys signed", _ADVICE) from error


def _pinned(state: Path, found: Verifier) -> Verifier:
    path = state / "log.pub"
    if not path.exists():
        store_public_key(path, found)
    return load_public_key(path)


def _own_key(state: Path, name: str | None) -> Signer:
    path = state / "witness.key"
    signer = load_key(path) if path.exists() else create_key(path, name)
    public = state / "witness.pub"
    if not public.exists():
        _keep(state, "witness.pub", f"{key_line(signer.verifier)}\n".encode(), folder=state)
    return signer


def _last_kept(state: Path, trusted: Verifier, handovers: tuple[Handover, ...]) -> Checkpoint | None:
    """Return the newest head that was kept, after checking that a key of this row has signed it."""
    try:
        kept = max((state / "heads").glob("*.head"), default=None)
        if kept is None:
            return None
        with kept.open("rb") as file:
            note = file.read(NOTE_SIZE_MAX + 1)
    except OSError as error:
        raise AuditReadError(
            _ROLE, f"a head cannot be read ({error.strerror})", "check its permissions", state
        ) from error
    known = {each.name: each for each in (trusted, *(handover.new for handover in handovers))}
    try:
        origin = parse_body(note, signatures_of(note)[0]).origin
        if origin not in known:
            problem = f"the log of {origin}, of which a head was kept, is not among its hand-overs: it was cut off"
            raise AuditDamagedError("audit log", problem, _ADVICE)
        return open_checkpoint(note, known[origin])
    except SupervisorsError as error:
        raise AuditDamagedError(_ROLE, "the last head that was kept was altered", _ADVICE, kept) from error


def _check_continues(
    paths: LogPaths, reader: AuditReader, own: Verifier, handovers: tuple[Handover, ...], before: Checkpoint
) -> None:
    if before.origin == own.name:
        prove_consistency(reader, own, before)
        return
    sealed = next((each for each in handovers if each.old.name == before.origin), None)
    if sealed is None or segment_number(before.origin) > segment_number(own.name):
        problem = f"it is {own.name}, but {before.origin} was seen already"
        raise AuditDamagedError("audit log", problem, _ADVICE, paths.directory)
    if before == sealed.final:
        return
    with _archived(paths, segment_number(before.origin)) as directory, AuditReader(directory) as old:
        head, _ = signed_head(old, sealed.old)
        if (head.size, head.root) != (sealed.final.size, sealed.final.root):
            problem = f"the archived log of {before.origin} does not end as it was sealed"
            raise AuditDamagedError("audit archive", problem, _ADVICE, directory)
        prove_consistency(old, sealed.old, before)


@contextmanager
def _archived(paths: LogPaths, number: int) -> Iterator[Path]:
    directory = paths.archive / archive_name(number)
    packed = directory.with_name(f"{directory.name}.tar.gz")
    if directory.is_dir():
        yield directory
    elif packed.is_file():
        with unpacked(packed) as found:
            yield found
    else:
        problem = "the log that was sealed since the last time is not there"
        raise AuditReadError("audit archive", problem, "bring it back, so that what was kept can be compared", packed)


def _keep(state: Path, name: str, content: bytes, folder: Path | None = None) -> None:
    """Write a file whole and on the disk."""
    path = (state / "heads" if folder is None else folder) / name
    draft = path.with_name(f".{name}.new")
    with _writing(path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(path.parent)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"its folder cannot be written ({error.strerror})"
        raise AuditWriteError(_ROLE, problem, "check the disk and the permissions", path) from error
