"""Logs to alter: small ones, made fresh, closed in order."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from sessionactors.audit.checkpoint import Signer
from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import AuditEvent, kind_of, transition_data

SEED = bytes(range(32))
STATES = ("new", "auth", "active", "idle", "suspended")


def some_events(count, first=0):
    """Return events as a session system has them: mostly transitions, now and then something else."""
    return [_event(number) for number in range(first, first + count)]


def _event(number):
    moment = 1_700_000_000.25 + number, float(number)
    session = f"10.0.0.{number % 7}#1"
    if number % 5 == 4:
        return AuditEvent(*moment, session, kind_of("auth", "warning"), "session", {"action": "denied", "n": number})
    edge = transition_data(STATES[number % 4], STATES[number % 4 + 1])
    return AuditEvent(*moment, session, kind_of("state_transition"), "session", edge)


def write_log(directory, batches, **options):
    """Write a log with one commit for each number of events, and close it."""
    log = AuditLog(directory, **options)
    written = 0
    for count in batches:
        log.append_many(some_events(count, written))
        log.commit()
        written += count
    log.close()
    return directory


def alter(directory, *statements):
    """Do to the database what somebody with a text editor for SQL would do."""
    connection = sqlite3.connect(directory / "audit.db")
    connection.execute("PRAGMA synchronous = OFF")
    for statement in statements:
        connection.execute(*([statement] if isinstance(statement, str) else statement))
    connection.commit()
    connection.close()


def look(directory, sql, *values):
    """Return rows of the database."""
    connection = sqlite3.connect(directory / "audit.db")
    rows = connection.execute(sql, values).fetchall()
    connection.close()
    return rows


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """A closed log of 23 entries under four heads (0, 10, 20, 23)."""
    return write_log(tmp_path_factory.mktemp("pristine") / "log", (10, 10, 3))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A closed log of five entries under three heads (0, 3, 5), for tests that alter every byte of it."""
    return write_log(tmp_path_factory.mktemp("tiny") / "log", (3, 2))


@pytest.fixture
def tiny_path(tiny, tmp_path) -> Path:
    """A copy of the tiny log, to be altered."""
    return Path(shutil.copytree(tiny, tmp_path / "log"))


@pytest.fixture
def log_path(pristine, tmp_path) -> Path:
    """A copy of the pristine log, to be altered."""
    return Path(shutil.copytree(pristine, tmp_path / "log"))


@pytest.fixture
def signer() -> Signer:
    return Signer("example.com/log", SEED)
