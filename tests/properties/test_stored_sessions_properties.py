"""The six invariants of a session hold over the whole API, however often it crashes, sleeps or comes back.

Some sessions are persistent and some are not. Sessions crash, services are killed, time
passes, and the process is stopped, or killed and started again on a copy of what is on
the disk. The log of a process lives in memory, so each process accounts for itself:
who comes back enters the account in the state in which it comes back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionactors import SessionSystem
from sessionactors.errors import MaxAttempts, QuotaExceeded, SessionRefusal
from sessionactors.session_data import state_deadline
from sessionactors.states import AUTH, EDGES, LIVE_STATES, NEW, SUSPENDED, TERMINATED
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy
from tests.sessionactors.session_world import TRUSTED, edges, entries

NAMES = st.sampled_from("abc")
MOVES = st.sampled_from(["init_session", "activate", "deactivate", "suspend", "resume", "terminate", "touch"])
FORCES = st.sampled_from(["force_suspend", "force_resume", "force_terminate", "lock", "unlock"])
QUESTIONS = st.sampled_from(["get_state", "get_info", "get_metrics", "get_history", "check_quota", "get_session_data"])
PROCESSES_MAX = 4


class StoredSessions(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="stored-"))
        self.wall = 1_000_000.0
        self.processes = 0

    @initialize()
    def begin(self):
        self.start_process(None)

    def start_process(self, left):
        self.processes += 1
        self.path = self.directory / f"{self.processes}.db"
        for suffix in ("", "-wal"):
            if left is not None and Path(f"{left}{suffix}").exists():
                shutil.copy(f"{left}{suffix}", f"{self.path}{suffix}")
        self.clock = VirtualClock(0.0, self.wall)
        self.system = SessionSystem(
            path=self.path,
            clock=self.clock,
            entropy=Entropy(self.processes),
            session={"idle_timeout": 10.0, "auth_timeout": 5.0, "max_history_size": 4, "max_auth_attempts": 2},
            storage={"max_restarts": 1000, "max_seconds": 1.0},
            max_restarts=10_000,
        )
        report = self.system.recovered
        assert (report.quarantined, report.refused) == ((), ())
        # Nobody comes back in a state that needs who is not there any more.
        assert not {self.system.get_state(each) for each in self.system.live_sessions()} & {AUTH, "active"}
        self.heard = {}

    def leave(self):
        """Leave the process as a kill does, and let go of what it holds here."""
        self.system.actors.stop(1.0)
        self.system._store.store.close()
        self.wall += self.clock.monotonic()

    def attempt(self, call, *arguments, **named):
        """Make a call: it has one answer, which is a value or a refusal with a code."""
        try:
            return call(*arguments, **named)
        except SessionRefusal as refusal:
            assert refusal.code  # noqa: PT017 - any of them will do, and none at all as well
            return refusal

    def observed(self, name, call, *arguments, **named):
        """Make a call, and see that a refusal has left the state alone."""
        before = self.system.state_of(name) if self.is_settled(name) else None
        answer = self.attempt(call, name, *arguments, **named)
        if isinstance(answer, MaxAttempts):
            assert self.system.state_of(name) == TERMINATED
        elif isinstance(answer, SessionRefusal) and before is not None:
            assert self.system.state_of(name) == before
        elif isinstance(answer, str) and answer in LIVE_STATES:
            assert self.system.get_state(name) == answer, "who reads an answer reads the state that it tells"
        return answer

    def is_settled(self, name):
        """Tell whether the session is there, and not between a crash and its return."""
        return self.system.directory.get(name) is not None

    # -- the API ---------------------------------------------------------------------

    @rule(
        name=NAMES,
        persistent=st.booleans(),
        is_heard=st.booleans(),
        auth_required=st.booleans(),
        suspend_timeout=st.none() | st.just(20.0),
        hibernate_after=st.none() | st.just(3.0),
    )
    def start(self, name, is_heard, **options):
        started = self.attempt(self.system.start_session, name, options)
        if started == name:
            assert self.system.get_state(name) == NEW
            if is_heard:
                self.heard[self.system.directory.get(name)] = heard = []
                self.system.subscribe(name, heard.append)

    @rule(name=NAMES, is_good=st.booleans())
    def authenticate(self, name, is_good):
        self.observed(name, self.system.authenticate, TRUSTED if is_good else {"authenticated": "yes"})

    @rule(name=NAMES)
    def make_active(self, name):
        self.attempt(self.system.start_session, name, {"persistent": True})
        self.attempt(self.system.authenticate, name, TRUSTED)
        self.attempt(self.system.activate, name)

    @rule(name=NAMES, move=MOVES)
    def move(self, name, move):
        self.observed(name, getattr(self.system, move))

    @rule(name=NAMES, force=FORCES)
    def override(self, name, force):
        self.observed(name, getattr(self.system, force), admin="root")

    @rule(name=NAMES, question=QUESTIONS)
    def ask(self, name, question):
        before = self.activity(name)
        self.observed(name, getattr(self.system, question))
        assert self.activity(name) == before, "to look is no activity"

    def activity(self, name):
        return self.system.get_info(name).last_activity if self.is_settled(name) else None

    @rule(name=NAMES, requests=st.integers(-4, 4), size=st.integers(0, 3))
    def use(self, name, requests, size):
        quota = self.system.get_info(name).quota if self.is_settled(name) else None
        answer = self.attempt(self.system.update_resources, name, requests=requests, bytes=size)
        if answer is None and requests > 0 and quota.max_requests is not None:
            assert self.system.get_info(name).resources_used.requests <= quota.max_requests
        if isinstance(answer, QuotaExceeded):
            assert quota.max_requests is not None

    @rule(name=NAMES, limit=st.none() | st.integers(0, 6), by_force=st.booleans())
    def set_quota(self, name, limit, by_force):
        if by_force:
            self.observed(name, self.system.override_quota, {"max_requests": limit}, admin="root")
        else:
            self.observed(name, self.system.set_quota, {"max_requests": limit})

    @rule(name=NAMES, connection=st.sampled_from(["one", "two"]), opens=st.booleans())
    def connect(self, name, connection, opens):
        self.attempt(self.system.add_connection if opens else self.system.remove_connection, name, connection)

    @rule(name=NAMES, seconds=st.none() | st.sampled_from([1.0, 50.0]))
    def set_timeout(self, name, seconds):
        self.observed(name, self.system.set_timeout, seconds)

    @rule(name=NAMES)
    def persist(self, name):
        self.observed(name, self.system.persist)

    @rule(name=NAMES, spills=st.booleans())
    def hibernate(self, name, spills):
        self.observed(name, self.system.hibernate)
        if spills:
            self.observed(name, self.system.spill)

    # -- what happens to it -----------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 10.0, 30.0]))
    def wait(self, seconds):
        suspended = [each for each in self.system.live_sessions() if self.is_without_timers(each)]
        self.system.actors.advance(seconds)
        assert {self.system.state_of(each) for each in suspended} <= {SUSPENDED}, "nothing happens without a timer"

    def is_without_timers(self, name):
        data = self.system.get_session_data(name)
        return data["state"] == SUSPENDED and data["options"]["suspend_timeout"] is None

    @precondition(lambda self: len(self.system.directory) > 0)
    @rule(data=st.data())
    def crash(self, data):
        name = data.draw(st.sampled_from(self.system.live_sessions()))
        was_stored = self.attempt(self.system.persist, name) is None
        before = self.system.get_state(name)
        self.system.directory.get(name).kill()
        self.system.actors.settle()
        if was_stored:
            expected = {AUTH: NEW, "active": "idle"}.get(before, before)
            assert self.system.state_of(name) in (expected, SUSPENDED if expected == "idle" else expected)
        else:
            assert self.system.state_of(name) == TERMINATED

    @rule(name=st.sampled_from(["store", "recovery", "audit", "rate_limiter", "isolation", "sessions", "reaper"]))
    def kill_service(self, name):
        ref = self.system.actors.whereis(name)
        if ref is not None:
            ref.kill()
        self.system.actors.settle()
        self.system.actors.advance(2.0)

    @precondition(lambda self: self.processes < PROCESSES_MAX)
    @rule()
    def stop_process(self):
        self.system.stop()
        self.the_log_accounts_for_all(ended=True)
        self.wall += self.clock.monotonic()
        self.start_process(self.path)

    @precondition(lambda self: self.processes < PROCESSES_MAX)
    @rule()
    def kill_process(self):
        confirmed = {each for each in self.system.live_sessions() if self.attempt(self.system.persist, each) is None}
        left = self.directory / "left.db"
        for suffix in ("", "-wal"):
            Path(f"{left}{suffix}").unlink(missing_ok=True)
            if Path(f"{self.path}{suffix}").exists():
                shutil.copy(f"{self.path}{suffix}", f"{left}{suffix}")
        self.leave()
        self.start_process(left)
        assert set(self.system.live_sessions()) == confirmed

    # -- the invariants ----------------------------------------------------------------

    @invariant()
    def states_change_along_the_edges_only(self):
        if self.processes:
            self.the_log_accounts_for_all(ended=False)

    def the_log_accounts_for_all(self, *, ended):
        at, ends = {}, Counter()
        for each in entries(self.system) if not ended else list(self.system._ledger.log.events()):
            event = each.data.get("event")
            if event == "session_started":
                assert at.get(each.session) in (None, TERMINATED)
                at[each.session] = NEW
            elif event == "session_loaded":
                assert at.get(each.session) in (None, TERMINATED)
                at[each.session] = each.data["state"]
            for session, source, target in edges([each]):
                assert at[session] == source
                assert target in EDGES[source]
                at[session] = target
                ends[session] += target == TERMINATED
        live = {name: state for name, state in at.items() if state != TERMINATED}
        expected = {} if ended else {name: self.system.get_state(name) for name in self.system.live_sessions()}
        assert live == expected

    @invariant()
    def timers_are_those_of_the_state(self):
        if not self.processes:
            return
        for name in self.system.live_sessions():
            actor = self.system.directory.get(name)._actor
            data = getattr(actor, "data", None)
            if data is not None and data.state in (NEW, SUSPENDED) and data.options.suspend_timeout is None:
                assert state_deadline(data) == float("inf")

    @invariant()
    def counts_are_within_their_limits(self):
        if not self.processes:
            return
        for name in self.system.live_sessions():
            stored = self.system.get_session_data(name)
            used = self.system.get_info(name).resources_used
            assert stored["auth_attempts"] <= stored["options"]["max_auth_attempts"]
            assert min(used.requests, used.bytes, used.connections) >= 0
            assert used.connections == len(self.system.get_connections(name))

    @invariant()
    def histories_are_chains(self):
        if not self.processes:
            return
        for name in self.system.live_sessions():
            history = self.system.get_history(name)
            assert len(history) <= 4
            assert not history or history[-1].to_state == self.system.get_state(name)
            for one, other in pairwise(history):
                assert one.to_state == other.from_state
                assert one.timestamp <= other.timestamp

    @invariant()
    def subscribers_hear_of_the_end_once_and_last(self):
        if not self.processes:
            return
        for ref, heard in self.heard.items():
            events = [each.event for each in heard]
            assert events.count("session_terminated") == (not ref.is_alive())
            assert "session_terminated" not in events[:-1]

    def teardown(self):
        if self.processes:
            self.system.stop()
        shutil.rmtree(self.directory)


TestStoredSessions = StoredSessions.TestCase
TestStoredSessions.settings = hypothesis.settings(
    max_examples=max(1, hypothesis.settings().max_examples // 2), stateful_step_count=30
)
