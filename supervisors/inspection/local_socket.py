"""A Unix socket whose file is for its owner: made safely, and removed only if it is still ours."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final, final

from supervisors.errors import InvalidArgumentError, SupervisorsError

__all__ = ["LocalSocket", "SocketTakenError"]

_PATH_MAX: Final = 107  # bytes that fit into the kernel's address of a Unix socket


class SocketTakenError(SupervisorsError):
    """Something else is at the socket's path."""


@final
class LocalSocket:
    """A bound socket that does not listen yet, so nobody can connect before its file has its permissions.

    Args:
        path: where; a socket that a crash has left there is replaced.
        mode: permissions of its file; nothing for others than owner and group.
        field: what the path is called in errors.

    Attributes:
        listening: the socket.
        path: as given.

    Raises:
        SocketTakenError: another process listens there, or what is there is no socket, or it is somebody else's.
        InvalidArgumentError: the path is too long, or the mode lets others in.
        OSError: it cannot be made.
    """

    def __init__(self, path: str | Path, mode: int = 0o600, *, field: str = "socket") -> None:
        self.path = Path(path)
        if len(os.fsencode(self.path)) > _PATH_MAX:
            raise InvalidArgumentError(field, str(path), f"a path of at most {_PATH_MAX} bytes")
        if isinstance(mode, bool) or not isinstance(mode, int) or not 0 <= mode <= 0o777 or mode & 0o117:
            raise InvalidArgumentError("mode", mode, "permissions such as 0o600 or 0o660; nothing for others")
        _clear(self.path)
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Bound under a mask: there is no moment at which the file is open to others.
            before = os.umask(0o177)
            try:
                self.listening.bind(str(self.path))
            finally:
                os.umask(before)
            self.path.chmod(mode)
            self._identity = _identity(self.path)
        except BaseException:
            self.listening.close()
            raise

    def remove(self) -> None:
        """Remove the file, unless another process has put its own there meanwhile."""
        if self._identity is not None and _identity(self.path) == self._identity:
            self.path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove a socket at which nobody listens; refuse to touch anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTakenError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise SocketTakenError(f"{path} belongs to somebody else") from error
    raise SocketTakenError(f"another process listens at {path}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
