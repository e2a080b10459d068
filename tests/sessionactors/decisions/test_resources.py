from __future__ import annotations

import math

import pytest

from sessionactors.bounds import COUNT_MAX
from sessionactors.errors import InvalidKind, InvalidQuota, InvalidValue, QuotaExceeded
from sessionactors.lifecycle import SET_QUOTA, UPDATE_RESOURCES, Deltas, decide
from sessionactors.session_data import check_quota, resources_used
from sessionactors.settings import Quota
from sessionactors.states import ACTIVE
from tests.sessionactors.session_factory import all_of, audits, refusal, session_in


def use(data, now=101.0, **deltas):
    return decide(data, UPDATE_RESOURCES, now, Deltas(**deltas))


def test_updates_add_up():
    data = session_in(ACTIVE)
    use(data, requests=5, connections=2, bytes=100)
    use(data, requests=1, bytes=50)
    assert resources_used(data) == (6, 2, 150)


def test_ten_updates_of_one_make_exactly_ten():
    data = session_in(ACTIVE)
    for _ in range(10):
        use(data, requests=1)
    assert data.requests == 10


def test_five_and_then_ten_of_ten_requests_is_too_much():
    data = session_in(ACTIVE, quota=Quota(10, 5, None))
    assert refusal(use(data, requests=5)) is None
    assert refusal(use(data, requests=10)) == "quota_exceeded"
    assert data.requests == 5


def test_reaching_a_limit_is_legal_and_leaves_no_headroom():
    data = session_in(ACTIVE, quota=Quota(10, 5, None))
    assert refusal(use(data, requests=10, connections=5)) is None
    assert check_quota(data) == (False, {"requests": (10, 10), "connections": (5, 5)})


@pytest.mark.parametrize(
    ("deltas", "facts"),
    [
        ({"requests": 11}, ("requests", 0, 10, 11)),
        ({"connections": 6}, ("connections", 0, 5, 6)),
        ({"message_size": 101}, ("message_size", 0, 100, 101)),
    ],
)
def test_a_refusal_names_the_dimension(deltas, facts):
    data = session_in(ACTIVE, quota=Quota(10, 5, 100))
    audit, refused = use(data, **deltas)
    error = refused.error
    assert isinstance(error, QuotaExceeded)
    assert (error.dimension, error.used, error.limit, error.wanted) == facts
    assert audit.data == dict(zip(("dimension", "used", "limit", "wanted"), facts, strict=True))


@pytest.mark.parametrize("too_much", [{"requests": 11}, {"connections": 6}, {"message_size": 101}])
def test_a_refused_update_applies_nothing_at_all(too_much):
    data = session_in(ACTIVE, quota=Quota(10, 5, 100))
    before = all_of(data)
    use(data, **{"requests": 1, "connections": 1, "bytes": 1, "message_size": 1, **too_much})
    assert all_of(data) == before


def test_an_unlimited_dimension_never_blocks():
    data = session_in(ACTIVE, quota=Quota.unlimited())
    assert refusal(use(data, requests=10**12, connections=10**9, message_size=10**12)) is None
    assert check_quota(data) == (True, {})


def test_a_quota_of_zero_refuses_the_first_request():
    data = session_in(ACTIVE, quota=Quota(max_requests=0))
    assert refusal(use(data, requests=1)) == "quota_exceeded"


def test_the_message_size_is_a_limit_for_each_message_and_no_sum():
    data = session_in(ACTIVE, quota=Quota(max_message_size=100))
    for _ in range(5):
        assert refusal(use(data, message_size=100)) is None
    assert data.largest_message == 100


def test_a_quota_below_what_is_used_is_legal_and_stops_growth_only():
    # Note (f).
    data = session_in(ACTIVE)
    use(data, requests=100, connections=8)
    decide(data, SET_QUOTA, 102.0, Quota(max_requests=50, max_connections=4))
    assert refusal(use(data, requests=1)) == "quota_exceeded"
    assert refusal(use(data, connections=1)) == "quota_exceeded"
    assert refusal(use(data, connections=-5, bytes=10)) is None
    assert refusal(use(data, connections=1)) is None


