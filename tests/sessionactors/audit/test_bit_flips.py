"""Every bit of a small log: a flip is found, or it is in one of a few places where nothing is said.

`make tampering` flips all of them, with the random edits of tests/torture; without it
only one of so many is flipped, of the space that is in use AUDIT_FLIP_STEP.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import some_events
from tests.sessionactors.audit.database_map import SAYS_NOTHING, places_of

STEP = int(os.environ.get("AUDIT_FLIP_STEP", "61"))
FREE_STEP = 1 if STEP == 1 else STEP * 41
"""There is twenty times as much free space as there is of all else."""
CONTINUED_STEP = 257
"""Between two flips in free space over which a writer goes on, where all are made."""


def _bits(content, step):
    return range(random.Random(len(content)).randrange(step), len(content) * 8, step)


def _flip_in_place(file, whole, bit):
    file.seek(bit // 8)
    file.write(bytes((whole[bit // 8] ^ 1 << bit % 8,)))


def _restore(file, whole, bit):
    file.seek(bit // 8)
    file.write(whole[bit // 8 : bit // 8 + 1])


def _rows(path):
    """Return all that the database says."""
    with closing(sqlite3.connect(path)) as connection:
        tables = ("entries", "heads", "session_index", "tip")
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]


def _goes_on(directory, copy):
    """Have a writer go on with a copy, and tell whether what it leaves is a good log."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    with AuditLog(copy) as log:
        before = log.size
        log.append_many(some_events(3, before))
    after = verify(copy)
    return (after.outcome, after.size) == ("valid", before + 3)


def test_a_flip_in_the_database_is_found_or_is_where_nothing_is_said(tiny_path, tmp_path):
    """What goes unseen is in a place that no row depends on, all rows are the same, and a writer goes on over it."""
    path = tiny_path / "audit.db"
    whole = path.read_bytes()
    places = places_of(whole)
    assert len(places) == len(whole)
    rows = _rows(path)
    used = [bit for bit in range(len(whole) * 8) if places[bit // 8] != "free space"][::STEP]
    free = [bit for bit in range(len(whole) * 8) if places[bit // 8] == "free space"][::FREE_STEP]
    unseen: Counter[str] = Counter()
    with path.open("r+b", buffering=0) as file:
        for bit in used + free:
            place = places[bit // 8]
            _flip_in_place(file, whole, bit)
            result = verify(tiny_path)
            assert result.exit_code in (0, 1), (bit, place, result.findings)
            if result.exit_code == 0:
                unseen[place] += 1
                assert place in SAYS_NOTHING or _is_harmless(whole, bit, place), (bit, place)
                assert _rows(path) == rows, (bit, place)
                if place != "free space" or not bit % CONTINUED_STEP:
                    assert _goes_on(tiny_path, tmp_path / "copy"), (bit, place)
            _restore(file, whole, bit)
    assert verify(tiny_path).outcome == "valid"
    print(f"\n{len(used)} bits in use and {len(free)} of free space flipped; unseen: {dict(sorted(unseen.items()))}")  # noqa: T201 - `make tampering` shows it


def _is_harmless(whole, bit, place):
    """Tell whether a bit outside of those places is one of the few that SQLite does not look at."""
    if place == "schema format":  # 4 becomes 0, which is written while there is no table yet
        return whole[bit // 8] ^ 1 << bit % 8 == 0
    if place == "text encoding":  # 1 becomes 0, likewise
        return whole[bit // 8] ^ 1 << bit % 8 == 0
    if place != "row":
        return False
    # The type of a column that holds the row's own number, which is not looked at (NULL
    # becomes 0); and the numbers of the rows that describe the tables.
    return bit % 8 == 3 and whole[bit // 8] == 0 if bit // 8 >= 8192 else whole[bit // 8] in (1, 2, 3, 4)


@pytest.mark.parametrize("name", ["checkpoints", "hashes", "audit.pub"])
def test_a_flip_in_a_file_beside_the_database_is_found(tiny_path, name):
    path = tiny_path / name
    whole = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for bit in _bits(whole, STEP):
            _flip_in_place(file, whole, bit)
            assert verify(tiny_path).exit_code == (4 if name == "audit.pub" else 1), bit
            _restore(file, whole, bit)
    assert verify(tiny_path).outcome == "valid"


@pytest.fixture(scope="session")
def row_of_logs(tmp_path_factory):
    """A log that follows a sealed one."""
    path = tmp_path_factory.mktemp("row") / "log"
    with AuditLog(path) as log:
        log.append_many(some_events(4))
        log.seal(5.0, 5.0)
        log.append_many(some_events(2, 4))
    return path


def test_a_flip_in_the_hand_overs_is_found(row_of_logs, tmp_path):
    directory = shutil.copytree(row_of_logs, tmp_path / "log")
    path = directory / "handovers"
    whole = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for bit in _bits(whole, STEP):
            _flip_in_place(file, whole, bit)
            assert verify(directory).exit_code == 1, bit
            _restore(file, whole, bit)
    assert verify(directory).outcome == "valid"


def test_a_flip_in_an_interrupted_writers_write_ahead_log_is_found_or_changes_nothing(tmp_path):
    with AuditLog(tmp_path / "live") as log:
        log.append_many(some_events(3))
        log.commit()
        log.append_many(some_events(2, 3))
        log.commit()
        shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    right = verify(tmp_path / "crashed")
    assert (right.outcome, right.size) == ("valid", 5)
    with (tmp_path / "crashed/audit.db-wal").open("rb") as file:
        whole = file.read()
    unseen = 0
    for bit in _bits(whole, STEP * 997):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        # Without the file of shared memory, as after a crash of the machine: it is made again from this one.
        shutil.copytree(tmp_path / "crashed", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
        with (tmp_path / "copy/audit.db-wal").open("r+b") as file:
            _flip_in_place(file, whole, bit)
        result = verify(tmp_path / "copy")
        assert result.exit_code == 1 or (result.outcome, result.root) == ("valid", right.root), bit
        unseen += result.exit_code == 0
    print(f"\n{len(_bits(whole, STEP * 997))} bits of the write-ahead log flipped; {unseen} changed nothing")  # noqa: T201 - as above
