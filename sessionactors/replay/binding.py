"""A real `SessionSystem` behind what the replay driver asks for.

Both of its clocks read the time of the log. At full speed the audit log is written
in large batches, because simulated time passes thousands of times as fast as the disk
turns; what waits is written when the run ends, also when it is interrupted. A run that
lasts as long as the log, or a share of that, writes once in a real second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, final

from sessionactors.replay.contract import SystemTotals
from sessionactors.settings import (
    AuditSettings,
    LimiterSettings,
    Quota,
    ReaperSettings,
    SessionOptions,
)
from sessionactors.surroundings import SERVICES
from sessionactors.system import SessionSystem
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy

if TYPE_CHECKING:
    from pathlib import Path

    from sessionactors.replay.settings import ReplaySettings

__all__ = ["BoundSystem", "open_replay_system"]

_BATCH_MAX: Final = 50_000
_HARDLY_EVER: Final = 3.0e8  # simulated seconds, nearly ten years
_CRASHES_MAX: Final = 1000  # services may be killed this often in a simulated second, for --crash-every


@contextmanager
def open_replay_system(
    settings: ReplaySettings, *, start: float, directory: Path | None, speed: float | None = None
) -> Iterator[BoundSystem]:
    """Start a session system for one replay, and stop it behind it.

    Args:
        settings: how its sessions behave.
        start: what both clocks read at first, seconds since 1970 UTC.
        directory: where the audit log goes; None keeps it in memory.
        speed: simulated seconds in one real second; None is as fast as it goes.

    Raises:
        AuditError: the audit log cannot be made there.
    """
    quota = Quota.unlimited() if settings.max_requests is None else Quota(settings.max_requests, None, None)
    options = SessionOptions(
        idle_timeout=settings.idle_timeout, quota=quota, ttl=None, audit_requests_every=0, max_history_size=0
    )
    if settings.auth_timeout is not None:
        options = options.updated({"auth_timeout": settings.auth_timeout})
    if settings.max_auth_attempts is not None:
        options = options.updated({"max_auth_attempts": settings.max_auth_attempts})
    with SessionSystem(
        audit_dir=directory,
        session=options,
        # The limiter forgets a session when it ends, so there is nothing to sweep.
        # The driver audits each refusal itself.
        limiter=LimiterSettings(
            capacity=settings.capacity, rate=settings.rate, cleanup_interval=_HARDLY_EVER, signal_refusals=False
        ),
        reaper=ReaperSettings(interval=settings.reap_interval, idle_threshold=settings.reap_after),
        # One log for the whole run, with nothing in it but what the run did.
        audit=AuditSettings(
            retention_days=None,
            max_events=None,
            verify_interval=None,
            idle_head_interval=None,
            # Salts are drawn at random, and a second run has to have the same root.
            personal_fields=(),
            batch_max=_BATCH_MAX,
            batch_delay=_HARDLY_EVER if speed is None else min(speed, _HARDLY_EVER),
        ),
        clock=VirtualClock(start, start),
        entropy=Entropy(settings.seed),
        max_restarts=_CRASHES_MAX,
        max_seconds=1.0,
    ) as system:
        yield BoundSystem(system)


@final
class BoundSystem:
    """Fulfils `sessionactors.replay.contract.ReplaySystem`."""

    def __init__(self, system: SessionSystem) -> None:
        self._system = system
        self._settle = system.actors.settle
        # The driver's calls are the system's own; binding them saves a step for each.
        self.live_sessions = _LiveSessions(system).view
        self.state_of = system.state_of
        self.init_session = system.init_session
        self.authenticate = system.authenticate
        self.activate = system.activate
        self.resume = system.resume
        self.check_rate_limit = system.check_rate_limit
        # The replay ends with a commit; waiting for the disk at each event would only be slow.
        self.log_event = partial(system.log_event, durable=False)

    def advance_to(self, time: float) -> None:
        """Move the clock, firing on the way every timer due at or before `time`."""
        self._system.actors.advance_to(time)

    def start_session(self, session_id: str) -> None:
        """Start a session with the settings of this replay."""
        self._system.start_session(session_id)

    def update_resources(self, session_id: str, requests: int, size_bytes: int) -> None:
        """Add to what an active session has used."""
        self._system.update_resources(session_id, requests=requests, bytes=size_bytes)

    def perform(self, session_id: str, op: str, arguments: Mapping[str, object]) -> object:
        """Make one call of the public functions and return its answer."""
        answer: object = getattr(self._system, op)(session_id, **arguments)
        return answer

    def service_names(self) -> Sequence[str]:
        """Return the names of the service actors that can be crashed."""
        return SERVICES

    def crash_service(self, name: str) -> None:
        """Kill a service actor; return when its supervisor has put things right."""
        ref = self._system.actors.whereis(name)
        if ref is not None:
            ref.kill()
        self._settle()

    def crash_session(self, session_id: str) -> None:
        """Kill a session's actor; return when its end is accounted for."""
        ref = self._system.directory.get(session_id)
        if ref is not None:
            ref.kill()
        self._settle()

    def totals(self) -> SystemTotals:
        """Make the audit log durable, sign its head, and return what was counted."""
        head = self._system.commit_audit()
        counts = self._system.audit_counts()
        return SystemTotals(
            sessions=self._system.directory.started,
            transitions=dict(sorted(counts.by_edge.items())),
            reaped=self._system.reaper_statistics().total_reaped,
            peak_live=self._system.directory.peak_live,
            audit_events=dict(sorted(counts.by_type.items())),
            audit_size=head.size,
            audit_root=head.root.hex(),
        )


@final
class _LiveSessions(Collection[str]):
    """The live sessions as a collection whose length costs nothing."""

    def __init__(self, system: SessionSystem) -> None:
        self._directory = system.directory

    def view(self) -> Collection[str]:
        return self

    def __len__(self) -> int:
        return len(self._directory)

    def __iter__(self) -> Iterator[str]:
        return iter(self._directory.ids())

    def __contains__(self, session_id: object) -> bool:
        return isinstance(session_id, str) and self._directory.get(session_id) is not None
