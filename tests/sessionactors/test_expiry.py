from __future__ import annotations

import pytest

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.expiry import ReapPolicy, SessionEntry, entry_of, is_idle_longer, is_older
from sessionactors.states import ACTIVE, IDLE
from tests.sessionactors.session_factory import all_of, session_in


def entry(name="s-1", *, idle=0.0, ttl=None, is_alive=None, metadata=None):
    return SessionEntry(name, IDLE, "ada", 1000.0, 2000.0, idle, idle, ttl, is_alive, metadata or {})


@pytest.mark.parametrize(("idle", "longer"), [(59.9, False), (60.0, False), (60.000001, True), (1e9, True)])
def test_older_means_strictly_older(idle, longer):
    assert is_idle_longer(100.0, 60.0, 100.0 + idle) is longer
    assert is_older(100.0, 60.0, 100.0 + idle) is longer


def test_without_a_limit_nothing_is_too_old():
    assert not is_idle_longer(0.0, None, 1e12)
    assert not is_older(0.0, None, 1e12)


@pytest.mark.parametrize(("idle", "goes"), [(0.0, False), (60.0, False), (60.5, True)])
def test_idle_timeout_compares_with_the_threshold_of_the_policy(idle, goes):
    assert ReapPolicy("idle_timeout", idle_threshold=60).picks(entry(idle=idle, ttl=1.0)) is goes


@pytest.mark.parametrize(("idle", "ttl", "goes"), [(60.0, 60.0, False), (60.5, 60.0, True), (1e9, None, False)])
def test_expired_compares_with_the_sessions_own_limit(idle, ttl, goes):
    assert ReapPolicy("expired", idle_threshold=1).picks(entry(idle=idle, ttl=ttl)) is goes


@pytest.mark.parametrize(("is_alive", "goes"), [(True, False), (False, True), (None, False)])
def test_orphaned_are_those_whose_actor_is_dead(is_alive, goes):
    assert ReapPolicy("orphaned").picks(entry(idle=1e9, is_alive=is_alive)) is goes


def test_all_means_all():
    assert ReapPolicy("all").picks(entry())


def test_a_custom_filter_sees_the_whole_record():
    policy = ReapPolicy("custom", filter=lambda each: each.metadata.get("tier") == "free" and each.idle > 10)
    assert policy.picks(entry(idle=11.0, metadata={"tier": "free"}))
    assert not policy.picks(entry(idle=11.0, metadata={"tier": "paid"}))


@pytest.mark.parametrize(("answer", "goes"), [(1, True), ("yes", True), (0, False), (None, False)])
def test_a_custom_filter_may_answer_with_anything_true(answer, goes):
    assert ReapPolicy("custom", filter=lambda _: answer).picks(entry()) is goes


def test_a_filter_that_raises_keeps_the_session_and_is_reported():
    entries = [entry("s-1", idle=1.0), entry("s-2", idle=0.0), entry("s-3", idle=2.0)]
    selection = ReapPolicy("custom", filter=lambda each: 1 / each.idle).select(entries)
    assert [each.id for each in selection.picked] == ["s-1", "s-3"]
    assert [(fault.id, type(fault.error)) for fault in selection.faults] == [("s-2", ZeroDivisionError)]


def test_a_selection_keeps_the_order():
    entries = [entry(f"s-{index}", idle=float(100 - index)) for index in range(10)]
    selection = ReapPolicy("idle_timeout", idle_threshold=95.0).select(entries)
    assert [each.id for each in selection.picked] == ["s-0", "s-1", "s-2", "s-3", "s-4"]
    assert selection.faults == ()


@pytest.mark.parametrize("name", ["some", "", "Custom"])
def test_an_unknown_policy_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidValue, match="idle_timeout, expired, orphaned, all, custom"):
        ReapPolicy(name)


@pytest.mark.parametrize("arguments", [{"name": "custom"}, {"name": "all", "filter": bool}])
def test_a_filter_belongs_to_the_custom_policy_and_only_there(arguments):
    with pytest.raises(InvalidValue, match="filter"):
        ReapPolicy(**arguments)


def test_a_filter_is_something_to_call():
    with pytest.raises(InvalidKind, match="filter"):
        ReapPolicy("custom", filter="idle > 5")


@pytest.mark.parametrize("threshold", [0, -1, float("nan"), float("inf")])
def test_a_threshold_is_a_duration(threshold):
    with pytest.raises(InvalidValue, match="idle_threshold"):
        ReapPolicy(idle_threshold=threshold)


def test_an_entry_is_made_without_touching_the_session():
    data = session_in(ACTIVE, ttl=90.0, metadata={"tier": "free"})
    before = all_of(data)
    made = entry_of(data, 150.0, is_alive=True)
    assert all_of(data) == before
    assert (made.id, made.state, made.user_id) == ("s-1", ACTIVE, "ada")
    assert (made.created_at, made.last_accessed) == (1_000_100.0, 1_000_100.0)
    assert (made.age, made.idle, made.ttl, made.is_alive) == (50.0, 50.0, 90.0, True)
    assert made.metadata == {"tier": "free"}
