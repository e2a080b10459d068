"""A log is altered in a great many ways, and each is found, with the right first bad entry.

A few hundred cases in the normal suite; AUDIT_EDITS says how many random edits,
AUDIT_FLIPS how many single bits of the personal data (0 for every bit), AUDIT_SEED which.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3

import pytest

from sessionactors.audit.files import LogPaths
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.merkle import HASH_SIZE, Frontier, leaf_hashes
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import some_events
from tests.sessionactors.audit.test_erasing import write as write_personal

EDITS = int(os.environ.get("AUDIT_EDITS", "100"))
FLIPS = int(os.environ.get("AUDIT_FLIPS", "60"))
SEED = int(os.environ.get("AUDIT_SEED", "7"))
SIZE = 300
HEADS = [0, 40, 41, 100, 180, 181, 299, SIZE]


class TestEveryBit:
    """As many as are wanted; those of the log's own files are in tests/sessionactors/audit/test_bit_flips.py."""

    def test_of_the_personal_data_is_found_or_changes_nothing(self, tmp_path):
        log = write_personal(tmp_path / "log")
        with AuditLog(log) as writer:
            writer.erase("alice", 0.0, 0.0)
        path = log / "personal.db"
        whole = path.read_bytes()
        before = personal_contents(log)
        found = 0
        for bit in some_of(range(len(whole) * 8)):
            path.write_bytes(flipped(whole, bit))
            if verify(log).exit_code:
                assert verify(log).exit_code != 2, bit
                found += 1
            else:  # a part of a page that nothing is in, or what is no part of the evidence
                assert personal_contents(log) == before, bit
        assert found


def personal_contents(path):
    """Return what a reader shows of a log with its personal data."""
    with AuditReader(path) as reader:
        return list(reader.events())


def some_of(bits):
    return bits if not FLIPS else random.Random(SEED).sample(bits, min(FLIPS, len(bits)))


def flipped(content, bit):
    altered = bytearray(content)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "log"
    with AuditLog(path) as log:
        for size in HEADS[1:]:
            log.append_many(some_events(size - log.size, log.size))
            log.commit()
    return path


def good_before(position):
    """Return the size of the last head that an alteration from a position on leaves good."""
    return max(size for size in HEADS if size <= position)


