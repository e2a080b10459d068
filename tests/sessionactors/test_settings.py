from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from sessionactors.errors import InvalidKind, InvalidLimit, InvalidOption, InvalidQuota, InvalidValue
from sessionactors.settings import (
    MIB,
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    Quota,
    ReaperSettings,
    SessionOptions,
    StoreSettings,
    UserSettings,
)

ALL = [
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    Quota,
    ReaperSettings,
    SessionOptions,
    StoreSettings,
    UserSettings,
]


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (SessionOptions, "idle_timeout", 300.0),
        (SessionOptions, "auth_timeout", 30.0),
        (SessionOptions, "suspend_timeout", None),
        (SessionOptions, "absolute_timeout", None),
        (SessionOptions, "hibernate_after", None),
        (SessionOptions, "spill_after", None),
        (SessionOptions, "ttl", 3600.0),
        (SessionOptions, "max_auth_attempts", 3),
        (SessionOptions, "persistent", False),
        (SessionOptions, "backend", "default"),
        (SessionOptions, "memory_limit", 104_857_600),
        (SessionOptions, "migration_allowed", False),
        (SessionOptions, "auth_required", True),
        (SessionOptions, "resume_allowed", True),
        (SessionOptions, "strict_authentication", False),
        (SessionOptions, "user_id", "anonymous"),
        (SessionOptions, "protocol_version", "2025-11-25"),
        (SessionOptions, "max_history_size", 100),
        (SessionOptions, "metadata", {}),
        (Quota, "max_requests", 1000),
        (Quota, "max_connections", 10),
        (Quota, "max_message_size", 10_485_760),
        (LimiterSettings, "capacity", 1000.0),
        (LimiterSettings, "rate", 10.0),
        (LimiterSettings, "window", 60.0),
        (LimiterSettings, "global_quota_enabled", False),
        (LimiterSettings, "global_capacity", 1000.0),
        (LimiterSettings, "global_rate", 10.0),
        (LimiterSettings, "cleanup_interval", 300.0),
        (LimiterSettings, "idle_after", 600.0),
        (IsolationSettings, "max_memory", 1_073_741_824),
        (IsolationSettings, "max_cpu", 80.0),
        (IsolationSettings, "max_messages", 100_000),
        (IsolationSettings, "max_connections", 1000),
        (IsolationSettings, "memory_limit", 104_857_600),
        (IsolationSettings, "cpu_limit", None),
        (IsolationSettings, "message_limit", 10_000),
        (IsolationSettings, "connection_limit", 10),
        (IsolationSettings, "isolated", True),
        (IsolationSettings, "soft_ratio", 0.8),
        (IsolationSettings, "cleanup_interval", 60.0),
        (ReaperSettings, "interval", 60.0),
        (ReaperSettings, "policy", "idle_timeout"),
        (ReaperSettings, "idle_threshold", 1800.0),
        (AuditSettings, "retention_days", 30),
        (AuditSettings, "max_events", 1_000_000),
        (AuditSettings, "sweep_interval", 3600.0),
        (AuditSettings, "verify_interval", 300.0),
    ],
)
def test_the_defaults_are_those_of_the_specification(cls, name, value):
    assert getattr(cls(), name) == value


@pytest.mark.parametrize("cls", ALL)
def test_settings_cannot_be_changed(cls):
    settings = cls()
    with pytest.raises(FrozenInstanceError):
        setattr(settings, cls.names()[0], 1)


@pytest.mark.parametrize("cls", ALL)
def test_settings_can_be_copied_and_pickled(cls):
    settings = cls()
    assert copy.copy(settings) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("cls", ALL)
def test_every_option_is_documented(cls):
    assert all(f"    {option.name}: " in cls.__doc__ for option in fields(cls))


@pytest.mark.parametrize("cls", ALL)
def test_settings_are_what_their_mapping_says(cls):
    assert cls.from_mapping(cls().as_dict()) == cls()
    assert cls.from_mapping({}) == cls()


@pytest.mark.parametrize(
    ("cls", "wrong", "right"),
    [
        (SessionOptions, "idle_timeot", "idle_timeout"),
        (SessionOptions, "idle_timeout_ms", "idle_timeout"),
        (SessionOptions, "persistant", "persistent"),
        (Quota, "max_request", "max_requests"),
        (LimiterSettings, "capcity", "capacity"),
        (ReaperSettings, "idle_treshold", "idle_threshold"),
    ],
)
def test_an_unknown_option_is_an_error_that_suggests_the_nearest_one(cls, wrong, right):
    with pytest.raises(InvalidOption, match=f"{wrong}.*did you mean '{right}'") as refused:
        cls.from_mapping({wrong: 1})
    assert refused.value.code == "invalid_option"


