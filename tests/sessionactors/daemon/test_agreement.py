"""Options that are good one by one and not together are found when the configuration is checked."""

from __future__ import annotations

import os

import pytest

from sessionactors.daemon.agreement import SOCKET_PATH_MAX, TOKEN_LEAST, token_in
from sessionactors.daemon.config import ConfigError, load
from supervisors.errors import InvalidArgumentError
from supervisors.health.endpoint import TOKEN_MIN
from supervisors.inspection.local_socket import LocalSocket

TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def problems(tmp_path):
    """Return a function that returns what is wrong with a text; DIR in it is a folder with a token."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")

    def found(text, **environment):
        path = tmp_path / "serve.toml"
        path.write_text(text.replace("DIR", str(tmp_path)))
        try:
            load(path, environment)
        except ConfigError as error:
            return list(error.problems)
        return []

    return found


@pytest.mark.parametrize(
    "text",
    [
        '[front]\nport = 0\ntoken_file = "DIR/token"',
        '[front]\nport = 0\nhost = "0.0.0.0"\nallow_remote = true\ntoken_file = "DIR/token"',
        "[health]\nport = 0",
        '[health]\nport = 0\nhost = "::"\ntoken_file = "DIR/token"',
        '[front]\nhost = "localhost"',  # nothing listens there
        '[front]\nport = 4000\ntoken_file = "DIR/token"\n[health]\nport = 4000\nhost = "127.0.0.2"',
        '[front]\nsocket = "DIR/one"\n[inspection]\nsocket = "DIR/two"',
    ],
)
def test_what_goes_together_is_good(problems, text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "field", "sentence"),
    [
        ("[front]\nport = 0", "front.token_file (default)", "because of front.port"),
        ('[front]\nport = 0\nhost = "localhost"\ntoken_file = "DIR/token"', "front.host", "in numbers"),
        ('[front]\nport = 0\nhost = "0.0.0.0"\ntoken_file = "DIR/token"', "front.host (serve.toml)", "allow_remote"),
        ('[health]\nport = 0\nhost = "0.0.0.0"', "health.token_file", "because of health.port"),
        ('[health]\nport = 0\ntoken_file = "DIR/absent"', "health.token_file", "no such file"),
        ('[health]\nport = 0\ntoken_file = "DIR"', "health.token_file", "no regular file"),
        ('[health]\nport = 0\ntoken_file = "/dev/zero"', "health.token_file", "no regular file"),
        (f'[front]\nsocket = "/{"s" * SOCKET_PATH_MAX}"', "front.socket (serve.toml)", "108 bytes"),
        ('[front]\nsocket = "DIR/s"\n[inspection]\nsocket = "DIR/./s"', "inspection.socket", "front.socket"),
        ('[front]\nport = 4000\ntoken_file = "DIR/token"\n[health]\nport = 4000', "health.port", "front.port"),
    ],
)
def test_what_does_not_go_together_is_one_sentence_that_names_the_field(problems, text, field, sentence):
    (problem,) = problems(text)
    assert problem.startswith(field)
    assert sentence in problem


def test_the_variable_that_is_at_fault_is_named(problems):
    (problem,) = problems("[front]\nport = 0", SESSIONACTORS_FRONT__TOKEN_FILE="/absent")
    assert problem.startswith("front.token_file (SESSIONACTORS_FRONT__TOKEN_FILE): /absent: ")


def test_a_mistake_in_one_field_is_not_told_a_second_time_as_one_of_two(problems):
    (problem,) = problems("[front]\nport = 0\ntoken_file = 5")
    assert problem.startswith("front.token_file (serve.toml): a int is not allowed")


def test_a_field_inside_of_a_value_is_named_with_both_and_with_its_source(problems):
    (problem,) = problems("[session]\nquota = {max_requests = -1}")
    assert problem.startswith("session.quota.max_requests (serve.toml): -1 is not allowed")


@pytest.mark.parametrize("token", ["with blanks in between", "grösser-als-sechzehn"])
def test_a_token_that_no_header_can_say_is_none_of_the_endpoint(problems, tmp_path, token):
    (tmp_path / "token").write_text(token)
    (problem,) = problems('[health]\nport = 0\ntoken_file = "DIR/token"')
    assert "ASCII" in problem
    assert token not in problem
    assert problems('[front]\nport = 0\ntoken_file = "DIR/token"') == []


@pytest.mark.parametrize("content", [b"short", b"\xff" * 30, b"x" * 70_000, b" " * 30])
def test_a_token_is_text_of_some_length_and_what_stands_there_is_not_shown(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ValueError) as refused:
        token_in(tmp_path / "token")
    assert content.decode("latin-1")[:5].strip() not in str(refused.value) or not content.strip()


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "token")
    with pytest.raises(ValueError, match="no regular file"):
        token_in(tmp_path / "token")


def test_the_bounds_are_those_of_what_is_started():
    assert TOKEN_LEAST == TOKEN_MIN
    with pytest.raises(InvalidArgumentError, match=str(SOCKET_PATH_MAX)):
        LocalSocket("/" + "s" * SOCKET_PATH_MAX)
