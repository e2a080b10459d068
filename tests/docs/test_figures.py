"""A figure that we print can be measured again: the key beside it is one of a benchmark's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "benchmarks").glob("*.py")))

_KEY = re.compile(r"`([a-z]+(?:_[a-z0-9]+)+)`")
_ROW = re.compile(r"^\|.*\| (kernel|otp|sessions|services|audit|pools|simulation|telemetry): `(\w+)` \|$", re.MULTILINE)
_ENDING = re.compile(r"_(per_s|vs_\w+|us|pct|ms)(_\w+)?$|^bytes_per_|_per_s_")
_GROUP = re.compile(r'@benchmark\("(\w+)"\)')


def keys(text):
    """Return what a text names as keys of benchmarks, by how they are spelt."""
    return [key for key in _KEY.findall(text) if _ENDING.search(key)]


def is_key(key, programs):
    """Tell whether a benchmark reports a figure under this key; a few are put together from two parts."""
    return f'"{key}"' in programs or any(
        f'"{key[:at]}{{' in programs or f'}}{key[at:]}"' in programs for at in range(4, len(key))
    )


def groups_of(key):
    """Return the groups of the benchmarks in the modules that report a key."""
    return {
        group
        for path in (ROOT / "benchmarks").glob("bench_*.py")
        if f'"{key}"' in (text := path.read_text(encoding="utf-8"))
        for group in _GROUP.findall(text)
    }


@pytest.mark.parametrize(
    "page", [page for page in PAGES if keys(page.read_text(encoding="utf-8"))], ids=lambda p: p.stem
)
def test_the_keys_of_a_page_are_those_of_benchmarks(page):
    wrong = [key for key in keys(page.read_text(encoding="utf-8")) if not is_key(key, PROGRAMS)]
    assert not wrong


def test_a_row_of_the_readme_names_the_group_of_its_key():
    rows = _ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(rows) > 8
    assert [row for row in rows if row[0] not in groups_of(row[1])] == []


def test_a_key_that_is_none_is_found():
    assert keys("`ask_inline_vs_nobody` and `ask_inline`") == ["ask_inline_vs_nobody"]
    assert not is_key("ask_inline_vs_nobody", PROGRAMS)
    assert is_key("ask_inline_vs_pykka", PROGRAMS)
