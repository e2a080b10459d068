"""Sessions that leave memory for the store while they sleep, in a system with a real file."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sessionactors import SessionSystem
from sessionactors.errors import OperationFailed, PersistFailed, SessionRefusal, SessionTerminated, WakeFailed
from sessionactors.session import Session
from sessionactors.session_data import SessionData
from sessionactors.settings import SessionOptions
from sessionactors.spilling import Spill, packed_in, row
from sessionactors.storage.codec import deletion
from sessionactors.storage.contract import Record, StoredRecord
from sessionactors.storage.sqlite import SqliteStore
from sessionactors.updates import DeleteStored
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError
from tests.sessionactors.session_world import ends, entries, kill, names, start_active, virtual
from tests.sessionactors.storage.faulty_disk import Disk
from tests.sessionactors.test_sleeping import Remembers, is_asleep


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.db"


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def system(path, disk):
    with virtual(store=SqliteStore(path, connection_class=disk.connection_class)) as made:
        yield made
        disk.heal()


def start_spilled(system, session_id="a", **options):
    start_active(system, session_id, persistent=True, **options)
    assert system.hibernate(session_id) is True
    assert system.spill(session_id) is True


def lose(system, session_id="a"):
    """Take a row away behind the back of its session."""
    system._store.store.write(system._store.epoch, [deletion(session_id)])


def spoil(system, session_id="a"):
    """Let a row rot."""
    store = system._store.store
    found = store.read(session_id)
    store.write(system._store.epoch, [Record(session_id, found.schema, found.checksum, found.snapshot + b"\0")])


def is_spilled(system, session_id="a"):
    return is_asleep(system, session_id) and system.directory.get(session_id)._actor.is_spilled


def test_a_spilled_session_is_the_same_before_and_after(system):
    start_active(system, "a", persistent=True, metadata={"k": "v"}, user_id="ada")
    system.update_resources("a", requests=3, bytes=10)
    before = (system.get_info("a"), system.get_history("a"), system.get_metrics("a"))
    system.hibernate("a")
    assert system.spill("a") is True
    assert is_spilled(system)
    system.set_quota("a", {"max_requests": 1000})
    assert not is_asleep(system)
    assert (system.get_info("a"), system.get_history("a"), system.get_metrics("a")) == before


def test_questions_read_it_and_leave_it_in_the_store(system):
    start_spilled(system, metadata={"k": "v"})
    assert system.get_info("a").metadata == {"k": "v"}
    assert [each.id for each in system.list_sessions()] == ["a"]
    assert system.get_connections("a") == {}
    assert is_spilled(system)


def test_its_state_is_known_without_the_store(system, disk):
    start_spilled(system)
    disk.fail(1, times=1000)
    assert system.get_state("a") == "active"
    assert system.reap("expired") == 0
    assert disk.steps == 0


@pytest.mark.parametrize("options", [{}, {"persistent": True, "backend": None}])
def test_what_the_store_does_not_hold_is_not_spilled(system, options):
    start_active(system, "a", **options)
    system.hibernate("a")
    assert system.spill("a") is False
    assert system.stored_session("a") is None


def test_one_that_is_awake_is_not_spilled(system):
    start_active(system, "a", persistent=True)
    assert system.spill("a") is False


def test_to_spill_twice_is_to_spill(system):
    start_spilled(system)
    assert system.spill("a") is True
    assert system.hibernate("a") is True
    assert is_spilled(system)


def test_by_default_nobody_is_spilled_unasked(system):
    start_active(system, "a", persistent=True, hibernate_after=10.0, idle_timeout=None, ttl=None)
    system.actors.advance(250.0)
    assert is_asleep(system)
    assert not is_spilled(system)


def test_it_is_spilled_after_its_time_without_activity(system):
    start_active(system, "a", persistent=True, hibernate_after=10.0, spill_after=50.0, idle_timeout=None)
    system.actors.advance(49.0)
    assert not is_spilled(system)
    system.actors.advance(2.0)
    assert is_spilled(system)
    system.touch("a")
    system.actors.advance(49.0)
    assert not is_spilled(system)
    system.actors.advance(2.0)
    assert is_spilled(system)


def test_timers_fire_on_time(system):
    start_spilled(system, idle_timeout=100.0)
    system.actors.advance(99.0)
    assert system.get_state("a") == "active"
    system.actors.advance(1.1)
    assert system.get_state("a") == "idle"


def test_the_users_own_state_comes_back(system):
    system.start_session("a", {"auth_required": False, "persistent": True}, session_class=Remembers)
    system.activate("a")
    system.request("a", "one")
    system.hibernate("a")
    assert system.spill("a") is True
    assert system.request("a", "two") == ["one", "two"]


def test_an_object_that_has_to_stay_keeps_its_session_in_memory(system):
    class Unpacked(Session):
        note = None

    system.start_session("a", {"persistent": True}, session_class=Unpacked)
    system.directory.get("a")._actor.note = object()
    system.hibernate("a")
    assert system.spill("a") is False
    system.touch("a")
    assert system.directory.get("a")._actor.note is not None


# --- The store fails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["EIO", "busy", "ENOSPC"])
def test_a_store_that_cannot_be_read_leaves_it_asleep_and_it_wakes_later(system, disk, code):
    start_spilled(system)
    disk.fail(1, code, times=1000)
    for _ in range(2):
        with pytest.raises(WakeFailed) as refused:
            system.touch("a")
    assert refused.value.code == "wake_failed"
    assert is_spilled(system)
    disk.heal()
    system.update_resources("a", requests=2)
    assert system.get_metrics("a").state == "active"
    assert system.get_info("a").resources_used.requests == 2


def test_a_timer_that_cannot_wake_it_does_so_when_the_disk_is_back(system, disk):
    start_spilled(system, absolute_timeout=100.0)
    disk.fail(1, times=1000)
    system.actors.advance(110.0)
    assert is_spilled(system)
    disk.heal()
    system.actors.advance(2.0)
    assert system.state_of("a") == "terminated"
    assert ends(entries(system)) == {"a": 1}


def test_a_store_that_cannot_be_written_keeps_it_in_memory(system, disk):
    start_active(system, "a", persistent=True)
    system.persist("a")
    system.update_resources("a", requests=7)
    system.hibernate("a")
    disk.fail(1, times=1000)
    with pytest.raises(PersistFailed):
        system.spill("a")
    assert is_asleep(system)
    assert not is_spilled(system)
    system.touch("a")
    assert system.get_info("a").resources_used.requests == 7


def test_a_timer_that_cannot_spill_it_tries_again(system, disk):
    start_active(system, "a", persistent=True, hibernate_after=5.0, spill_after=10.0, idle_timeout=None)
    system.persist("a")
    system.actors.advance(6.0)
    disk.fail(1, times=1000)
    system.actors.advance(10.0)
    assert not is_spilled(system)
    disk.heal()
    system.actors.advance(20.0)
    assert is_spilled(system)


def test_a_row_that_has_gone_is_said_to_be_gone_and_the_session_can_be_killed(system):
    start_spilled(system)
    lose(system)
    with pytest.raises(WakeFailed, match="not in the store any more"):
        system.touch("a")
    kill(system, "a")
    system.actors.settle()
    assert ends(entries(system)) == {"a": 1}


def test_a_store_actor_that_is_restarted_makes_no_difference(system):
    start_spilled(system)
    kill(system, "store")
    system.actors.settle()
    system.touch("a")
    assert system.get_state("a") == "active"
    assert not is_asleep(system)


# --- Its end, and after a crash --------------------------------------------------------------------------------------


def test_one_that_is_terminated_is_gone_from_the_store(system):
    start_spilled(system)
    system.terminate("a")
    assert system.stored_session("a") is None
    assert names(system, "a").count("session_terminated") <= 1
    assert ends(entries(system)) == {"a": 1}


def test_one_that_is_killed_comes_back_as_it_was_stored(system):
    start_active(system, "a", persistent=True)
    system.update_resources("a", requests=5)
    system.hibernate("a")
    system.spill("a")
    kill(system, "a")
    system.actors.settle()
    assert system.get_state("a") == "idle"
    assert system.get_info("a").resources_used.requests == 5
    assert system.hibernation_statistics().spilled == 0


def test_spilled_ones_come_back_after_a_shutdown_and_run_nothing_of_their_own(path):
    ran = []

    class Last(Remembers):
        def on_terminated(self, reason):
            ran.append(reason)

    with SessionSystem(path=path, clock=VirtualClock(), entropy=Entropy(1), session_classes=[Last]) as system:
        system.start_session("a", {"auth_required": False, "persistent": True}, session_class=Last)
        system.activate("a")
        system.request("a", "one")
        system.hibernate("a")
        assert system.spill("a") is True
    assert ran == []
    with SessionSystem(path=path, clock=VirtualClock(), entropy=Entropy(2), session_classes=[Last]) as system:
        assert system.get_state("a") == "idle"
        system.resume("a")
        assert system.request("a", "two") == ["one", "two"]


VICTIM = """
import os, signal, sys
from sessionactors import SessionSystem

