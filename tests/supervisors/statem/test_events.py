from __future__ import annotations

import copy
import pickle

import pytest

from supervisors.statem.events import CALL, EventType, Named


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
@pytest.mark.parametrize("event_type", list(EventType))
def test_a_copied_event_type_is_the_same_one(event_type, duplicate):
    assert duplicate(event_type) is event_type


def test_timeouts_of_equal_names_are_one_kind():
    assert {Named("t"): 1}[Named("t")] == 1
    assert Named("t") != Named("u")


def test_an_event_type_reads_as_its_name():
    assert repr(CALL) == "CALL"
