from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.replay.events import BadLine, Command
from sessionactors.replay.json_lines import OPERATIONS, parse_json_line
from sessionactors.settings import Quota


def line(**fields: object) -> str:
    return json.dumps({"t": 1, "session": "a", "op": "touch"} | fields)


def read(text: str) -> Command:
    command = parse_json_line(text, 1)
    assert isinstance(command, Command), command
    return command


def refused(text: str) -> str:
    bad = parse_json_line(text, 7)
    assert isinstance(bad, BadLine), bad
    assert bad.number == 7
    return bad.reason


def test_a_command_has_time_session_operation_and_arguments():
    assert read(line(op="update_resources", requests=1, bytes=-20)) == Command(
        1.0, "a", "update_resources", {"requests": 1, "bytes": -20}
    )


class TestTime:
    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            (0, 0.0),
            (1.5, 1.5),
            ("1970-01-01T00:01:00Z", 60.0),
            ("1970-01-01T00:01:00.25+00:00", 60.25),
            ("1970-01-01T02:01:00+02:00", 60.0),
            ("1970-01-01 00:01", 60.0),
        ],
    )
    def test_is_seconds_or_an_iso_time(self, given, seconds):
        assert read(line(t=given)).time == seconds

    @pytest.mark.parametrize(
        "given",
        [
            True,
            None,
            -1,
            10**400,
            253_402_300_800,
            "",
            "soon",
            "1969-12-31T23:59:59Z",
            "0001-01-01T00:00:00+23:59",
            [],
            {},
        ],
    )
    def test_is_nothing_else(self, given):
        assert refused(line(t=given)).startswith("t: ")

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_is_finite(self, number):
        refused(f'{{"t": {number}, "session": "a", "op": "touch"}}')


class TestFields:
    @pytest.mark.parametrize("field", ["t", "session", "op"])
    def test_that_every_line_needs(self, field):
        fields = json.loads(line())
        del fields[field]
        assert refused(json.dumps(fields)) == f"{field}: is missing"

    @pytest.mark.parametrize("session", ["", "a\nb", "a\x00", "a" * 257, "\ud800", 7, None, ["a"]])
    def test_session_must_be_an_id(self, session):
        assert refused(line(session=session)).startswith("session: ")

    @pytest.mark.parametrize("op", ["nope", "", "__init__", 7, None])
    def test_op_must_be_known(self, op):
        assert refused(line(op=op)).startswith("op: ")

    def test_an_argument_of_another_operation_is_refused(self):
        assert (
            refused(line(op="resume", requests=1)) == "requests: is no argument of resume, which takes no other field"
        )

    def test_an_unknown_argument_is_shown_without_control_characters(self):
        assert refused(line(**{"\x1b[2J": 1})).startswith(r"'\x1b[2J': ")

    def test_a_field_may_not_be_given_twice(self):
        assert refused('{"t": 1, "t": 2, "session": "a", "op": "touch"}') == "t: is given twice"

    def test_nor_may_one_inside_an_argument(self):
        text = '{"t": 1, "session": "a", "op": "init_session", "metadata": {"x": 1, "x": 2}}'
        assert refused(text) == "x: is given twice"


class TestArguments:
    @pytest.mark.parametrize(
        ("op", "arguments"),
        [
            ("init_session", {"metadata": {"plan": ["free", 1, None, {"a": 2.5}]}}),
            ("init_session", {}),
            ("authenticate", {"auth_context": {"authenticated": True, "user_id": "u"}}),
            ("check_rate_limit", {"type": "bytes", "cost": 2.5}),
            ("record_request", {"cost": 1}),
            ("set_rate_limit", {"type": "messages", "quota": {"capacity": 5, "rate": 0.5}}),
            ("set_rate_limit", {"quota": 5}),
            ("terminate", {"reason": "enough"}),
            ("suspend", {}),
            ("update_resources", {"connections": -1, "message_size": 0}),
            ("get_rate_limit_usage", {"type": "connections"}),
        ],
    )
    def test_are_handed_on(self, op, arguments):
        assert read(line(op=op, **arguments)).arguments == arguments

    @pytest.mark.parametrize(
        ("op", "field", "value"),
        [
            ("init_session", "metadata", []),
            ("init_session", "metadata", {"a": 2**64}),
            ("init_session", "metadata", {"a": "x" * 70_000}),
            ("init_session", "metadata", {"a": "\ud800"}),
            ("authenticate", "auth_context", True),
            ("check_rate_limit", "type", "tokens"),
            ("check_rate_limit", "type", ["requests"]),
            ("check_rate_limit", "cost", 0),
            ("check_rate_limit", "cost", True),
            ("record_request", "cost", -1),
            ("set_rate_limit", "quota", 0),
            ("set_rate_limit", "quota", "5"),
            ("set_rate_limit", "quota", {"rate": 1}),
            ("set_rate_limit", "quota", {"capacity": 1, "window": 60}),
            ("set_rate_limit", "quota", {"capacity": True}),
            ("set_quota", "quota", 5),
            ("terminate", "reason", ""),
            ("update_resources", "requests", 2**54),
            ("update_resources", "bytes", "7"),
            ("update_resources", "message_size", -1),
        ],
    )
    def test_are_refused_by_name(self, op, field, value):
        assert refused(line(op=op, **{field: value})).startswith((f"{field}: ", f"{field}."))

    def test_quota_is_a_quota(self):
        given = {"max_requests": 0, "max_connections": None}
        assert read(line(op="set_quota", quota=given)).arguments == {"quota": Quota(0, None)}

    @pytest.mark.parametrize("quota", [{"max_requests": -1}, {"max_requests": 1.5}, {"max_reqests": 1}])
    def test_quota_is_nothing_else(self, quota):
        assert "max_req" in refused(line(op="set_quota", quota=quota))

    @pytest.mark.parametrize(("op", "field"), [("authenticate", "auth_context"), ("set_rate_limit", "quota")])
    def test_that_are_required_are_missed(self, op, field):
        assert refused(line(op=op)) == f"{field}: is missing; {op} needs it"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ('{"t": 1', "not JSON"),
        ("[]", "no object"),
        ("7", "no object"),
        ("[" * 100_000, "beyond all measure"),
        ('{"t": ' + "9" * 10_000 + "}", "beyond all measure"),
    ],
)
def test_what_is_no_object_is_refused(text, reason):
    assert reason in refused(text)


def test_every_operation_is_a_method_of_the_session_system_with_these_arguments():
    from sessionactors.system import SessionSystem

    for op, arguments in OPERATIONS.items():
        parameters = inspect.signature(getattr(SessionSystem, op)).parameters
        assert {argument.name for argument in arguments} <= set(parameters), op
        required = {argument.name for argument in arguments if argument.is_required}
        assert required == {name for name, parameter in parameters.items() if parameter.default is parameter.empty} - {
            "self",
            "session_id",
        }, op


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({argument.name for arguments in OPERATIONS.values() for argument in arguments})


@given(st.dictionaries(st.sampled_from(["t", "session", "op", *NAMES]), JSON | st.sampled_from([1, "a", *OPERATIONS])))
def test_any_object_is_either_a_command_or_a_bad_line(fields):
    assert isinstance(parse_json_line(json.dumps(fields), 1), Command | BadLine)


@given(st.text(max_size=50))
def test_any_text_is_either_a_command_or_a_bad_line(text):
    assert isinstance(parse_json_line(text, 1), Command | BadLine)
