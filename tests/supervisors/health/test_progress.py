from __future__ import annotations

import pytest

from supervisors.health.progress import Reading, Watch, judge

WATCHES = {"a": Watch(10.0)}


def looks(*seen, watches=WATCHES, label="a"):
    """Judge a row of `(now, reading)`; return the judgements."""
    judgements, marks = [], {}
    for now, reading in seen:
        judgement = judge(watches, marks, {} if reading is None else {label: reading}, now)
        marks = judgement.marks
        judgements.append(judgement)
    return judgements


def test_the_first_look_finds_nobody_stuck():
    (judgement,) = looks((1e9, Reading(1, 0, 99)))
    assert judgement.stuck == ()


def test_who_handles_nothing_while_something_waits_is_stuck_when_its_time_is_up():
    early, due = looks((0.0, Reading(1, 5, 2)), (9.999, Reading(1, 5, 3)), (10.0, Reading(1, 5, 4)))[1:]
    assert early.stuck == ()
    (stuck,) = due.stuck
    assert (stuck.label, stuck.seconds, stuck.waiting, stuck.is_absent) == ("a", 10.0, 4, False)


def test_one_message_handled_is_progress():
    *_, last = looks((0.0, Reading(1, 5, 2)), (9.0, Reading(1, 6, 2)), (18.0, Reading(1, 6, 2)))
    assert last.stuck == ()


def test_who_has_nothing_to_do_is_never_stuck():
    *_, last = looks((0.0, Reading(1, 5, 0)), (1000.0, Reading(1, 5, 0)), (1001.0, Reading(1, 5, 1)))
    assert last.stuck == ()


def test_the_time_runs_from_the_last_look_at_which_nothing_waited():
    *_, last = looks((0.0, Reading(1, 5, 1)), (8.0, Reading(1, 5, 0)), (17.0, Reading(1, 5, 1)))
    assert last.stuck == ()


def test_another_actor_under_the_name_is_progress():
    *_, last = looks((0.0, Reading(1, 5, 1)), (9.0, Reading(2, 5, 1)), (18.0, Reading(2, 5, 1)))
    assert last.stuck == ()


def test_a_name_that_nobody_has_for_too_long_is_stuck_and_said_to_be_absent():
    nobody = Reading(None, 0, 0)
    _, gone, late = looks((0.0, Reading(1, 5, 0)), (1.0, nobody), (11.0, nobody))
    assert gone.stuck == ()
    assert late.stuck[0].is_absent
    assert "not been there" in str(late.stuck[0])


def test_who_works_again_is_not_stuck_any_more():
    *_, last = looks((0.0, Reading(1, 5, 1)), (20.0, Reading(1, 5, 1)), (21.0, Reading(1, 6, 1)))
    assert last.stuck == ()


def test_a_watch_that_does_not_say_so_kills_nobody():
    *_, last = looks((0.0, Reading(1, 5, 1)), (20.0, Reading(1, 5, 1)))
    assert last.stuck
    assert last.kill == ()


def test_a_stuck_actor_is_killed_once_and_its_successor_again():
    watches = {"a": Watch(10.0, restart=True)}
    told = looks(
        (0.0, Reading(1, 5, 1)),
        (10.0, Reading(1, 5, 1)),
        (11.0, Reading(1, 5, 1)),
        (12.0, Reading(2, 0, 1)),
        (22.0, Reading(2, 0, 1)),
        watches=watches,
    )
    assert [judgement.kill for judgement in told] == [(), ("a",), (), (), ("a",)]


def test_nobody_is_killed_who_is_absent():
    watches = {"a": Watch(10.0, restart=True)}
    *_, last = looks((0.0, Reading(None, 0, 0)), (50.0, Reading(None, 0, 0)), watches=watches)
    assert last.stuck
    assert last.kill == ()


def test_what_was_not_read_is_forgotten():
    judgement = looks((0.0, Reading(1, 5, 1)), (20.0, None), (21.0, Reading(1, 5, 1)))[-1]
    assert judgement.stuck == ()


def test_those_stuck_come_in_the_order_of_the_watches():
    watches = {"b": Watch(1.0), "a": Watch(1.0)}
    readings = {"a": Reading(1, 0, 1), "b": Reading(2, 0, 1)}
    marks = judge(watches, {}, readings, 0.0).marks
    assert [each.label for each in judge(watches, marks, readings, 5.0).stuck] == ["b", "a"]


@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_a_stuck_actor_is_found_one_look_after_its_time_at_the_latest(step):
    marks, now = {}, 0.0
    while True:
        judgement = judge(WATCHES, marks, {"a": Reading(1, 0, 1)}, now)
        marks = judgement.marks
        if judgement.stuck:
            break
        now += step
    assert 10.0 <= now < 10.0 + step + 1e-6
