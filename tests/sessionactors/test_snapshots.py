from __future__ import annotations

import math

import msgpack
import pytest

from sessionactors.errors import LoadFailed
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    INIT_SESSION,
    LOCK,
    RESUME,
    SUSPEND,
    UPDATE_RESOURCES,
    Override,
    decide,
)
from sessionactors.session_data import deadline, history, info
from sessionactors.settings import Quota
from sessionactors.snapshots import restore, snapshot
from sessionactors.states import ACTIVE, AUTH, IDLE, LIVE_STATES, NEW, SUSPENDED, TERMINATED
from tests.sessionactors.session_factory import all_of, session_in

# The factory's sessions start at 100.0 of a clock whose zero is UTC 1,000,000.
OFFSET = 1_000_000.0


def stored(data, now=110.0):
    """Save, and take the trip through the store's encoding."""
    return msgpack.unpackb(msgpack.packb(snapshot(data, now, now + OFFSET)))


def elsewhere(data, *, saved=110.0, slept=0.0):
    """Save, and come back in a process whose monotonic clock reads 5.0."""
    return restore(stored(data, saved), 5.0, saved + OFFSET + slept)


def test_everything_that_is_kept_comes_back():
    data = session_in(NEW, quota=Quota(100, 5, 1000), persistent=True, capabilities={"tools": [1]}, suspend_timeout=900)
    decide(data, INIT_SESSION, 100.0, {"agent": "curl"})
    decide(data, AUTHENTICATE, 101.0, {"authenticated": True, "user_id": "ada"})
    decide(data, ACTIVATE, 102.0, lambda _: True)
    decide(data, UPDATE_RESOURCES, 103.0, (7, 0, 700, 70))
    decide(data, LOCK, 103.0, Override("root"))
    decide(data, SUSPEND, 104.0, "quarantine")
    back = elsewhere(data)
    same = set(all_of(data)) - {"wake_at", "recorded", "recovery_attempts"}
    data.options = data.options.updated({"quota": Quota()})  # that quota has become the session's own
    moved = {"created_at", "state_entered_at", "last_activity", "authenticated_at", "wall_offset", "woken_at"}
    assert {name: all_of(back)[name] for name in same - moved} == {name: all_of(data)[name] for name in same - moved}
    assert info(back) == info(data)
    assert history(back) == history(data)
    assert back.authenticated_at + back.wall_offset == 102.0 + OFFSET
    assert back.recovery_attempts == 1


def test_credentials_are_not_in_a_snapshot():
    data = session_in(NEW)
    decide(data, AUTHENTICATE, 101.0, {"password": "hunter2"})
    decide(data, ACTIVATE, 102.0)
    assert "hunter2" not in repr(snapshot(data, 110.0, OFFSET))


@pytest.mark.parametrize(
    ("state", "back"), [(NEW, NEW), (AUTH, NEW), (ACTIVE, IDLE), (IDLE, IDLE), (SUSPENDED, SUSPENDED)]
)
def test_a_session_comes_back_in_the_state_of_the_specification(state, back):
    assert elsewhere(session_in(state)).state == back


def test_a_session_that_has_ended_does_not_come_back():
    with pytest.raises(LoadFailed, match="it has ended"):
        elsewhere(session_in(TERMINATED))


def test_a_session_that_was_authenticating_starts_over_but_keeps_its_attempts():
    back = elsewhere(session_in(AUTH))
    assert history(back) == []
    assert back.auth_attempts == 1
    assert back.question is None
    decide(back, AUTHENTICATE, 6.0, {})
    assert back.auth_attempts == 2


def test_a_session_that_was_active_has_been_idle_since_its_last_activity():
    data = session_in(ACTIVE, idle_timeout=300)
    decide(data, UPDATE_RESOURCES, 105.0, (1, 0, 0, 0))
    back = elsewhere(data)
    assert history(back)[-1].to_state == IDLE
    assert history(back)[-1].reason == "restored"
    assert history(back)[-1].timestamp == info(back).state_entered_at == 105.0 + OFFSET
    assert deadline(back) - 5.0 == 300.0 - (110.0 - 105.0)


def test_open_connections_are_gone():
    data = session_in(ACTIVE)
    decide(data, UPDATE_RESOURCES, 105.0, (1, 3, 0, 0))
    assert elsewhere(data).connections == 0


@pytest.mark.parametrize("slept", [0.0, 50.0])
def test_a_timer_comes_back_with_the_time_that_is_left(slept):
    back = elsewhere(session_in(SUSPENDED, suspend_timeout=100), slept=slept)
    assert deadline(back) - 5.0 == 100.0 - 10.0 - slept


def test_the_absolute_timeout_runs_on_in_the_store():
    assert deadline(elsewhere(session_in(NEW, absolute_timeout=100), slept=500.0)) < 5.0


