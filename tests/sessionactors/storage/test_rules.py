import pytest

from sessionactors.storage.rules import refusal


@pytest.mark.parametrize(("epoch", "schema"), [(3, 2), (4, 2), (3, 3), (9, 9)])
def test_who_is_not_older_may_replace_a_record(epoch, schema):
    assert refusal(3, 2, epoch, schema) is None


def test_an_older_owner_may_not():
    assert refusal(3, 2, 2, 2) == "an owner of epoch 3 has stored it, and this one has epoch 2"


def test_an_older_program_may_not():
    assert refusal(3, 2, 3, 1) == "a newer program has stored it, in schema 2"


def test_what_is_spoiled_keeps_nobody_away():
    assert refusal(None, "x", 1, 1) is None