class Forger:
    """Somebody without the key who may write every file.

    Each way returns the first bad entry, or else from where on nothing is proved.
    """

    def __init__(self, path, dice):
        self.path = path
        self.dice = dice
        self.rows = sqlite3.connect(path / "audit.db", isolation_level=None)
        self.rows.execute("PRAGMA synchronous = OFF")
        self.rows.execute("BEGIN")

    def done(self):
        self.rows.execute("COMMIT")
        self.rows.close()

    def leaf(self, at):
        return self.rows.execute("SELECT leaf FROM entries WHERE sequence = ?", (at,)).fetchone()[0]

    def put(self, at, leaf):
        self.rows.execute("UPDATE entries SET leaf = ? WHERE sequence = ?", (leaf, at))

    def place(self, first=0):
        return self.dice.randrange(first, SIZE)

    def edit(self):
        at = self.place()
        leaf = self.leaf(at)
        self.put(at, flipped(leaf, self.dice.randrange(len(leaf) * 8)))
        return at, None

    def shorten(self):
        at = self.place()
        self.put(at, self.leaf(at)[: -self.dice.randrange(1, 20)])
        return at, None

    def delete(self):
        at = self.place()
        self.rows.execute("DELETE FROM entries WHERE sequence = ?", (at,))
        return at, None

    def delete_and_close_the_gap(self):
        at = self.place()
        self.rows.execute("DELETE FROM entries WHERE sequence = ?", (at,))
        self.rows.execute("UPDATE entries SET sequence = -sequence WHERE sequence > ?", (at,))
        self.rows.execute("UPDATE entries SET sequence = -sequence - 1 WHERE sequence < 0")
        return at, None

    def insert(self):
        at = self.place(1)
        self.rows.execute("UPDATE entries SET sequence = -sequence WHERE sequence >= ?", (at,))
        self.rows.execute("UPDATE entries SET sequence = 1 - sequence WHERE sequence < 0")
        self.rows.execute("INSERT INTO entries VALUES (?, ?)", (at, self.leaf(at - 1)))
        return at, None

    def append(self):
        self.rows.execute("INSERT INTO entries VALUES (?, ?)", (SIZE, self.leaf(self.place())))
        return SIZE, None

    def swap(self):
        one, other = sorted(self.dice.sample(range(SIZE), 2))
        leaf = self.leaf(one)
        self.put(one, self.leaf(other))
        self.put(other, leaf)
        return one, None

    def cut(self):
        at = self.place(1)
        self.rows.execute("DELETE FROM entries WHERE sequence >= ?", (at,))
        return at, None

    def rewrite_with_hashes(self):
        at = self.place()
        leaf = flipped(self.leaf(at), self.dice.randrange(40, 80))
        self.put(at, leaf)
        self.put_hashes(at, leaf_hashes([leaf]))
        return None, good_before(at)

    def rewrite_everything_unsigned(self):
        """Also the row from which a writer goes on; only the signed heads stay."""
        _, start = self.rewrite_with_hashes()
        frontier = Frontier()
        frontier.extend(
            leaf_hashes(leaf for (leaf,) in self.rows.execute("SELECT leaf FROM entries ORDER BY sequence"))
        )
        self.rows.execute("UPDATE tip SET frontier = ?", (frontier.to_bytes(),))
        return None, start

    def put_hashes(self, at, hashes):
        with LogPaths(self.path).hashes.open("r+b") as file:
            file.seek(at * HASH_SIZE)
            file.write(b"".join(hashes))


WAYS = [
    name
    for name in vars(Forger)
    if name.split("_")[0] in {"edit", "shorten", "delete", "insert", "append", "swap", "cut", "rewrite"}
]


def test_random_alterations_are_found_where_they_are(large, tmp_path):
    dice = random.Random(SEED)
    for number in range(EDITS):
        path = tmp_path / "log"
        shutil.copytree(large, path)
        forger = Forger(path, dice)
        way = dice.choice(WAYS)
        exact, start = getattr(forger, way)()
        forger.done()
        found = verify(path)
        case = (SEED, number, way, exact, start, found.findings)
        assert found.exit_code == 1, case
        first = found.findings[0]
        assert first.part == "entry", case
        if exact is not None:
            assert first.position == exact, case
            assert found.last_good_head == good_before(exact), case
        elif first.unproved_from is None:
            # Between two heads that are neighbours there is only one entry that it can be.
            assert start == first.position, case
        else:
            assert first.unproved_from == start, case
        shutil.rmtree(path)


def test_a_log_that_was_cut_back_to_an_earlier_head_is_found_with_a_head_that_was_kept(large, tmp_path):
    with AuditReader(large) as reader:
        kept = reader.head().note
    for size in HEADS[:-1]:
        path = tmp_path / f"log-{size}"
        with AuditLog(path, key_file=large / "audit.key") as log:
            for upto in HEADS[1 : HEADS.index(size) + 1]:
                log.append_many(some_events(upto - log.size, log.size))
                log.commit()
        assert verify(path).outcome == "valid"
        found = verify(path, known_head=kept)
        assert (found.exit_code, found.first_bad) == (1, size)


def test_a_log_that_was_made_anew_under_another_key_is_found_with_the_right_key(large, tmp_path):
    with AuditLog(tmp_path / "log", origin=load_public_key(large / "audit.pub").name) as log:
        log.append_many(some_events(SIZE))
    assert verify(tmp_path / "log").outcome == "valid"
    assert verify(tmp_path / "log", public_key=load_public_key(large / "audit.pub")).exit_code == 4
