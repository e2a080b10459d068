"""The whole life of one session, in ten steps, with everything around it.

A persistent session is started, authenticated and activated, gets an isolation
account and a rate limit, takes a turn, rests, comes back and ends. Afterwards the
services have forgotten it, and the audit log has not.

Run it:  python examples/lifecycle.py [DIRECTORY]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sessionactors import NotFound, SessionSystem, SessionTerminated
from sessionactors.audit.queries import AuditReader


def live(directory: Path) -> list[str]:
    """Go through the ten steps; return what happened in each, as a line."""
    told = []

    def step(what: str, outcome: object) -> None:
        told.append(f"{len(told) + 1:2}. {what}: {outcome}")

    with SessionSystem(audit_dir=directory / "audit", path=directory / "sessions.db") as system:
        options = {"idle_timeout": 300.0, "auth_timeout": 30.0, "persistent": True, "backend": "sqlite"}
        session = system.start_session("alice-1", options)
        step("start", system.get_state(session))
        system.init_session(session, {})
        step("initialise and authenticate", system.authenticate(session, {"authenticated": True, "user_id": "alice"}))
        step("activate", system.activate(session))
        system.isolate(session, memory_limit=104_857_600, cpu_limit=80.0, isolated=True)
        step("isolate", f"{system.get_resource_usage(session).memory.limit:,} bytes at most")
        system.set_rate_limit(session, {"capacity": 1000, "rate": 10.0, "window": 60.0})
        limit = system.get_rate_limit(session)
        step("limit", f"{limit.capacity:g} at once, {limit.rate:g} a second")
        step("check the limit", system.check_rate_limit(session, "requests", 1))
        facts = {"from_state": "new", "to_state": "active", "reason": "authenticated"}
        system.log_event(session, "state_transition", facts)
        system.commit_audit()
        with AuditReader(directory / "audit") as log:
            found = [each for each in log.events(session=session) if each.data.get("reason") == "authenticated"]
        step("log, and find it again", f"{len(found)} events that say so")
        step("deactivate", system.deactivate(session))
        step("resume", system.resume(session))
        system.terminate(session)
        step("terminate", forgotten(system, session))
    return told


def forgotten(system: SessionSystem, session: str) -> str:
    """Say what an ended session answers, and what the services know of it."""
    try:
        system.resume(session)
    except SessionTerminated as ended:
        answer = ended.code
    known = []
    for name, look in (
        ("rate limiter", system.get_rate_limit),
        ("isolation", system.get_resource_usage),
    ):
        try:
            look(session)
        except (NotFound, SessionTerminated):
            continue
        known.append(name)
    if session in system.live_sessions():
        known.append("directory")
    return f"{answer}; it is known to {' and '.join(known) or 'nobody'}"


def main() -> None:
    """Show the ten steps."""
    if len(sys.argv) > 1:
        print("\n".join(live(Path(sys.argv[1]))))
        return
    with tempfile.TemporaryDirectory() as directory:
        print("\n".join(live(Path(directory))))


if __name__ == "__main__":
    main()
