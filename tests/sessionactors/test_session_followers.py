"""Connections of a session: what the quota counts, and who holds them. Subscribers are in test_session."""

from __future__ import annotations

import pytest

from sessionactors.errors import (
    ConnectionExists,
    InvalidKind,
    InvalidState,
    InvalidValue,
    NotFound,
    QuotaExceeded,
    SessionTerminated,
)
from supervisors import Actor
from tests.sessionactors.session_world import start_active, virtual


class Holder(Actor):
    def on_receive(self, message):
        if message == "end":
            self.stop()


@pytest.fixture
def system():
    with virtual() as made:
        start_active(made, "a")
        yield made


def used(system):
    return system.get_info("a").resources_used.connections


def test_a_connection_is_added_listed_and_removed(system):
    system.add_connection("a", "one")
    system.add_connection("a", "two")
    assert (list(system.get_connections("a")), used(system)) == (["one", "two"], 2)
    assert system.remove_connection("a", "one") is True
    assert (dict(system.get_connections("a")), used(system)) == ({"two": None}, 1)


def test_a_connection_knows_who_holds_it(system):
    holder = system.actors.start(Holder)
    system.add_connection("a", "one", holder)
    assert system.get_connections("a") == {"one": holder}


def test_a_connection_ends_with_who_holds_it(system):
    holder = system.actors.start(Holder)
    system.add_connection("a", "one", holder)
    system.add_connection("a", "two", holder)
    system.add_connection("a", "three")
    holder.stop()
    system.actors.settle()
    assert (list(system.get_connections("a")), used(system)) == (["three"], 1)


def test_a_holder_that_subscribes_too_loses_both(system):
    holder = system.actors.start(Holder)
    system.subscribe("a", holder)
    system.add_connection("a", "one", holder)
    holder.stop()
    system.actors.settle()
    assert system.get_connections("a") == {}
    assert system.directory.get("a")._actor._subscribers is None


def test_a_holder_that_is_dead_already_is_dropped_at_once(system):
    holder = system.actors.start(Holder)
    holder.stop()
    system.add_connection("a", "one", holder)
    system.actors.settle()
    assert (system.get_connections("a"), used(system)) == ({}, 0)


def test_to_remove_what_is_not_there_is_no_error(system):
    assert system.remove_connection("a", "one") is False
    assert used(system) == 0


def test_an_id_is_taken_while_its_connection_is_open(system):
    system.add_connection("a", "one")
    with pytest.raises(ConnectionExists) as refused:
        system.add_connection("a", "one")
    assert refused.value.code == "connection_exists"
    assert used(system) == 1
    system.remove_connection("a", "one")
    system.add_connection("a", "one")


def test_the_quota_of_connections_holds(system):
    system.set_quota("a", {"max_connections": 1})
    system.add_connection("a", "one")
    with pytest.raises(QuotaExceeded):
        system.add_connection("a", "two")
    assert (list(system.get_connections("a")), used(system)) == (["one"], 1)


def test_those_that_are_reported_as_a_number_count_too(system):
    system.update_resources("a", connections=2)
    system.add_connection("a", "one")
    assert used(system) == 3
    assert list(system.get_connections("a")) == ["one"]


@pytest.mark.parametrize("leave", ["deactivate", "suspend"])
def test_only_an_active_session_opens_connections_and_any_closes_them(system, leave):
    system.add_connection("a", "one")
    getattr(system, leave)("a")
    with pytest.raises(InvalidState):
        system.add_connection("a", "two")
    assert system.remove_connection("a", "one") is True
    assert used(system) == 0


def test_to_open_one_is_activity_and_to_close_one_is_not(system):
    system.actors.advance(10.0)
    system.add_connection("a", "one")
    assert system.get_metrics("a").idle_time == 0.0
    system.actors.advance(10.0)
    system.remove_connection("a", "one")
    system.get_connections("a")
    assert system.get_metrics("a").idle_time == 10.0


@pytest.mark.parametrize("ended", ["a", "nobody"])
def test_who_is_not_live_has_none(system, ended):
    system.terminate("a")
    expected = SessionTerminated if ended == "a" else NotFound
    for call in (
        lambda: system.add_connection(ended, "one"),
        lambda: system.remove_connection(ended, "one"),
        lambda: system.get_connections(ended),
    ):
        with pytest.raises(expected):
            call()


@pytest.mark.parametrize("given", ["", "x" * 2000, "line\nbreak", 7, None, b"one"])
def test_an_id_is_a_line_of_text(system, given):
    with pytest.raises((InvalidKind, InvalidValue)) as refused:
        system.add_connection("a", given)
    assert "connection_id" in str(refused.value)
    with pytest.raises((InvalidKind, InvalidValue)):
        system.remove_connection("a", given)


@pytest.mark.parametrize("ref", ["holder", 1, object()])
def test_a_holder_is_an_actor(system, ref):
    with pytest.raises(InvalidKind, match="ref"):
        system.add_connection("a", "one", ref)
    assert used(system) == 0


def test_connections_outlast_hibernation(system):
    holder = system.actors.start(Holder)
    system.add_connection("a", "one", holder)
    assert system.hibernate("a")
    assert system.get_connections("a") == {"one": holder}
    assert system.hibernation_statistics().asleep == 1
    holder.stop()
    system.actors.settle()
    assert system.get_connections("a") == {}


def test_connections_end_with_the_session(system):
    holder = system.actors.start(Holder)
    system.add_connection("a", "one", holder)
    system.terminate("a")
    assert holder.is_alive()
    system.start_session("a")
    assert system.get_connections("a") == {}
    assert used(system) == 0