def test_who_gives_milliseconds_is_told_the_unit():
    with pytest.raises(InvalidOption, match="in seconds"):
        SessionOptions.from_mapping({"auth_timeout_ms": 30_000})


def test_a_name_that_resembles_none_gets_the_whole_list():
    with pytest.raises(InvalidOption, match="max_requests, max_connections, max_message_size"):
        Quota.from_mapping({"zzz": 1})


@pytest.mark.parametrize("name", [7, None, ("a",)])
def test_a_name_that_is_no_text_is_unknown(name):
    with pytest.raises(InvalidOption):
        Quota.from_mapping({name: 1})


@pytest.mark.parametrize("mapping", [None, 7, "idle_timeout", [("idle_timeout", 5)]])
def test_options_come_in_a_mapping(mapping):
    with pytest.raises(InvalidKind, match="SessionOptions"):
        SessionOptions.from_mapping(mapping)


def test_an_update_changes_what_it_names_and_checks_it():
    options = SessionOptions(idle_timeout=10)
    assert options.updated({"persistent": True}) == SessionOptions(idle_timeout=10, persistent=True)
    assert options.persistent is False
    with pytest.raises(InvalidOption):
        options.updated({"persistant": True})
    with pytest.raises(InvalidValue):
        options.updated({"idle_timeout": -1})


TIMEOUTS = ["idle_timeout", "suspend_timeout", "absolute_timeout", "ttl", "hibernate_after", "spill_after"]


@pytest.mark.parametrize("name", TIMEOUTS)
def test_none_turns_a_timeout_off(name):
    assert getattr(SessionOptions.from_mapping({name: None}), name) is None


def test_authentication_always_has_a_deadline():
    with pytest.raises(InvalidKind, match="auth_timeout"):
        SessionOptions(auth_timeout=None)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 1e12])
@pytest.mark.parametrize("name", [*TIMEOUTS, "auth_timeout"])
def test_a_timeout_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(InvalidValue, match=name):
        SessionOptions.from_mapping({name: value})


@pytest.mark.parametrize("value", ["300", True, [300]])
@pytest.mark.parametrize("name", [*TIMEOUTS, "auth_timeout"])
def test_a_timeout_of_another_kind_is_refused_by_name(name, value):
    with pytest.raises(InvalidKind, match=name):
        SessionOptions.from_mapping({name: value})


def test_whole_seconds_are_kept_as_floats():
    assert type(SessionOptions(idle_timeout=300).idle_timeout) is float


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_auth_attempts", 0, InvalidValue),
        ("max_auth_attempts", 1001, InvalidValue),
        ("max_auth_attempts", True, InvalidKind),
        ("persistent", 1, InvalidKind),
        ("auth_required", "no", InvalidKind),
        ("locked_out", None, InvalidKind),
        ("backend", "", InvalidValue),
        ("backend", 7, InvalidKind),
        ("memory_limit", 0, InvalidLimit),
        ("memory_limit", "100", InvalidLimit),
        ("quota", None, InvalidQuota),
        ("quota", 5, InvalidQuota),
        ("quota", {"max_request": 5}, InvalidOption),
        ("quota", {"max_requests": -5}, InvalidQuota),
        ("metadata", None, InvalidKind),
        ("metadata", {"f": print}, InvalidKind),
        ("user_id", 7, InvalidKind),
        ("user_id", "a\nb", InvalidValue),
        ("protocol_version", "", InvalidValue),
        ("capabilities", [1], InvalidKind),
        ("max_history_size", -1, InvalidValue),
        ("max_history_size", 10**6, InvalidValue),
        ("audit_requests_every", -1, InvalidValue),
    ],
)
def test_a_bad_option_is_refused_by_name(name, value, error):
    with pytest.raises(error, match=r"max_requests?" if name == "quota" and isinstance(value, dict) else name):
        SessionOptions.from_mapping({name: value})


def test_a_quota_may_be_given_as_a_mapping():
    assert SessionOptions(quota={"max_requests": 5}).quota == Quota(max_requests=5)


@pytest.mark.parametrize(
    ("options", "user_id"),
    [
        ({}, "anonymous"),
        ({"user_id": "ada"}, "ada"),
        ({"metadata": {"user_id": "ada"}}, "ada"),
        ({"user_id": "ada", "metadata": {"user_id": "bob"}}, "ada"),
    ],
)
def test_the_user_falls_back_to_the_metadata(options, user_id):
    assert SessionOptions(**options).user_id == user_id


def test_a_user_in_the_metadata_is_checked_too():
    with pytest.raises(InvalidKind, match=r"metadata\.user_id"):
        SessionOptions(metadata={"user_id": 7})


