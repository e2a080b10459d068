from __future__ import annotations

import tomllib

import pytest

from sessionactors import Session
from sessionactors.daemon.config import FILE_MAX, ConfigError, load, shown


class Mine(Session):
    """Named by its import path."""


def accept(_credentials):
    return True


HERE = __name__


@pytest.fixture
def read(tmp_path):
    """Return a function that loads a text with an environment."""

    def load_text(text="", **environment):
        path = tmp_path / "serve.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, environment)

    return load_text


def problems(read, text="", **environment):
    with pytest.raises(ConfigError) as refused:
        read(text, **environment)
    return list(refused.value.problems)


def test_an_empty_file_is_all_defaults(read):
    config = read()
    assert config.get("daemon", "shutdown_timeout") == 10.0
    assert {setting.source for table in config.settings.values() for setting in table.values()} == {"default"}


def test_a_value_of_the_file_is_kept_with_its_source(read):
    config = read("[front]\nline_max = 4096")
    assert config.settings["front"]["line_max"] == (4096, "serve.toml")


def test_the_environment_overrides_the_file(read):
    config = read("[front]\nline_max = 4096", SESSIONACTORS_FRONT__LINE_MAX="8192")
    assert config.settings["front"]["line_max"] == (8192, "SESSIONACTORS_FRONT__LINE_MAX")


def test_text_in_the_environment_needs_no_quotation_marks(read):
    config = read("", SESSIONACTORS_DAEMON__AUDIT_DIR="/var/lib/audit", SESSIONACTORS_DAEMON__LOG_LEVEL="info")
    assert str(config.get("daemon", "audit_dir")) == "/var/lib/audit"
    assert config.get("daemon", "log_level") == "info"


def test_a_list_in_the_environment_is_written_as_in_the_file(read):
    config = read("", SESSIONACTORS_DAEMON__SESSION_CLASSES=f'["{HERE}:Mine"]')
    assert config.session_classes == (Mine,)


def test_variables_without_two_underscores_are_somebody_elses(read):
    assert read("", SESSIONACTORS_SHARED="/data", HOME="/root")


def test_sections_of_the_session_system_have_its_options(read):
    config = read("[session]\nidle_timeout = 5\n[limiter]\nrate = 2.5\n[session.quota]\nmax_requests = 7")
    assert config.system["session"].idle_timeout == 5.0
    assert config.system["session"].quota.max_requests == 7
    assert config.system["limiter"].rate == 2.5


def test_none_is_written_as_text_where_it_is_allowed(read):
    config = read('[session]\nidle_timeout = "none"\n[daemon]\npath = "none"')
    assert config.system["session"].idle_timeout is None
    assert config.get("daemon", "path") is None


def test_none_where_it_is_not_allowed_is_a_problem(read):
    assert len(problems(read, '[session]\nauth_timeout = "none"\n[front]\nline_max = "none"')) == 2


def test_classes_and_the_authenticator_are_imported(read):
    config = read(f'[daemon]\nsession_classes = ["{HERE}:Mine"]\nauthenticator = "{HERE}:accept"')
    assert config.session_classes == (Mine,)
    assert config.authenticator({}) is True