def test_a_wall_clock_that_went_back_takes_no_time_away_and_gives_none():
    data = session_in(SUSPENDED, suspend_timeout=100)
    back = elsewhere(data, slept=-3600.0)
    assert deadline(back) - 5.0 == 90.0
    assert info(back).created_at == info(data).created_at


@pytest.mark.parametrize("state", [NEW, IDLE, SUSPENDED])
@pytest.mark.parametrize("slept", [0.0, 1e6, -1e6])
def test_reported_times_stay_what_they_were(state, slept):
    data = session_in(state)
    back = elsewhere(data, slept=slept)
    assert info(back).created_at == info(data).created_at
    assert info(back).last_activity == info(data).last_activity
    assert history(back) == history(data)


def test_a_session_that_came_back_goes_on():
    back = elsewhere(session_in(ACTIVE))
    decide(back, RESUME, 6.0)
    decide(back, DEACTIVATE, 7.0)
    chain = history(back)
    assert [earlier.to_state for earlier in chain[:-1]] == [later.from_state for later in chain[1:]]
    assert [entry.timestamp for entry in chain] == sorted(entry.timestamp for entry in chain)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_history_stays_within_its_size_when_the_session_comes_back(size):
    assert len(history(elsewhere(session_in(ACTIVE, max_history_size=size)))) == min(size, 3)


FIELDS = sorted(snapshot(session_in(IDLE), 110.0, OFFSET))


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in ("authenticated_age", "suspend_reason")])
def test_a_snapshot_without_a_field_is_refused(field):
    broken = stored(session_in(IDLE))
    del broken[field]
    with pytest.raises(LoadFailed):
        restore(broken, 5.0, OFFSET)


@pytest.mark.parametrize("value", [object(), [object()], math.nan, -(10**30), "\x00", {"x": 1}, True])
@pytest.mark.parametrize("field", [name for name in FIELDS if name not in ("locked", "metadata")])
def test_a_snapshot_with_nonsense_in_a_field_is_refused(field, value):
    broken = {**stored(session_in(IDLE)), field: value}
    with pytest.raises(LoadFailed) as refused:
        restore(broken, 5.0, OFFSET)
    assert refused.value.code == "load_failed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "closed"),
        ("state", "suspended"),
        ("session_id", ""),
        ("locked", 1),
        ("metadata", None),
        ("metadata", {"f": print}),
        ("age", -1.0),
        ("options", {"idle_timeot": 1}),
        ("options", {"idle_timeout": -1}),
        ("quota", {"max_requests": -1}),
        ("history", [["new", "idle", "x", "y", 1.0]]),
        ("history", [["new", "auth", "x", "y", 1.0]]),
        ("history", [["auth", "active", "x", "y", 1.0], ["active", "idle", "x", "y", 2.0]]),
        ("history", [["new", "auth", "x", "y", 3.0], ["active", "idle", "x", "y", 2.0]]),
        ("history", [["active", "idle", "x", "y", -1.0]]),
        ("history", [["active", "idle", "x", "y"]]),
        ("history", [["active", "idle", "x", "y", 1.0]] * 101),
    ],
)
def test_a_snapshot_that_contradicts_itself_or_us_is_refused(field, value):
    with pytest.raises(LoadFailed):
        restore({**stored(session_in(IDLE)), field: value}, 5.0, OFFSET)


@pytest.mark.parametrize("snapshot_of_sorts", [None, b"\x80", [1, 2], "idle"])
def test_what_is_no_snapshot_at_all_is_refused(snapshot_of_sorts):
    with pytest.raises(LoadFailed, match="snapshot"):
        restore(snapshot_of_sorts, 5.0, OFFSET)


@pytest.mark.parametrize("state", LIVE_STATES)
def test_saving_changes_nothing(state):
    data = session_in(state)
    before = all_of(data)
    snapshot(data, 110.0, OFFSET)
    assert all_of(data) == before


def test_a_snapshot_holds_copies():
    data = session_in(NEW, metadata={"tier": 1})
    snapshot(data, 110.0, OFFSET)["metadata"]["tier"] = 2
    assert data.metadata == {"tier": 1}


def test_restored_sessions_share_what_is_equal():
    first, second = elsewhere(session_in(IDLE)), elsewhere(session_in(IDLE))
    assert first.recorded[0] is second.recorded[0]
    assert first.options is second.options
    assert first.quota is second.quota


def test_what_is_shared_is_checked_each_time_all_the_same():
    good = stored(session_in(IDLE, persistent=True))
    restore(good, 5.0, OFFSET)
    with pytest.raises(LoadFailed, match="persistent"):
        restore({**good, "options": {**good["options"], "persistent": 1}}, 5.0, OFFSET)
