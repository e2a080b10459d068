"""The writer's own look at what lies on the disk, a little at a time.

Whoever writes a log knows its root without reading anything. So it is enough to
read the entries again and hash them: if that gives another root, somebody or
something has altered them since. Where, is for `sessionactors.audit.verify` to say.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Final

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.merkle import Frontier, leaf_hashes
from sessionactors.audit.queries import AuditReader

__all__ = ["patrol"]

_STEP: Final = 2048


def patrol(directory: Path, head: AuditHead) -> Generator[None, None, None]:
    """Read a log up to a head; each step takes some milliseconds.

    Args:
        directory: the log.
        head: what its writer knows of it.

    Raises:
        AuditDamagedError: the entries are not those that were written.
        AuditError: the log cannot be read.
    """
    frontier = Frontier()
    with AuditReader(directory) as reader:
        for start in range(0, head.size, _STEP):
            leaves = reader.leaves(start, min(start + _STEP, head.size))
            frontier.extend(leaf_hashes(leaves))
            yield
    if (frontier.size, frontier.root()) != (head.size, head.root):
        problem = f"its {head.size} entries have not the root {head.root.hex()}, with which they were written"
        raise AuditDamagedError("audit log", problem, "verify the log to see what was altered", directory)
