"""What a writer may leave in SQLite's rollback journal, and what nobody but a forger does.

A log is written in WAL mode. Only turning that mode on and off goes through a rollback
journal, and all that it changes is the first page: there, some numbers of the header.
So a writer that is killed at that moment leaves a journal with nothing else in it.

Whoever opens the database for writing has SQLite play the journal back, whatever is in
it. A journal that somebody else has put there would rewrite entries that were verified
a moment before, so what it would change is looked at first, by verifiers and by writers.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["journal_fault"]

_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_HEADER_SIZE: Final = 28
_SECTORS: Final = frozenset(1 << bits for bits in range(5, 17))
_PAGE_SIZES: Final = frozenset(1 << bits for bits in range(9, 17))
_PAGE_SIZE_AT: Final = 16
_NUMBER_SIZE: Final = 4
# Of the first page: the two versions, the counter of changes, and what SQLite last knew of that.
_MAY_CHANGE: Final = (slice(18, 20), slice(24, 28), slice(92, 100))


def journal_fault(journal: Path, database: Path) -> str | None:
    """Return what is wrong with the journal beside a database, or None; mostly there is none at all.

    Args:
        journal: where it would be.
        database: the file that it belongs to.

    Raises:
        OSError: one of them cannot be read.
    """
    try:
        if not stat.S_ISREG(journal.lstat().st_mode):
            return "what stands in the place of its journal is no file"
        if not database.is_file():
            return None  # there is nothing that it could change
        return _fault_of(journal, database)
    except FileNotFoundError:  # a writer that is just closing has removed it
        return None


def _fault_of(journal: Path, database: Path) -> str | None:
    with database.open("rb") as file:
        start = file.read(_PAGE_SIZE_AT + 2)
    with journal.open("rb") as file:
        header = file.read(_HEADER_SIZE)
        if len(header) < _HEADER_SIZE or header[: len(_MAGIC)] != _MAGIC:
            return None  # SQLite plays back nothing of it
        pages, sector, page_size = (int.from_bytes(header[at : at + 4], "big") for at in (16, 20, 24))
        page_size = page_size or int.from_bytes(start[_PAGE_SIZE_AT:], "big")  # 0 stands for that
        if sector not in _SECTORS or page_size not in _PAGE_SIZES:
            return None  # likewise
        file.seek(sector)
        record = file.read(2 * _NUMBER_SIZE + page_size + 1)
    with database.open("rb") as file:
        first = file.read(page_size)
        size = os.fstat(file.fileno()).st_size
    if pages != size // page_size and size > page_size:
        return f"its journal would make it {pages} pages long"
    if len(record) < 2 * _NUMBER_SIZE + page_size:
        return None  # half a record, which is not played back
    number, page = int.from_bytes(record[:_NUMBER_SIZE], "big"), record[_NUMBER_SIZE : _NUMBER_SIZE + page_size]
    if number != 1 or len(record) > 2 * _NUMBER_SIZE + page_size or _settled(page) != _settled(first):
        return "its journal would change what is stored"
    return None


def _settled(page: bytes) -> bytes:
    """Return a first page without what turning the mode on and off changes."""
    settled = bytearray(page)
    for part in _MAY_CHANGE:
        settled[part] = bytes(len(settled[part]))
    return bytes(settled)
