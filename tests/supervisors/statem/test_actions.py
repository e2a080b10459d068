"""STM-35 and the other checks that are made when an action is made."""

from __future__ import annotations

import math

import pytest

from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal
from supervisors.statem.actions import (
    StartTimeout,
    cancel_timeout,
    event_timeout,
    hibernate,
    named_timeout,
    next_event,
    postpone,
    refuse,
    reply,
    state_timeout,
    update_timeout,
)
from supervisors.statem.events import CALL, CAST, ENTER, STATE_TIMEOUT, TIMEOUT, Named

STARTERS = [event_timeout, state_timeout, lambda *args, **kwargs: named_timeout("t", *args, **kwargs)]


@pytest.mark.parametrize("start", STARTERS)
@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, -math.inf, 1e300, 10**400, -(10**400)])
def test_stm_35_a_time_that_cannot_be_is_refused(start, seconds):
    with pytest.raises(InvalidArgumentError) as caught:
        start(seconds)
    assert caught.value.field == "seconds"


@pytest.mark.parametrize("start", STARTERS)
@pytest.mark.parametrize("seconds", ["1", None, True, [1]])
def test_stm_35_a_time_that_is_no_number_is_refused(start, seconds):
    with pytest.raises(InvalidTypeError) as caught:
        start(seconds)
    assert caught.value.field == "seconds"


@pytest.mark.parametrize("start", STARTERS)
def test_stm_35_an_option_of_another_kind_is_refused(start):
    with pytest.raises(InvalidTypeError, match="absolute"):
        start(1.0, absolute="yes")


@pytest.mark.parametrize("start", STARTERS)
def test_stm_35_an_unknown_option_is_refused(start):
    with pytest.raises(TypeError):
        start(1.0, relative=True)


@pytest.mark.parametrize("seconds", [0, 0.0, 3, 2.5, math.inf])
def test_a_time_is_taken_as_given(seconds):
    assert state_timeout(seconds, "content") == StartTimeout(STATE_TIMEOUT, seconds, "content", False)


@pytest.mark.parametrize("reading", [math.nan, -math.inf, 1e300, 10**400, -(10**400)])
def test_stm_34_a_point_in_time_is_one_that_the_clock_can_show(reading):
    with pytest.raises(InvalidArgumentError, match="a reading of the clock"):
        state_timeout(reading, absolute=True)


def test_stm_34_a_point_in_time_may_be_negative():
    assert event_timeout(-5.0, absolute=True) == StartTimeout(TIMEOUT, -5.0, None, True)


@pytest.mark.parametrize("make", [cancel_timeout, lambda kind: update_timeout(kind, 1)])
@pytest.mark.parametrize("kind", [CAST, CALL, ENTER, "timeout", None])
def test_only_a_kind_of_timeout_can_be_cancelled_or_updated(make, kind):
    with pytest.raises(InvalidTypeError) as caught:
        make(kind)
    assert caught.value.field == "kind"


@pytest.mark.parametrize("make", [lambda name: named_timeout(name, 1.0), lambda name: cancel_timeout(Named(name))])
@pytest.mark.parametrize("name", [[], {}])
def test_the_name_of_a_timeout_must_be_hashable(make, name):
    with pytest.raises(InvalidTypeError, match="name"):
        make(name)


def test_an_enter_event_cannot_be_inserted():
    with pytest.raises(InvalidArgumentError, match="ENTER"):
        next_event(ENTER)


@pytest.mark.parametrize("event_type", ["cast", None, 3])
def test_what_is_no_event_type_cannot_be_inserted(event_type):
    with pytest.raises(InvalidTypeError, match="event_type"):
        next_event(event_type)


@pytest.mark.parametrize(("event_type", "caller"), [(CALL, None), (CAST, "x")])
def test_an_inserted_call_has_a_caller_and_nothing_else_has(event_type, caller):
    with pytest.raises(InvalidArgumentError, match="caller"):
        next_event(event_type, caller=caller)


@pytest.mark.parametrize("make", [postpone, hibernate])
@pytest.mark.parametrize("flag", [1, "yes", []])
def test_a_flag_is_true_or_false(make, flag):
    with pytest.raises(InvalidTypeError, match="flag"):
        make(flag)


@pytest.mark.parametrize("refusal", [ValueError("no"), "no", Refusal])
def test_only_a_refusal_can_be_answered_instead_of_a_value(refusal):
    with pytest.raises(InvalidTypeError, match="refusal"):
        refuse(refusal)


def test_actions_are_compared_by_value():
    assert reply(1, to="x") == reply(1, to="x")
    assert reply(1) != reply(2)
    assert hash(state_timeout(1.0)) == hash(state_timeout(1.0))


def test_common_actions_are_made_once():
    assert postpone() is postpone()
    assert hibernate() is hibernate(True)
    assert cancel_timeout(TIMEOUT) is cancel_timeout(TIMEOUT)
