"""Whatever happens to sessions, processes and disks: what was confirmed is there.

The model is the least that a user may rely on. For each session it knows how many
requests were confirmed by `persist`, how many have been made at all, and whether its
end was confirmed. The process dies by being left alone: the next one starts on a copy
of what is on the disk at that moment.
"""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionactors import SessionSystem
from sessionactors.errors import OperationFailed, PersistFailed, SessionRefusal
from sessionactors.states import LIVE_STATES
from sessionactors.storage.sqlite import SqliteStore
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy
from tests.sessionactors.storage.faulty_disk import CODES, Disk

NAMES = st.sampled_from("ab")
OPTIONS = {"persistent": True, "auth_required": False, "ttl": None, "quota": {"max_requests": None}}
RESTARTS = {"max_restarts": 1000, "max_seconds": 1.0}


class Persistence(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="persistence-"))
        self.processes = 0
        self.wall = 1_000_000.0
        self.confirmed: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.ended: set[str] = set()
        self.unsure: set[str] = set()  # about to end, or its end could not be stored

    @initialize()
    def begin(self):
        self.start_process(None)
        for name in "ab":
            self.start(name)
            self.persist(name)

    def start_process(self, left):
        self.processes += 1
        path = self.directory / f"{self.processes}.db"
        for suffix in ("", "-wal"):
            if left is not None and Path(f"{left}{suffix}").exists():
                shutil.copy(f"{left}{suffix}", f"{path}{suffix}")
        self.path = path
        self.disk = Disk()
        self.clock = VirtualClock(0.0, self.wall)
        self.system = SessionSystem(
            store=SqliteStore(path, connection_class=self.disk.connection_class),
            session=OPTIONS,
            storage=RESTARTS,
            clock=self.clock,
            entropy=Entropy(1),
        )
        report = self.system.recovered
        assert (report.quarantined, report.refused) == ((), ())
        live = set(self.system.live_sessions())
        assert not live & self.ended, "what has ended stays ended"
        for name, count in self.confirmed.items():
            if name in live:
                assert count <= self.requests(name) <= self.made[name]
            else:
                assert name in self.unsure, f"{name} is gone"
        self.confirmed = {name: self.requests(name) for name in live}
        self.made = dict(self.confirmed)
        self.ended, self.unsure = set(), set()

    def requests(self, name):
        return self.system.get_info(name).resources_used.requests

    def expect_a_failed_disk(self):
        assert self.disk.failed

    def leave(self):
        """Leave the process alone, as a kill does, and let go of what it holds here."""
        self.disk.heal()
        self.system.actors.stop(1.0)
        self.system._store.store.close()
        self.wall += self.clock.monotonic()

    @rule(name=NAMES)
    def start(self, name):
        try:
            self.system.start_session(name)
        except SessionRefusal:
            return
        self.made[name] = 0
        self.confirmed.pop(name, None)
        self.ended.discard(name)
        self.unsure.add(name)  # until it is confirmed, it may be there or not, or the one before it
        self.system.activate(name)

    @rule(name=NAMES, count=st.integers(1, 9))
    def use(self, name, count):
        try:
            if self.system.get_state(name) == "idle":
                self.system.resume(name)
            self.system.update_resources(name, requests=count)
        except SessionRefusal:
            return
        self.made[name] += count

    @rule(name=NAMES)
    def persist(self, name):
        try:
            self.system.persist(name)
        except PersistFailed:
            self.expect_a_failed_disk()
            return
        except SessionRefusal:
            return
        self.confirmed[name] = self.requests(name)
        self.unsure.discard(name)

    @rule(names=st.lists(NAMES, unique=True))
    def persist_several(self, names):
        for name in self.system.persist_sessions(names).done:
            self.confirmed[name] = self.requests(name)
            self.unsure.discard(name)

    @rule(name=NAMES)
    def terminate(self, name):
        try:
            self.system.terminate(name)
        except OperationFailed:
            self.expect_a_failed_disk()
            self.unsure.add(name)
            return
        except SessionRefusal:
            return
        self.ended.add(name)
        self.confirmed.pop(name, None)

    @rule(name=NAMES)
    def crash(self, name):
        ref = self.system.directory.get(name)
        if ref is None:
            return
        ref.kill()
        self.system.actors.settle()
        self.system.actors.advance(2.0)
        if name in self.confirmed and name not in self.unsure and not self.disk.failed:
            assert self.confirmed[name] <= self.requests(name) <= self.made[name]
        if self.system.directory.get(name) is not None:
            self.made[name] = self.requests(name)

    @rule(service=st.sampled_from(["store", "recovery", "audit", "sessions"]))
    def kill_service(self, service):
        ref = self.system.actors.whereis(service)
        if ref is None:
            return
        ref.kill()
        self.system.actors.settle()
        self.system.actors.advance(2.0)
        for name in self.system.live_sessions():
            self.made[name] = self.requests(name)
        if not self.disk.failed:
            assert not {*self.confirmed} - self.unsure - {*self.system.live_sessions()}

    @rule(seconds=st.floats(0.01, 5.0))
    def wait(self, seconds):
        self.system.actors.advance(seconds)

    @rule(step=st.integers(1, 12), code=st.sampled_from(sorted(CODES)), times=st.integers(1, 30), late=st.booleans())
    def break_disk(self, step, code, times, late):
        self.disk.fail(step, code, times=times, late=late)

    @rule()
    def mend_disk(self):
        self.disk.heal()

    @precondition(lambda self: self.processes < 6)
    @rule()
    def kill_process(self):
        left = self.directory / "left.db"
        for suffix in ("", "-wal"):
            Path(f"{left}{suffix}").unlink(missing_ok=True)
            if Path(f"{self.path}{suffix}").exists():
                shutil.copy(f"{self.path}{suffix}", f"{left}{suffix}")
        self.leave()
        self.start_process(left)

    @precondition(lambda self: self.processes < 6)
    @rule(name=NAMES, step=st.integers(1, 12), code=st.sampled_from(sorted(CODES)), late=st.booleans())
    def kill_process_over_a_bad_disk(self, name, step, code, late):
        """Bring the three together that seldom meet by chance."""
        self.start(name)
        self.use(name, 1)
        self.break_disk(step, code, 30, late)
        self.persist(name)
        self.kill_process()

    @precondition(lambda self: self.processes < 6)
    @rule()
    def stop_process(self):
        self.disk.heal()
        self.system.stop()
        self.wall += self.clock.monotonic()
        self.start_process(self.path)

    @invariant()
    def sessions_are_in_one_of_the_live_states(self):
        if not self.processes:
            return
        live = self.system.live_sessions()
        assert len(live) == len(set(live))
        for name in live:
            data = self.system.directory.get(name)._actor.data
            assert data.state in LIVE_STATES
            history = self.system.get_history(name)
            assert all(one.to_state == other.from_state for one, other in pairwise(history))
            assert all(one.timestamp <= other.timestamp for one, other in pairwise(history))

    def teardown(self):
        if self.processes:
            self.disk.heal()
            self.system.stop()
        shutil.rmtree(self.directory)


TestPersistence = Persistence.TestCase
TestPersistence.settings = hypothesis.settings(max_examples=max(1, hypothesis.settings().max_examples // 2))