system = SessionSystem(path=sys.argv[1], session={"auth_required": False, "persistent": True})
for session_id in ("a", "b"):
    system.start_session(session_id)
    system.activate(session_id)
    system.update_resources(session_id, requests=5)
    system.hibernate(session_id)
    assert system.spill(session_id)
system.terminate("b")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_kill_9_those_that_were_spilled_are_back_and_those_that_ended_are_not(path):
    done = subprocess.run([sys.executable, "-c", VICTIM, str(path)], timeout=60.0, check=False)
    assert done.returncode == -signal.SIGKILL
    with SessionSystem(path=path, clock=VirtualClock(), entropy=Entropy(3)) as system:
        assert system.get_state("a") == "idle"
        assert system.get_info("a").resources_used.requests == 5
        assert system.state_of("b") is None


def test_one_that_cannot_be_read_ends_at_once_and_its_row_goes_when_the_disk_is_back(system, disk):
    start_spilled(system)
    disk.fail(1, times=1000)
    with pytest.raises(OperationFailed, match="its stored copy is still there"):
        system.terminate("a")
    assert system.state_of("a") == "terminated"
    disk.heal()
    system.actors.advance(5.0)
    assert system.stored_session("a") is None
    assert ends(entries(system)) == {"a": 1}


ENDINGS = {
    "terminate": lambda system: system.terminate("a", "because"),
    "force_terminate": lambda system: system.force_terminate("a", admin="root"),
    "delete_session": lambda system: system.delete_session("a"),
    "terminate_user": lambda system: system.terminate_user("ada"),
    "reap": lambda system: system.reap("all"),
    "stop": lambda system: system.directory.get("a").stop(),
    "too_many": lambda system: system.start_session("c", {"user_id": "ada"}),
    "expired": lambda system: (system.actors.advance(3601.0), system.start_session("a", {"user_id": "ada"})),
}


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("damage", [lose, spoil])
def test_one_whose_row_is_lost_can_be_ended_and_runs_nothing_of_its_own(path, damage, how):
    ran = []

    class Last(Remembers):
        def on_terminated(self, reason):
            ran.append(reason)

        def on_stop(self):
            ran.append("on_stop")

    users = {"max_sessions": 1, "action": "end_oldest"}
    with virtual(path=path, users=users, session_classes=[Last]) as system:
        heard = []
        options = {"auth_required": False, "persistent": True, "user_id": "ada"}
        system.start_session("a", options, session_class=Last)
        system.activate("a")
        system.subscribe("a", heard.append)
        system.hibernate("a")
        assert system.spill("a") is True
        damage(system)
        ENDINGS[how](system)
        system.actors.settle()
        assert ends(entries(system)) == {"a": 1}
        assert [each.event for each in heard].count("session_terminated") == 1
        assert system.users.counts().get("ada", 0) == (how in ("too_many", "expired"))
        assert system.hibernation_statistics().asleep == 0
        system.delete_session("a")
        assert system.start_session("a", {"user_id": "bob"}) == "a"
    assert ran == []


