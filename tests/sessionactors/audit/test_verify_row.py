"""A log is verified together with those before it: each is there, and ends where it was handed over."""

from __future__ import annotations

import shutil

import pytest

from sessionactors.audit.archives import pack, to_be_packed
from sessionactors.audit.errors import AuditDamagedError, AuditReadError
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.selection import Selection
from sessionactors.audit.trail import trail_of
from sessionactors.audit.verify import verify
from sessionactors.audit.verify_row import verify_row, worst_of
from tests.sessionactors.audit.conftest import alter, some_events


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A row of three logs, of 10, 1 + 5 and 1 + 3 entries, the first one packed, and a head of it at 4 entries."""
    path = tmp_path_factory.mktemp("row") / "log"
    with AuditLog(path) as log:
        log.append_many(some_events(4))
        early = log.commit().note
        log.append_many(some_events(6, 4))
        log.seal(1.0, 1.0)
        (first,) = to_be_packed(path)
        for _ in pack(first):
            pass
        log.append_many(some_events(5, 10))
        log.seal(2.0, 2.0)
        log.append_many(some_events(3, 15))
    return path, early


@pytest.fixture
def row(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "log")


def results(row, **wanted):
    return [(each.name, each.verification.outcome) for each in verify_row(row, **wanted)]


def test_a_good_row_is_valid_from_its_beginning(row):
    found = verify_row(row)
    assert [(each.name, each.verification.size) for each in found] == [
        ("archive/00000001.tar.gz", 10),
        ("archive/00000002", 6),
        (".", 4),
    ]
    assert worst_of(found).outcome == "valid"


def test_a_log_alone_says_that_those_before_it_are_not_proved(row):
    result = verify(row)
    assert (result.outcome, result.sealed, result.goes_on_as) == ("valid", 2, None)
    assert any("2 logs that were sealed" in sentence for sentence in result.does_not_prove())


def test_a_sealed_log_says_with_which_it_goes_on(row):
    result = verify(row / "archive/00000002")
    assert (result.sealed, result.goes_on_as) == (1, load_public_key(row / "audit.pub").name)
    assert any("goes on as" in sentence for sentence in result.proves())


@pytest.mark.parametrize("name", ["00000001.tar.gz", "00000002"])
def test_one_that_is_missing_is_found(row, name):
    path = row / "archive" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = verify_row(row)
    assert worst_of(found).exit_code == 1
    assert "none in the archive" in str(worst_of(found).findings[0])


def test_two_that_changed_places_are_found(row):
    archive = row / "archive"
    (archive / "00000001.tar.gz").rename(archive / "00000002.tar.gz")
    (archive / "00000002").rename(archive / "00000001")
    assert [outcome for _, outcome in results(row)] == ["tampered", "tampered", "valid"]


def test_an_altered_entry_of_one_is_found(row):
    alter(row / "archive/00000002", "UPDATE entries SET leaf = x'c0' WHERE sequence = 3")
    worst = worst_of(verify_row(row))
    assert (worst.exit_code, worst.first_bad) == (1, 3)


def test_one_that_was_cut_back_with_its_own_handovers_is_found(made, row, tmp_path):
    with AuditLog(tmp_path / "short", key_file=row / "audit.key") as log:
        log.append_many(some_events(4))
    shutil.rmtree(row / "archive/00000002")
    target = row / "archive/00000002"
    shutil.copytree(tmp_path / "short", target)
    assert [outcome for _, outcome in results(row)] == ["valid", "tampered", "valid"]


def test_a_head_that_was_kept_of_an_earlier_log_is_looked_for_there(made, row, tmp_path):
    _, early = made
    assert [outcome for _, outcome in results(row, known_head=early)] == ["valid"] * 3
    alone = verify(row, known_head=early)
    assert alone.exit_code == 4
    assert "--sealed" in str(alone.findings[0])


def test_trust_goes_from_an_earlier_key_to_later_ones_and_not_back(row):
    first, last = load_public_key(row / "archive/00000002/audit.pub"), load_public_key(row / "audit.pub")
    assert [each.verification.is_key_given for each in verify_row(row, public_key=first)] == [False, True, True]
    assert [each.verification.is_key_given for each in verify_row(row, public_key=last)] == [False, False, True]


def test_the_worst_result_decides(row):
    (row / "hashes").write_bytes((row / "hashes").read_bytes()[:-3])
    assert worst_of(verify_row(row)).outcome == "torn"
    (row / "archive/00000001.tar.gz").write_bytes(b"\x1f\x8b")
    assert worst_of(verify_row(row)).outcome == "tampered"


def test_entries_of_all_logs_come_in_order(row):
    trail = trail_of(row, Selection(), with_sealed=True)
    assert [each.sequence for each in trail] == [*range(10), *range(6), *range(4)]


def test_entries_of_all_logs_are_not_given_without_those_that_are_missing(row):
    shutil.rmtree(row / "archive/00000002")
    with pytest.raises(AuditReadError, match="1 of 2 sealed logs"):
        trail_of(row, Selection(), with_sealed=True)
    assert trail_of(row, Selection()).sealed == 2


def test_entries_of_all_logs_are_not_given_in_another_order(row):
    archive = row / "archive"
    (archive / "00000001.tar.gz").rename(archive / "00000002.tar.gz")
    (archive / "00000002").rename(archive / "00000001")
    with pytest.raises(AuditDamagedError, match="another log of the row"):
        list(trail_of(row, Selection(), with_sealed=True))
