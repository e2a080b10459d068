from __future__ import annotations

import pytest

from tests.conformance.difference import same


@pytest.mark.parametrize("value", [True, 1, 1.5, None, "true", [True, {"a": 1}], {"t": ["a", [False, 0]]}])
def test_equal_values_are_the_same(value):
    assert same(value, value)


@pytest.mark.parametrize(
    ("recorded", "got"),
    [
        (True, 1),
        (0, False),
        ([1, True], [1, 1]),
        ({"a": {"t": [0]}}, {"a": {"t": [False]}}),
        ([[True]], [[1]]),
        (1, 2),
        ([1], [1, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
    ],
)
def test_true_is_not_one(recorded, got):
    assert not same(recorded, got)
    assert not same(got, recorded)
