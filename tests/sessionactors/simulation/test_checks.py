"""Each property that is checked is broken once, and seen; and what is legal is not taken for a break."""

from __future__ import annotations

from contextlib import suppress

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.audit.recent import RecentLeaves, runs
from sessionactors.audit.service import open_log
from sessionactors.directory import Directory
from sessionactors.errors import SessionActorsError
from sessionactors.limits.token_bucket import TokenBucket
from sessionactors.settings import AuditSettings
from sessionactors.simulation import SimulatedAuditLog, SimulatedStore, check_sessions
from sessionactors.storage.codec import deletion
from sessionactors.storage.errors import StoreDiskError
from supervisors import InvalidArgumentError, InvalidTypeError, SupervisorsError
from supervisors.simulation import Simulation, SimulationOptions, run_seed
from tests.sessionactors.session_world import start_active

TRUSTED = {"authenticated": True}


def judged(use, **options):
    """Run a workload with a session system and its checks; return the outcome."""

    def workload(simulation):
        options.setdefault("session", {"idle_timeout": None})
        store = SimulatedStore(simulation)
        with SessionSystem(
            actors=simulation.system, store=store, audit_log=SimulatedAuditLog(simulation), **options
        ) as system:
            checks = check_sessions(simulation, system)
            use(simulation, system, checks)
            checks.judge()

    return run_seed(workload, 0)


def begin(system, session_id="a", **options):
    system.start_session(session_id, {"persistent": True, **options})
    system.authenticate(session_id, TRUSTED)
    system.activate(session_id)


def number(system, value, session_id="a"):
    system.update_session(session_id, lambda metadata: {**metadata, "number": value})


def crash(simulation, system, session_id="a"):
    system.directory.find(session_id).kill()
    simulation.sleep(5.0)


def test_a_session_that_crashes_and_comes_back_is_well():
    def use(simulation, system, checks):
        begin(system)
        number(system, 1)
        system.persist("a")
        crash(simulation, system)
        system.resume("a")
        number(system, 2)
        system.suspend("a")

    assert judged(use).verdict == "ok"


