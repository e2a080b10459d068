"""The page about the session state machine says what the table of the code says."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sessionactors.lifecycle import is_legal
from sessionactors.operations import OPERATIONS
from sessionactors.settings import SessionOptions
from sessionactors.states import EDGES, STATES

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "session-states.md"
ARROW = re.compile(r"^ +(\w+) --> (\w+): (.+)$", re.MULTILINE)
NOT_DRAWN = ("quota", "metadata", "capabilities")  # the page says in words what they are by default


def table(title):
    """Return the rows of the first table under a title, header included, as lists of cells."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    lines = rest.partition("\n## ")[0].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


@pytest.fixture(scope="module")
def arrows():
    return [(start, end, why.split(", ")) for start, end, why in ARROW.findall(PAGE.read_text(encoding="utf-8"))]


def test_the_picture_has_the_edges_of_the_code(arrows):
    drawn = {(start, end) for start, end, _ in arrows if start in STATES}
    assert drawn == {(start, end) for start in STATES for end in EDGES[start]}


def test_what_stands_at_an_arrow_is_legal_where_it_begins(arrows):
    operations = [(start, why) for start, _, reasons in arrows for why in reasons if why in OPERATIONS]
    assert len(operations) > 10
    assert all(is_legal(start, why) for start, why in operations)
    timers = {why for _, _, reasons in arrows for why in reasons if why.endswith("_timeout")}
    assert timers <= {field.name for field in fields(SessionOptions)}


def test_the_table_of_operations_is_that_of_the_code():
    header, *rows = table("Operations")
    assert tuple(header[1:]) == STATES
    told = {
        name.strip("`"): {state for state, cell in zip(STATES, cells, strict=True) if cell} for name, *cells in rows
    }
    assert told == {each: {state for state in STATES if is_legal(state, each)} for each in OPERATIONS}


def test_the_table_of_options_has_all_of_them_with_their_defaults():
    _, *rows = table("Options")
    told = {name.strip("`"): default.strip("`") for name, default, _ in rows}
    defaults = SessionOptions()
    assert list(told) == [field.name for field in fields(SessionOptions)]
    for name, default in told.items():
        assert name in NOT_DRAWN or default == repr(getattr(defaults, name))
