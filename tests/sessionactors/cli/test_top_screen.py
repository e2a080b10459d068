from __future__ import annotations

import pytest

from sessionactors.cli.top_screen import View, pressed, screen


def frame(count=3, **row):
    def line(number):
        fields = {
            "id": number, "name": None, "actor_class": "Worker", "status": "idle", "mailbox": 0, "handled": 0,
            "seconds": None, "restarts": 0, "dispatch": "shared", "parent": None, "waits_for": None,
        }  # fmt: skip
        return {"row": {**fields, **row}, "busy": 0.5, "memory": 2_000_000}

    return {
        "time": 0.0, "seconds": 1.0, "cpu": 0.25, "actors": 12_345, "waiting": 6, "counts": {"crashes": 1},
        "rows": [line(number) for number in range(1, count + 1)],
    }  # fmt: skip


def texts(view, found, columns=80, rows=24):
    return [text for text, _ in screen(view, found, 17, columns, rows)]


def test_a_screen_has_as_many_lines_as_there_are_rows_and_none_is_too_long():
    for rows in (1, 4, 5, 24, 60):
        lines = texts(View(), frame(200, name="x" * 300), rows=rows)
        assert len(lines) == rows
        assert max(map(len, lines)) <= 80


def test_the_largest_figures_stay_in_their_columns():
    found = frame(1, id=9_999_999, mailbox=10**12, handled=10**15, restarts=9_999_999, status="suspended", name="last")
    line = texts(View(), found)[4]
    assert line.endswith("last (Worker)")
    assert line.index("last") == texts(View(), found)[3].index("ACTOR")


def test_how_long_somebody_hangs_is_shown():
    assert "hung 12s" in texts(View(), frame(1, status="hung", seconds=12.4))[4]


def test_what_a_terminal_would_obey_is_not_shown():
    lines = texts(View(), frame(1, name="\x1b[2J\n\u202e漢"))
    assert all(" " <= each <= "~" for line in lines for each in line)


def test_before_the_first_frame_something_is_shown():
    assert texts(View(), None) == ["sessionactors top   pid 17   looking ..."]


def test_the_chosen_line_is_shown_in_inverse_and_kept_on_the_screen():
    view = View(selected=100)
    lines = screen(view, frame(200), 17, 80, 24)
    (chosen,) = [text for text, is_inverse in lines[4:] if is_inverse]
    assert chosen.split()[0] == "101"


@pytest.mark.parametrize(("key", "sort"), [("m", "mailbox"), ("c", "busy"), ("e", "memory"), ("r", "restarts")])
def test_a_key_sorts_and_asks_for_another_frame(key, sort):
    view, action = pressed(View(sort="messages", selected=5), key, frame(), 24)
    assert (view.sort, view.selected, action) == (sort, 0, "ask")


@pytest.mark.parametrize("view", [View(), View(typed="x"), View(opened=1)])
def test_the_key_to_quit_quits_wherever_one_is(view):
    assert pressed(view, "quit", frame(), 24)[1] == "quit"


def test_a_q_in_a_filter_is_a_letter():
    view, action = pressed(View(typed="se"), "q", frame(), 24)
    assert (view.typed, action) == ("seq", None)


def test_a_filter_is_typed_applied_and_taken_away():
    view = View()
    for key in ("/", "a", "b", "backspace", "c", "enter"):
        view, action = pressed(view, key, frame(), 24)
    assert (view.match, view.typed, action) == ("ac", None, "ask")
    view, action = pressed(view, "escape", frame(), 24)
    assert (view.match, action) == ("", "ask")


def test_a_filter_that_is_given_up_changes_nothing():
    view = View(match="a")
    for key in ("/", "b", "escape"):
        view, action = pressed(view, key, frame(), 24)
    assert (view, action) == (View(match="a"), None)


def test_a_filter_has_an_upper_bound():
    view = View(typed="")
    for _ in range(200):
        view, _ = pressed(view, "x", frame(), 24)
    assert len(view.typed) == 60


def test_the_choice_stays_on_the_list():
    view = View()
    for key, selected in (("up", 0), ("down", 1), ("page down", 2), ("down", 2), ("page up", 0)):
        view, _ = pressed(view, key, frame(3), 24)
        assert view.selected == selected


def test_the_chosen_actor_is_opened_scrolled_and_left():
    view, action = pressed(View(selected=1), "enter", frame(), 24)
    assert (view.opened, action) == (2, "open")
    view = View(opened=2, details=tuple(f"line {number}" for number in range(30)))
    view, _ = pressed(view, "page down", frame(), 24)
    assert texts(view, frame())[2] == "line 9"
    assert texts(view, frame())[-2] == "line 29"
    view, _ = pressed(view, "escape", frame(), 24)
    assert view == View()


@pytest.mark.parametrize("key", ["enter", "down", "x", "escape"])
def test_keys_on_an_empty_list_do_nothing(key):
    assert pressed(View(), key, frame(0), 24) == (View(), None)
    assert pressed(View(), key, None, 24) == (View(), None)
