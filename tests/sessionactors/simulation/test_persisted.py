from __future__ import annotations

import pytest

from sessionactors.settings import Quota
from sessionactors.simulation.persisted import Facts, Persisted, Version, facts_of, stored_facts
from sessionactors.snapshots import snapshot
from sessionactors.states import ACTIVE
from tests.sessionactors.session_factory import session_in

FACTS = Facts(metadata={"n": 1}, user_id="ada", quota=Quota(), locked=False, requests=1, bytes=10)
LATER = Facts(metadata={"n": 2}, user_id="eva", quota=Quota(5), locked=True, requests=2, bytes=20)


def known(*seen, acknowledged=None, transitions=3):
    persisted = Persisted()
    for facts in seen:
        persisted.saw(facts)
    if acknowledged is not None:
        persisted.acknowledge(Version(transitions, acknowledged))
    return persisted


def test_as_long_as_nothing_is_acknowledged_anything_may_be_found():
    assert known(FACTS, LATER).fault(0, FACTS) is None


@pytest.mark.parametrize("name", Facts._fields)
def test_each_fact_that_alone_goes_back_is_told(name):
    persisted = known(FACTS, LATER, acknowledged=LATER)
    assert persisted.fault(3, LATER) is None
    found = LATER._replace(**{name: getattr(FACTS, name)})
    assert str(persisted.fault(3, found)).startswith(f"{name} ")


def test_what_it_is_since_may_be_found_and_so_may_what_was_acknowledged():
    persisted = known(FACTS, acknowledged=FACTS)
    persisted.saw(LATER)
    assert (persisted.fault(3, FACTS), persisted.fault(3, LATER)) == (None, None)


def test_a_value_that_somebody_wants_again_is_not_taken_for_an_old_one():
    persisted = known(FACTS, LATER, acknowledged=LATER)
    persisted.saw(FACTS)
    assert persisted.fault(3, FACTS) is None


def test_fewer_transitions_are_told():
    persisted = known(FACTS, acknowledged=FACTS)
    assert persisted.fault(2, FACTS) == "2 transitions, acknowledged: 3"
    assert persisted.fault(None, FACTS) is None


def test_what_is_stored_of_a_session_is_what_it_has():
    data = session_in(ACTIVE, metadata={"n": 1}, user_id="ada", quota=Quota(7))
    assert stored_facts(snapshot(data, 200.0, 200.0)) == facts_of(data)
