from __future__ import annotations

import pytest

from supervisors.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    MissingExtraError,
    NameTakenError,
    Refusal,
    SupervisorsError,
)


def test_a_value_that_is_not_allowed_names_field_value_and_what_is():
    error = InvalidArgumentError("limit", -1, "0 or more")
    assert isinstance(error, (SupervisorsError, ValueError))
    assert str(error) == "limit: -1 is not allowed; allowed: 0 or more"


@pytest.mark.parametrize("given", ["x" * 41, b"secret", ["secret"], {"token": "secret"}])
def test_a_long_or_structured_value_is_not_shown(given):
    assert str(InvalidArgumentError("f", given, "a")) == f"f: a {type(given).__name__} is not allowed; allowed: a"


def test_a_wrong_type_never_shows_the_value():
    error = InvalidTypeError("name", "secret", "a number")
    assert isinstance(error, TypeError)
    assert str(error) == "name: a str is not allowed; allowed: a number"


def test_a_taken_name_tells_who_has_it():
    error = NameTakenError("n", "somebody")
    assert (error.name, error.owner) == ("n", "somebody")


def test_a_refusal_has_a_code_for_programs():
    assert Refusal().code == "refused"


def test_a_missing_extra_tells_how_to_get_it():
    error = MissingExtraError("the store", "postgres")
    assert isinstance(error, ImportError)
    assert "sessionactors[postgres]" in str(error)
