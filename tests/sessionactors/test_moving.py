"""Sessions that move: to another system, or as bytes that somebody carries."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors import SessionSystem
from sessionactors.errors import (
    InvalidKind,
    InvalidOption,
    InvalidTransition,
    InvalidValue,
    LoadFailed,
    MigrationFailed,
    MigrationNotAllowed,
    NotFound,
    PersistFailed,
    SessionRefusal,
    SessionTerminated,
    TooManySessions,
)
from sessionactors.requests import UserRequest
from sessionactors.session import Session
from sessionactors.storage.codec import SCHEMA, decode
from sessionactors.storage.memory import MemoryStore
from sessionactors.storage.sqlite import SqliteStore
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import TRUSTED, ends, entries, names, start_active, virtual
from tests.sessionactors.storage.faulty_disk import Disk


class Chat(Session):
    def __init__(self, *given):
        super().__init__(*given)
        self.said = []

    def handle_request(self, request):
        self.said.append(request)
        return list(self.said)

    def snapshot(self):
        return self.said

    def restore(self, state):
        self.said = state


@pytest.fixture
def here():
    with virtual() as made:
        yield made


@pytest.fixture
def there():
    with virtual(users={"max_sessions": 1}) as made:
        yield made


def movable(system, session_id="a", **options):
    start_active(system, session_id, migration_allowed=True, **options)


# --- migrate(), with a name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["active", "suspended"])
def test_a_session_can_be_described_and_goes_on(here, state):
    movable(here)
    heard = []
    here.subscribe("a", heard.append)
    if state == "suspended":
        here.suspend("a")
    here.actors.advance(5.0)
    moved = here.migrate("a", "node-2")
    assert (moved.session_id, moved.timestamp) == ("a", 5.0)
    assert isinstance(moved.state_data, bytes)
    assert here.get_state("a") == state
    assert (heard[-1].event, heard[-1].detail) == ("session_migrating", "node-2")
    assert names(here, "a")[-1] == "migration_started"


@pytest.mark.parametrize("state", ["new", "auth", "idle"])
def test_only_an_active_or_suspended_one_moves(here, state):
    here.start_session("a", {"migration_allowed": True})
    if state != "new":
        here.authenticate("a", TRUSTED)
    if state == "idle":
        here.activate("a")
        here.deactivate("a")
    with pytest.raises(InvalidTransition):
        here.migrate("a", "node-2")


def test_one_that_may_not_move_does_not_and_the_log_says_so(here):
    start_active(here, "a")
    with pytest.raises(MigrationNotAllowed):
        here.migrate("a", "node-2")
    assert names(here, "a")[-1] == "migration_failed"


def test_one_that_cannot_be_described_does_not_move(here):
    here.start_session("a", {"migration_allowed": True, "auth_required": False}, session_class=Chat)
    here.activate("a")
    here.request("a", object())
    with pytest.raises((MigrationFailed, PersistFailed)) as refused:
        here.migrate("a", "node-2")
    assert refused.value.code == "migration_failed"
    assert here.get_state("a") == "active"


@pytest.mark.parametrize("target", ["", "x" * 2000, 7, None, b"node"])
def test_a_target_is_named_by_text(here, target):
    movable(here)
    with pytest.raises((InvalidKind, InvalidValue)) as refused:
        here.migrate("a", target)
    assert "target" in str(refused.value)
    assert "migration_started" not in names(here, "a")


def test_credentials_do_not_travel(here):
    here.start_session("a", {"migration_allowed": True})
    here.authenticate("a", {"authenticated": True, "password": "hunter2"})
    here.activate("a")
    assert b"hunter2" not in here.migrate("a", "node-2").state_data


# --- load() ----------------------------------------------------------------------------------------------------------


def test_what_was_described_can_be_loaded(here, there):
    movable(here, metadata={"k": [1, 2]}, user_id="ada", idle_timeout=77.0)
    here.update_resources("a", requests=5, bytes=9)
    here.suspend("a", "moving house")
    moved = here.migrate("a", "node-2")
    there.start_session("a")
    assert there.load("a", moved.state_data) == "suspended"
    info = there.get_info("a")
    assert (info.resources_used.requests, info.user_id, info.metadata) == (5, "ada", {"k": [1, 2]})
    assert [each.reason for each in there.get_history("a")][-1] == "moving house"
    assert there.get_session_data("a")["options"]["idle_timeout"] == 77.0
    assert [each.id for each in there.list_user("ada")] == ["a"]


def test_an_active_session_arrives_as_an_idle_one(here, there):
    movable(here)
    moved = here.migrate("a", "node-2")
    there.start_session("a")
    assert there.load("a", moved.state_data) == "idle"
    assert there.resume("a") == "active"


def test_its_timers_go_on_with_what_was_left(here, there):
    movable(here, idle_timeout=100.0)
    here.actors.advance(90.0)
    moved = here.migrate("a", "node-2")
    there.start_session("a", {"idle_timeout": 1.0})
    there.actors.advance(0.5)
    there.load("a", moved.state_data)
    there.actors.advance(9.0)
    assert there.get_state("a") == "idle"
    there.actors.advance(1.1)
    assert there.get_state("a") == "suspended"


@pytest.mark.parametrize("wrong", [-86_400.0, 86_400.0])
def test_a_clock_that_was_set_right_after_the_start_makes_nothing_old(here, wrong):
    movable(here, idle_timeout=100.0)
    moved = here.migrate("a", "node-2")
    with SessionSystem(clock=VirtualClock(7.0, wrong)) as there:
        there.actors.clock.jump_wall(-wrong)
        there.start_session("a")
        there.load("a", moved.state_data)
        there.actors.advance(99.0)
        assert there.get_state("a") == "idle"
        there.actors.advance(2.0)
        assert there.get_state("a") == "suspended"


def test_the_users_own_state_travels(here, there):
    here.start_session("a", {"migration_allowed": True, "auth_required": False}, session_class=Chat)
    here.activate("a")
    here.request("a", "one")
    moved = here.migrate("a", "node-2")
    there.start_session("a", session_class=Chat)
    there.load("a", moved.state_data)
    assert there.request("a", "two") == ["one", "two"]


def test_only_a_new_session_can_be_loaded_into(here, there):
    movable(here)
    moved = here.migrate("a", "node-2")
    start_active(there, "a")
    with pytest.raises(InvalidTransition):
        there.load("a", moved.state_data)
    there.terminate("a")
    with pytest.raises(SessionTerminated):
        there.load("a", moved.state_data)


def test_data_of_another_session_are_refused(here, there):
    movable(here)
    moved = here.migrate("a", "node-2")
    there.start_session("b")
    with pytest.raises(LoadFailed, match="belongs to session 'a'"):
        there.load("b", moved.state_data)
    assert there.get_state("b") == "new"


def test_data_of_another_class_are_refused(here, there):
    movable(here)
    moved = here.migrate("a", "node-2")
    there.start_session("a", session_class=Chat)
    with pytest.raises(LoadFailed, match="class"):
        there.load("a", moved.state_data)


def test_a_user_with_too_many_sessions_gets_none_more(here, there):
    movable(here, user_id="ada")
    moved = here.migrate("a", "node-2")
    there.start_session("a")
    there.start_session("other", {"user_id": "ada"})
    with pytest.raises(TooManySessions):
        there.load("a", moved.state_data)
    assert there.get_info("a").user_id == "anonymous"
    assert [each.id for each in there.list_user("ada")] == ["other"]


def test_the_user_of_a_session_that_is_loaded_is_not_entered_twice(here, there):
    movable(here, user_id="ada")
    moved = here.migrate("a", "node-2")
    there.start_session("a", {"user_id": "eve"})
    there.load("a", moved.state_data)
    assert (there.list_user("eve"), len(there.list_user("ada"))) == ([], 1)
    there.terminate("a")
    assert there.list_user("ada") == []


def test_a_persistent_session_is_stored_where_it_arrives(here, there):
    movable(here, persistent=True)
    moved = here.migrate("a", "node-2")
    there.start_session("a")
    there.load("a", moved.state_data)
    there.persist("a")
    assert there.stored_session("a")["state"] == "idle"


@pytest.mark.parametrize("given", ["text", None, 7, {"state": "active"}, bytearray(b"x")])
def test_data_are_bytes(there, given):
    there.start_session("a")
    with pytest.raises(InvalidKind, match="data"):
        there.load("a", given)


@pytest.mark.parametrize(
    "given",
    [b"", b"\x00", b"x" * 100, msgpack.packb([]), msgpack.packb([1, 2, 3, 4]), msgpack.packb(["a", 1, b"", b""])],
)
def test_anything_else_is_refused(there, given):
    there.start_session("a")
    with pytest.raises(LoadFailed):
        there.load("a", given)
    assert there.get_state("a") == "new"


def test_data_of_a_newer_program_are_refused_with_a_sentence_that_says_so(here, there):
    movable(here)
    session_id, _, checksum, snapshot = msgpack.unpackb(here.migrate("a", "node-2").state_data)
    there.start_session("a")
    with pytest.raises(LoadFailed, match="use the program that wrote it"):
        there.load("a", msgpack.packb([session_id, SCHEMA + 1, checksum, snapshot]))


def test_a_huge_value_is_refused_before_it_is_read(there):
    there.start_session("a")
    with pytest.raises(LoadFailed, match="bytes"):
        there.load("a", bytes(17 * 1024 * 1024))


@pytest.mark.parametrize("given", [b"", b"x" * 100, bytes(17 * 1024 * 1024)])
def test_a_session_that_may_not_be_loaded_says_so_whatever_the_data_are(there, given):
    with pytest.raises(NotFound):
        there.load("a", given)
    start_active(there, "a")
    with pytest.raises(InvalidTransition):
        there.load("a", given)
    there.terminate("a")
    with pytest.raises(SessionTerminated):
        there.load("a", given)


@given(data=st.data())
def test_no_flipped_byte_gets_through(data):
    with virtual() as here:
        movable(here)
        good = here.migrate("a", "node-2").state_data
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    with virtual() as there:
        there.start_session("a")
        with pytest.raises(SessionRefusal):
            there.load("a", bytes(bad))
        assert there.get_state("a") == "new"


# --- migrate(), to another system ------------------------------------------------------------------------------------


def test_a_session_moves_to_another_system(here, there):
    movable(here, user_id="ada")
    heard = []
    here.subscribe("a", heard.append)
    here.migrate("a", there)
    assert there.get_state("a") == "idle"
    assert here.state_of("a") == "terminated"
    assert [each.event for each in heard] == ["session_migrating", "session_terminated"]
    assert heard[-1].detail == "migrated"
    assert ends(entries(here)) == {"a": 1}


def test_a_stored_copy_moves_along(here, there):
    movable(here, persistent=True)
    here.persist("a")
    here.migrate("a", there)
    assert here.stored_session("a") is None
    there.persist("a")
    assert there.stored_session("a") is not None


def test_a_stored_session_is_durable_there_when_it_has_moved(here):
    there = MemoryStore()
    movable(here, persistent=True)
    with virtual(store=there) as target:
        here.migrate("a", target)
        assert decode(there.read("a"))["state"] == "idle"


def test_where_it_cannot_be_stored_nothing_is_left_of_it_and_here_it_stays(here, tmp_path):
    disk = Disk()
    movable(here, persistent=True)
    here.persist("a")
    with virtual(store=SqliteStore(tmp_path / "there.db", connection_class=disk.connection_class)) as there:
        disk.fail(1, "ENOSPC", times=1000)
        with pytest.raises(MigrationFailed, match="the disk is full"):
            here.migrate("a", there)
        assert (here.get_state("a"), here.stored_session("a")["state"]) == ("active", "active")
        assert there.state_of("a") == "terminated"
        disk.heal()
        here.migrate("a", there)
        assert there.get_state("a") == "idle"


def test_a_derived_class_moves_with_its_state(here, there):
    here.start_session("a", {"migration_allowed": True, "auth_required": False}, session_class=Chat)
    here.activate("a")
    here.request("a", "one")
    here.migrate("a", there)
    assert there.request("a", "two") == ["one", "two"]


def test_where_its_id_is_taken_it_stays_here(here, there):
    movable(here)
    there.start_session("a")
    with pytest.raises(MigrationFailed, match="taken"):
        here.migrate("a", there)
    assert here.get_state("a") == "active"
    assert there.get_state("a") == "new"
    assert names(here, "a")[-1] == "migration_failed"


def test_where_it_cannot_be_loaded_nothing_is_left_of_it(here, there):
    movable(here, user_id="ada")
    there.start_session("other", {"user_id": "ada"})
    with pytest.raises(MigrationFailed):
        here.migrate("a", there)
    assert here.get_state("a") == "active"
    assert there.state_of("a") == "terminated"


def test_a_system_that_has_stopped_takes_nobody(here, there):
    movable(here)
    there.stop()
    with pytest.raises(MigrationFailed):
        here.migrate("a", there)
    assert here.get_state("a") == "active"


def test_one_that_is_used_meanwhile_moves_as_it_is_then(here, there, monkeypatch):
    movable(here)
    take_in = type(there).take_in
    uses = []

    def slowly(self, moved, kind):
        take_in(self, moved, kind)
        if not uses:
            here.update_resources("a", requests=1)
        uses.append(1)

    monkeypatch.setattr(type(there), "take_in", slowly)
    here.migrate("a", there)
    assert there.get_info("a").resources_used.requests == 1
    assert len(uses) == 2


def test_one_that_is_used_all_the_time_stays(here, there, monkeypatch):
    movable(here)
    take_in = type(there).take_in

    def busy(self, moved, kind):
        take_in(self, moved, kind)
        here.update_resources("a", requests=1)

    monkeypatch.setattr(type(there), "take_in", busy)
    with pytest.raises(MigrationFailed, match="used 3 times"):
        here.migrate("a", there)
    assert here.get_state("a") == "active"
    assert there.state_of("a") == "terminated"


class AsyncChat(Chat):
    async def handle_request(self, request):
        return super().handle_request(request)


def test_one_with_a_request_in_hand_stays_and_can_move_when_that_is_answered(here, there):
    here.start_session("a", {"migration_allowed": True}, session_class=AsyncChat)
    here.authenticate("a", TRUSTED)
    here.activate("a")
    asked = here.directory.get("a").ask(UserRequest("hello", 0, None), block=False)
    with pytest.raises(MigrationFailed, match="in hand"):
        here.migrate("a", there)
    assert names(here, "a")[-2:] == ["migration_started", "migration_failed"]
    assert here.get_state("a") == "active"
    assert there.state_of("a") is None
    here.actors.settle()
    assert asked.get() == ["hello"]
    here.migrate("a", there)
    assert there.get_session_data("a")["user_state"] == ["hello"]


def test_a_request_that_comes_while_the_session_moves_is_not_lost(here, there, monkeypatch):
    here.start_session("a", {"migration_allowed": True}, session_class=AsyncChat)
    here.authenticate("a", TRUSTED)
    here.activate("a")
    take_in = type(there).take_in
    asked = []

    def slowly(self, moved, kind):
        take_in(self, moved, kind)
        asked.append(here.directory.get("a").ask(UserRequest("hello", 0, None), block=False))

    monkeypatch.setattr(type(there), "take_in", slowly)
    with pytest.raises(MigrationFailed, match="in hand"):
        here.migrate("a", there)
    here.actors.settle()
    assert [each.get() for each in asked] == [["hello"]]
    assert here.get_session_data("a")["user_state"] == ["hello"]
    assert there.state_of("a") == "terminated"


def test_one_with_a_request_in_hand_can_be_described(here):
    here.start_session("a", {"migration_allowed": True}, session_class=AsyncChat)
    here.authenticate("a", TRUSTED)
    here.activate("a")
    here.directory.get("a").ask(UserRequest("hello", 0, None), block=False)
    assert here.migrate("a", "elsewhere").session_id == "a"


# --- get_session_data(), update_config(), set_timeout() --------------------------------------------------------------


def test_everything_about_a_session_is_plain_data(here):
    start_active(here, "a", metadata={"k": "v"})
    data = here.get_session_data("a")
    assert (data["session_id"], data["state"], data["metadata"]) == ("a", "active", {"k": "v"})
    assert msgpack.unpackb(msgpack.packb(data)) == {**data, "history": msgpack.unpackb(msgpack.packb(data["history"]))}


def test_what_is_done_to_it_reaches_nobody(here):
    start_active(here, "a", metadata={"k": "v"})
    here.get_session_data("a")["metadata"]["k"] = "other"
    assert here.get_info("a").metadata == {"k": "v"}


def test_options_change_while_a_session_lives(here):
    start_active(here, "a")
    here.update_config("a", {"idle_timeout": 10.0, "suspend_timeout": 5.0})
    here.actors.advance(20.1)
    assert here.get_state("a") == "suspended"
    here.actors.advance(5.1)
    assert here.state_of("a") == "terminated"
    assert "config_updated" in names(here, "a")


def test_the_idle_timeout_has_a_function_of_its_own(here):
    start_active(here, "a", "b")
    here.set_timeout("a", 10.0)
    here.set_timeout("b", None)
    here.actors.advance(10.1)
    assert here.get_state("a") == "idle"
    here.actors.advance(1000.0)
    assert here.get_state("b") == "active"


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        ({"idle_timeuot": 5.0}, InvalidOption, "did you mean 'idle_timeout'"),
        ({"quota": {}}, InvalidOption, "set_quota"),
        ({"metadata": {}}, InvalidOption, "update_session"),
        ({"persistent": True}, InvalidOption, "at the start"),
        ({"user_id": "eve"}, InvalidOption, "authenticate"),
        ({"idle_timeout": 0}, InvalidValue, "idle_timeout"),
        ({"idle_timeout": float("nan")}, InvalidValue, "idle_timeout"),
        ({"idle_timeout": True}, InvalidKind, "idle_timeout"),
        ({7: 5.0}, InvalidOption, "option"),
        ("idle_timeout", InvalidKind, "mapping"),
        (None, InvalidKind, "mapping"),
    ],
)
def test_a_bad_change_changes_nothing(here, options, error, hint):
    start_active(here, "a")
    before = here.get_session_data("a")["options"]
    with pytest.raises(error, match=hint):
        here.update_config("a", options)
    assert here.get_session_data("a")["options"] == before


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), "5", True])
def test_a_timeout_is_a_positive_number_of_seconds(here, seconds):
    start_active(here, "a")
    with pytest.raises((InvalidKind, InvalidValue), match="idle_timeout"):
        here.set_timeout("a", seconds)
