"""How a sealed log and the one that follows it change places, whatever happens on the way.

1. The next log is made whole in the directory `next`: its entry 0 is the last
   head of the old one, and `handovers` has the statement of both keys.
2. The old log's database is closed, so that it is one file.
3. The file `sealing` is written. From here on the seal counts.
4. Each file of the old log gets a second name in `archive/<number>`, then the one
   in `next` takes its name over. So at no moment is a name without a file, and
   `checkpoints`, which the writer has locked, comes last.
5. `sealing` is removed.

A crash before 3 leaves the old log as it was, and a directory that the next seal
removes. A crash after it leaves what `finish()` completes: each step of 4 shows in
the files whether it is done. Whoever opens the log for writing does that first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionactors.audit.checkpoint import Checkpoint, Signer, is_origin
from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditKeyError, AuditWriteError
from sessionactors.audit.files import LogPaths, sync_directory
from sessionactors.audit.handover import (
    Handover,
    base_name,
    next_name,
    read_handovers,
    segment_number,
    sign_handover,
)
from sessionactors.audit.keys import load_key
from sessionactors.audit.resuming import damaged
from supervisors.errors import SupervisorsError

__all__ = [
    "Sealed",
    "archive_name",
    "discard_draft",
    "finish",
    "following_signer",
    "handed_over",
    "is_interrupted",
    "mark",
    "store_beside",
    "written",
]

_FILES: Final = ("audit.db", "hashes", "audit.pub", "ids.pub", "handovers", "audit.key", "checkpoints")
"""In the order in which they change places."""
_KEPT: Final = frozenset({"audit.db", "hashes", "audit.pub", "ids.pub", "checkpoints"})
"""What the archive has of the old log as it was. Its private key is erased: who takes
the machine over later cannot rewrite what was sealed before."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What became of a log that was sealed.

    Attributes:
        directory: where it is now, until it is packed.
        head: its last head.
        origin: the name of the log that follows.
    """

    directory: Path
    head: AuditHead
    origin: str


def archive_name(number: int) -> str:
    """Return the name that a log of a row has in the archive."""
    return f"{number:08}"


def following_signer(signer: Signer, key_file: Path, *, is_new: bool) -> Signer:
    """Return who signs the next log.

    Args:
        signer: who signs this one.
        key_file: the private key to go on with.
        is_new: whether it is another one, whose name the next log then has.

    Raises:
        AuditKeyError: the key cannot be used.
    """
    key = load_key(key_file)
    base = base_name(key.verifier.name if is_new else signer.verifier.name)
    name = next_name(base, segment_number(signer.verifier.name) + 1)
    if not is_origin(name):
        raise AuditKeyError("audit key", "its name is too long for a number behind it", "use another", key_file)
    return key.renamed(name)


def handed_over(paths: LogPaths, signer: Signer, following: Signer, head: AuditHead) -> bytes:
    """Return all hand-overs up to the next log: those before, and one that both keys sign.

    Raises:
        AuditDamagedError: those before are not this log's.
    """
    try:
        earlier = read_handovers(paths.handovers)
        raw = paths.handovers.read_bytes() if earlier else b""
    except (SupervisorsError, OSError) as error:
        raise damaged(paths, "its hand-overs cannot be read") from error
    if earlier and earlier[-1].new != signer.verifier:
        raise damaged(paths, "its hand-overs are not those of this log")
    final = Checkpoint(signer.verifier.name, head.size, head.root)
    return raw + sign_handover(Handover(signer.verifier, following.verifier, final), signer, following)


def discard_draft(paths: LogPaths) -> None:
    """Remove what an earlier seal began and did not come to."""
    with written(paths.draft):
        if paths.draft.exists():
            shutil.rmtree(paths.draft)


def mark(paths: LogPaths, number: int) -> None:
    """Say that the next log is complete; from here on the seal counts.

    Raises:
        AuditWriteError: it could not be said, so the log goes on as it was.
    """
    target = paths.archive / archive_name(number)
    draft = paths.sealing.with_name("sealing.new")
    with written(paths.archive):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(paths.archive)
        sync_directory(paths.draft)
        _store(draft, f"{number}\n".encode(), 0o600)
        draft.replace(paths.sealing)
        sync_directory(paths.directory)


def is_interrupted(paths: LogPaths) -> bool:
    """Tell whether there is a seal to be completed."""
    return paths.sealing.exists()


def finish(paths: LogPaths) -> Path:
    """Complete a seal that counts; return where the old log is now.

    Raises:
        AuditWriteError: something cannot be done; doing it again goes on from there.
    """
    with written(paths.directory):
        number = int(paths.sealing.read_text("ascii"))
        target = paths.archive / archive_name(number)
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _FILES:
            following = paths.draft / name
            if not following.exists():
                continue
            kept = following if name == "handovers" else paths.directory / name
            if (name in _KEPT or name == "handovers") and not (target / name).exists():
                os.link(kept, target / name)
            following.replace(paths.directory / name)
        sync_directory(target)
        sync_directory(paths.archive)
        sync_directory(paths.directory)
        if paths.draft.exists():
            shutil.rmtree(paths.draft)
        paths.sealing.unlink(missing_ok=True)
        sync_directory(paths.directory)
    return target


def _store(path: Path, content: bytes, mode: int) -> None:
    """Write a small file whole and on the disk; one of that name is replaced."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def store_beside(paths: LogPaths, handovers: bytes, signer: Signer | None) -> None:
    """Write what the next log has beside its own files: the hand-overs, and its private key if it is to be there.

    Raises:
        AuditWriteError: it cannot be written.
    """
    with written(paths.draft):
        _store(paths.draft / "handovers", handovers, 0o644)
        if paths.ids_public.exists():
            _store(paths.draft / "ids.pub", paths.ids_public.read_bytes(), 0o644)
        if signer is not None:
            _store(paths.draft / "audit.key", f"{signer.secret_text()}\n".encode(), 0o600)


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn errors of the file system into `AuditWriteError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        problem = f"it cannot be sealed ({getattr(error, 'strerror', None) or error})"
        raise AuditWriteError(
            "audit log", problem, "check the disk and its permissions, and try again", path
        ) from error
