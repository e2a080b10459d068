"""Sessions by the sweep that looks at them next."""

from __future__ import annotations

import tracemalloc

from sessionactors.reap_agenda import ReapAgenda

REFS = [object() for _ in range(4)]


def entered(*numbers):
    agenda = ReapAgenda()
    for number in numbers:
        agenda.enter(number, f"session-{len(agenda)}", REFS[len(agenda)])
    return agenda


def test_the_sweeps_come_in_order_and_each_has_its_sessions_in_order():
    agenda = entered(7, 3, 7, 5)
    assert agenda.first == 3
    assert agenda.take(6) == [("session-1", REFS[1]), ("session-3", REFS[3])]
    assert agenda.first == 7
    assert agenda.take(7) == [("session-0", REFS[0]), ("session-2", REFS[2])]
    assert agenda.first is None
    assert len(agenda) == 0


def test_a_sweep_that_is_before_all_takes_nothing():
    agenda = entered(7)
    assert agenda.take(6) == []
    assert len(agenda) == 1


def test_new_numbers_put_sweeps_together_and_leave_out_who_has_ended():
    agenda = entered(4, 1, 8)
    other = agenda.renumbered(lambda number: number // 5, {"session-0": REFS[0], "session-2": REFS[2]}.get)
    assert sorted(other.numbers) == [0, 1]
    assert other.take(0) == [("session-0", REFS[0])]
    assert other.take(1) == [("session-2", REFS[2])]


def test_who_has_another_ref_by_now_is_another_session():
    assert len(entered(1).renumbered(lambda number: number, {"session-0": REFS[1]}.get)) == 0


def test_a_session_takes_two_places_in_a_list():
    ids = [(str(number), object()) for number in range(10_000)]
    agenda = ReapAgenda()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for session_id, ref in ids:
            agenda.enter(3, session_id, ref)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 20 * len(ids)
