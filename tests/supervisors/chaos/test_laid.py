"""Faults that wait for their moment."""

from __future__ import annotations

from supervisors.chaos import Fault
from supervisors.chaos.laid import Laid, LaidFaults
from supervisors.chaos.timetable import Occasion


def laid(kind):
    return Laid(Occasion(0.0, 0, Fault(kind=kind, rate=1.0), 0.5, 1.0), "somebody")


def test_a_fault_is_taken_once_by_whom_it_waits_for():
    faults, kill = LaidFaults(), laid("kill")
    faults.lay("a", kill)
    assert faults.take("b", ("kill",)) is None
    assert faults.take("a", ("hang",)) is None
    assert faults.take("a", ("kill",)) is kill
    assert faults.take("a", ("kill",)) is None
    assert not faults


def test_the_oldest_of_the_kinds_is_taken_first():
    faults, first, second = LaidFaults(), laid("hang"), laid("hang")
    faults.lay("a", laid("kill"))
    faults.lay("a", first)
    faults.lay("a", second)
    assert faults.take("a", ("hang",)) is first
    assert faults.take("a", ("hang",)) is second


def test_one_for_a_start_is_taken_by_the_first_whom_it_is_for():
    faults, crash = LaidFaults(), laid("crash_in_start")
    faults.lay_on_start(lambda ref: ref == "clerk", crash)
    assert faults.take_start("till", ("crash_in_start",)) is None
    assert faults.take_start("clerk", ("slow_start",)) is None
    assert faults.take_start("clerk", ("crash_in_start",)) is crash
    assert faults.take_start("clerk", ("crash_in_start",)) is None


def test_what_still_waits_at_the_end_is_told():
    faults, one, other = LaidFaults(), laid("kill"), laid("slow_start")
    faults.lay("a", one)
    faults.lay_on_start(lambda ref: True, other)
    assert faults.clear() == [one, other]
    assert not faults
