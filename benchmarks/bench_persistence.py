"""How many sessions a second become durable, and how fast do 100,000 come back?

Workload: 20,000 live sessions in one SQLite file, each with the default options and
two transitions behind it. All of them are made durable together, again and again
(`persist_sessions`, group commit, each commit on the disk), and then one after the
other by one caller that waits for each. For the way back, a system is started on a
file with 100,000 stored sessions; the time is until it can be used.

Does not show: large metadata, a slow disk, several callers at once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Effort, Figure, benchmark, figure, rate, seconds
from sessionactors import SessionOptions, SessionSystem

__all__ = ["coming_back", "persisting"]

_OPTIONS = SessionOptions(persistent=True, auth_required=False, idle_timeout=None)
_RECOVERIES = 3
_STOP = 120.0  # seconds that 100,000 sessions have for their ends


@contextmanager
def stored_system(count: int) -> Iterator[tuple[SessionSystem, Path, tuple[str, ...]]]:
    """Provide a system with so many stored sessions, its file, and the ids."""
    directory = Path(tempfile.mkdtemp(prefix="bench-persistence-"))
    path = directory / "sessions.db"
    try:
        with SessionSystem(path=path, session=_OPTIONS) as system:
            ids = system.start_sessions(f"session-{number}" for number in range(count)).done
            for session_id in ids:
                system.activate(session_id)
                system.deactivate(session_id)
            system.persist_sessions(ids, timeout=600.0)
            yield system, path, ids
            system.stop(_STOP)
    finally:
        shutil.rmtree(directory)


def one_by_one(system: SessionSystem, ids: tuple[str, ...]) -> None:
    """Make each durable before the next."""
    for session_id in ids:
        system.persist(session_id)


@benchmark("sessions")
def persisting(effort: Effort) -> Mapping[str, Figure]:
    """Make live sessions durable, together and one by one."""
    count = effort.size(20_000, smoke=50)
    single = effort.size(500, smoke=5)
    with stored_system(count) as (system, _, ids):
        compared = effort.interleave({
            "together": lambda: rate(count, lambda: system.persist_sessions(ids, timeout=600.0)),
            "one by one": lambda: rate(single, lambda: one_by_one(system, ids[:single])),
        })  # fmt: skip
    return {
        "persist_per_s_sqlite": compared.figure("together", "sessions/s"),
        "persist_per_s_sqlite_one_by_one": compared.figure("one by one", "sessions/s"),
    }


@benchmark("sessions")
def coming_back(effort: Effort) -> Mapping[str, Figure]:
    """Start a system on stored sessions."""
    count = effort.size(100_000, smoke=200)
    durations = []
    with stored_system(count) as (system, path, _):
        system.stop(_STOP)
        for _ in range(1 if effort.smoke else _RECOVERIES):
            found: list[SessionSystem] = []
            durations.append(seconds(lambda found=found: found.append(SessionSystem(path=path))))  # type: ignore[misc]  # mypy cannot type a default of a lambda
            assert found[0].recovered.recovered == count
            found[0].stop(_STOP)
    return {"recover_100k_s": figure(durations, "s")}
