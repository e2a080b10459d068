from __future__ import annotations

import copy
import pickle

import pytest

from supervisors.statem.actions import reply
from supervisors.statem.results import (
    SAME,
    KeepState,
    NextState,
    RepeatState,
    Stop,
    keep_state,
    next_state,
    repeat_state,
    stop,
)


@pytest.mark.parametrize("make", [keep_state, repeat_state, stop, lambda: next_state("open")])
def test_a_plain_result_is_made_once(make):
    assert make() is make()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (next_state("open", reply(1), data=2), NextState("open", (reply(1),), 2)),
        (keep_state(reply(1), data=2), KeepState((reply(1),), 2)),
        (repeat_state(reply(1), data=2), RepeatState((reply(1),), 2)),
        (stop("done", data=2), Stop("done", 2)),
        (keep_state(data=None), KeepState((), None)),
    ],
)
def test_a_result_holds_what_was_given(result, expected):
    assert result == expected


def test_results_of_different_kinds_are_not_equal():
    kept: object = keep_state()
    assert kept != repeat_state()


def test_states_that_are_equal_but_not_the_same_are_kept_apart():
    assert next_state(1).state is not next_state(True).state
    assert type(next_state(1.0).state) is float


def test_more_state_names_than_anybody_writes_are_not_all_kept():
    names = [f"state {number}" for number in range(2_000)]
    results = [next_state(name) for name in names]
    assert next_state(names[-1]) is not results[-1]
    assert next_state(names[-1]) == results[-1]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copied_result_still_means_the_same_data(duplicate):
    assert duplicate(next_state("open", reply(1))).data is SAME
