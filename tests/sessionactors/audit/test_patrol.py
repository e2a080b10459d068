from __future__ import annotations

import pytest

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditDamagedError, AuditReadError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.patrol import patrol
from sessionactors.audit.queries import AuditReader
from tests.sessionactors.audit.conftest import alter, some_events


def head_of(path):
    with AuditReader(path) as reader:
        return reader.head()


def test_what_was_written_is_found_again(log_path):
    assert len(list(patrol(log_path, head_of(log_path)))) == 1


def test_a_log_of_nothing_has_nothing_to_read(tmp_path):
    with AuditLog(tmp_path / "log") as log:
        assert list(patrol(tmp_path / "log", log.head())) == []


def test_a_large_log_is_read_in_steps(tmp_path):
    with AuditLog(tmp_path / "log") as log:
        log.append_many(some_events(5000))
        head = log.commit()
        steps = patrol(tmp_path / "log", head)
        next(steps)
        log.append_many(some_events(10, 5000))
        log.commit()  # what comes meanwhile does not matter
        assert len(list(steps)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE sequence = 3) WHERE sequence = 4",
        "DELETE FROM entries WHERE sequence = 4",
        "DELETE FROM entries WHERE sequence = 22",
    ],
)
def test_what_was_altered_is_noticed(log_path, statement):
    head = head_of(log_path)
    alter(log_path, statement)
    with pytest.raises(AuditDamagedError, match="23 entries"):
        list(patrol(log_path, head))


def test_another_root_is_noticed(log_path):
    with pytest.raises(AuditDamagedError):
        list(patrol(log_path, AuditHead(23, bytes(32), None)))


def test_a_log_that_is_not_there_is_said(tmp_path):
    with pytest.raises(AuditReadError):
        list(patrol(tmp_path, AuditHead(23, bytes(32), None)))
