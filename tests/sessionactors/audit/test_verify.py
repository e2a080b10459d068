"""Whatever is altered in a log is found, and the first bad entry is named."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from sessionactors.audit.checkpoint import Checkpoint, Signer, Verifier, open_checkpoint, sign_checkpoint
from sessionactors.audit.files import LogPaths
from sessionactors.audit.keys import load_key, load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.merkle import Frontier, leaf_hash, leaf_hashes
from sessionactors.audit.record import AuditEvent, decode, encode, encode_many, kind_of
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import alter, look, some_events, write_log


def _leaves(directory):
    return [leaf for (leaf,) in look(directory, "SELECT leaf FROM entries ORDER BY sequence")]


def _store_leaf(directory, sequence, leaf):
    alter(directory, ("UPDATE entries SET leaf = ? WHERE sequence = ?", (leaf, sequence)))


def _flip(content, bit):
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def _notes(directory):
    return [note for (note,) in look(directory, "SELECT note FROM heads ORDER BY size")]


def _renumbered(leaf, sequence):
    record = decode(leaf)
    kind = kind_of(record.type, record.severity)
    return encode(
        sequence, AuditEvent(record.wall_time, record.monotonic_time, record.session, kind, record.actor, record.data)
    )


def _rewrite(directory, leaves):
    """Put other entries in, and make every unsigned trace of them fit: what the best forger without the key can do."""
    frontier = Frontier()
    frontier.extend(leaf_hashes(leaves))
    alter(
        directory,
        "DELETE FROM entries",
        *[("INSERT INTO entries VALUES (?, ?)", row) for row in enumerate(leaves)],
        ("UPDATE tip SET size = ?, frontier = ?", (len(leaves), frontier.to_bytes())),
    )


def _rewrite_hashes(directory, leaves):
    (directory / "hashes").write_bytes(b"".join(leaf_hashes(leaves)))


class TestAGoodLog:
    def test_is_valid(self, log_path):
        result = verify(log_path)
        assert (result.outcome, result.exit_code) == ("valid", 0)
        assert (result.size, result.last_good_head, result.heads) == (23, 23, 4)
        assert result.findings == ()
        assert result.first_bad is None

    def test_has_the_root_that_its_writer_had(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            log.append_many(some_events(7))
            root = log.commit().root
        assert verify(tmp_path / "log").root == root.hex()

    def test_is_valid_without_any_entry(self, tmp_path):
        write_log(tmp_path / "log", ())
        result = verify(tmp_path / "log")
        assert (result.outcome, result.size, result.heads) == ("valid", 0, 1)

    def test_is_valid_across_segments_of_the_index(self, tmp_path):
        write_log(tmp_path / "log", (16_383, 1, 1, 33_000))
        result = verify(tmp_path / "log")
        assert (result.outcome, result.size) == ("valid", 49_385)

    def test_is_valid_as_a_copy_without_the_private_key(self, log_path):
        (log_path / "audit.key").unlink()
        assert verify(log_path).outcome == "valid"

    def test_is_valid_on_a_medium_that_cannot_be_written(self, log_path):
        log_path.chmod(0o500)
        assert verify(log_path).outcome == "valid"
        log_path.chmod(0o700)

    def test_is_left_as_it_is(self, log_path):
        before = {path.name: path.read_bytes() for path in log_path.iterdir()}
        verify(log_path)
        assert {path.name: path.read_bytes() for path in log_path.iterdir()} == before

    def test_is_valid_while_its_writer_is_at_work(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            log.append_many(some_events(9))
            log.commit()
            log.append_many(some_events(3, 9))
            result = verify(tmp_path / "log")
        assert (result.outcome, result.size, result.is_live) == ("valid", 9, True)

    def test_is_not_live_when_the_writer_is_gone(self, log_path):
        assert not verify(log_path).is_live

    def test_tells_how_far_it_is(self, log_path):
        seen = []
        verify(log_path, progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (23, 23)


class TestEveryBit:
    def test_of_every_entry(self, tiny_path):
        # One bit of every byte here; all bits of some entries below.
        for sequence, leaf in enumerate(_leaves(tiny_path)):
            for byte in range(len(leaf)):
                _store_leaf(tiny_path, sequence, _flip(leaf, byte * 8 + (byte + sequence) % 8))
                result = verify(tiny_path)
                assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)
                assert result.findings[0].is_exact
            _store_leaf(tiny_path, sequence, leaf)
        assert verify(tiny_path).outcome == "valid"

    @pytest.mark.parametrize("sequence", [1, 4])
    def test_of_all_bits_of_an_entry(self, tiny_path, sequence):
        leaf = _leaves(tiny_path)[sequence]
        for bit in range(len(leaf) * 8):
            _store_leaf(tiny_path, sequence, _flip(leaf, bit))
            result = verify(tiny_path)
            assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)

    def test_of_every_head_in_the_database(self, tiny_path):
        for size, note in look(tiny_path, "SELECT size, note FROM heads"):
            for byte in range(len(note)):
                altered = _flip(note, byte * 8 + byte % 8)
                alter(tiny_path, ("UPDATE heads SET note = ? WHERE size = ?", (altered, size)))
                result = verify(tiny_path)
                assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "head", size)
                assert result.last_good_head == 5  # the other copy of the head still counts
            alter(tiny_path, ("UPDATE heads SET note = ? WHERE size = ?", (note, size)))

    def test_of_the_checkpoints(self, tiny_path):
        path = tiny_path / "checkpoints"
        whole = path.read_bytes()
        for byte in range(len(whole)):
            path.write_bytes(_flip(whole, byte * 8 + byte % 8))
            result = verify(tiny_path)
            assert (result.exit_code, result.findings[0].part) == (1, "checkpoints")
            assert result.last_good_head == 5

    def test_of_the_hashes(self, tiny_path):
        path = tiny_path / "hashes"
        whole = path.read_bytes()
        for byte in range(len(whole)):
            path.write_bytes(_flip(whole, byte * 8 + byte % 8))
            result = verify(tiny_path)
            assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "hashes", byte // 32)
            assert result.last_good_head == 5

    def test_of_the_public_key(self, tiny_path):
        path = tiny_path / "audit.pub"
        whole = path.read_bytes()
        for bit in range(len(whole) * 8):
            path.write_bytes(_flip(whole, bit))
            assert verify(tiny_path).exit_code == 4

    def test_of_the_public_key_if_another_is_trusted(self, tiny_path):
        trusted = load_public_key(tiny_path / "audit.pub")
        path = tiny_path / "audit.pub"
        path.write_bytes(_flip(path.read_bytes(), 11))
        result = verify(tiny_path, public_key=trusted)
        assert (result.exit_code, result.findings[0].part, result.last_good_head) == (1, "key", 5)

    def test_of_the_row_that_a_writer_goes_on_from(self, tiny_path):
        (row,) = look(tiny_path, "SELECT size, frontier, counts, checkpoints_size FROM tip")
        size, frontier, counts, checkpoints_size = row
        altered = [(size ^ 1 << bit, frontier, counts, checkpoints_size) for bit in range(16)]
        altered += [(size, _flip(frontier, bit), counts, checkpoints_size) for bit in range(0, len(frontier) * 8, 7)]
        altered += [(size, frontier, _flip(counts, bit), checkpoints_size) for bit in range(len(counts) * 8)]
        altered += [(size, frontier, counts, checkpoints_size ^ 1 << bit) for bit in range(16)]
        for values in altered:
            alter(tiny_path, ("UPDATE tip SET size = ?, frontier = ?, counts = ?, checkpoints_size = ?", values))
            result = verify(tiny_path)
            assert (result.exit_code, result.findings[0].part) == (1, "tip")


class TestAlteredEntries:
    @pytest.mark.parametrize("sequence", [0, 5, 9, 10, 19, 20, 22])
    def test_one_removed(self, log_path, sequence):
        alter(log_path, ("DELETE FROM entries WHERE sequence = ?", (sequence,)))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)

    @pytest.mark.parametrize("sequence", [0, 5, 10, 21])
    def test_one_removed_and_the_others_moved_up(self, log_path, sequence):
        leaves = _leaves(log_path)
        del leaves[sequence]
        renumbered = leaves[:sequence] + [_renumbered(leaf, at) for at, leaf in enumerate(leaves[sequence:], sequence)]
        _rewrite(log_path, renumbered)
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)

    @pytest.mark.parametrize("sequence", [0, 5, 10, 22])
    def test_one_inserted_and_the_others_moved_down(self, log_path, sequence):
        leaves = _leaves(log_path)
        (inserted,) = encode_many(sequence, some_events(1, 99))
        moved = [_renumbered(leaf, at) for at, leaf in enumerate(leaves[sequence:], sequence + 1)]
        _rewrite(log_path, [*leaves[:sequence], inserted, *moved])
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)

    def test_one_added_at_the_end(self, log_path):
        alter(log_path, ("INSERT INTO entries VALUES (23, ?)", encode_many(23, some_events(1))))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 23)

    def test_one_added_far_behind_the_end(self, log_path):
        alter(log_path, ("INSERT INTO entries VALUES (99999, ?)", encode_many(23, some_events(1))))
        result = verify(log_path)
        assert (result.exit_code, result.first_bad, result.findings[0].found) == (1, 23, "entry 99999")

    def test_one_added_before_the_beginning(self, log_path):
        alter(log_path, ("INSERT INTO entries VALUES (-1, ?)", encode_many(0, some_events(1))))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 0)

    @pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 17), (9, 10), (21, 22)])
    def test_two_swapped(self, log_path, one, other):
        leaves = _leaves(log_path)
        _store_leaf(log_path, one, leaves[other])
        _store_leaf(log_path, other, leaves[one])
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", one)

    @pytest.mark.parametrize("sequence", [0, 12, 22])
    def test_one_rewritten_with_all_that_the_database_knows_of_it(self, log_path, sequence):
        leaves = _leaves(log_path)
        (leaves[sequence],) = encode_many(sequence, some_events(1, 500))
        _rewrite(log_path, leaves)
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", sequence)
        assert result.findings[0].is_exact

    def test_the_first_of_many_is_named(self, log_path):
        for sequence in (21, 8, 14):
            _store_leaf(log_path, sequence, b"\xc0")
        result = verify(log_path)
        assert (result.first_bad, result.last_good_head) == (8, 0)

    def test_what_should_be_there_and_what_is_are_told(self, log_path):
        right = _leaves(log_path)[12]
        _store_leaf(log_path, 12, b"\xc0")
        (finding,) = verify(log_path).findings
        assert finding.expected == f"leaf hash {leaf_hash(right).hex()}"
        assert finding.found == leaf_hash(b"\xc0").hex()

    @pytest.mark.parametrize("value", [b"", b"\x99", b"\xff" * 65_535])
    def test_no_entry_at_all(self, log_path, value):
        _store_leaf(log_path, 4, value)
        assert verify(log_path).first_bad == 4

    def test_a_huge_value_is_not_read(self, log_path):
        alter(log_path, "UPDATE entries SET leaf = zeroblob(3000000) WHERE sequence = 4")
        result = verify(log_path)
        assert (result.first_bad, result.findings[0].is_exact) == (4, True)

    def test_at_the_end_of_a_segment_and_of_a_page(self, tmp_path):
        write_log(tmp_path / "log", (20_000,))
        for sequence in (16_383, 4096, 4095):
            _store_leaf(tmp_path / "log", sequence, b"\xc0")
            assert verify(tmp_path / "log").first_bad == sequence


class TestEntriesRewrittenTogetherWithTheirHashes:
    def test_the_first_that_can_be_bad_is_named_and_said_to_be_inexact(self, log_path):
        leaves = _leaves(log_path)
        (leaves[14],) = encode_many(14, some_events(1, 500))
        _rewrite(log_path, leaves)
        _rewrite_hashes(log_path, leaves)
        result = verify(log_path)
        assert (result.exit_code, result.first_bad, result.last_good_head) == (1, 10, 10)
        assert (result.findings[0].is_exact, result.findings[0].unproved_from) == (False, 10)

    def test_the_only_entry_under_a_head_is_named_exactly(self, tmp_path):
        write_log(tmp_path / "log", (1,) * 8)
        leaves = _leaves(tmp_path / "log")
        (leaves[5],) = encode_many(5, some_events(1, 500))
        _rewrite(tmp_path / "log", leaves)
        _rewrite_hashes(tmp_path / "log", leaves)
        result = verify(tmp_path / "log")
        assert (result.first_bad, result.findings[0].is_exact) == (5, True)

    def test_a_removed_entry_is_named_also_without_its_hash(self, log_path):
        alter(log_path, "DELETE FROM entries WHERE sequence = 14")
        (log_path / "hashes").write_bytes(b"")
        result = verify(log_path)
        # Entries 10 to 13 may have been rewritten: there is nothing to compare them with.
        assert (result.first_bad, result.findings[0].unproved_from) == (14, 10)

    def test_other_hashes_than_those_that_were_signed_accuse_nobody(self, log_path):
        _store_leaf(log_path, 14, b"\xc0")
        hashes = leaf_hashes(_leaves(log_path))
        hashes[12] = hashes[11]
        (log_path / "hashes").write_bytes(b"".join(hashes))
        result = verify(log_path)
        assert (result.exit_code, result.first_bad, result.findings[0].is_exact) == (1, 10, False)


class TestCutOff:
    def test_entries(self, log_path):
        alter(log_path, "DELETE FROM entries WHERE sequence >= 17")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 17)
        assert result.last_good_head == 10

    def test_entries_and_heads_of_the_database(self, log_path):
        alter(log_path, "DELETE FROM entries WHERE sequence >= 20", "DELETE FROM heads WHERE size > 20")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 20)
        assert result.last_good_head == 20

    def test_everything_in_the_database_so_that_it_looks_like_an_earlier_one(self, log_path, tmp_path):
        earlier = write_log(tmp_path / "earlier", (10, 10), key_file=log_path / "audit.key")
        shutil.copy(earlier / "audit.db", log_path / "audit.db")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 20)

    def test_the_database_and_the_checkpoints_but_not_the_hashes(self, log_path, tmp_path):
        earlier = write_log(tmp_path / "earlier", (10, 10), key_file=log_path / "audit.key")
        for name in ("audit.db", "checkpoints"):
            shutil.copy(earlier / name, log_path / name)
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 20)

    def test_everything_is_found_only_with_a_head_from_elsewhere(self, log_path, tmp_path):
        kept = _notes(log_path)[-1]
        earlier = write_log(tmp_path / "earlier", (10, 10), key_file=log_path / "audit.key")
        for name in ("audit.db", "checkpoints", "hashes"):
            shutil.copy(earlier / name, log_path / name)
        unaware = verify(log_path)
        assert unaware.outcome == "valid"
        assert any("cut off" in sentence for sentence in unaware.does_not_prove())
        aware = verify(log_path, known_head=kept)
        assert (aware.exit_code, aware.findings[0].part, aware.first_bad) == (1, "entry", 20)
        assert not any("cut off" in sentence for sentence in aware.does_not_prove())

    def test_the_database_is_gone(self, log_path):
        (log_path / "audit.db").unlink()
        result = verify(log_path)
        assert (result.exit_code, result.first_bad) == (1, 0)

    def test_the_database_is_empty(self, log_path):
        (log_path / "audit.db").write_bytes(b"")
        result = verify(log_path)
        assert (result.exit_code, result.first_bad) == (1, 0)

    @pytest.mark.parametrize("name", ["checkpoints", "hashes"])
    def test_a_file_is_gone(self, log_path, name):
        (log_path / name).unlink()
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, name)
        assert result.last_good_head == 23

    @pytest.mark.parametrize("name", ["checkpoints", "hashes"])
    def test_a_pipe_is_in_the_place_of_a_file(self, log_path, name):
        (log_path / name).unlink()
        os.mkfifo(log_path / name)
        assert verify(log_path).exit_code == 1

    @pytest.mark.parametrize("name", ["checkpoints", "hashes"])
    def test_a_folder_is_in_the_place_of_a_file(self, log_path, name):
        (log_path / name).unlink()
        (log_path / name).mkdir()
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, name)

    @pytest.mark.parametrize("size", [0, 31, 19 * 32])
    def test_more_hashes_than_a_crash_takes(self, log_path, size):
        path = log_path / "hashes"
        path.write_bytes(path.read_bytes()[:size])
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "hashes", size // 32)

    def test_more_checkpoints_than_a_crash_takes(self, log_path):
        (log_path / "checkpoints").write_bytes(b"".join(_notes(log_path)[:2]))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "checkpoints", 20)

    def test_a_checkpoint_in_the_middle(self, log_path):
        notes = _notes(log_path)
        (log_path / "checkpoints").write_bytes(b"".join(notes[:2] + notes[3:]))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "checkpoints", 20)

    @pytest.mark.parametrize("size", [0, 10, 20, 23])
    def test_a_head_of_the_database(self, log_path, size):
        alter(log_path, ("DELETE FROM heads WHERE size = ?", (size,)))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "head", size)

    def test_all_heads_everywhere(self, log_path):
        alter(log_path, "DELETE FROM heads")
        (log_path / "checkpoints").write_bytes(b"")
        result = verify(log_path)
        assert (result.exit_code, result.first_bad, result.last_good_head) == (1, 0, None)


class TestTorn:
    """What a crash between the database and the files leaves."""

    @pytest.mark.parametrize("kept", [0, 1, 40, -1])
    def test_checkpoints_without_the_whole_last_head(self, log_path, kept):
        notes = _notes(log_path)
        (log_path / "checkpoints").write_bytes(b"".join(notes[:-1]) + notes[-1][:kept])
        result = verify(log_path)
        assert (result.outcome, result.exit_code, result.last_good_head) == ("torn", 2, 23)

    def test_checkpoints_with_half_a_head_of_another_kind(self, log_path):
        notes = _notes(log_path)
        (log_path / "checkpoints").write_bytes(b"".join(notes[:-1]) + b"someone")
        assert verify(log_path).exit_code == 1

    def test_checkpoints_with_something_behind_the_last_head(self, log_path):
        with (log_path / "checkpoints").open("ab") as file:
            file.write(b"x")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, "checkpoints")

    @pytest.mark.parametrize("size", [20 * 32, 20 * 32 + 5, 22 * 32, 23 * 32 - 1])
    def test_hashes_without_those_of_the_last_commit(self, log_path, size):
        path = log_path / "hashes"
        path.write_bytes(path.read_bytes()[:size])
        result = verify(log_path)
        assert (result.outcome, result.last_good_head) == ("torn", 23)

    def test_hashes_of_more_entries_than_there_are(self, log_path):
        with (log_path / "hashes").open("ab") as file:
            file.write(bytes(32))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "entry", 23)

    def test_half_a_hash_too_much(self, log_path):
        with (log_path / "hashes").open("ab") as file:
            file.write(bytes(5))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, "hashes")

    def test_an_altered_entry_is_found_in_a_torn_log(self, log_path):
        path = log_path / "hashes"
        path.write_bytes(path.read_bytes()[: 20 * 32])
        _store_leaf(log_path, 7, b"\xc0")
        assert (verify(log_path).exit_code, verify(log_path).first_bad) == (1, 7)

    @pytest.mark.parametrize("names", [("audit.key",), ("audit.key", "audit.pub"), ("checkpoints",)])
    def test_a_log_that_was_about_to_be_made(self, tmp_path, names):
        write_log(tmp_path / "whole", ())
        for name in names:
            shutil.copy(tmp_path / "whole" / name, tmp_path / name)
        if "checkpoints" in names:
            (tmp_path / "checkpoints").write_bytes(b"")
        shutil.rmtree(tmp_path / "whole")
        assert verify(tmp_path).exit_code == (3 if names == ("audit.key",) else 2)


class TestHeads:
    def test_two_with_different_roots_for_one_size_are_found(self, log_path):
        signer = load_key(log_path / "audit.key")
        forged = sign_checkpoint(Checkpoint(signer.verifier.name, 20, bytes(32)), signer)
        notes = _notes(log_path)
        notes[2] = forged
        (log_path / "checkpoints").write_bytes(b"".join(notes))
        assert verify(log_path).exit_code == 1

    def test_in_the_wrong_order_are_found(self, log_path):
        notes = _notes(log_path)
        (log_path / "checkpoints").write_bytes(b"".join([notes[0], notes[2], notes[1], notes[3]]))
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, "checkpoints")

    def test_moved_to_another_size_are_found(self, log_path):
        alter(log_path, "UPDATE heads SET size = 15 WHERE size = 10")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, "head")

    def test_of_another_log_are_found(self, log_path, tmp_path):
        other = write_log(tmp_path / "other", (10,))
        alter(log_path, ("UPDATE heads SET note = ? WHERE size = 10", (_notes(other)[1],)))
        result = verify(log_path)
        assert (result.exit_code, result.first_bad) == (1, 10)

    def test_a_huge_one_is_not_read(self, log_path):
        alter(log_path, "UPDATE heads SET note = zeroblob(3000000) WHERE size = 10")
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "head", 10)

    def test_a_known_one_is_part_of_the_log(self, log_path):
        result = verify(log_path, known_head=_notes(log_path)[2])
        assert (result.outcome, result.is_head_given) == ("valid", True)

    def test_a_known_one_that_speaks_of_other_entries_is_told(self, log_path, tmp_path):
        other = tmp_path / "other"
        with AuditLog(other, key_file=log_path / "audit.key") as log:
            log.append_many(some_events(15, 3))
            known = log.commit().note
        result = verify(log_path, known_head=known)
        assert (result.exit_code, result.last_good_head) == (1, 10)

    @pytest.mark.parametrize("known", [b"", b"nonsense\n"])
    def test_a_known_one_that_is_none_is_an_error_of_the_key(self, log_path, known):
        assert verify(log_path, known_head=known).exit_code == 4


class TestKeys:
    def test_the_key_of_another_log_is_refused(self, log_path, signer):
        result = verify(log_path, public_key=signer.verifier)
        assert (result.exit_code, result.findings[0].part) == (4, "key")
        assert result.last_good_head is None

    def test_a_log_forged_with_another_key_is_found_with_the_right_one(self, log_path, tmp_path):
        trusted = load_public_key(log_path / "audit.pub")
        forged = write_log(tmp_path / "forged", (10, 10, 3))
        assert verify(forged).outcome == "valid"
        assert verify(forged, public_key=trusted).exit_code == 4

    def test_the_given_key_is_shown_as_given(self, log_path):
        trusted = load_public_key(log_path / "audit.pub")
        result = verify(log_path, public_key=trusted)
        assert (result.outcome, result.is_key_given, result.public_key) == ("valid", True, str(trusted))
        assert not any("the key is the right one" in sentence for sentence in result.does_not_prove())

    def test_the_logs_own_key_is_told_to_be_unproved(self, log_path):
        assert any("the key is the right one" in sentence for sentence in verify(log_path).does_not_prove())

    def test_without_any_key_nothing_can_be_said(self, log_path):
        (log_path / "audit.pub").unlink()
        result = verify(log_path)
        assert (result.exit_code, result.proves(), result.does_not_prove()) == (4, [], [])

    def test_a_given_key_does_not_need_the_logs_own(self, log_path):
        trusted = load_public_key(log_path / "audit.pub")
        (log_path / "audit.pub").unlink()
        result = verify(log_path, public_key=trusted)
        assert (result.exit_code, result.findings[0].part, result.last_good_head) == (1, "key", 23)


class TestTheIndex:
    @pytest.fixture
    def long_log(self, tmp_path):
        return write_log(tmp_path / "long", (20_000,))

    def test_an_altered_block_is_found(self, long_log):
        (identity, block), *_ = look(long_log, "SELECT id, block FROM session_index")
        alter(long_log, ("UPDATE session_index SET block = ? WHERE id = ?", (_flip(block, 99), identity)))
        result = verify(long_log)
        assert (result.exit_code, result.findings[0].part, result.first_bad) == (1, "index", 0)
        assert result.last_good_head == 20_000

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM session_index WHERE id = (SELECT max(id) FROM session_index)",
            "DELETE FROM session_index",
            "UPDATE session_index SET id = id + 1 WHERE id = (SELECT max(id) FROM session_index)",
            "INSERT INTO session_index VALUES (1 << 40, x'00')",
        ],
    )
    def test_a_block_that_is_missing_or_too_much_is_found(self, long_log, statement):
        alter(long_log, statement)
        result = verify(long_log)
        assert (result.exit_code, result.findings[0].part) == (1, "index")


class TestTheDatabase:
    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE more (x)",
            "CREATE TRIGGER t AFTER INSERT ON entries BEGIN SELECT 1; END",
            "CREATE INDEX i ON entries (leaf)",
            "DROP TABLE session_index",
            "PRAGMA user_version = 2",
            "PRAGMA application_id = 0",
        ],
    )
    def test_other_tables_are_found(self, log_path, statement):
        alter(log_path, statement)
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (1, "database")

    def test_a_view_in_the_place_of_a_table_is_found(self, log_path):
        alter(log_path, "ALTER TABLE entries RENAME TO hidden", "CREATE VIEW entries AS SELECT * FROM hidden")
        assert verify(log_path).exit_code == 1

    @pytest.mark.parametrize("content", [b"not a database " * 400, b"SQLite format 3\x00" + bytes(5000)])
    def test_something_else_in_its_place_is_found(self, log_path, content):
        (log_path / "audit.db").write_bytes(content)
        result = verify(log_path)
        assert (result.exit_code, result.first_bad) == (1, 0)

    def test_a_cut_file_is_found(self, log_path):
        path = log_path / "audit.db"
        path.write_bytes(path.read_bytes()[:9000])
        assert verify(log_path).exit_code == 1

    def test_an_unreadable_page_of_entries_is_named_by_its_first_entry(self, tmp_path):
        path = write_log(tmp_path / "log", (2_000,))
        database = bytearray((path / "audit.db").read_bytes())
        leaf = _leaves(path)[1_000]
        page_size = int.from_bytes(database[16:18], "big")
        page = database.index(leaf) // page_size * page_size
        database[page : page + 100] = bytes(100)
        (path / "audit.db").write_bytes(database)
        result = verify(path)
        assert (result.exit_code, result.findings[0].part) == (1, "entry")
        assert 900 < (result.first_bad or 0) <= 1_000
        assert result.findings[0].is_exact


class TestUsage:
    def test_no_directory(self, tmp_path):
        assert verify(tmp_path / "none").exit_code == 3

    def test_a_directory_without_a_log(self, tmp_path):
        assert verify(tmp_path).exit_code == 3

    def test_files_that_may_not_be_read(self, log_path, monkeypatch):
        def forbidden(path, *_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(type(log_path), "open", forbidden)
        result = verify(log_path)
        assert (result.exit_code, result.findings[0].part) == (3, "log")

    def test_a_file(self, tmp_path):
        (tmp_path / "file").write_text("x")
        assert verify(tmp_path / "file").exit_code == 3


class TestTheResult:
    def test_can_be_written_as_json(self, log_path):
        _store_leaf(log_path, 12, b"\xc0")
        shown = json.loads(json.dumps(verify(log_path).to_dict()))
        assert (shown["outcome"], shown["exit_code"], shown["first_bad"]) == ("tampered", 1, 12)
        assert shown["findings"][0]["part"] == "entry"
        assert shown["last_good_head"] == 10

    def test_can_be_read_by_people(self, log_path):
        _store_leaf(log_path, 12, b"\xc0")
        lines = verify(log_path).describe().splitlines()
        assert lines[0].startswith("TAMPERED")
        assert any(line.strip().startswith("entry 12: expected leaf hash") for line in lines)
        assert any(line.startswith("last good head: 10 entries") for line in lines)

    def test_shows_nothing_of_a_forger_to_the_terminal_as_it_is(self, log_path):
        alter(log_path, 'CREATE TABLE "\x1b[2J\r\n' + "x" * 5_000 + '" (x)')
        shown = verify(log_path).describe()
        assert "TAMPERED" in shown
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines())) < 1_000

    def test_says_what_a_bad_log_still_proves(self, log_path):
        _store_leaf(log_path, 12, b"\xc0")
        proved = " ".join(verify(log_path).proves())
        assert "first 10 entries" in proved
        assert "Nothing is proved" in proved


def test_the_paths_of_a_log_are_all_in_its_directory(tmp_path):
    paths = LogPaths(tmp_path)
    assert {paths.database, paths.hashes, paths.checkpoints, paths.public_key, paths.private_key} == {
        tmp_path / name for name in ("audit.db", "hashes", "checkpoints", "audit.pub", "audit.key")
    }


def test_a_head_can_be_checked_by_itself(log_path):
    verifier = Verifier.parse((log_path / "audit.pub").read_text())
    assert open_checkpoint(_notes(log_path)[-1], verifier).size == 23
    assert isinstance(load_key(log_path / "audit.key"), Signer)
