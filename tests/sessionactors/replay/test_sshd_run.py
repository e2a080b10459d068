"""Replays of sshd logs with the real session system, against the oracle and against themselves."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionactors.audit.log import AuditLog
from sessionactors.replay.report import ReplayReport
from sessionactors.replay.run import replay_log
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import Log, read_log
from supervisors.clock import SystemClock
from tests.sessionactors.replay.sshd_lines import sshd_line
from tests.sessionactors.replay.sshd_oracle import Options, expect

COUNTS = (
    "lines",
    "bad_lines",
    "other_lines",
    "requests",
    "clients",
    "sessions",
    "transitions",
    "auth_denied",
    "reaped",
    "peak_live",
    "simulated_seconds",
)

TIMEOUTS = [
    Options(),
    Options(year=2017),
    Options(idle_timeout=5, reap_after=60, reap_interval=7),
    Options(auth_timeout=1),
    Options(auth_timeout=5, max_auth_attempts=3),
    Options(auth_timeout=60, reap_after=20, reap_interval=10),
    Options(auth_timeout=2.5, idle_timeout=2.5, reap_after=10, reap_interval=2.5, max_auth_attempts=1),
    Options(idle_timeout=600, reap_after=7200, reap_interval=45, max_auth_attempts=20),
]


def run(log: Log, options: Options, directory: Path | None = None, **more: int) -> ReplayReport:
    chosen = {key: value for key, value in dataclasses.asdict(options).items() if key != "year"}
    report, is_complete = replay_log(log, ReplaySettings(**chosen, **more), clock=SystemClock(), directory=directory)
    assert is_complete
    return report


def check(path: Path, options: Options, directory: Path | None = None) -> ReplayReport:
    report = run(read_log([str(path)], log_format="sshd", year=options.year), options, directory)
    expected = expect(path.read_text().splitlines(), options)
    assert {name: getattr(report, name) for name in COUNTS} == {name: getattr(expected, name) for name in COUNTS}
    if directory is not None:
        named = [event.event for event in _events(directory)]
        assert named.count("auth_timeout") == expected.timeouts + expected.transitions["never"]
    return report


def _events(directory: Path) -> list[object]:
    log = AuditLog(directory)
    events = list(log.events())
    log.close()
    return events
