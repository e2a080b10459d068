"""A sealed log stays whole, the next one goes on from it, and no crash on the way loses either."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from sessionactors.audit import sealing
from sessionactors.audit.archives import to_be_packed
from sessionactors.audit.checkpoint import open_checkpoint
from sessionactors.audit.errors import AuditDamagedError, AuditError, AuditKeyError, AuditLockedError, AuditWriteError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import read_handovers
from sessionactors.audit.keys import create_key, load_key, load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import alter, some_events

MOMENT = (1_800_000_000.0, 7.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def sealed(path, count=12, **options):
    """Write a log, seal it, and write a little into the next; return where the sealed one is."""
    with AuditLog(path, origin="example.com/log") as log:
        log.append_many(some_events(count))
        done = log.seal(*MOMENT, **options)
        log.append_many(some_events(3, 1))
    return done.directory


class TestASealedLog:
    def test_verifies_on_its_own(self, path):
        directory = sealed(path)
        assert directory == path / "archive" / "00000001"
        assert (verify(directory).outcome, verify(directory).size) == ("valid", 12)

    def test_has_no_private_key(self, path):
        assert not (sealed(path) / "audit.key").exists()

    def test_is_found_out_if_something_is_added_with_its_own_key(self, path, tmp_path):
        directory = sealed(path)
        with AuditLog(directory, key_file=path / "audit.key") as log:
            log.append_many(some_events(1, 12))
        found = verify(directory)
        assert (found.outcome, found.first_bad) == ("tampered", 13)

    def test_cannot_be_replaced_by_a_shorter_one_with_its_own_key(self, path, tmp_path):
        directory = sealed(path)
        other = tmp_path / "other"
        with AuditLog(other, key_file=path / "audit.key", origin="example.com/log") as log:
            log.append_many(some_events(5))
        shutil.copy(directory / "handovers", other)
        assert verify(other).outcome == "tampered"

    def test_of_nothing_is_not_made(self, path):
        with AuditLog(path) as log:
            assert log.seal(*MOMENT) is None
            log.append_many(some_events(1))
            assert log.seal(*MOMENT) is not None
            assert log.seal(*MOMENT) is None


class TestTheNextLog:
    def test_begins_with_the_last_head_of_the_old_one(self, path):
        directory = sealed(path, reason="age", actor="audit")
        with AuditReader(path) as reader:
            first = next(reader.events())
        old = open_checkpoint(first.data["checkpoint"].encode(), load_public_key(directory / "audit.pub"))
        assert (old.origin, old.size) == ("example.com/log", 12)
        assert (first.type, first.actor, first.wall_time) == ("compliance", "audit", MOMENT[0])
        assert (first.data["event"], first.data["reason"], first.data["is_key_new"]) == ("log_continues", "age", False)

    def test_has_a_name_of_its_own(self, path):
        sealed(path)
        with AuditLog(path, origin="example.com/log") as log:
            assert (log.origin, log.size) == ("example.com/log/segment-2", 4)

    def test_is_verified_with_the_key_of_the_first(self, path):
        directory = sealed(path)
        first = load_public_key(directory / "audit.pub")
        with AuditLog(path) as log:
            log.seal(*MOMENT)
        found = verify(path, public_key=first)
        assert (found.outcome, found.handovers, found.is_key_given) == ("valid", 2, True)

    def test_is_not_verified_with_a_later_key_in_the_place_of_an_earlier(self, path):
        directory = sealed(path)
        assert verify(directory, public_key=load_public_key(path / "audit.pub")).outcome == "key"

    @pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-9])])
    def test_is_found_out_without_its_handovers(self, path, damage):
        sealed(path)
        damage(path / "handovers")
        found = verify(path)
        assert (found.outcome, found.findings[0].part) == ("tampered", "handovers")

    def test_refuses_to_be_sealed_if_its_handovers_were_altered(self, path):
        sealed(path)
        (path / "handovers").write_bytes(b"x")
        with AuditLog(path) as log, pytest.raises(AuditDamagedError):
            log.seal(*MOMENT)

    def test_can_be_sealed_again_and_again(self, path):
        with AuditLog(path, origin="example.com/log") as log:
            for number in range(4):
                log.append_many(some_events(3, number > 0))
                assert log.seal(*MOMENT).origin == f"example.com/log/segment-{number + 2}"
        assert [verify(each).outcome for each in to_be_packed(path)] == ["valid"] * 4
        assert [each.final.size for each in read_handovers(path / "handovers")] == [3, 4, 4, 4]


class TestANewKey:
    def test_signs_the_next_log_and_both_sign_the_handover(self, path, tmp_path):
        create_key(tmp_path / "new", "example.com/log")
        directory = sealed(path, new_key_file=tmp_path / "new")
        old, new = load_public_key(directory / "audit.pub"), load_public_key(path / "audit.pub")
        assert old.public != new.public
        (handover,) = read_handovers(path / "handovers")
        assert (handover.old, handover.new) == (old, new)
        assert verify(path, public_key=old).outcome == verify(directory, public_key=old).outcome == "valid"

    def test_takes_the_place_of_the_old_one_in_the_directory(self, path, tmp_path):
        new = create_key(tmp_path / "new", "example.com/log")
        sealed(path, new_key_file=tmp_path / "new")
        assert load_key(path / "audit.key").verifier == new.verifier
        with AuditLog(path) as log:
            log.append_many(some_events(1, log.size))
        assert verify(path).outcome == "valid"

    def test_may_have_another_name(self, path, tmp_path):
        create_key(tmp_path / "new", "example.org/other")
        directory = sealed(path, new_key_file=tmp_path / "new")
        assert verify(path, public_key=load_public_key(directory / "audit.pub")).origin == "example.org/other/segment-2"

    def test_that_is_missing_is_refused_and_the_log_goes_on(self, path, tmp_path):
        with AuditLog(path) as log:
            log.append_many(some_events(3))
            with pytest.raises(AuditKeyError):
                log.seal(*MOMENT, new_key_file=tmp_path / "none")
            log.append_many(some_events(3, 3))
        assert (verify(path).outcome, verify(path).size) == ("valid", 6)

    def test_whose_name_is_that_of_a_following_log_is_refused(self, path, tmp_path):
        key = create_key(tmp_path / "key", "example.com/log").renamed("example.com/log/segment-2")
        (tmp_path / "key").write_text(f"{key.secret_text()}\n")
        with pytest.raises(AuditKeyError, match="name"):
            AuditLog(path, key_file=tmp_path / "key")


class TestAReader:
    def test_keeps_a_log_from_being_sealed(self, path):
        with AuditLog(path) as log:
            log.append_many(some_events(3))
            log.commit()
            with AuditReader(path) as reader:
                with pytest.raises(AuditLockedError):
                    log.seal(*MOMENT)
                assert len(list(reader.events())) == 3
            log.append_many(some_events(3, 3))
            assert log.seal(*MOMENT).head.size == 6

    def test_of_the_writer_itself_does_not(self, path):
        with AuditLog(path) as log:
            log.append_many(some_events(3))
            log.commit()
            assert len(list(log.events())) == 3
            assert log.seal(*MOMENT).head.size == 3
            assert [each.data["event"] for each in log.events()] == ["log_continues"]


class CrashError(Exception):
    """The process ends here."""


def crash_at(monkeypatch, number):
    """End at a call of the system; return what counts them."""
    seen = []

    def failing(right):
        def call(*arguments, **more):
            seen.append(right)
            if len(seen) == number:
                raise CrashError
            return right(*arguments, **more)

        return call

    for owner, name in (
        (os, "link"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (shutil, "rmtree"),
        (os, "fsync"),
        (os, "fdatasync"),
    ):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))
    return seen


def test_a_crash_anywhere_in_a_seal_loses_nothing(tmp_path, monkeypatch):
    origin = tmp_path / "origin"
    with AuditLog(origin, origin="example.com/log") as log:
        log.append_many(some_events(6))
    outcomes = []
    for number in range(1, 200):
        path = Path(shutil.copytree(origin, tmp_path / f"log-{number}"))
        log = AuditLog(path)
        with monkeypatch.context() as patch:
            seen = crash_at(patch, number)
            with contextlib.suppress(CrashError):
                log.seal(*MOMENT)
            is_whole = len(seen) < number
        log._release()  # what the end of the process does
        before = verify(path)
        assert before.exit_code in (0, 2), before
        assert before.size in (1, 6)
        with AuditLog(path) as log:
            log.append_many(some_events(2, log.size))
        after = verify(path)
        assert (after.outcome, after.size) == ("valid", before.size + 2)
        is_sealed = before.size == 1
        if is_sealed:
            assert (verify(path / "archive" / "00000001").outcome, after.origin) == (
                "valid",
                "example.com/log/segment-2",
            )
        outcomes.append(is_sealed)
        shutil.rmtree(path)
        if is_whole:
            break
    else:
        raise AssertionError("a seal has no end")
    assert outcomes == sorted(outcomes)  # it counts from one moment on
    assert outcomes[0] is False
    assert outcomes[-1] is True


def test_a_seal_that_cannot_be_marked_leaves_the_log_open(path, monkeypatch):
    with AuditLog(path) as log:
        log.append_many(some_events(3))
        with monkeypatch.context() as patch:
            patch.setattr(sealing, "_store", _full)
            with pytest.raises(AuditWriteError):
                log.seal(*MOMENT)
        log.append_many(some_events(3, 3))
        assert log.seal(*MOMENT).head.size == 6


def test_a_seal_that_cannot_be_completed_is_completed_by_opening_again(path, monkeypatch):
    with AuditLog(path) as log:
        log.append_many(some_events(3))
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", _full)
            with pytest.raises(AuditWriteError):
                log.seal(*MOMENT)
            assert log.is_closed
            with pytest.raises(AuditError):
                log.reopen()
        log.reopen()
        assert (log.size, log.is_closed) == (1, False)
        assert not LogPaths(path).sealing.exists()


def _full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_forged_first_entry_is_found(path):
    sealed(path)
    alter(path, "UPDATE entries SET leaf = x'00' WHERE sequence = 0")
    found = verify(path)
    assert (found.outcome, found.first_bad) == ("tampered", 0)
