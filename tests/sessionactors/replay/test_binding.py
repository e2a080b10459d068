"""When a replay's audit log reaches the disk."""

from __future__ import annotations

import pytest

from sessionactors.audit.queries import AuditReader
from sessionactors.replay.binding import open_replay_system
from sessionactors.replay.settings import ReplaySettings

START = 1_431_857_103.0


def durable_after_an_hour(directory, speed):
    with open_replay_system(ReplaySettings(), start=START, directory=directory, speed=speed) as system:
        system.start_session("alice#1")
        system.advance_to(START + 3600.0)
        with AuditReader(directory) as reader:
            return sum(1 for _ in reader.events())


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_replay_in_real_time_writes_its_log_as_it_goes(tmp_path, speed):
    assert durable_after_an_hour(tmp_path, speed) > 0


def test_a_replay_at_full_speed_writes_its_log_in_large_batches(tmp_path):
    assert durable_after_an_hour(tmp_path, None) == 0
