"""Turn the events of a log into calls of a session system, on the log's own time.

The rules for one request of an access log, in this order:

1. The clock moves to its time; every timer due at or before it fires first.
2. A client (field 1) without a live session gets the session `CLIENT#1`, the
   next time `CLIENT#2` and so on: `init_session` with the user agent,
   `authenticate` as field 3 or `anonymous`, `activate`. A live one that is
   `idle` or `suspended` is resumed. Both are activity.
3. `check_rate_limit(id, "requests", 1)`. When it denies, the request is counted
   as `rate_limited`, audited as `security`, and nothing else happens.
4. `update_resources(requests=1, bytes=size)`. When the quota refuses it, the
   request is counted as `quota_exceeded`; a refused update is no activity.
5. A status of 401 or 403 is audited as `auth` and counted as `auth_denied`, one
   of 500 and above is audited as `error` and counted as `errors`. That is what
   the server answered, so a refused update does not keep it from being noted.

After the last event the clock goes on from sweep to sweep until every session
has ended.

At one instant the order is: timers of sessions, the reaper's sweep, the events
of the log in the order of their lines. The reaper sweeps at the first event's
time plus 1, 2, 3 ... intervals, and ends what was last active *more than*
`reap_after` ago: exactly that long is not enough.

A JSON line is one call, made as it stands. Its refusals are counted by code:
`quota_exceeded`; `auth_denied` for those that concern credentials; `errors` for
all others. `init_session` starts the session if none of that id is live.

The rules for lines of sshd stand in `sessionactors.replay.sshd_sessions`; what is
said here about the clock, its order and its end holds for them as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from sessionactors.replay.events import AccessRequest, SshdLine
from sessionactors.replay.sshd_sessions import SshdSessions
from sessionactors.replay.stop import Stop
from sessionactors.states import ACTIVE, IDLE, SUSPENDED, TERMINATED
from supervisors.entropy import Entropy
from supervisors.errors import Refusal
from supervisors.invariants import invariant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sessionactors.replay.contract import ReplaySystem
    from sessionactors.replay.events import Command, Event
    from sessionactors.replay.pacer import Pacer
    from sessionactors.replay.settings import ReplaySettings

__all__ = ["Handled", "ReplayDriver"]

EVENTS_BETWEEN_REPORTS: Final = 256
"""Events between two calls of `on_progress`: a few milliseconds of work."""

AUTH_CODES: Final = frozenset({"auth_blocked", "authentication_failed", "max_attempts", "not_authenticated"})
"""Refusals that say: you are not who you would have to be."""

_SWEEPS_AT_ONCE: Final = 8  # sweeps in one stride of the clock; between strides the driver can be stopped
_SWEEPS_GRACE: Final = 3  # sweeps that a crashed reaper may miss before it is restarted and in step again
_SERVICE_SHARE: Final = 0.25  # how many of the crashes hit a service and not a session
_TEXT_KEPT_MAX: Final = 2048  # characters of a user agent or a request line that go into metadata and audit log


@dataclass(frozen=True, slots=True)
class Handled:
    """What the driver itself knows of a run; the rest is in `SystemTotals`.

    Attributes:
        requests: events that were handled.
        clients: different clients, or sessions named by JSON lines, or addresses
            that sshd had connections from.
        rate_limited: requests that the limiter denied.
        quota_exceeded: updates that the quota refused.
        errors: requests answered with a status of 500 or above, or calls that
            were refused for another reason.
        auth_denied: requests answered with 401 or 403, or calls refused for
            want of credentials, or attempts to sign in that sshd rejected.
        crashes: actors killed on purpose.
        end: where the clock stopped, seconds since 1970 UTC.
        is_complete: whether every event was handled and every session ended.
    """

    requests: int
    clients: int
    rate_limited: int
    quota_exceeded: int
    errors: int
    auth_denied: int
    crashes: int
    end: float
    is_complete: bool


@final
class ReplayDriver:
    """One run over one log.

    Args:
        system: what is driven; its clock reads `start`.
        settings: what `system` was made with.
        start: the time of the first event, seconds since 1970 UTC.
        stop: ends the run after the event in hand, once it is requested.
        pacer: makes the run last as long as the log; None runs at full speed.
        on_progress: called now and then with the number of events handled.

    Thread: one thread runs it; any other, or a signal handler, may request `stop`.
    """

    def __init__(
        self,
        system: ReplaySystem,
        settings: ReplaySettings,
        *,
        start: float,
        stop: Stop | None = None,
        pacer: Pacer | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._system = system
        self._settings = settings
        self._start = start
        self._now = start
        self._stop = Stop() if stop is None else stop
        self._pacer = pacer
        self._on_progress = on_progress
        self._stride = settings.reap_interval * _SWEEPS_AT_ONCE
        self._crash_draws = Entropy(settings.seed).stream("replay.crashes")
        self._sshd = SshdSessions(system)
        self._sessions: dict[str, str] = {}  # client -> id of its latest session
        self._numbers: dict[str, int] = {}  # client -> number of its latest session
        self._requests = self._rate_limited = self._quota_exceeded = 0
        self._errors = self._auth_denied = self._crashes = 0

    def run(self, events: Sequence[Event]) -> Handled:
        """Handle all events, let every session end, and tell what happened.

        Args:
            events: in time order, none before `start`.

        Raises:
            InternalError: sessions outlive the reaper, or are in a state that
                the rules above cannot lead to.
        """
        is_complete = self._handle_all(events) and self._run_out()
        self._report()
        return Handled(
            requests=self._requests,
            clients=len(self._sessions) + self._sshd.clients,
            rate_limited=self._rate_limited,
            quota_exceeded=self._quota_exceeded,
            errors=self._errors,
            auth_denied=self._auth_denied + self._sshd.auth_denied,
            crashes=self._crashes,
            end=self._now,
            is_complete=is_complete,
        )

    def _handle_all(self, events: Sequence[Event]) -> bool:
        stop = self._stop
        crash_every = self._settings.crash_every
        for event in events:
            if stop.is_requested:
                return False
            if event[0] > self._now and not self._advance(event[0]):
                return False
            if isinstance(event, AccessRequest):
                self._handle_request(event)
            elif isinstance(event, SshdLine):
                self._sshd.handle(event)
            else:
                self._handle_command(event)
            self._requests += 1
            if crash_every is not None and self._requests % crash_every == 0:
                self._crash_something()
            if self._requests % EVENTS_BETWEEN_REPORTS == 0:
                self._report()
        return True

    def _handle_request(self, request: AccessRequest) -> None:
        system = self._system
        session_id = self._sessions.get(request.client)
        state = None if session_id is None else system.state_of(session_id)
        if session_id is None or state is None or state == TERMINATED:
            session_id = self._start_session(request)
        elif state != ACTIVE:
            invariant(state in (IDLE, SUSPENDED), "a session is in no state to be resumed", id=session_id, state=state)
            system.resume(session_id)
        is_allowed, wait = system.check_rate_limit(session_id, "requests", 1)
        if not is_allowed:
            self._note_denial(session_id, wait, {"request": request.request[:_TEXT_KEPT_MAX]})
            return
        try:
            system.update_resources(session_id, 1, request.size)
        except Refusal as refusal:
            if refusal.code == "quota_exceeded":
                self._quota_exceeded += 1
            elif refusal.code == "invalid_value":
                # The sum of bytes is at what a session can count (2^53). The
                # request still is one.
                system.update_resources(session_id, 1, 0)
            else:
                raise
        if request.status >= 400:
            self._note_status(session_id, request)

    def _start_session(self, request: AccessRequest) -> str:
        """Start the client's next session and lead it to `active`."""
        client = request.client
        number = self._numbers[client] = self._numbers.get(client, 0) + 1
        session_id = self._sessions[client] = f"{client}#{number}"
        user = "anonymous" if request.user in ("-", '""') else request.user
        system = self._system
        system.start_session(session_id)
        system.init_session(session_id, {"user_agent": request.user_agent[:_TEXT_KEPT_MAX]})
        system.authenticate(session_id, {"authenticated": True, "user_id": user})
        system.activate(session_id)
        return session_id

    def _note_status(self, session_id: str, request: AccessRequest) -> None:
        status = request.status
        if status in (401, 403):
            self._auth_denied += 1
            event_type, severity = "auth", "warning"
        elif status >= 500:
            self._errors += 1
            event_type, severity = "error", "error"
        else:
            return
        data = {"status": status, "request": request.request[:_TEXT_KEPT_MAX]}
        self._system.log_event(session_id, event_type, data, severity)

    def _handle_command(self, command: Command) -> None:
        system = self._system
        session_id, op = command.session, command.op
        self._sessions[session_id] = session_id
        try:
            if op == "init_session" and system.state_of(session_id) in (None, TERMINATED):
                system.start_session(session_id)
            if op == "check_rate_limit":
                self._check_rate_limit(session_id, command.arguments)
            else:
                system.perform(session_id, op, command.arguments)
        except Refusal as refusal:
            self._count_refusal(refusal.code)

    def _check_rate_limit(self, session_id: str, arguments: Mapping[str, object]) -> None:
        bucket, cost = arguments.get("type", "requests"), arguments.get("cost", 1)
        assert isinstance(bucket, str)
        assert isinstance(cost, int | float)
        is_allowed, wait = self._system.check_rate_limit(session_id, bucket, cost)
        if not is_allowed:
            self._note_denial(session_id, wait, {"type": bucket, "cost": cost})

    def _count_refusal(self, code: str) -> None:
        if code == "quota_exceeded":
            self._quota_exceeded += 1
        elif code in AUTH_CODES:
            self._auth_denied += 1
        else:
            self._errors += 1

    def _note_denial(self, session_id: str, wait: float, data: dict[str, object]) -> None:
        self._rate_limited += 1
        wait_or_never = wait if math.isfinite(wait) else None
        facts = {"action": "rate_limited", "wait": wait_or_never, **data}
        self._system.log_event(session_id, "security", facts, "warning")

    def _crash_something(self) -> None:
        """Kill one session or one service, drawn from the seed."""
        draw = self._crash_draws.random
        sessions = list(self._system.live_sessions())
        services = self._system.service_names()
        self._crashes += 1
        if sessions and draw() >= _SERVICE_SHARE:
            self._system.crash_session(sessions[int(draw() * len(sessions))])
        else:
            self._system.crash_service(services[int(draw() * len(services))])

    def _advance(self, time: float) -> bool:
        """Move the clock to `time`; False when the run was stopped on the way there."""
        if self._pacer is not None and not self._wait_until(time, self._pacer):
            return False
        # In strides, because a quiet year in a log is half a million sweeps long;
        # but where nobody is live nothing happens, however long it takes.
        while time - self._now > self._stride and len(self._system.live_sessions()):
            self._move_to(self._now + self._stride)
            if self._stop.is_requested:
                return False
        self._move_to(time)
        return True

    def _wait_until(self, time: float, pacer: Pacer) -> bool:
        """Let the wall clock catch up with `time`, and timers fire meanwhile."""
        while (wait := pacer.wait_for(time)) > 0:
            if self._stop.wait(wait):
                return False
            self._move_to(max(self._now, min(time, pacer.now())))
            self._report()
        return True

    def _move_to(self, time: float) -> None:
        self._now = time
        self._system.advance_to(time)

    def _run_out(self) -> bool:
        """Let the clock run from sweep to sweep until no session is live; False when stopped."""
        settings = self._settings
        # Nobody was active after this moment, so the reaper has to be through with everybody soon after.
        last = self._now + settings.reap_after + settings.reap_interval * _SWEEPS_GRACE
        while live := len(self._system.live_sessions()):
            sweep = self._next_sweep()
            invariant(sweep <= last, "sessions outlive the reaper", live=live, now=self._now)
            if self._stop.is_requested or not self._advance(sweep):
                return False
        return True

    def _next_sweep(self) -> float:
        """Return the first sweep after now."""
        interval = self._settings.reap_interval
        sweep = self._start + (math.floor((self._now - self._start) / interval) + 1) * interval
        return sweep if sweep > self._now else sweep + interval

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._requests)
