"""A log as a directory of static files that other people's programs read: C2SP tlog-tiles.

::

    checkpoint                      the last signed head
    tile/entries/000                256 entries, each behind its length in two bytes
    tile/0/000                      256 leaf hashes
    tile/1/000                      256 roots, each over 256 entries, and so on
    tile/0/x001/234.p/7             tile 1,234, of which there are only 7 hashes yet

Such a directory can be put behind any web server; who mirrors or monitors logs
fetches the tiles that are needed for a proof, and nothing else.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditDamagedError, AuditWriteError
from sessionactors.audit.merkle import Frontier, leaf_hashes
from sessionactors.audit.queries import AuditReader

__all__ = ["tile_path", "write_tiles"]

_WIDTH: Final = 256
_ROLE: Final = "tile directory"


def write_tiles(reader: AuditReader, head: AuditHead, note: bytes, target: Path) -> None:
    """Write a log as tiles into a directory that is not there yet.

    The tiles are made from the entries, and the directory gets its name only if they
    lead to the signed root.

    Args:
        reader: of the log.
        head: its last head.
        note: that head as text, its signature checked.
        target: the new directory.

    Raises:
        AuditDamagedError: the entries do not lead to the root; nothing is left behind.
        AuditWriteError: the directory is there already, or cannot be written.

    Blocks: for some microseconds for each entry; holds 256 entries and 256 hashes for each level.
    """
    draft = target.with_name(f"{target.name}.part")
    try:
        if target.exists():
            raise AuditWriteError(_ROLE, "it exists", "name a new one", target)
        draft.mkdir(mode=0o755)
    except OSError as error:
        raise _failed(error, draft) from error
    try:
        levels: list[_Level] = []
        frontier = Frontier()
        for start in range(0, head.size, _WIDTH):
            leaves = reader.leaves(start, min(start + _WIDTH, head.size))
            bundle = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)
            _store(draft / tile_path("entries", start // _WIDTH, len(leaves)), bundle)
            hashes = leaf_hashes(leaves)
            frontier.extend(hashes)
            _add(levels, 0, hashes, draft)
        for number, level in enumerate(levels):
            if level.hashes:
                _store(draft / tile_path(str(number), level.index, len(level.hashes)), b"".join(level.hashes))
        if (frontier.size, frontier.root()) != (head.size, head.root):
            raise AuditDamagedError(
                "audit log", "the entries do not lead to the signed root", "verify the log to see what was altered"
            )
        _store(draft / "checkpoint", note)
        os.sync()  # once for some thousand files
        draft.rename(target)
    except OSError as error:
        raise _failed(error, draft) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def tile_path(level: str, index: int, width: int = _WIDTH) -> str:
    """Return where a tile is.

    Args:
        level: of its hashes, or "entries".
        index: which tile of that level, from 0.
        width: how many hashes or entries it has, 1 to 256.
    """
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    partial = "" if width == _WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


class _Level:
    """The tile of a level that is being filled."""

    __slots__ = ("hashes", "index")

    def __init__(self) -> None:
        self.index = 0
        self.hashes: list[bytes] = []


def _add(levels: list[_Level], number: int, hashes: list[bytes], draft: Path) -> None:
    """Add hashes to a level, at most as many as its tile still takes; a full tile is written and adds one above."""
    if number == len(levels):
        levels.append(_Level())
    level = levels[number]
    level.hashes += hashes
    if len(level.hashes) == _WIDTH:
        _store(draft / tile_path(str(number), level.index), b"".join(level.hashes))
        above = Frontier()
        above.extend(level.hashes)
        level.index += 1
        level.hashes = []
        _add(levels, number + 1, [above.root()], draft)


def _store(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)


def _failed(error: OSError, path: Path) -> AuditWriteError:
    return AuditWriteError(
        _ROLE, f"it cannot be written ({error.strerror})", "check the disk, the path and its permissions", path
    )
