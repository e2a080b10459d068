"""Sessions with all their services under the simulation: clients, faults, a disk that fails.

``make simulate WORKLOAD=tests.simulation.session_workload:sessions`` runs it. What must hold:
a session has one owner; what `persist()` has acknowledged is there after every crash; the
limiter never admits more than it may; no event of an acknowledged transition is
missing in the audit log.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress

from sessionactors import SessionSystem
from sessionactors.errors import NotFound, SessionActorsError, SessionRecovering
from sessionactors.session import Session
from sessionactors.storage.codec import decode
from sessionactors.storage.errors import StoreDiskError, StoreFullError
from sessionactors.storage.memory import MemoryStore
from sessionactors.surroundings import ROOT
from supervisors import SupervisorsError
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, with_options
from supervisors.simulation.simulation import Client

__all__ = ["FailingStore", "World", "sessions", "spare"]

CAPACITY = 16
CLIENTS = 4
ROUNDS = 12
RESTARTS_MAX = 20
PATIENCE = 120.0  # virtual seconds without faults
TRUSTED = {"authenticated": True}

# The root supervisor of a session system is nobody's child, as is the client; the rest is hit.
# An exit signal is left out: it tells a session to end, which then is not to come back.
OFTEN = {kind: FAULT_KINDS[kind].chance * 2 for kind in ALL_WITHIN_CONTRACT if kind != "exit_signal"}


class FailingStore:
    """A store on a simulated disk: a store in memory that fails when the simulation wants it to.

    Once `is_gone` is set, its process has died: nothing gets to the disk any more.
    """

    def __init__(self, simulation, store=None):
        self._simulation = simulation
        self._is_own = store is None
        self._store = MemoryStore() if store is None else store
        self.is_gone = False

    def write(self, epoch, records):
        strikes = self._simulation.strikes
        if self.is_gone:
            raise StoreDiskError("the process has died", "start another one")
        if strikes("store_full") is not None:
            raise StoreFullError("no space is left", "make room")
        if strikes("store_error") is not None or strikes("fsync_error") is not None:
            raise StoreDiskError("it cannot be written", "look at the disk")
        self._slow_down()
        refused = self._store.write(epoch, records)
        if strikes("store_error_after") is not None:
            raise StoreDiskError("it may have been written", "look at the disk")
        if strikes("lost_write") is not None:
            for record in records:
                self._store._records.pop(record.session_id, None)
        return refused

    def read(self, session_id):
        if self._simulation.strikes("store_error") is not None:
            raise StoreDiskError("it cannot be read", "look at the disk")
        self._slow_down()
        return self._store.read(session_id)

    def _slow_down(self):
        part = self._simulation.strikes("store_slow")
        if part is not None:
            # The caller holds a lock of threads, so nobody else may run meanwhile.
            clock = self._simulation.system.clock
            clock.move_to(clock.monotonic() + part * 10.0)

    # All by name: from Python 3.12 on, the contract is looked for without __getattr__().

    @property
    def kind(self):
        return self._store.kind

    def claim(self):
        return self._store.claim()

    def page(self, after, limit):
        if self._simulation.strikes("store_error") is not None:
            raise StoreDiskError("it cannot be read", "look at the disk")
        return self._store.page(after, limit)

    def count(self):
        return self._store.count()

    def quarantine(self, found, at):
        self._store.quarantine(found, at)

    def quarantined(self):
        return self._store.quarantined()

    def close(self):
        if self._is_own:  # a store in memory forgets everything; a disk does not
            self._store.close()


def spare(ref):
    return ref.parent is None or ref.actor_class is Client


@with_options(SimulationOptions(faults=OFTEN, steps_max=50_000, spare=spare))
def sessions(simulation):
    """Let clients use sessions, each its own, while everything around them crashes."""
    log = logging.getLogger("sessionactors")
    level = log.level
    log.setLevel(logging.CRITICAL)  # crashes are what a simulation is for
    try:
        _run(simulation)
    finally:
        log.setLevel(level)


def _run(simulation):
    system, store = _start(simulation)
    try:
        world = World(simulation, system, store)
        simulation.invariant("one owner", world.one_owner)
        simulation.invariant("limiter never over", lambda: world.admitted <= CAPACITY)
        users = simulation.parts("users", [f"session-{number}" for number in range(CLIENTS)])
        answers = [simulation.client(world.use, user) for user in users]
        for answer in answers:
            answer.get(timeout=None)
        simulation.recover()
        world.judge()
    finally:
        system.stop()


def _start(simulation):
    # A fault may hit the very first start; then somebody tries again.
    tries = 50
    while True:
        tries -= 1
        store = FailingStore(simulation)
        try:
            system = SessionSystem(
                actors=simulation.system,
                store=store,
                session={"idle_timeout": None},
                limiter={"capacity": CAPACITY, "rate": 1e-9, "signal_refusals": False},
                # Faults of a run may well hit a service more often in a moment than the default
                # allows; far more would be a storm, which no retry of ours may be.
                storage={"max_restarts": RESTARTS_MAX},
                max_restarts=RESTARTS_MAX,
            )
        except (SupervisorsError, SessionActorsError):
            if not tries:
                raise
            simulation.sleep(1.0)
        else:
            return system, store


class World:
    """What clients know of what they were told."""

    def __init__(self, simulation, system, store):
        self.simulation = simulation
        self.system = system
        self.store = store
        self.admitted = 0
        self.acknowledged = {}  # session -> the last number that persist() has confirmed
        self.attempted = {}  # session -> the last number that somebody has tried to write
        self.transitions = Counter()  # (session, state) -> how often somebody was told that it is in there now

    def one_owner(self):
        owners = {}
        for ref in self.simulation.system.actors():
            # One that has handled nothing may still be refused by the directory.
            if issubclass(ref.actor_class, Session) and ref.messages_handled and not ref.ending:
                session_id = ref._actor_weakref().data.session_id
                owners[session_id] = owners.get(session_id, 0) + 1
        return all(count == 1 for count in owners.values())

    def use(self, session_id):
        random = self.simulation.entropy.stream(session_id)
        for _ in self.simulation.parts(f"rounds of {session_id}", range(ROUNDS)):
            self.simulation.sleep(random.random() * 5.0)
            with suppress(SupervisorsError, SessionActorsError):
                self._one_round(session_id, random)

    def begins(self, session_id):
        return session_id not in self.acknowledged and self.system.directory.get(session_id) is None

    def _one_round(self, session_id, random):
        system = self.system
        if self.begins(session_id):
            system.start_session(session_id, {"persistent": True})
        if system.state_of(session_id) == "new":
            system.authenticate(session_id, TRUSTED)
        if system.state_of(session_id) == "auth":
            # Who stays here for half a minute is ended, as it should be.
            system.activate(session_id)
        dice = random.random()
        if dice < 0.6:
            number = self.attempted[session_id] = self.attempted.get(session_id, 0) + 1
            system.update_session(session_id, lambda metadata: {**metadata, "number": number})
            system.persist(session_id)
            self.acknowledged[session_id] = number
        elif dice < 0.8:
            self.transitions[session_id, system.suspend(session_id)] += 1
            self.transitions[session_id, system.resume(session_id)] += 1
        elif system.check_rate_limit("shared", cost=4)[0]:
            self.admitted += 4

    def has_given_up(self):
        """Tell whether there was so much to restart in so short a time that the root supervisor has ended."""
        return self.simulation.system.whereis(ROOT) is None

    def _metadata(self, session_id, number):
        if not self.has_given_up():
            try:
                return self._in_the_end(SessionRecovering, self.system.get_session, session_id).metadata
            except NotFound:
                # One that could not be started again waits in the store for people.
                stored = self._in_the_end(SessionActorsError, self.system.stored_session, session_id)
        else:
            record = self.store._store.read(session_id)  # what the next process would find
            stored = None if record is None else decode(record)
        assert stored is not None, f"{session_id} is neither live nor stored; acknowledged: {number}"
        return stored["metadata"]

    def _in_the_end(self, not_yet, call, *arguments):
        """Call until it is answered: the last restarts may have to wait for each other, with growing pauses."""
        limit = self.simulation.system.clock.monotonic() + PATIENCE
        while True:
            try:
                return call(*arguments)
            except not_yet:
                if self.simulation.system.clock.monotonic() > limit:
                    raise
            self.simulation.sleep(1.0)

    def judge(self):
        system = self.system
        for session_id, number in self.acknowledged.items():
            metadata = self._metadata(session_id, number)
            found = metadata.get("number", 0)
            assert number <= found <= self.attempted[session_id], f"{session_id}: {found}, acknowledged: {number}"
        if self.has_given_up():
            return  # nobody is left to write the last events
        system.commit_audit()
        audited = Counter(
            (each.session, each.data.get("to_state"))
            for each in system._ledger.log.events()
            if each.type == "state_transition"
        )
        missing = self.transitions - audited
        assert not missing, f"transitions audited less often than acknowledged: {missing}"
