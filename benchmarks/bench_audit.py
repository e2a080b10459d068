"""How many events a second become durable, and how fast are they verified?

Workload: state transitions of 1,000 sessions, in batches of 10,000, chained,
indexed, each batch on disk (fdatasync) with a signed head; then a stranger's
verification of the same directory. And the same through live sessions: 100,000 of
them, whose transitions go through the audit actor to the disk. And how long it takes
to find the 20 entries of one session in a large log, of sessions that come and go.

The query is measured in a log of some 1,000,000 entries. The time in the part that is
indexed is multiplied up to 10,000,000, because what is read there grows with the number of
index segments; the time in the half segment at the end, which has no index yet, is added.
AUDIT_QUERY_EVENTS=10000000 measures the full size instead.

Does not show: large payloads, several logs at once, a slow disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.bench_sessions import round_trip
from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from sessionactors import AuditSettings, SessionOptions, SessionSystem
from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import kind_of, transition_data
from sessionactors.audit.session_index import SEGMENT_SIZE
from sessionactors.audit.verify import verify
from supervisors.clock import VirtualClock

__all__ = ["durable_events", "logged_transitions", "session_query"]

_BATCH = 10_000


@benchmark("audit")
def durable_events(effort: Effort) -> Mapping[str, Figure]:
    """Write, sign and verify batches of transitions."""
    count = effort.size(200_000, smoke=2_000)
    kind, data = kind_of("state_transition"), transition_data("active", "idle")
    events = [(1.5e9 + n / 1e4, n / 1e4, f"session-{n % 1000}", kind, "session", data) for n in range(count)]
    writing, verifying, sizes = [], [], []
    for _ in range(effort.runs):
        directory = Path(tempfile.mkdtemp(prefix="bench-audit-"))
        try:
            with AuditLog(directory / "log") as log:

                def write(log: AuditLog = log) -> None:
                    for start in range(0, count, _BATCH):
                        log.append_many(events[start : start + _BATCH])
                        log.commit()

                writing.append(rate(count, write))
            verifying.append(rate(count, lambda directory=directory: verify(directory / "log")))  # type: ignore[misc]  # mypy cannot type a default of a lambda
            sizes.append(sum(path.stat().st_size for path in (directory / "log").iterdir()) / count)
        finally:
            shutil.rmtree(directory)
    return {
        "audit_events_per_s_durable": figure(writing, "events/s"),
        "audit_verify_per_s": figure(verifying, "events/s"),
        "audit_bytes_per_event": figure(sizes, "bytes"),
    }


@benchmark("audit")
def logged_transitions(effort: Effort) -> Mapping[str, Figure]:
    """Send the transitions of live sessions to the disk."""
    count = effort.size(100_000, smoke=100)
    directory = Path(tempfile.mkdtemp(prefix="bench-audit-"))
    try:
        with SessionSystem(
            audit_dir=directory / "log",
            session=SessionOptions(auth_required=False, idle_timeout=None),
            audit=AuditSettings(batch_max=10_000, batch_delay=0.5),
            clock=VirtualClock(),
        ) as system:
            ids = [system.start_session(f"session-{number}") for number in range(count)]
            for session_id in ids:
                system.activate(session_id)

            def work() -> None:
                round_trip(system, ids)
                system.commit_audit()

            compared = effort.interleave({"ours": lambda: rate(2 * count, work)})
    finally:
        shutil.rmtree(directory)
    return {"audit_logged_transition_per_s": compared.figure("ours", "transitions/s")}


_WANTED: Final = 10_000_000
_PER_SESSION: Final = 20


@benchmark("audit")
def session_query(effort: Effort) -> Mapping[str, Figure]:
    """Read all entries of one session out of a large log."""
    wanted = int(os.environ.get("AUDIT_QUERY_EVENTS", "1000000"))
    segments = effort.size(max(wanted // SEGMENT_SIZE, 1), smoke=2)
    indexed = segments * SEGMENT_SIZE
    directory = Path(tempfile.mkdtemp(prefix="bench-audit-"))
    try:
        _write_sessions(directory / "log", indexed + SEGMENT_SIZE // 2)
        values = []
        for _ in range(effort.runs):
            with AuditReader(directory / "log") as reader:
                known = _seconds(reader, f"session-{indexed // _BATCH // 2}-7", 0, indexed, found=_PER_SESSION)
                rest = _seconds(reader, "session-0-7", indexed, indexed + SEGMENT_SIZE, found=0)
            values.append(1e3 * (known * _WANTED / indexed + rest))
    finally:
        shutil.rmtree(directory)
    return {"audit_query_ms_session_in_10m": figure(values, "ms")}


def _write_sessions(directory: Path, count: int) -> None:
    kind, data = kind_of("state_transition"), transition_data("active", "idle")
    with AuditLog(directory) as log:
        for start in range(0, count, _BATCH):
            # 500 sessions are alive at a time, each has 20 entries.
            log.append_many(
                (
                    1.5e9 + n / 1e4,
                    n / 1e4,
                    f"session-{n // _BATCH}-{n % (_BATCH // _PER_SESSION)}",
                    kind,
                    "session",
                    data,
                )
                for n in range(start, min(start + _BATCH, count))
            )
            log.commit()


def _seconds(reader: AuditReader, session: str, start: int, stop: int, *, found: int) -> float:
    """Return the seconds of a query, the best of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        count = sum(1 for _ in reader.events(session=session, start=start, stop=stop))
        taken.append(time.perf_counter() - started)
        assert count == found
    return min(taken)
