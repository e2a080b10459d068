"""Every rule of the inventory of OTP's semantics is built and tested, differs on purpose, or is known to be missing.

A test speaks of a rule by its name (`test_sup_12_...`), or somewhere in its file
(``SUP-12``). The source does so in a docstring or comment, where the rule is implemented.
What differs on purpose stands in the first column
of a table in `docs/explanation/otp.md`, what is missing in its section "Not built yet".
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "otp.md"
INVENTORY = ROOT / "docs" / "explanation" / "otp-rules.md"

NOT_BUILT = "## Not built yet"

_RULE = re.compile(r"^- ([A-Z]+-\d+) ", re.MULTILINE)
_RANGE = re.compile(r"\b([A-Z]+)-(\d+) (?:to|-) (?:\1-)?(\d+)\b")
_MENTION = re.compile(r"\b([A-Z]+-\d+)\b")
_NAMED = re.compile(r"(?<=_)([a-z]+_\d+)(?=_|\b)")


def rules_of(inventory: str) -> list[str]:
    """Return the ids of the rules in the order of the inventory."""
    return _RULE.findall(inventory)


def mentioned(text: str) -> set[str]:
    """Return the ids that a text mentions, those inside a range included."""
    found = set(_MENTION.findall(text))
    for kind, first, last in _RANGE.findall(text):
        found.update(f"{kind}-{number}" for number in range(int(first), int(last) + 1))
    return found


def named_by_tests(sources: Iterable[str]) -> set[str]:
    """Return the ids that tests mention, in the names of functions too.

    A range does not count: it says what a file is about, and hides what it leaves out.
    """
    found = set()
    for source in sources:
        found.update(_MENTION.findall(source))
        found.update(name.upper().replace("_", "-") for name in _NAMED.findall(source))
    return found


def named_by_source(sources: Iterable[str]) -> set[str]:
    """Return the ids that docstrings and comments name one by one; a range does not count here either."""
    found = set()
    for source in sources:
        found.update(_MENTION.findall(said_in(source)))
    return found


def said_in(source: str) -> str:
    """Return the texts and comments of a module without its code, for which a rule's name would be an accident."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def different(page: str) -> set[str]:
    """Return the ids in the first column of the page's tables."""
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("|") and line.count("|") >= 4]
    return mentioned("\n".join(rows))


def missing(page: str) -> set[str]:
    """Return the ids of the page's list of what is not built yet."""
    _, _, rest = page.partition(NOT_BUILT)
    return mentioned(re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0])


def unaccounted(rules: Iterable[str], named: set[str], page: str) -> list[str]:
    """Return the rules that are neither named nor on the page, in order."""
    known = named | different(page) | missing(page)
    return [rule for rule in rules if rule not in known]


@pytest.fixture(scope="module")
def rules() -> list[str]:
    return rules_of(INVENTORY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources() -> list[str]:
    own = Path(__file__)
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py")) if path != own]


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_inventory_is_read(rules):
    assert len(rules) > 300
    assert rules[0] == "EXIT-1"


def test_the_inventory_has_what_the_shared_one_has(rules, shared_path):
    shared = shared_path / "spec" / "otp-semantics.md"
    if not shared.is_file():
        pytest.skip("the inventory of OTP's semantics is not in the shared folder")
    assert rules == rules_of(shared.read_text(encoding="utf-8"))


def test_every_rule_has_a_test_or_is_a_known_difference(rules, sources, page):
    found = unaccounted(rules, named_by_tests(sources), page)
    assert not found, f"no test names these rules, and {PAGE.name} does not either: {', '.join(found)}"


def test_every_rule_is_named_where_it_is_implemented_or_is_a_known_difference(rules, page):
    modules = sorted((ROOT / "supervisors").rglob("*.py"))
    named = named_by_source(path.read_text(encoding="utf-8") for path in modules)
    found = unaccounted(rules, named, page)
    assert not found, f"no docstring or comment names these rules, and {PAGE.name} does not either: {', '.join(found)}"


def test_what_is_not_built_yet_has_no_test(rules, sources, page):
    # A list that is not kept would hide what is built, and then what breaks.
    built = missing(page) & named_by_tests(sources)
    assert not built, f"{', '.join(sorted(built))}: tested, so {NOT_BUILT!r} in {PAGE.name} is no place for it"


def test_every_rule_is_built(page):
    assert missing(page) == set()


def test_the_page_speaks_of_rules_that_there_are(rules, page):
    unknown = (different(page) | missing(page)) - set(rules)
    assert not unknown, ", ".join(sorted(unknown))


# The test can fail


@pytest.mark.parametrize(
    ("source", "page", "expected"),
    [
        ("", "", ["SUP-1", "SUP-2", "SUP-12"]),
        ("def test_sup_1_and_sup_2_hold(): ...", "", ["SUP-12"]),
        ('"""What SUP-1 to SUP-12 say."""', "", ["SUP-2"]),
        ("# SUP-12 says so", "", ["SUP-1", "SUP-2"]),
        ("def test_sup_120_holds(): ...", "", ["SUP-1", "SUP-2", "SUP-12"]),
        ("", "| rule | here | why |\n|---|---|---|\n| SUP-1, SUP-2 | x | y |", ["SUP-12"]),
        ("", "| rule | here | why |\n|---|---|---|\n| SUP-1 | as SUP-2 | SUP-12 |", ["SUP-2", "SUP-12"]),
        ("", "## Not built yet\n- SUP-1 to SUP-12", []),
        ("", "Text about SUP-1.\n## Not built yet\n- SUP-2, SUP-12\n## More\nSUP-1", ["SUP-1"]),
    ],
)
def test_a_rule_that_nobody_speaks_of_is_found(source, page, expected):
    inventory = "## x\n- SUP-1 One. [sup]\n- SUP-2 Two, see SUP-1.\n- SUP-12 Twelve.\ntext - SUP-9 no"
    assert unaccounted(rules_of(inventory), named_by_tests([source]), page) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Do it (SUP-12)."""', {"SUP-12"}),
        ("pass  # SUP-1, SUP-2", {"SUP-1", "SUP-2"}),
        ('"""What SUP-1 to SUP-12 say."""', {"SUP-1", "SUP-12"}),
        ("SUP = 13\nprint(SUP-12)", set()),
        ("def sup_12(): ...", set()),
    ],
)
def test_a_rule_is_named_by_a_docstring_or_a_comment(source, expected):
    assert named_by_source([source]) == expected
