from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from supervisors.inspection.plain import REDACTED, on_one_line, plain, summary


@dataclass
class Account:
    name: str
    api_token: str
    tags: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    left: int
    password: str


class Explosive:
    def __repr__(self):
        raise AssertionError("nobody may call this")

    __str__ = __iter__ = __len__ = __repr__


class ExplosiveDict(dict):
    def items(self):
        raise AssertionError("nobody may call this")

    __iter__ = __len__ = items


def test_secrets_are_left_out_of_mappings_dataclasses_and_named_tuples():
    found = plain({"a": Account("al", "s3cret"), "b": Pair(1, "s3cret"), "Set-Cookie": "s3cret"})
    assert "s3cret" not in json.dumps(found)
    assert found["a"] == {"name": "al", "api_token": REDACTED, "tags": []}


def test_a_count_of_tokens_is_no_secret():
    assert plain({"tokens": 5.0}) == {"tokens": 5.0}


def test_no_code_of_the_program_runs():
    assert plain([Explosive(), ExplosiveDict(a=1)])[1] == {"a": 1}
    assert "Explosive" in plain(Explosive())


def test_what_is_too_long_is_cut_and_counted():
    found = plain({"list": list(range(1_000)), "text": "x" * 5_000, "number": 10**100})
    assert found["list"][-1] == "... 1000 items"
    assert len(found["text"]) < 1_100
    assert found["number"] == "an integer of 333 bits"


def test_what_contains_itself_has_an_end():
    loop: list[object] = []
    loop.append(loop)
    assert json.dumps(plain(loop)).count("[") <= 10


def test_an_answer_has_an_upper_bound_however_wide_the_value():
    wide = [[[0] * 100 for _ in range(100)] for _ in range(100)]
    assert len(json.dumps(plain(wide))) < 100_000


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_in_json_is_text(value):
    assert plain(value) == repr(value)


def test_keys_that_are_no_text_are_shown_as_text():
    assert plain({1: "a", None: "b", (1, 2): "c"}) == {"1": "a", "None": "b", "<builtins.tuple>": "c"}


def test_a_container_that_changes_meanwhile_is_shown_as_far_as_it_was_read():
    changing: deque[object] = deque([1])

    class Changes(dict):
        pass

    values = Changes({"a": 1})
    changing.append(values)
    assert plain(changing) == [1, {"a": 1}]


def test_a_message_is_shown_by_its_kind_and_its_word_alone():
    assert summary(("activate", None)) == "activate(NoneType)"
    assert summary(("hunter 2", "x")) == "(str, str)"
    assert summary({"password": "x"}) == "dict"
    assert summary(()) == "()"


def test_a_name_breaks_no_line_and_commands_no_terminal():
    assert on_one_line("a\n\x1b[2J") == "a\\n\\x1b[2J"
    assert "Explosive" in on_one_line(Explosive())
