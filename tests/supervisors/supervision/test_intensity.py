from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from supervisors.supervision.intensity import RestartWindow


def test_sup_21_max_restarts_within_the_period_are_fine_and_one_more_is_not():
    window = RestartWindow(2, 5.0)
    assert [window.admit(now) for now in (10.0, 11.0, 12.0)] == [True, True, False]


def test_sup_21_with_zero_the_first_restart_is_too_much():
    assert RestartWindow(0, 5.0).admit(10.0) is False


def test_sup_21_old_entries_are_dropped():
    window = RestartWindow(1, 5.0)
    assert [window.admit(now) for now in (10.0, 15.1, 20.2, 25.3)] == [True] * 4
    assert len(window) == 1


def test_sup_22_an_entry_counts_up_to_the_period_and_not_a_second_longer():
    assert [RestartWindow.admit(window, later) for window in [_after(10.0)] for later in (15.0,)] == [False]
    assert _after(10.0).admit(16.0) is True


def test_the_history_stays_small_however_often_children_crash():
    window = RestartWindow(10, 5.0)
    for step in range(10_000):
        window.admit(step * 0.6)
    assert len(window) <= 11


@given(
    st.integers(0, 5),
    st.floats(0.1, 10.0),
    st.lists(st.floats(0.0, 5.0), max_size=40),
)
def test_sup_21_the_window_agrees_with_counting_from_scratch(max_restarts, max_seconds, gaps):
    window = RestartWindow(max_restarts, max_seconds)
    history: deque[float] = deque()
    now = 100.0
    for gap in gaps:
        now += gap
        history.append(now)
        counted = sum(entry >= now - max_seconds for entry in history)
        assert window.admit(now) is (counted <= max_restarts)


def _after(now):
    window = RestartWindow(1, 5.0)
    window.admit(now)
    return window
