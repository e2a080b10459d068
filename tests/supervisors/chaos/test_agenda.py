"""Deeds that are done at their time, and undone in any case."""

from __future__ import annotations

from supervisors.chaos.agenda import Agenda
from supervisors.clock import VirtualClock


def test_deeds_are_done_in_the_order_of_their_moments():
    agenda, done = Agenda(VirtualClock()), []
    agenda.at(-1.0, lambda: done.append("second"))
    agenda.at(-2.0, lambda: done.append("first"))
    agenda.at(-0.5, lambda: done.append("third"))
    agenda.at(0.0, agenda.close)
    agenda.run(lambda: None)
    assert done == ["first", "second", "third"]


def test_once_closed_only_what_undoes_something_is_still_done():
    agenda, done = Agenda(VirtualClock()), []
    agenda.at(100.0, lambda: done.append("strike"))
    agenda.at(200.0, lambda: done.append("undo"), undoes=True)
    agenda.close()
    agenda.run(lambda: None)
    assert done == ["undo"]


def test_something_is_done_after_each_deed():
    agenda, done = Agenda(VirtualClock()), []
    agenda.at(-2.0, lambda: done.append("deed"))
    agenda.at(-1.0, agenda.close)
    agenda.run(lambda: done.append("after"))
    assert done == ["deed", "after", "after"]
