from __future__ import annotations

import pytest

from sessionactors.daemon.config import load
from sessionactors.daemon.reloading import RELOADABLE, changes


@pytest.fixture
def config(tmp_path):
    def of(text):
        path = tmp_path / "serve.toml"
        path.write_text(text)
        return load(path, {})

    return of


def test_the_same_configuration_is_no_change(config):
    assert changes(config(""), config("")) == []


def test_a_value_that_is_the_default_is_no_change_where_it_was_left_out(config):
    assert changes(config(""), config("[front]\nline_max = 65536")) == []


def test_what_is_live_is_told_from_what_needs_a_restart(config):
    found = changes(
        config(""),
        config('[daemon]\nlog_level = "debug"\nworkers = 3\n[session]\nidle_timeout = 5.0\n[health]\nport = 1'),
    )
    assert {(change.section, change.name): change.is_live for change in found} == {
        ("daemon", "log_level"): True,
        ("daemon", "workers"): False,
        ("health", "port"): False,
        ("session", "idle_timeout"): True,
    }


def test_every_reloadable_option_is_one(config):
    known = config("")
    for section, name in RELOADABLE:
        assert name in known.settings[section]


def test_only_what_is_live_is_taken_over(config):
    before = config("[health]\nport = 1\ninterval = 1.0")
    after = config("[health]\nport = 2\ninterval = 2.0\n[session]\nidle_timeout = 5.0")
    taken = before.with_live(after, RELOADABLE)
    assert (taken.get("health", "port"), taken.get("health", "interval")) == (1, 2.0)
    assert taken.system["session"].idle_timeout == 5.0
    assert [change.name for change in changes(taken, after)] == ["port"]
