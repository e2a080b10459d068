"""What a docstring or a page names as its source is there: a rule by number, an RFC, a section."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "explanation" / "otp-rules.md"

_DEFINED = re.compile(r"^- ([A-Z]+-\d+) \S", re.MULTILINE)
_RFC_DEFINED = re.compile(r"^\| RFC (\d+) \| \S", re.MULTILINE)
_RFC = re.compile(r"\bRFC ?(\d+)")
_SECTION_DEFINED = re.compile(r"^\| session system (\d\.\d) \| \S", re.MULTILINE)
_SECTIONS = re.compile(r"\bsession system ((?:\d\.\d[.\d]*(?:, | and | to )?)+)")
_MENTION = re.compile(r"\b([A-Z]+)-(\d+)\b(?: (?:to|and) (?:\1-)?(\d+)\b)?")
_IN_A_NAME = re.compile(r"def test_([a-z]+)_(\d+)_")


def defined(text):
    """Return the rules and the RFCs that a page explains, each with how often."""
    return _DEFINED.findall(text), _RFC_DEFINED.findall(text)


def unknown(text, rules, rfcs):
    """Return what a text names that is not explained; letters that no rule begins with are no rule."""
    families = {rule.partition("-")[0] for rule in rules}
    named = [
        f"{family}-{number}"
        for family, *numbers in [*_MENTION.findall(text), *((f.upper(), n) for f, n in _IN_A_NAME.findall(text))]
        for number in numbers
        if number and family in families
    ]
    return [each for each in named if each not in rules] + [f"RFC {n}" for n in _RFC.findall(text) if n not in rfcs]


KNOWN = tuple(map(frozenset, defined(RULES.read_text(encoding="utf-8"))))
TEXTS = [
    path
    for folder, kind in (("supervisors", "py"), ("sessionactors", "py"), ("docs", "md"), ("tests", "py"))
    for path in sorted((ROOT / folder).rglob(f"*.{kind}"))
    if path not in (RULES, Path(__file__), ROOT / "tests" / "architecture" / "test_rules_have_tests.py")
]


def test_the_page_explains_each_source_once():
    for found in defined(RULES.read_text(encoding="utf-8")):
        assert len(found) == len(set(found))
    rules, rfcs = KNOWN
    assert len(rules) > 300
    assert len(rfcs) > 5


def test_every_source_that_is_named_is_explained():
    wrong = {}
    for path in TEXTS:
        found = unknown(path.read_text(encoding="utf-8"), *KNOWN)
        if found:
            wrong[path.relative_to(ROOT).as_posix()] = sorted(set(found))
    assert not wrong


def test_every_section_of_the_session_system_that_is_named_is_explained():
    known = set(_SECTION_DEFINED.findall(RULES.read_text(encoding="utf-8")))
    named = {
        section
        for path in TEXTS
        for sections in _SECTIONS.findall(path.read_text(encoding="utf-8"))
        for section in re.findall(r"\d\.\d", sections)
    }
    assert len(named) > 5
    assert not named - known


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("as SUP-1 says, in UTF-8", []),
        ("as SUP-999 says", ["SUP-999"]),
        ("SUP-1 to SUP-998", ["SUP-998"]),
        ("def test_sup_997_holds(): ...", ["SUP-997"]),
        ("RFC 9162, RFC 1", ["RFC 1"]),
    ],
)
def test_a_source_that_is_not_explained_is_found(text, found):
    assert unknown(text, *KNOWN) == found
