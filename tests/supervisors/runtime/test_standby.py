from __future__ import annotations

import pytest

from supervisors import SystemClock
from supervisors.runtime.standby import FREE, LOOK, LOOK_MAX, SPELL, SPELL_MAX, Standby

LATE = 5 * FREE


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def standby(hands):
    return Standby(hands.monotonic)


def spell(hands, standby, taken):
    """Return for how many first spells a worker now helps though others make headway."""
    begun = hands.now
    while standby.goes_on(taken):
        hands.now += SPELL / 8
    return round((hands.now - begun) / SPELL)


def test_who_took_the_last_mailbox_goes_on(standby):
    standby.took(7)
    assert standby.goes_on(7)


def test_who_is_not_needed_does_not_go_on(standby):
    standby.took(7)
    assert not standby.goes_on(8)


def test_help_hurts_while_somebody_computes_and_makes_headway(standby):
    standby.begin(3)
    assert not standby.helps(LATE, 4)
    assert not standby.goes_on(4)


def test_help_is_needed_behind_who_makes_no_headway(standby):
    standby.begin(3)
    assert not standby.helps(LATE, 4)
    assert standby.helps(LATE, 4)


def test_help_is_good_while_the_interpreter_is_free(standby):
    standby.begin(3)
    assert standby.helps(FREE / 2, 4)


def test_who_helps_does_so_for_a_spell(hands, standby):
    standby.begin(3)
    standby.helps(LATE, 3)
    assert spell(hands, standby, 9) == 1


def test_spells_grow_while_help_is_good_at_each_first_look(hands, standby):
    spells = []
    for taken in range(8):
        standby.begin(taken)
        assert standby.helps(0.0, taken + 1)
        spells.append(spell(hands, standby, taken + 1))
    assert spells == [2, 4, 8, 16, 32, 32, 32, 32]
    assert SPELL_MAX == 32 * SPELL


def test_a_spell_is_short_again_when_help_has_hurt(hands, standby):
    for taken in range(8):
        standby.begin(taken)
        standby.helps(0.0, taken + 1)
    standby.begin(10)
    standby.helps(LATE, 11)
    standby.helps(0.0, 12)
    assert spell(hands, standby, 12) == 1


def test_a_spell_is_short_behind_who_makes_no_headway(hands, standby):
    for taken in range(8):
        standby.begin(taken)
        standby.helps(0.0, taken + 1)
    standby.begin(10)
    standby.helps(LATE, 10)
    assert spell(hands, standby, 11) == 1


class Gate:
    """Notes for how long it is waited at; never opens."""

    def __init__(self, hands, late):
        self.hands, self.late, self.waits = hands, late, []

    def acquire(self, blocking, timeout):
        self.waits.append(timeout)
        self.hands.now += timeout + self.late
        return False


def test_looks_become_rarer_while_help_would_hurt_and_begin_anew(hands, standby):
    gate = standby.gate = Gate(hands, LATE)
    for begun in (0, 100):
        standby.begin(begun)
        for taken in range(begun + 1, begun + 5):
            assert not standby.helps(standby.sleep(), taken)
    assert gate.waits == [LOOK, 2 * LOOK, LOOK_MAX, LOOK_MAX] * 2


def test_who_sleeps_is_told_how_late_it_was(hands, standby):
    standby.gate = Gate(hands, 0.25)
    assert standby.sleep() == pytest.approx(0.25)


def test_who_is_called_is_not_late():
    standby = Standby(SystemClock().monotonic)
    standby.opening()()
    assert standby.sleep() is None
    assert standby.sleep() is not None  # the gate is closed again


def test_a_gate_that_is_open_is_not_opened_twice(standby):
    standby.opening()()
    standby.opening()()
    assert not standby.gate.locked()