def test_an_end_that_is_refused_leaves_the_session_spilled(system):
    start_spilled(system)
    lose(system)
    with pytest.raises(SessionRefusal):
        system.force_terminate("a", admin=" ")
    assert is_spilled(system)
    assert system.get_state("a") == "active"


def test_what_waits_behind_an_end_is_told_of_it():
    with SessionSystem(session={"auth_required": False, "persistent": True}) as system:
        system.start_session("a")
        system.hibernate("a")
        assert system.spill("a") is True
        ref = system.directory.get("a")
        lose(system)
        touched, ended, asked = [
            ref.ask(each, block=False) for each in (("touch", None), ("terminate", None), "get_info")
        ]
        with pytest.raises(WakeFailed):
            touched.get(timeout=10.0)
        assert ended.get(timeout=10.0) == "terminated"
        with pytest.raises((SessionTerminated, ActorDeadError)):
            asked.get(timeout=10.0)


@pytest.mark.parametrize("damage", [lose, spoil])
def test_one_whose_row_is_lost_hides_nobody_else(system, damage, caplog):
    start_spilled(system, user_id="ada")
    start_active(system, "b", "c", user_id="ada")
    damage(system)
    assert [each.id for each in system.list_sessions()] == ["b", "c"]
    assert system.count_sessions(lambda each: each.id != "a") == 2
    assert [each.id for each in system.list_user("ada")] == ["b", "c"]
    assert "not listed" in caplog.text
    assert system.live_sessions() == ["a", "b", "c"]
    assert is_spilled(system)


