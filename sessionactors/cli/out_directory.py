"""The folder that `sessionactors replay --out` leaves its results in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors.audit.errors import AuditError
from sessionactors.audit.files import DurableFile, LogPaths
from sessionactors.cli.program import InputError, reason_of
from sessionactors.replay.report import REPORT_FILES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_free", "require_free"]


def require_free(directory: Path, *, is_overwriting: bool) -> None:
    """Refuse early, before anything long begins, to replace what somebody may still need.

    Raises:
        InputError: the path is no folder, or has results that may not be replaced.
    """
    try:
        if directory.exists() and not directory.is_dir():
            raise InputError(f"--out: {directory} is not a folder")
        is_taken = any(path.exists() for path in _files(directory))
    except (OSError, ValueError) as exc:
        raise InputError(f"--out: {directory} cannot be used: {reason_of(exc)}") from exc
    if is_taken and not is_overwriting:
        raise InputError(
            f"--out: {directory} already has the results of a run; "
            "name another folder, or replace them with --overwrite"
        )


def make_free(directory: Path) -> None:
    """Make the folder, and remove what an earlier replay left there; touch nothing else in it.

    Raises:
        InputError: it cannot be made or written, or a run is writing to it now.
    """
    checkpoints = LogPaths(directory).checkpoints
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if checkpoints.exists():
            in_use = DurableFile(checkpoints, "audit log")
            try:
                in_use.lock()  # refuses while another run writes there
                _remove(directory)
            finally:
                in_use.close()
        else:
            _remove(directory)
    except (OSError, AuditError) as exc:
        raise InputError(f"--out: {directory} cannot be used: {reason_of(exc)}") from exc


def _remove(directory: Path) -> None:
    for path in _files(directory):
        path.unlink(missing_ok=True)


def _files(directory: Path) -> list[Path]:
    """Return every path that a replay may leave in a folder."""
    paths = LogPaths(directory)
    database = paths.database
    return [
        database,
        *(database.with_name(database.name + suffix) for suffix in ("-wal", "-shm", "-journal")),
        paths.hashes,
        paths.checkpoints,
        paths.public_key,
        paths.private_key,
        *(directory / name for name in REPORT_FILES),
    ]