def test_an_unlimited_quota_has_no_limits():
    assert Quota.unlimited() == Quota(None, None, None)


@pytest.mark.parametrize("value", [-1, 1.5, "5", True, math.nan])
@pytest.mark.parametrize("name", Quota.names())
def test_a_bad_quota_has_the_code_of_quotas(name, value):
    with pytest.raises(InvalidQuota, match=name) as refused:
        Quota.from_mapping({name: value})
    assert refused.value.code == "invalid_quota"


def test_a_quota_of_nothing_is_a_quota():
    assert Quota(0, 0, 0).max_requests == 0


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "10", 1e16])
@pytest.mark.parametrize("name", ["capacity", "rate", "global_capacity", "global_rate"])
def test_a_bad_rate_limit_has_the_code_of_limits(name, value):
    with pytest.raises(InvalidLimit, match=name):
        LimiterSettings.from_mapping({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_memory", -1), ("memory_limit", -1), ("cpu_limit", 101), ("max_cpu", 0), ("cpu_limit", True)],
)
def test_a_bad_resource_limit_has_the_code_of_limits(name, value):
    with pytest.raises(InvalidLimit, match=name):
        IsolationSettings.from_mapping({name: value})


@pytest.mark.parametrize("name", ["memory_limit", "cpu_limit", "message_limit", "connection_limit"])
def test_a_session_may_be_unlimited_where_the_service_is_not(name):
    assert getattr(IsolationSettings.from_mapping({name: None}), name) is None
    with pytest.raises(InvalidLimit):
        IsolationSettings(max_memory=None)


@pytest.mark.parametrize("policy", ["idle_timeout", "expired", "orphaned", "all"])
def test_a_reaper_starts_with_any_policy_that_needs_no_filter(policy):
    assert ReaperSettings(policy=policy).policy == policy


@pytest.mark.parametrize("policy", ["custom", "some", ""])
def test_a_reaper_does_not_start_with_a_policy_that_is_not_complete(policy):
    with pytest.raises(InvalidValue, match="policy"):
        ReaperSettings(policy=policy)


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (ReaperSettings, "interval", 0),
        (ReaperSettings, "batch_size", 0),
        (AuditSettings, "retention_days", 0),
        (AuditSettings, "max_events", 0),
        (AuditSettings, "batch_delay", -1),
        (IsolationSettings, "soft_ratio", 1.5),
        (LimiterSettings, "warn_at_percent", 101),
        (LimiterSettings, "queue_max", 0),
    ],
)
def test_a_service_refuses_what_is_out_of_bounds(cls, name, value):
    with pytest.raises(InvalidValue, match=name):
        cls.from_mapping({name: value})


def test_a_batch_fits_into_the_queue():
    with pytest.raises(InvalidValue, match="queue_max"):
        AuditSettings(queue_max=100, batch_max=101)


def test_whole_percents_are_kept_as_floats():
    assert type(IsolationSettings(cpu_limit=50).cpu_limit) is float


def test_equal_settings_can_be_looked_up():
    assert len({SessionOptions(), SessionOptions(idle_timeout=300), SessionOptions(idle_timeout=1)}) == 2


def test_sizes_are_bytes():
    assert MIB == 1024 * 1024


def test_metadata_name_the_user_of_changed_options_too():
    assert SessionOptions().updated({"metadata": {"user_id": "ada"}}).user_id == "ada"
    assert SessionOptions().updated({"metadata": {"user_id": "ada"}, "user_id": "eve"}).user_id == "eve"
    assert SessionOptions(user_id="eve").updated({"metadata": {"user_id": "ada"}}).user_id == "eve"


@pytest.mark.parametrize(
    ("settings", "option", "bad", "error"),
    [
        (StoreSettings, "durability", "never", InvalidValue),
        (StoreSettings, "durability", None, InvalidKind),
        (StoreSettings, "queue_max", 0, InvalidValue),
        (StoreSettings, "batch_max", True, InvalidKind),
        (StoreSettings, "batch_delay", float("nan"), InvalidValue),
        (StoreSettings, "busy_timeout", 0.0, InvalidValue),
        (StoreSettings, "max_restarts", -1, InvalidValue),
        (StoreSettings, "max_seconds", float("inf"), InvalidValue),
        (UserSettings, "max_sessions", 0, InvalidValue),
        (UserSettings, "max_sessions", 1.5, InvalidValue),
        (UserSettings, "action", "shout", InvalidValue),
        (SessionOptions, "backend", "leveldb", InvalidValue),
    ],
)
def test_settings_of_storage_and_users_have_bounds(settings, option, bad, error):
    with pytest.raises(error, match=option):
        settings.from_mapping({option: bad})
