from __future__ import annotations

import pytest

from sessionactors.errors import InvalidKind, InvalidQuota, InvalidValue
from sessionactors.lifecycle import (
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    LOCK,
    OVERRIDE_QUOTA,
    UNLOCK,
    Override,
    decide,
)
from sessionactors.settings import Quota
from sessionactors.states import ACTIVE, IDLE, NEW, SUSPENDED
from tests.sessionactors.session_factory import all_of, session_in, transition, wake


class Incomparable:
    """Raises when it is compared."""

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("no")


OVERRIDES = [
    (ACTIVE, FORCE_SUSPEND),
    (IDLE, FORCE_RESUME),
    (ACTIVE, FORCE_TERMINATE),
    (NEW, LOCK),
    (NEW, UNLOCK),
    (ACTIVE, OVERRIDE_QUOTA),
]


@pytest.mark.parametrize(("state", "operation"), OVERRIDES)
def test_every_override_is_audited_first_with_the_administrator_and_the_reason(state, operation):
    override = Override("root", "ticket 12", Quota(1, 2, 3))
    audit, *_ = decide(session_in(state), operation, 101.0, override)
    assert (audit.type, audit.name, audit.severity) == ("security", operation, "warning")
    assert audit.data["admin"] == "root"
    assert audit.data["reason"] == "ticket 12"


@pytest.mark.parametrize(
    ("override", "error"),
    [
        (None, InvalidKind),
        ("root", InvalidKind),
        (Override(""), InvalidValue),
        (Override(" "), InvalidValue),
        (Override("   ", "ticket 12"), InvalidValue),
        (Override("a\nb"), InvalidValue),
        (Override(7), InvalidKind),
        (Override("root", reason=7), InvalidKind),
        (Override("root", reason=Incomparable()), InvalidKind),
    ],
)
@pytest.mark.parametrize(("state", "operation"), OVERRIDES)
def test_an_override_without_a_proper_name_changes_nothing(state, operation, override, error):
    data = session_in(state)
    before = all_of(data)
    with pytest.raises(error):
        decide(data, operation, 101.0, override)
    assert all_of(data) == before


def test_a_forced_resume_passes_the_guard_and_starts_the_idle_time():
    data = session_in(SUSPENDED, resume_allowed=False, idle_timeout=20.0)
    effects = decide(data, FORCE_RESUME, 101.0, Override("root"))
    assert transition(effects) == (SUSPENDED, ACTIVE, "resumed")
    assert data.suspend_reason is None
    assert data.last_activity == 101.0
    assert data.wake_at == 120.0
    assert wake(effects) is None


def test_a_forced_suspension_says_so():
    data = session_in(ACTIVE)
    decide(data, FORCE_SUSPEND, 101.0, Override("root"))
    assert data.suspend_reason == "admin_override"


def test_an_overridden_quota_counts_from_now_on():
    data = session_in(ACTIVE)
    decide(data, OVERRIDE_QUOTA, 101.0, Override("root", quota=Quota(1, 2, 3)))
    assert data.quota == Quota(1, 2, 3)


@pytest.mark.parametrize("quota", [None, 5])
def test_an_override_of_the_quota_needs_a_quota(quota):
    data = session_in(ACTIVE)
    with pytest.raises(InvalidQuota, match="quota"):
        decide(data, OVERRIDE_QUOTA, 101.0, Override("root", quota=quota))


def test_a_lock_leaves_an_active_session_active():
    data = session_in(ACTIVE)
    decide(data, LOCK, 101.0, Override("root"))
    assert (data.state, data.locked) == (ACTIVE, True)
