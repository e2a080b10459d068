from __future__ import annotations

import sys
import tracemalloc
from math import inf

import pytest

from sessionactors.effects import Transition
from sessionactors.lifecycle import TOUCH, UPDATE_RESOURCES, decide
from sessionactors.session_data import (
    HistoryEntry,
    SessionData,
    check_quota,
    deadline,
    history,
    info,
    metrics,
    resources_used,
)
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED, TERMINATED
from tests.sessionactors.session_factory import session_in


def test_a_fresh_session_is_new_and_has_used_nothing():
    data = SessionData("s-1", SessionOptions(), 100.0)
    assert data.state == NEW
    assert resources_used(data) == (0, 0, 0)
    assert history(data) == []
    assert data.wake_at == inf


def test_sessions_share_their_options():
    options = SessionOptions()
    first, second = SessionData("s-1", options, 0.0), SessionData("s-2", options, 0.0)
    assert first.quota is second.quota is options.quota
    assert first.metadata is second.metadata


def test_the_information_record_has_all_keys_and_tells_utc():
    data = session_in(ACTIVE)
    decide(data, TOUCH, 150.0)
    told = info(data)
    assert told.session_id == "s-1"
    assert told.state == ACTIVE
    assert (told.created_at, told.state_entered_at, told.last_activity) == (1_000_100.0, 1_000_100.0, 1_000_150.0)
    assert told.quota == Quota()
    assert told.resources_used._asdict() == {"requests": 0, "connections": 0, "bytes": 0}
    assert told.user_id == "ada"
    assert told.suspend_reason is None


def test_who_changes_what_info_returned_does_not_change_the_session():
    data = session_in(NEW, metadata={"tier": 1})
    info(data).metadata["tier"] = 2
    assert data.metadata == {"tier": 1}


def test_the_metrics_record_has_all_keys_in_seconds():
    data = session_in(ACTIVE, quota=Quota(1000, 10, 100))
    decide(data, UPDATE_RESOURCES, 110.0, (150, 5, 0, 25))
    told = metrics(data, 160.0)
    assert told.session_age == told.uptime == 60.0
    assert told.state_duration == 60.0
    assert told.idle_time == 50.0
    assert told.auth_attempts == 1
    assert told.quota_utilization == {"max_requests": 15.0, "max_connections": 50.0, "max_message_size": 25.0}
    assert told.state == ACTIVE
    assert told.connections == 5
    assert told.state_transitions == 2
    assert told.recovery_attempts == 0
    assert told.last_activity == 1_000_110.0


@pytest.mark.parametrize(("quota", "percent"), [(Quota.unlimited(), 0.0), (Quota(0, 0, 0), 100.0)])
def test_utilisation_is_defined_also_at_the_ends(quota, percent):
    data = session_in(ACTIVE, quota=quota)
    assert set(metrics(data, 100.0).quota_utilization.values()) == {percent}


def test_the_history_is_a_chain_oldest_first():
    data = session_in(IDLE)
    assert history(data) == [
        HistoryEntry(NEW, AUTH, 1_000_100.0, "requested"),
        HistoryEntry(AUTH, ACTIVE, 1_000_100.0, "authenticated"),
        HistoryEntry(ACTIVE, IDLE, 1_000_100.0, "requested"),
    ]


def test_a_check_of_the_quota_names_only_what_has_no_headroom():
    data = session_in(ACTIVE, quota=Quota(10, 5, None))
    assert check_quota(data) == (True, {})
    decide(data, UPDATE_RESOURCES, 101.0, (9, 5, 0, 0))
    assert check_quota(data) == (False, {"connections": (5, 5)})


@pytest.mark.parametrize(
    ("state", "options", "due"),
    [
        (NEW, {}, inf),
        (NEW, {"absolute_timeout": 50}, 150.0),
        (AUTH, {"auth_timeout": 30}, 130.0),
        (AUTH, {"auth_timeout": 30, "absolute_timeout": 20}, 120.0),
        (ACTIVE, {"idle_timeout": 300}, 400.0),
        (ACTIVE, {"idle_timeout": None}, inf),
        (IDLE, {"idle_timeout": 300}, 400.0),
        (IDLE, {"idle_timeout": 300, "absolute_timeout": 200}, 300.0),
        (SUSPENDED, {}, inf),
        (SUSPENDED, {"suspend_timeout": 600}, 700.0),
        (TERMINATED, {"absolute_timeout": 50}, inf),
    ],
)
def test_the_deadline_is_that_of_the_state_or_the_absolute_one(state, options, due):
    assert deadline(session_in(state, **options)) == due


def test_the_idle_time_of_an_idle_session_runs_from_its_entry():
    data = session_in(ACTIVE, idle_timeout=300)
    data.state, data.state_entered_at = IDLE, 400.0
    assert deadline(data) == 700.0


def test_an_equal_transition_is_one_object_in_all_histories():
    first, second = session_in(IDLE), session_in(IDLE)
    for mine, theirs in zip(first.recorded, second.recorded, strict=True):
        if isinstance(mine, Transition):
            assert mine is theirs


def test_a_session_shows_its_state_and_nothing_private():
    assert repr(session_in(ACTIVE, metadata={"secret": "x"})) == "<SessionData 's-1' active, 0 requests>"


def test_an_idle_session_is_small():
    count = 500
    sessions: list[object] = [None] * count
    options = {"metadata": {}}
    session_in(IDLE, **options)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index in range(count):
        data = session_in(IDLE, 1000.0 + index, **options)
        data.options = SHARED
        data.quota = SHARED.quota
        sessions[index] = data
    each = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    assert not hasattr(sessions[0], "__dict__")
    assert each < 520, f"{each} bytes; the record alone has {sys.getsizeof(sessions[0])}"


SHARED = SessionOptions()