def test_the_only_copy_is_read_before_it_is_deleted(system):
    start_spilled(system, metadata={"k": "v"})
    before = system.get_info("a").last_activity
    system.actors.advance(1.0)
    system.delete_stored("a")
    assert not is_asleep(system)
    assert system.stored_session("a") is None
    assert system.get_info("a").metadata == {"k": "v"}
    assert system.get_info("a").last_activity == before


def test_the_only_copy_is_not_deleted_while_it_cannot_be_read(system, disk):
    start_spilled(system)
    disk.fail(1, times=1000)
    with pytest.raises(WakeFailed):
        system.delete_stored("a")
    disk.heal()
    system.touch("a")
    assert system.get_state("a") == "active"


def test_who_is_about_to_be_spilled_while_its_copy_is_deleted_stays_in_memory(system):
    start_active(system, "a", persistent=True)
    system.hibernate("a")
    ref = system.directory.get("a")
    spilling = ref.ask(Spill(), block=False)
    ref.ask(DeleteStored(), block=False)
    system.actors.settle()
    assert spilling.get(timeout=0) is False
    assert system.get_info("a").state == "active"


def test_a_store_actor_that_is_away_is_said_to_be_and_keeps_nobody_from_ending(system):
    start_spilled(system)
    ref = system.directory.get("a")
    registry = system.actors.registry
    store = registry.whereis("store")
    registry.unregister("store")
    with pytest.raises(WakeFailed, match="being restarted"):
        system.touch("a")
    ended = ref.ask(("terminate", None), block=False)
    system.actors.settle()
    assert ended.get(timeout=0) == "terminated"
    registry.register("store", store)


def test_what_another_process_has_left_asleep_is_not_taken_for_ones_own(path):
    left = SqliteStore(path)
    system = virtual(store=left)
    start_spilled(system)
    before = system.stored_session("a")
    left.close()  # as after kill -9: nothing is written any more
    with SessionSystem(path=path, clock=VirtualClock(), entropy=Entropy(2)) as again:
        assert again.get_state("a") == "idle"
        assert again.stored_session("a")["requests"] == before["requests"]
    system.stop()


def test_bytes_that_were_stored_under_another_epoch_are_nobodys():
    options = SessionOptions(persistent=True)
    around = virtual()._around
    record = row(SessionData("a", options, 0.0), None, Session, b"bytes", around)
    answer = ScheduledFuture(None, None)
    answer.set(StoredRecord(1, b"a", 7, record.schema, record.checksum, record.snapshot))
    assert packed_in(answer, 7) == b"bytes"
    with pytest.raises(WakeFailed, match="somebody else"):
        packed_in(answer, 8)


def test_figures_tell_how_many_are_spilled(system):
    start_spilled(system)
    spilled = system.hibernation_statistics()
    assert (spilled.asleep, spilled.spilled) == (1, 1)
    system.touch("a")
    awake = system.hibernation_statistics()
    assert (awake.asleep, awake.spilled, awake.bytes_before, awake.bytes_after) == (0, 0, 0, 0)


def test_messages_that_wait_for_the_store_are_handled_in_order():
    with SessionSystem(session={"auth_required": False, "persistent": True}) as system:
        system.start_session("a", session_class=Remembers)
        system.activate("a")
        system.hibernate("a")
        system.spill("a")
        ref = system.directory.get("a")
        refused = [ref.ask(("update_resources", (each, 0, 0, 0)), block=False) for each in (600, 500, 400)]
        assert refused[0].get(timeout=10.0) == "active"
        with pytest.raises(Exception, match="quota"):
            refused[1].get(timeout=10.0)
        assert refused[2].get(timeout=10.0) == "active"
