"""A selection gives what is wanted and nothing else, and reads times as people write them."""

from __future__ import annotations

import pytest

from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.record import AuditEvent, kind_of
from sessionactors.audit.selection import Selection, parse_time
from supervisors.errors import InvalidArgumentError


@pytest.fixture(scope="module")
def log():
    log = MemoryAuditLog()
    moments = [10.0, 20.0, 15.0, 30.0]  # the clock was set back once
    log.append_many(
        AuditEvent(moment, float(number), f"s{number % 2}", kind_of("auth"), f"actor-{number // 2}", None)
        for number, moment in enumerate(moments)
    )
    log.commit()
    return log


def _found(log, **wanted):
    return [record.sequence for record in Selection(**wanted).among(log)]


def test_without_wishes_everything_is_given(log):
    assert _found(log) == [0, 1, 2, 3]


def test_the_earliest_time_is_included_and_the_latest_is_not(log):
    assert _found(log, since=15.0, until=30.0) == [1, 2]


def test_actors_are_compared_whole(log):
    assert _found(log, actor="actor-1") == [2, 3]
    assert _found(log, actor="actor") == []


def test_wishes_add_up(log):
    assert _found(log, session="s1", actor="actor-1", event_type="auth", severity="info", since=1.0) == [3]


def test_the_end_can_be_set(log):
    assert [record.sequence for record in Selection().among(log, 2)] == [0, 1]


def test_only_what_is_set_is_told():
    assert Selection(session="a", since=0.0).to_dict() == {"session": "a", "since": 0.0}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", 0.0),
        ("1700000000.25", 1_700_000_000.25),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:01", 60.0),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
    ],
)
def test_times_are_read(text, moment):
    assert parse_time("since", text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "nan", "inf", "2026-13-01"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InvalidArgumentError) as caught:
        parse_time("--since", text)
    assert caught.value.field == "--since"
