"""Whatever is done to a session system, its log accounts for every session."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sessionactors import SessionSystem
from sessionactors.audit.verify import verify
from sessionactors.errors import SessionRefusal
from sessionactors.session import Session
from sessionactors.settings import MIB
from sessionactors.sleeping_session import SleepingSession
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import TRUSTED, ends, entries, imbalance, kill

NAMES = st.sampled_from(["a", "b", "c", "d"])
OPERATIONS = st.sampled_from(["init_session", "activate", "deactivate", "suspend", "resume", "terminate", "touch"])


class Sessions(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.system = SessionSystem(
            audit_dir=self.directory / "log",
            clock=VirtualClock(),
            session={"idle_timeout": 10.0, "auth_timeout": 5.0, "suspend_timeout": 40.0},
            reaper={"interval": 7.0, "idle_threshold": 25.0},
            max_restarts=10_000,
        )
        self.heard = {}

    def teardown(self):
        self.system.stop()
        verified = verify(self.directory / "log")
        shutil.rmtree(self.directory)
        assert verified.outcome == "valid"

    def attempt(self, call, *arguments):
        try:
            return call(*arguments)
        except SessionRefusal:
            return None

    @rule(name=NAMES, is_heard=st.booleans(), hibernate_after=st.none() | st.just(3.0))
    def start(self, name, is_heard, hibernate_after):
        started = self.attempt(self.system.start_session, name, {"hibernate_after": hibernate_after})
        if started and is_heard:
            self.heard[self.system.directory.get(name)] = heard = []
            self.system.subscribe(name, heard.append)

    @rule(name=NAMES, is_good=st.booleans())
    def authenticate(self, name, is_good):
        self.attempt(self.system.authenticate, name, TRUSTED if is_good else {"authenticated": "yes"})

    @rule(name=NAMES, operation=OPERATIONS)
    def operate(self, name, operation):
        self.attempt(getattr(self.system, operation), name)

    @rule(name=NAMES)
    def make_active(self, name):
        for call in (self.system.start_session, self.system.activate):
            self.attempt(call, name)
            self.attempt(self.system.authenticate, name, TRUSTED)
        self.attempt(self.system.activate, name)

    @rule(name=NAMES)
    def hibernate(self, name):
        self.attempt(self.system.hibernate, name)

    @rule(name=NAMES, connection=st.sampled_from(["one", "two"]), opens=st.booleans())
    def connect(self, name, connection, opens):
        self.attempt(self.system.add_connection if opens else self.system.remove_connection, name, connection)

    @rule(name=NAMES, memory=st.integers(0, 20), messages=st.integers(0, 3))
    def use(self, name, memory, messages):
        self.attempt(self.system.check_rate_limit, name)
        self.attempt(lambda: self.system.isolate(name, memory_limit=15 * MIB))
        self.attempt(lambda: self.system.record_usage(name, memory=memory * MIB, messages=messages))
        self.attempt(lambda: self.system.update_resources(name, requests=messages))
        self.system.actors.settle()

    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 7.0, 10.0, 30.0]))
    def wait(self, seconds):
        self.system.actors.advance(seconds)

    @rule(policy=st.sampled_from([None, "expired", "orphaned", "all"]))
    def reap(self, policy):
        self.system.reap(policy)

    @rule(name=st.sampled_from(["audit", "rate_limiter", "isolation", "sessions", "reaper"]))
    def kill_service(self, name):
        kill(self.system, name)
        self.system.actors.settle()

    @precondition(lambda self: len(self.system.directory) > 0)
    @rule(data=st.data())
    def kill_session(self, data):
        kill(self.system, data.draw(st.sampled_from(self.system.live_sessions())))
        self.system.actors.settle()

    @invariant()
    def the_directory_holds_the_live_sessions(self):
        alive = {ref for ref in self.system.actors.actors() if issubclass(ref.actor_class, Session)}
        assert {ref for _, ref in self.system.directory.items()} == alive

    @invariant()
    def the_log_accounts_for_every_session(self):
        records = entries(self.system)
        live = {name: self.system.get_state(name) for name in self.system.live_sessions()}
        assert not imbalance(records, live)
        started = [each.session for each in records if each.data["event"] == "session_started"]
        ended = ends(records)
        for name in set(started):
            assert started.count(name) == ended[name] + (name in live)
        assert len(started) == self.system.directory.started

    @invariant()
    def every_subscriber_hears_of_the_end_once_and_last(self):
        for ref, heard in self.heard.items():
            events = [each.event for each in heard]
            assert events.count("session_terminated") == (not ref.is_alive())
            assert "session_terminated" not in events[:-1]

    @invariant()
    def who_sleeps_is_counted(self):
        inside = [ref._actor for ref in self.system.directory.refs()]
        asleep = [each for each in inside if isinstance(each, SleepingSession)]
        counted = self.system.hibernation_statistics()
        assert counted.asleep == counted.hibernated - counted.woken == len(asleep)
        assert counted.bytes_after == sum(each.weight for each in asleep)

    @invariant()
    def connections_are_within_what_is_used(self):
        for name in self.system.live_sessions():
            used = self.system.get_info(name).resources_used.connections
            assert used == len(self.system.get_connections(name))

    @invariant()
    def services_know_only_the_living(self):
        live = set(self.system.live_sessions())
        buckets = self.system.actors.whereis("rate_limiter")._actor._table.buckets
        limited = {name for each in buckets.values() for name in each}
        limited.difference_update(
            self.system._around.departures.waiting
        )  # which the limiter reads before anything else
        assert not any(self.system.directory.has_ended(name) for name in limited)
        records = self.system.actors.whereis("isolation")._actor._records
        assert {name for name, record in records.items() if record.ref is not None} <= live


TestSessions = Sessions.TestCase
TestSessions.settings = settings(stateful_step_count=30)
