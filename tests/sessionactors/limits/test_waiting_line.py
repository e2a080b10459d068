import math

import pytest

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.limits.waiting_line import PRIORITIES, Request, Waiting, WaitingLine


def enter(line, since, priority="normal", deadline=math.inf):
    waiting = Waiting(Request(priority=priority), since, deadline, None)
    line.add(waiting)
    return waiting


def turns(line):
    order = []
    while (first := line.first()) is not None:
        line.remove(first)
        order.append(first)
    return order


def test_within_a_class_it_is_first_come_first_served():
    line = WaitingLine(5.0)
    entered = [enter(line, since) for since in (0.0, 0.0, 1.0, 2.0, 2.0)]
    assert turns(line) == entered


def test_of_those_who_come_together_the_more_urgent_goes_first():
    line = WaitingLine(5.0)
    entered = {priority: enter(line, 0.0, priority) for priority in reversed(PRIORITIES)}
    assert turns(line) == [entered[priority] for priority in PRIORITIES]


def test_waiting_outweighs_one_class_after_the_ageing_time():
    line = WaitingLine(5.0)
    low = enter(line, 0.0, "low")
    early = enter(line, 14.0, "critical")
    late = enter(line, 16.0, "critical")
    assert turns(line) == [early, low, late]


def test_nobody_is_overtaken_by_who_comes_three_ageing_times_later():
    line = WaitingLine(2.0)
    low = enter(line, 0.0, "low")
    flood = [enter(line, since / 2, "critical") for since in range(100)]
    order = turns(line)
    assert all(each.since <= 6.0 for each in order[: order.index(low)])
    assert order[order.index(low) + 1 :] == [each for each in flood if each.since > 6.0 or each.since == 6.0]


def test_the_order_of_iteration_is_that_of_the_turns():
    line = WaitingLine(5.0)
    for since, priority in ((0, "low"), (1, "critical"), (2, "high"), (3, "normal")):
        enter(line, float(since), priority)
    assert list(line) == turns(line)


def test_who_has_left_is_not_served():
    line = WaitingLine(5.0)
    first, second = enter(line, 0.0), enter(line, 1.0)
    line.remove(first)
    line.remove(first)
    assert (len(line), line.first(), line.find(first.request)) == (1, second, None)
    assert line.find(second.request) is second


def test_those_whose_deadline_has_passed_are_taken_out():
    line = WaitingLine(5.0)
    entered = [enter(line, 0.0, deadline=deadline) for deadline in (3.0, 1.0, 2.0)]
    assert line.next_deadline() == 1.0
    assert line.late(1.0) == []
    assert line.late(2.5) == [entered[1], entered[2]]
    assert (list(line), line.next_deadline()) == ([entered[0]], 3.0)
    line.remove(entered[0])
    assert line.next_deadline() == math.inf


def test_a_line_that_is_always_served_stays_small():
    line = WaitingLine(5.0)
    for since in range(1000):
        line.remove(enter(line, float(since), deadline=1e6))
    assert len(line) == 0
    assert max(len(line._by_place), len(line._by_deadline)) <= 64


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"priority": 1}, "priority"),
        ({"priority": None}, "priority"),
        ({"quota_type": ""}, "type"),
        ({"deadline": 0}, "deadline"),
        ({"deadline": -1.0}, "deadline"),
        ({"deadline": math.nan}, "deadline"),
        ({"deadline": math.inf}, "deadline"),
        ({"deadline": True}, "deadline"),
    ],
)
def test_a_wrong_request_is_refused(options, field):
    with pytest.raises((InvalidKind, InvalidValue)) as refused:
        Request(**options)
    assert refused.value.field == field
