"""How many events a second become durable, and how fast are they verified?

Workload: state transitions of 1,000 sessions, in batches of 10,000, chained,
indexed, each batch on disk (fdatasync) with a signed head; then a stranger's
verification of the same directory. And the same through live sessions: 20,000 of
them, whose transitions go through the audit actor to the disk.

Does not show: large payloads, several logs at once, a slow disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench_sessions import round_trip
from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from sessionactors import AuditSettings, SessionOptions, SessionSystem
from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import kind_of, transition_data
from sessionactors.audit.verify import verify
from supervisors.clock import VirtualClock

__all__ = ["durable_events", "logged_transitions"]

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
    count = effort.size(20_000, smoke=100)
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