def test_every_mistake_is_named_in_one_go(read):
    found = problems(
        read,
        "[daemon]\nshutdown_timeout = -1\nworkers = true\n[front]\nline_max = 1\n[sesion]\n[limiter]\nraet = 1\n",
        SESSIONACTORS_HEALTH__PORT="99999",
    )
    assert len(found) == 6
    told = "\n".join(found)
    for named in ("daemon.shutdown_timeout", "daemon.workers", "front.line_max", "[sesion]", "limiter.raet"):
        assert named in told
    assert "health.port (SESSIONACTORS_HEALTH__PORT)" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[frnt]", "did you mean 'front'?"),
        ("[front]\nlinemax = 1", "front.linemax (serve.toml): there is no such option; did you mean 'line_max'?"),
        ("front = 1", "front: a int is not allowed; allowed: a table [front]"),
        ("[front]\nline_max = 'x'", "front.line_max (serve.toml): a str is not allowed; allowed: an integer"),
        ("[front]\nmode = '666'", "front.mode (serve.toml): '666' is not allowed"),
        ("[front]\nmode = 600", "front.mode (serve.toml): a int is not allowed"),
        ("[daemon]\nlog_level = 'loud'", "daemon.log_level (serve.toml): 'loud' is not allowed"),
        ("[daemon]\nshutdown_timeout = nan", "daemon.shutdown_timeout (serve.toml): nan is not allowed"),
        ("[daemon]\nshutdown_timeout = inf", "daemon.shutdown_timeout (serve.toml): inf is not allowed"),
        ("[daemon]\npath = 7", "daemon.path (serve.toml): a int is not allowed"),
        ("[daemon]\npath = ''", "daemon.path"),
        ("[daemon]\nauthenticator = 'os.system'", "an import path such as package.module:Name"),
        ("[daemon]\nauthenticator = 'no_such_module:x'", "cannot be imported: ModuleNotFoundError"),
        ("[daemon]\nauthenticator = 'math:no_such_name'", "cannot be imported: AttributeError"),
        ("[daemon]\nauthenticator = 'math:pi'", "what stands there cannot be called"),
        ("[daemon]\nsession_classes = ['math:pi']", "is no class derived from Session"),
        ("[daemon]\nsession_classes = 'math:pi'", "a str is not allowed; allowed: a list of import paths"),
        ("[audit]\nbatch_max = 10\nqueue_max = 5", "audit.batch_max (serve.toml): 10 is not allowed; allowed: at most"),
        ("[audit]\nqueue_max = 5", "audit.batch_max (default): 10000 is not allowed; allowed: at most queue_max (5)"),
        ("[session]\nidle_timeout = true", "session.idle_timeout (serve.toml): a bool is not allowed"),
    ],
)
def test_a_mistake_is_one_clear_sentence(read, text, said):
    (problem,) = problems(read, text)
    assert said in problem


def test_values_that_go_together_are_good_though_one_would_not_go_with_the_default_of_the_other(read):
    config = read("[audit]\nbatch_max = 5\nqueue_max = 5")
    assert (config.get("audit", "batch_max"), config.get("audit", "queue_max")) == (5, 5)
    assert config.settings["audit"]["queue_max"].source == "serve.toml"


@pytest.mark.parametrize("text", ["[", "a = \xe4\n= ", "[front]\n[front]", "x = " + "[" * 5000])
def test_what_is_no_toml_is_one_problem(read, text):
    (problem,) = problems(read, text)
    assert "this is no TOML" in problem


def test_bytes_that_are_no_text_are_one_problem(tmp_path):
    path = tmp_path / "serve.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="this is no TOML"):
        load(path, {})


def test_a_file_that_is_not_there_is_one_problem(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.toml", {})


def test_a_huge_file_is_refused(read):
    (problem,) = problems(read, "#" * (FILE_MAX + 1))
    assert "longer than" in problem


def test_an_unknown_section_in_the_environment_is_a_problem(read):
    (problem,) = problems(read, "", SESSIONACTORS_FORNT__MODE="600")
    assert "did you mean 'front'?" in problem


def test_what_is_shown_can_be_loaded_again_and_means_the_same(read):
    first = read('[session]\nidle_timeout = "none"\nuser_id = "q\\"uo\\\\te"\n[front]\nmode = "660"')
    text = shown(first)
    assert 'idle_timeout = "none"  # serve.toml' in text
    assert "line_max = 65536  # default" in text
    assert tomllib.loads(text)["front"]["mode"] == "660"
    second = read(text)
    assert second.system == first.system
    assert {name: setting.value for name, setting in second.settings["front"].items()} == {
        name: setting.value for name, setting in first.settings["front"].items()
    }
