from sessionactors.effects import Audit, Transition, effect_of, numbered
from sessionactors.states import ACTIVE, IDLE


def test_an_effect_is_found_by_its_number():
    effect = numbered(Audit("lifecycle", "something"))
    assert effect_of(effect.number) is effect


def test_two_effects_have_different_numbers():
    effects = [numbered(Transition(ACTIVE, IDLE, "requested", "deactivated")) for _ in range(2)]
    assert effects[0].number != effects[1].number


def test_a_number_makes_no_other_effect_of_it():
    effect = Transition(ACTIVE, IDLE, "requested", "deactivated")
    assert numbered(effect) == effect
    assert hash(numbered(effect)) == hash(effect)


def test_an_effect_that_is_made_when_it_is_needed_has_no_number():
    assert Audit("lifecycle", "something").number == 0
