"""A record comes back from its bytes as it was."""

from __future__ import annotations

import threading
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors import packing
from sessionactors.effects import Transition
from sessionactors.lifecycle import SET_QUOTA, SUSPEND, UPDATE_RESOURCES, Deltas, decide
from sessionactors.packing import pack, unpack
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import ACTIVE, IDLE, LIVE_STATES, STATES
from tests.sessionactors.session_factory import all_of, session_in

OFFSET = 1_000_000.0


def there_and_back(data, wall_offset=OFFSET):
    return unpack(pack(data, wall_offset), data.session_id, data.options, wall_offset)[0]


def lasting(data):
    """Every field but what a session that sleeps has none of."""
    return {name: value for name, value in all_of(data).items() if name not in ("question", "woken_at")}


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_session_of_any_state_comes_back_as_it_was(state):
    data = session_in(state)
    data.question = None
    assert lasting(there_and_back(data)) == lasting(data)


def test_what_most_sessions_share_is_shared_again():
    data = session_in(ACTIVE, metadata={"a": 1})
    back = there_and_back(data)
    assert back.metadata is data.options.metadata
    assert back.quota is data.options.quota
    assert back.user_id == data.user_id


def test_what_a_session_has_of_its_own_comes_back():
    data = session_in(ACTIVE)
    decide(data, SET_QUOTA, 110.0, Quota(5, None, 7))
    decide(data, UPDATE_RESOURCES, 120.0, Deltas(1, 0, 3, 2))
    data.metadata = {"list": [1, {"deep": b"x"}], "text": "\u00fc"}
    data.user_id = "eve"
    assert lasting(there_and_back(data)) == lasting(data)


def test_metadata_that_were_taken_away_stay_away():
    data = session_in(ACTIVE, metadata={"a": 1})
    data.metadata = {}
    assert there_and_back(data).metadata == {}


def test_a_reason_in_free_words_comes_back():
    data = session_in(ACTIVE)
    decide(data, SUSPEND, 130.0, "because I say so")
    assert there_and_back(data).recorded == data.recorded


def test_reasons_in_free_words_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(packing, "_NUMBERED_MAX", 0)
    data = session_in(IDLE)
    data.recorded = [Transition(ACTIVE, IDLE, "never heard of", "deactivated"), 3.0]
    before = len(packing._numbered)
    assert there_and_back(data).recorded == data.recorded
    assert len(packing._numbered) == before


def test_what_is_carried_comes_back_with_it():
    data = session_in(ACTIVE)
    packed = pack(data, OFFSET, {"mine": [1, 2]}, 7)
    assert unpack(packed, "s-1", data.options, OFFSET)[1] == [{"mine": [1, 2]}, 7]


def test_a_session_that_was_restored_keeps_its_own_wall_clock():
    data = session_in(ACTIVE)
    back = unpack(pack(data, 5.0), "s-1", data.options, 5.0)[0]
    assert back.wall_offset == OFFSET


def test_a_fresh_session_takes_less_than_a_hundred_bytes():
    assert len(pack(session_in(IDLE), OFFSET)) < 100


def test_threads_that_number_the_same_transitions_agree():
    sessions = []
    for number in range(50):
        data = session_in(ACTIVE)
        decide(data, SUSPEND, 130.0, f"reason {number}")
        sessions.append(data)
    wrong = []

    def work():
        wrong.extend(data for data in sessions if there_and_back(data).recorded != data.recorded)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


times = st.floats(0, 1e9)
counts = st.integers(0, 2**53)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    mark=st.tuples(
        st.sampled_from(STATES[:-1]),
        st.booleans(),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    moments=st.tuples(times, times, times, times | st.just(inf)),
    sums=st.tuples(counts, counts, counts, counts, counts),
    history=st.lists(times, max_size=5),
)
def test_any_record_comes_back(mark, moments, sums, history):
    data = SessionData("s-1", SessionOptions(), moments[0], OFFSET)
    data.state, data.locked, data.suspend_reason = mark
    data.state_entered_at, data.last_activity, data.wake_at = moments[1:]
    data.authenticated_at = moments[1]
    data.requests, data.connections, data.bytes, data.largest_message, data.transitions = sums
    edge = Transition(ACTIVE, IDLE, "requested", "deactivated")
    data.recorded = [each for at in history for each in (edge, at)] or None
    assert lasting(there_and_back(data)) == lasting(data)


def test_what_is_as_in_most_sessions_takes_no_room():
    data = session_in(ACTIVE)
    data.wake_at = data.last_activity + 300.0
    packed = pack(data, OFFSET, timer_at=data.wake_at)
    assert len(packed) < 40
    assert unpack(packed, data.session_id, data.options, OFFSET, timer_at=data.wake_at)[0].wake_at == data.wake_at


def test_a_timer_that_is_set_for_another_moment_than_the_records_is_told_apart():
    data = session_in(ACTIVE)
    data.wake_at = 1.0
    packed = pack(data, OFFSET, timer_at=7.0)
    assert unpack(packed, data.session_id, data.options, OFFSET, timer_at=7.0)[0].wake_at == 1.0