def test_closing_more_connections_than_are_open_ends_at_zero():
    data = session_in(ACTIVE)
    use(data, connections=2)
    assert refusal(use(data, connections=-5)) is None
    assert data.connections == 0


@pytest.mark.parametrize("name", ["requests", "bytes", "message_size"])
def test_other_sums_do_not_fall_below_zero(name):
    data = session_in(ACTIVE)
    before = all_of(data)
    with pytest.raises(InvalidValue, match=name):
        use(data, **{name: -1})
    assert all_of(data) == before


def test_requests_can_be_taken_back():
    data = session_in(ACTIVE)
    use(data, requests=3, bytes=30)
    use(data, requests=-1, bytes=-10)
    assert resources_used(data) == (2, 0, 20)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, math.nan, math.inf, [1]])
@pytest.mark.parametrize("name", Deltas._fields)
def test_only_integers_are_counted(name, value):
    data = session_in(ACTIVE)
    before = all_of(data)
    with pytest.raises(InvalidKind, match=name):
        use(data, **{name: value})
    assert all_of(data) == before


@pytest.mark.parametrize("name", Deltas._fields)
def test_huge_numbers_are_refused(name):
    data = session_in(ACTIVE, quota=Quota.unlimited())
    with pytest.raises(InvalidValue, match=name):
        use(data, **{name: COUNT_MAX + 1})


def test_a_plain_tuple_does_as_well():
    data = session_in(ACTIVE)
    decide(data, UPDATE_RESOURCES, 101.0, (1, 0, 500, 500))
    assert resources_used(data) == (1, 0, 500)


@pytest.mark.parametrize("deltas", [None, 1, (1,), (1, 0, 0, 0, 0), {"requests": 1}])
def test_anything_but_four_values_is_refused(deltas):
    with pytest.raises(InvalidKind, match="deltas"):
        decide(session_in(ACTIVE), UPDATE_RESOURCES, 101.0, deltas)


def test_every_hundredth_request_is_audited_with_the_totals():
    data = session_in(ACTIVE, quota=Quota.unlimited())
    sampled = [effects for _ in range(250) if (effects := use(data, requests=1, bytes=2))]
    assert [effects[0].data for effects in sampled] == [
        {"requests": 100, "connections": 0, "bytes": 200},
        {"requests": 200, "connections": 0, "bytes": 400},
    ]


def test_updates_of_many_requests_are_sampled_at_the_same_rate():
    data = session_in(ACTIVE, quota=Quota.unlimited(), audit_requests_every=100)
    assert [bool(use(data, requests=60)) for _ in range(5)] == [False, True, False, True, True]


def test_sampling_can_be_turned_off():
    data = session_in(ACTIVE, quota=Quota.unlimited(), audit_requests_every=0)
    assert not any(use(data, requests=1) for _ in range(250))


def test_a_refusal_is_always_audited():
    data = session_in(ACTIVE, quota=Quota(max_requests=0), audit_requests_every=0)
    assert audits(use(data, requests=1)) == [("resource", "quota_exceeded")]


def test_set_quota_replaces_the_whole_quota():
    data = session_in(ACTIVE, quota=Quota(1, 2, 3))
    decide(data, SET_QUOTA, 101.0, Quota(max_requests=5))
    assert data.quota == Quota(5, 10, 10 * 1024 * 1024)


@pytest.mark.parametrize("quota", [None, {"max_requests": 5}, 5])
def test_set_quota_takes_a_quota_only(quota):
    data = session_in(ACTIVE)
    with pytest.raises(InvalidQuota) as refused:
        decide(data, SET_QUOTA, 101.0, quota)
    assert refused.value.code == "invalid_quota"