def test_a_record_that_the_store_has_lost_is_missed():
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        system._store.store._disk.write(10, [deletion("a")])
        crash(simulation, system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"
    assert "neither live nor stored" in outcome.what


def test_metadata_that_had_been_replaced_must_not_come_back():
    def use(simulation, system, checks):
        begin(system)
        number(system, 1)
        system.persist("a")
        old = system._store.store._disk.read("a")
        number(system, 2)
        system.persist("a")
        system._store.store._disk._records["a"] = old
        crash(simulation, system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"
    assert "{'number': 1}, acknowledged: {'number': 2}" in outcome.what


def test_metadata_may_be_what_they_once_were_when_somebody_wants_it():
    def use(simulation, system, checks):
        begin(system)
        for value in (1, 2, 1, 2, 1):
            number(system, value)
            system.persist("a")
        crash(simulation, system)

    assert judged(use).verdict == "ok"


def test_a_session_that_has_gone_back_in_its_transitions_is_seen_as_soon_as_it_comes_back():
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        old = system._store.store._disk.read("a")
        for _ in range(3):
            system.suspend("a")
            system.resume("a")
        system.persist("a")
        system._store.store._disk._records["a"] = old
        crash(simulation, system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"
    assert "transitions, acknowledged: 8" in outcome.what


def test_a_session_that_begins_again_though_it_has_not_ended_is_seen():
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        system._store.store._disk.write(10, [deletion("a")])
        crash(simulation, system)
        begin(system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"


@pytest.mark.parametrize("again", [False, True])
def test_a_session_that_has_ended_is_not_missed(again):
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        system.terminate("a")
        simulation.sleep(1.0)
        if again:
            begin(system)
            system.persist("a")
            crash(simulation, system)

    assert judged(use).verdict == "ok"


def test_a_session_whose_time_is_over_is_not_missed():
    def use(simulation, system, checks):
        begin(system, absolute_timeout=60.0)
        system.persist("a")
        simulation.sleep(120.0)

    assert judged(use).verdict == "ok"


def test_a_transition_that_is_not_in_the_log_is_missed():
    def use(simulation, system, checks):
        begin(system)
        system._intake._queue.clear()
        system.suspend("a")

    outcome = judged(use)
    assert outcome.by == "no acknowledged transition lost"
    assert "('a', 'active'): 1" in outcome.what


def test_an_entry_that_was_altered_is_seen():
    def use(simulation, system, checks):
        begin(system)
        system.commit_audit()
        log = system._ledger.log._log
        leaves = [leaf.replace(b"from_state", b"FROM_STATE") for leaf in log._recent.between(0, None)]
        log._recent = RecentLeaves(10)
        log._recent.extend(runs(0, leaves))

    assert judged(use).by == "audit verifies"


def test_two_owners_are_seen(monkeypatch):
    def add(self, session_id, ref, **how):
        self.live.pop(session_id, None)
        return proper(self, session_id, ref, **how)

    def use(simulation, system, checks):
        for _ in range(2):
            system.start_session("a")
            system.authenticate("a", TRUSTED)
        simulation.sleep(1.0)

    proper = Directory.add
    monkeypatch.setattr(Directory, "add", add)
    monkeypatch.setattr("sessionactors.system.SessionSystem._gives_way", lambda *given: True)
    assert judged(use).by == "one owner"


def test_a_limiter_that_admits_more_is_seen(monkeypatch):
    monkeypatch.setattr(TokenBucket, "check", lambda self, cost, now: (True, 0.0))

    def use(simulation, system, checks):
        for _ in range(5):
            system.check_rate_limit("a")

    assert judged(use, limiter={"capacity": 4, "rate": 0.001}).by == "limiter never over"


def test_a_workload_that_does_not_stop_its_system_is_judged_at_rest():
    def workload(simulation):
        system = SessionSystem(actors=simulation.system, store=SimulatedStore(simulation))
        check_sessions(simulation, system)
        begin(system)
        system._intake._queue.clear()

    assert run_seed(workload, 0).by == "no acknowledged transition lost"


def in_two_processes(simulation, log, *, commits):
    """Use a session, have the process die, and judge with the next one."""
    store = SimulatedStore(simulation)
    system = SessionSystem(actors=simulation.system, store=store, audit_log=log)
    checks = check_sessions(simulation, system)
    begin(system)
    system.suspend("a")
    system.persist("a")
    if commits:
        system.commit_audit()
    checks.died()
    store, log = store.crash(), log.crash()
    for ref in simulation.system.actors():
        ref.kill()
    simulation.sleep(1.0)
    with suppress(SessionActorsError, SupervisorsError):
        system.stop()
    with SessionSystem(actors=simulation.system, store=store, audit_log=log) as system:
        checks.follow(system)
        checks.judge()
        assert system.state_of("a") == "suspended"


@pytest.mark.parametrize("commits", [False, True])
def test_what_was_acknowledged_outlives_the_process(commits):
    outcome = run_seed(
        lambda simulation: in_two_processes(simulation, SimulatedAuditLog(simulation), commits=commits), 0
    )
    assert outcome.verdict == "ok", outcome


def test_a_log_that_has_forgotten_what_it_committed_is_seen(monkeypatch):
    monkeypatch.setattr(SimulatedAuditLog, "crash", lambda self: SimulatedAuditLog(self._simulation))

    def workload(simulation):
        in_two_processes(simulation, SimulatedAuditLog(simulation), commits=True)

    assert run_seed(workload, 0).by == "no acknowledged transition lost"


def test_the_checks_are_attached_once_the_simulation_is_entered():
    with Simulation(0) as simulation:
        system = SessionSystem(actors=simulation.system)
        assert check_sessions(simulation, system).one_owner()


def test_what_is_no_simulated_session_system_is_refused():
    with Simulation(0) as simulation, SessionSystem() as system:
        for given, field in (((None, system), "simulation"), ((simulation, None), "system")):
            with pytest.raises(InvalidTypeError) as caught:
                check_sessions(*given)
            assert caught.value.field == field
        with pytest.raises(InvalidArgumentError) as refused:
            check_sessions(simulation, system)
        assert refused.value.field == "system"


@pytest.mark.parametrize("kind", [SimulatedStore, SimulatedAuditLog])
def test_a_disk_wants_a_simulation_and_what_it_stands_before(kind):
    for given in ((None,), (Simulation(0), "disk")):
        with pytest.raises(InvalidTypeError):
            kind(*given)


# -- sessions that sleep, batches, what is not metadata, and the order of the log --------------------------------------


def test_sessions_that_sleep_or_are_spilled_are_well():
    def use(simulation, system, checks):
        begin(system)
        number(system, 1)
        system.persist("a")
        assert system.hibernate("a")
        assert system.spill("a")
        simulation.sleep(1.0)
        number(system, 2)
        system.persist("a")
        assert system.hibernate("a")
        crash(simulation, system)
        assert system.hibernate("a")
        system.terminate("a")

    assert judged(use).verdict == "ok"


def test_what_was_persisted_in_its_sleep_and_is_lost_is_missed():
    def use(simulation, system, checks):
        begin(system)
        system.hibernate("a")
        system.persist("a")
        system._store.store._disk.write(10, [deletion("a")])
        crash(simulation, system)

    assert judged(use).by == "no acknowledged persist lost"


def test_what_a_batch_has_persisted_and_is_lost_is_missed():
    def use(simulation, system, checks):
        begin(system)
        system.persist_sessions(["a"])
        system._store.store._disk.write(10, [deletion("a")])
        crash(simulation, system)

    assert judged(use).by == "no acknowledged persist lost"


def test_a_batch_that_was_not_persisted_is_not_missed():
    def use(simulation, system, checks):
        system.start_session("a")
        assert system.persist_sessions(["a"]).done == ()
        crash(simulation, system)

    assert judged(use).verdict == "ok"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda system: system.update_resources("a", requests=5), "requests 0, acknowledged: 5"),
        (lambda system: system.update_resources("a", bytes=5), "bytes 0, acknowledged: 5"),
        (lambda system: system.set_quota("a", {"max_requests": 7}), "quota Quota(max_requests=1000"),
        (lambda system: system.lock("a", admin="root"), "locked False, acknowledged: True"),
    ],
)
def test_what_has_gone_back_beside_metadata_is_seen(change, what):
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        old = system._store.store._disk.read("a")
        change(system)
        system.persist("a")
        system._store.store._disk._records["a"] = old
        crash(simulation, system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"
    assert what in outcome.what


@pytest.mark.parametrize("sleeps", [False, True])
def test_an_owner_that_sleeps_or_has_handled_nothing_is_one_all_the_same(monkeypatch, sleeps):
    def add(self, session_id, ref, **how):
        self.live.pop(session_id, None)
        return proper(self, session_id, ref, **how)

    def use(simulation, system, checks):
        system.start_session("a", {"auth_required": False})
        system.activate("a")
        if sleeps:
            system.hibernate("a")
        system.start_session("a")
        simulation.sleep(1.0)

    proper = Directory.add
    monkeypatch.setattr(Directory, "add", add)
    monkeypatch.setattr("sessionactors.system.SessionSystem._gives_way", lambda *given: True)
    assert judged(use).by == "one owner"


def of(system):
    return system.directory.find("a")._actor_weakref().data


@pytest.mark.parametrize(("name", "value"), [("state", "zombie"), ("requests", -5), ("auth_attempts", 99)])
def test_a_record_that_there_cannot_be_is_seen_with_the_next_answer(name, value):
    def use(simulation, system, checks):
        begin(system)
        setattr(of(system), name, value)
        system.get_info("a")

    assert judged(use).by == "sound record"


def test_an_edge_that_there_is_not_is_seen():
    def use(simulation, system, checks):
        system.start_session("a", {"max_history_size": 0})
        of(system).state = "active"
        system.deactivate("a")

    outcome = judged(use)
    assert outcome.by == "audit in order"
    assert "a leaves active, where it is new" in outcome.what


@pytest.mark.parametrize("disorder", [lambda queue: queue.reverse(), lambda queue: queue.append(queue[-1])])
def test_entries_in_another_order_or_twice_are_seen(disorder):
    def use(simulation, system, checks):
        begin(system)
        system.commit_audit()
        system.deactivate("a")
        system.resume("a")
        disorder(system._intake._queue)

    assert judged(use).by == "audit in order"


@pytest.mark.parametrize(
    "told",
    [
        lambda system: system.authenticate("a", TRUSTED),
        lambda system: system.lock("a", admin="root"),
        lambda system: system.unlock("a", admin="root"),
        lambda system: system.override_quota("a", {}, admin="root"),
        lambda system: system.terminate_sessions(["a"]),
    ],
)
def test_what_was_told_beside_the_usual_transitions_and_is_not_in_the_log_is_missed(told):
    def use(simulation, system, checks):
        system.start_session("a")
        system.commit_audit()
        told(system)
        system._intake._queue.clear()

    assert judged(use).by == "no acknowledged transition lost"


def test_authenticating_again_is_no_transition():
    def use(simulation, system, checks):
        system.start_session("a")
        for _ in range(3):
            system.authenticate("a", {"authenticated": False})
        system.unlock("a", admin="root")
        system.authenticate("a", TRUSTED)

    assert judged(use).verdict == "ok"


class Shared(Session):
    dispatch = "shared"


def test_a_start_that_is_refused_is_no_second_owner():
    refused = []

    def start(system):
        try:
            system.start_session("a", session_class=Shared)
        except SessionActorsError as error:
            refused.append(error.code)

    def use(simulation, system, checks):
        for answer in [simulation.client(start, system) for _ in range(5)]:
            answer.get(timeout=None)

    assert judged(use).verdict == "ok"
    assert refused == ["already_exists"] * 4


def test_one_whose_time_is_over_in_its_sleep_is_not_missed():
    def use(simulation, system, checks):
        begin(system, absolute_timeout=60.0)
        system.persist("a")
        system.hibernate("a")
        simulation.sleep(120.0)

    assert judged(use).verdict == "ok"


def test_one_that_is_stopped_in_its_sleep_is_not_missed():
    def use(simulation, system, checks):
        begin(system)
        system.persist("a")
        system.hibernate("a")
        system.directory.find("a").stop()

    assert judged(use).verdict == "ok"


def test_a_new_session_that_begins_again_though_it_has_not_ended_is_seen():
    def use(simulation, system, checks):
        for _ in range(2):
            system.start_session("a", {"persistent": True})
            system.persist("a")
            system._store.store._disk.write(10, [deletion("a")])
            crash(simulation, system)

    outcome = judged(use)
    assert outcome.by == "no acknowledged persist lost"
    assert "begins again" in outcome.what


def test_a_batch_that_the_disk_refuses_is_not_missed(monkeypatch):
    def write(self, epoch, records):
        raise StoreDiskError("it cannot be written", "look at the disk")

    def use(simulation, system, checks):
        monkeypatch.setattr(SimulatedStore, "write", write)
        begin(system)
        assert system.persist_sessions(["a"]).done == ()
        monkeypatch.undo()
        system._saves.delete("a")
        crash(simulation, system)

    assert judged(use).verdict == "ok"


def test_the_next_process_is_judged_at_rest_too():
    def workload(simulation):
        store = SimulatedStore(simulation)
        system = SessionSystem(actors=simulation.system, store=store)
        checks = check_sessions(simulation, system)
        checks.judge()
        checks.died()
        for ref in simulation.system.actors():
            ref.kill()
        simulation.sleep(1.0)
        with suppress(SessionActorsError, SupervisorsError):
            system.stop()
        system = SessionSystem(actors=simulation.system, store=store.crash())
        checks.follow(system)
        begin(system)
        system._intake._queue.clear()

    assert run_seed(workload, 0).by == "no acknowledged transition lost"


def test_a_log_in_which_ids_are_hashed_is_read_as_well(tmp_path):
    def workload(simulation):
        log = SimulatedAuditLog(simulation, open_log(tmp_path / "log", AuditSettings(redact_ids=True)))
        with SessionSystem(actors=simulation.system, audit_log=log) as system:
            checks = check_sessions(simulation, system)
            start_active(system, "a")
            system.lock("a", admin="root")
            checks.judge()

    options = SimulationOptions(watch_outside=False)  # its disk is a real one
    outcome = run_seed(workload, 0, options)
    assert outcome.verdict == "ok", outcome
