"""Sealed logs in the archive: packed into one compressed file each, and unpacked again to be looked at.

A log is sealed into a directory, `archive/00000001`, which is a log like any
other. It is packed in small steps when there is time, into `00000001.tar.gz`: a
tape archive that every `tar` unpacks, of exactly the files that the directory had.
The directory is removed only after the packed file was read again and is the same.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from sessionactors.audit.errors import AuditDamagedError, AuditReadError, AuditWriteError
from sessionactors.audit.files import LogPaths, sync_directory

__all__ = ["is_archive", "pack", "to_be_packed", "unpacked"]

_MEMBERS: Final = ("audit.db", "audit.pub", "checkpoints", "handovers", "hashes", "ids.pub")
_CHUNK: Final = 1 << 20
_BLOCK: Final = 512
_LEVEL: Final = 6
_MAGIC: Final = b"\x1f\x8b"


def to_be_packed(directory: Path) -> list[Path]:
    """Return the sealed logs of a log's archive that are directories still, the oldest first."""
    paths = LogPaths(directory)
    try:
        # While a seal is interrupted, the last of them has not got all of its files yet.
        if paths.sealing.exists() or not paths.archive.is_dir():
            return []
        return sorted(path for path in paths.archive.iterdir() if path.name.isdigit() and path.is_dir())
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise AuditReadError("audit archive", problem, "check its permissions", paths.archive) from error


def pack(directory: Path) -> Generator[None, None, None]:
    """Pack a sealed log; each step takes some hundredths of a second.

    Args:
        directory: the log; it is gone after the last step, and `<directory>.tar.gz` there.

    Raises:
        AuditWriteError: something cannot be written; the directory stays as it is.
    """
    packed = directory.with_name(f"{directory.name}.tar.gz")
    draft = packed.with_name(f"{packed.name}.part")
    try:
        digests: list[tuple[str, bytes]] = []
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as stream:
                for name in _MEMBERS:
                    if (directory / name).is_file():
                        digest = yield from _put(stream, directory / name)
                        digests.append((name, digest))
                stream.write(bytes(2 * _BLOCK))
            file.flush()
            os.fsync(file.fileno())
        if digests != (yield from _read_again(draft)):
            raise AuditWriteError("audit archive", "what was written is not what is there", "check the disk", draft)
        draft.replace(packed)
        sync_directory(packed.parent)
        shutil.rmtree(directory)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        problem = f"it cannot be packed ({getattr(error, 'strerror', None) or error})"
        raise AuditWriteError(
            "audit archive", problem, "check the disk; it stays unpacked until then", draft
        ) from error


def _put(stream: gzip.GzipFile, path: Path) -> Generator[None, None, bytes]:
    """Write a file as a member of the archive; return its hash."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        member = tarfile.TarInfo(path.name)
        left = member.size = os.fstat(file.fileno()).st_size
        member.mode = 0o600
        stream.write(member.tobuf(tarfile.PAX_FORMAT))
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise EOFError(f"{path.name} has become shorter")
            left -= len(chunk)
            digest.update(chunk)
            stream.write(chunk)
            yield
        stream.write(bytes(-member.size % _BLOCK))
    return digest.digest()


def _read_again(path: Path) -> Generator[None, None, list[tuple[str, bytes]]]:
    found = []
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            digest = hashlib.sha256()
            content = archive.extractfile(member)
            while content is not None and (chunk := content.read(_CHUNK)):
                digest.update(chunk)
                yield
            found.append((member.name, digest.digest()))
    return found


def is_archive(path: Path) -> bool:
    """Tell whether a path is a compressed file, and so no directory."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archived log into a directory for the time of the block.

    Only the files of a log are taken out, whatever else is in there, and none that
    is no plain file: an archive may come from a forger.

    Raises:
        AuditDamagedError: it is no such archive, or was altered.
        AuditReadError: it cannot be read, or there is no room to unpack it.
    """
    with tempfile.TemporaryDirectory(prefix="audit-") as name:
        target = Path(name) / "log"
        target.mkdir(mode=0o700)
        try:
            with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() and member.name in _MEMBERS else None
                    if content is None:
                        problem = "it has something in it that is no part of a log"
                        raise AuditDamagedError("audit archive", problem, "take another copy", path)
                    with (target / member.name).open("xb") as file:
                        shutil.copyfileobj(content, file, _CHUNK)
                while stream.read(_CHUNK):
                    pass  # to the checksum at its end
        except (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, FileExistsError) as error:
            raise AuditDamagedError(
                "audit archive", "it is no whole archive of a log", "take another copy", path
            ) from error
        except OSError as error:
            problem = f"it cannot be unpacked ({error.strerror})"
            raise AuditReadError("audit archive", problem, "check the disk and the permissions", path) from error
        yield target
