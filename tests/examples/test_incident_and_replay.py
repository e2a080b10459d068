"""The examples of the incident in a music player, and of replaying a log, show what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

INCIDENT = """\
Pykka by itself: frontend alive: False
send() in place of tell(): same frontend: True, there is one: True, a client heard ['next song', 'another song']
a group in place of a list: same frontend: True, there is one: True, a client heard ['next song', 'another song']
tell(), and a supervisor: same frontend: False, there is one: True, a client heard ['another song']
"""

REPLAY = """\
3452 requests of 199 clients in 232 sessions
5.5 hours of the log, at most 55 sessions at once
refused by the rate limit: 60, ended by the reaper: 232
entries of the audit log: 3121, the second time the same: True
with crashes: 3452 requests handled, 260 sessions
"""


def printed(name):
    example = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (example.returncode, example.stderr) == (0, "")
    return example.stdout


def test_a_broadcaster_lives_on_when_a_session_has_just_died():
    assert printed("mopidy_incident.py") == INCIDENT


def test_a_log_is_replayed_twice_alike_and_survives_crashes():
    assert printed("replay_log.py") == REPLAY
