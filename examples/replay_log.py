"""Replay a web server's log through supervised sessions, and crash some of them on the way.

What `sessionactors replay` does, from a program: a log is read, each client in it becomes
a session, and time is that of the log, so hours pass in a second. The same log and the
same settings give the same root of the audit log.

    python examples/replay_log.py [LOG ...]
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from sessionactors.replay.report import ReplayReport
from sessionactors.replay.run import replay_log
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import read_log
from supervisors import SystemClock

logging.getLogger("supervisors").setLevel(logging.CRITICAL)  # the crashes are on purpose

SAMPLE = Path(__file__).parent / "access.log"


def replay(names: list[str], settings: ReplaySettings) -> ReplayReport:
    """Replay files once."""
    report, is_complete = replay_log(read_log(names), settings, clock=SystemClock())
    assert is_complete
    return report


def main(arguments: list[str]) -> None:
    """Replay twice as it was, and once with a crash after every 200 events."""
    names = arguments or [str(SAMPLE)]
    first = replay(names, ReplaySettings())
    again = replay(names, ReplaySettings())
    crashed = replay(names, ReplaySettings(crash_every=200))
    print(f"{first.requests} requests of {first.clients} clients in {first.sessions} sessions")
    print(f"{first.simulated_seconds / 3600.0:.1f} hours of the log, at most {first.peak_live} sessions at once")
    print(f"refused by the rate limit: {first.rate_limited}, ended by the reaper: {first.reaped}")
    is_same = again.audit_root == first.audit_root
    print(f"entries of the audit log: {first.audit_size}, the second time the same: {is_same}")
    print(f"with crashes: {crashed.requests} requests handled, {crashed.sessions} sessions")


if __name__ == "__main__":
    main(sys.argv[1:])
