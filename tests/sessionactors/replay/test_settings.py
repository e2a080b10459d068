from __future__ import annotations

import pytest

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.replay.settings import ReplaySettings


def test_defaults_are_those_of_the_command():
    assert ReplaySettings() == ReplaySettings(300.0, 1800.0, 60.0, 1000.0, 10.0, None, 0, None)


def test_whole_numbers_are_kept_as_seconds():
    assert isinstance(ReplaySettings(idle_timeout=5).idle_timeout, float)


@pytest.mark.parametrize("field", ["idle_timeout", "reap_after", "reap_interval", "capacity", "rate", "auth_timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_amounts_are_above_zero_and_finite(field, value):
    with pytest.raises(InvalidValue, match=field):
        ReplaySettings(**{field: value})


@pytest.mark.parametrize("field", ["max_requests", "crash_every", "max_auth_attempts"])
def test_counts_begin_at_one(field):
    ReplaySettings(**{field: 1})
    with pytest.raises(InvalidValue, match=field):
        ReplaySettings(**{field: 0})


@pytest.mark.parametrize(
    "field", ["idle_timeout", "rate", "max_requests", "seed", "crash_every", "auth_timeout", "max_auth_attempts"]
)
@pytest.mark.parametrize("value", [True, "5"])
def test_values_are_numbers(field, value):
    with pytest.raises(InvalidKind, match=field):
        ReplaySettings(**{field: value})


def test_attempts_have_a_most():
    with pytest.raises(InvalidValue, match="max_auth_attempts"):
        ReplaySettings(max_auth_attempts=1001)


def test_sshd_fills_in_only_what_was_left_open():
    assert (ReplaySettings().as_sshd().auth_timeout, ReplaySettings().as_sshd().max_auth_attempts) == (120.0, 6)
    chosen = ReplaySettings(auth_timeout=5, max_auth_attempts=2)
    assert chosen.as_sshd() == chosen


def test_an_interval_that_never_lets_time_pass_is_refused():
    with pytest.raises(InvalidValue, match="reap_interval"):
        ReplaySettings(reap_interval=1e-9)
