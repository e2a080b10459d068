"""A session system of a hundred lines, for testing the driver without any actor.

It keeps the contract with the plainest means: a heap of timers, a dict of
sessions, a list for the audit log. Calls are remembered in `calls`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sessionactors.errors import InvalidTransition, NotFound, QuotaExceeded
from sessionactors.replay.contract import SystemTotals
from sessionactors.replay.settings import ReplaySettings

__all__ = ["ModelSystem"]

TIMER, SWEEP = 0, 1  # of equal deadlines the timers of sessions come first


@dataclass
class ModelSession:
    state: str = "new"
    active_at: float = 0.0
    used: int = 0
    epoch: int = 0  # a timer of an older epoch is void


class ModelSystem:
    def __init__(self, settings: ReplaySettings, start: float) -> None:
        self.settings = settings
        self.now = start
        self.calls: list[tuple[object, ...]] = []
        self.sessions: dict[str, ModelSession] = {}
        self.live: dict[str, None] = {}
        self.buckets: dict[str, tuple[float, float]] = {}
        self.transitions: Counter[str] = Counter()
        self.audit: list[tuple[object, ...]] = []
        self.started = self.reaped = self.peak = 0
        self.restarts: list[str] = []
        self._timers: list[tuple[float, int, int, str, int]] = []
        self._armed = 0
        self._arm(start + settings.reap_interval, SWEEP, "", 0)

    def advance_to(self, time: float) -> None:
        self.calls.append(("advance_to", time))
        assert time >= self.now
        while self._timers and self._timers[0][0] <= time:
            self.now, rank, _, session_id, epoch = heapq.heappop(self._timers)
            if rank == SWEEP:
                self._sweep()
            elif self.sessions[session_id].epoch == epoch:
                self._fall(session_id)
        self.now = time

    def live_sessions(self) -> Collection[str]:
        return self.live.keys()

    def state_of(self, session_id: str) -> str | None:
        session = self.sessions.get(session_id)
        return None if session is None else session.state

    def start_session(self, session_id: str) -> None:
        self.calls.append(("start_session", session_id))
        assert session_id not in self.live
        self.sessions[session_id] = ModelSession(active_at=self.now)
        self.live[session_id] = None
        self.started += 1
        self.peak = max(self.peak, len(self.live))
        self._note("lifecycle", session_id)

    def init_session(self, session_id: str, metadata: Mapping[str, object]) -> object:
        self.calls.append(("init_session", session_id, dict(metadata)))
        return self.state_of(session_id)

    def authenticate(self, session_id: str, auth_context: Mapping[str, object]) -> object:
        self.calls.append(("authenticate", session_id, dict(auth_context)))
        self._note("auth", session_id)
        return self._go(session_id, "auth", "new")

    def activate(self, session_id: str) -> object:
        self.calls.append(("activate", session_id))
        return self._go(session_id, "active", "auth")

    def resume(self, session_id: str) -> object:
        self.calls.append(("resume", session_id))
        return self._go(session_id, "active", "idle", "suspended")

    def check_rate_limit(self, session_id: str, bucket: str, cost: float) -> tuple[bool, float]:
        self.calls.append(("check_rate_limit", session_id, bucket, cost))
        tokens, then = self.buckets.get(session_id, (self.settings.capacity, self.now))
        tokens = min(self.settings.capacity, tokens + (self.now - then) * self.settings.rate)
        is_allowed = tokens >= cost
        self.buckets[session_id] = (tokens - cost if is_allowed else tokens, self.now)
        return is_allowed, 0.0 if is_allowed else (cost - tokens) / self.settings.rate

    def update_resources(self, session_id: str, requests: int, size_bytes: int) -> object:
        self.calls.append(("update_resources", session_id, requests, size_bytes))
        session = self.sessions[session_id]
        assert session.state == "active"
        limit = self.settings.max_requests
        if limit is not None and session.used + requests > limit:
            raise QuotaExceeded("requests", session.used, limit, requests)
        session.used += requests
        self._touch(session_id)
        return None

    def log_event(self, session_id: str, event_type: str, data: Mapping[str, object], severity: str) -> None:
        self.calls.append(("log_event", session_id, event_type, dict(data), severity))
        self._note(event_type, session_id)

    def perform(self, session_id: str, op: str, arguments: Mapping[str, object]) -> object:
        self.calls.append(("perform", session_id, op, dict(arguments)))
        if session_id not in self.live:
            raise NotFound(session_id)
        if op == "terminate":
            self._end(session_id)
        elif op in ("authenticate", "activate", "resume"):
            return {
                "authenticate": lambda: self.authenticate(session_id, {}),
                "activate": lambda: self.activate(session_id),
                "resume": lambda: self.resume(session_id),
            }[op]()
        return None

    def service_names(self) -> Sequence[str]:
        return ("audit", "rate_limiter", "reaper")

    def crash_service(self, name: str) -> None:
        self.calls.append(("crash_service", name))
        self.restarts.append(name)

    def crash_session(self, session_id: str) -> None:
        self.calls.append(("crash_session", session_id))
        self._end(session_id)

    def totals(self) -> SystemTotals:
        return SystemTotals(
            sessions=self.started,
            transitions=dict(self.transitions),
            reaped=self.reaped,
            peak_live=self.peak,
            audit_events=Counter(str(event[0]) for event in self.audit),
            audit_size=len(self.audit),
            audit_root=hashlib.sha256(repr(self.audit).encode()).hexdigest(),
        )

    def _go(self, session_id: str, target: str, *sources: str) -> str:
        session = self.sessions[session_id]
        if session.state not in sources:
            raise InvalidTransition(session.state, target)
        self._enter(session_id, target)
        self._touch(session_id)
        return target

    def _enter(self, session_id: str, state: str) -> None:
        session = self.sessions[session_id]
        self.transitions[f"{session.state}->{state}"] += 1
        self._note("state_transition", session_id, session.state, state)
        session.state = state
        session.epoch += 1

    def _touch(self, session_id: str) -> None:
        session = self.sessions[session_id]
        session.active_at = self.now
        session.epoch += 1
        if session.state == "active":
            self._arm(self.now + self.settings.idle_timeout, TIMER, session_id, session.epoch)

    def _fall(self, session_id: str) -> None:
        """Take a session whose idle timer fired one state down."""
        if self.sessions[session_id].state == "active":
            self._enter(session_id, "idle")
            epoch = self.sessions[session_id].epoch
            self._arm(self.now + self.settings.idle_timeout, TIMER, session_id, epoch)
        else:
            self._enter(session_id, "suspended")

    def _sweep(self) -> None:
        self._arm(self.now + self.settings.reap_interval, SWEEP, "", 0)
        for session_id in list(self.live):
            if self.now - self.sessions[session_id].active_at > self.settings.reap_after:
                self.reaped += 1
                self._end(session_id)

    def _end(self, session_id: str) -> None:
        del self.live[session_id]
        self.buckets.pop(session_id, None)
        self._enter(session_id, "terminated")

    def _arm(self, time: float, rank: int, session_id: str, epoch: int) -> None:
        self._armed += 1
        heapq.heappush(self._timers, (time, rank, self._armed, session_id, epoch))

    def _note(self, event_type: str, *facts: object) -> None:
        self.audit.append((event_type, self.now, *facts))
