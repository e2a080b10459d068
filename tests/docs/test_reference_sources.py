"""Every public class and function says where it comes from, or its module is one that has no source outside."""

from __future__ import annotations

import inspect
import re
import sys
import types
from pathlib import Path

import pytest

from docs.reference_sources import CODES, add_source, own_source, source_of
from tests.docs.test_reference import PUBLIC, is_ours

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "explanation" / "otp-rules.md"
DECISIONS = ROOT / "docs" / "explanation" / "decisions.md"

# What we have thought out ourselves, and why there is nobody to name.
OWN = {
    "sessionactors.daemon.client": "the protocol of the front is ours, and stands in sessionactors.daemon.requests",
    "supervisors.addressee": "what Erlang tells by a badarg has a name of its own here",
    "supervisors.errors": "errors about Python arguments and about the use of this library",
    "supervisors.health.endpoint": "three paths that everybody expects, and no standard says",
    "supervisors.health.health": "what progress means is ours, and stands in docs/how-to/operate.md",
    "supervisors.health.progress": "likewise",
    "supervisors.pools.contract": "worker pools are explained in docs/explanation/pools.md",
    "supervisors.pools.errors": "likewise",
    "supervisors.pools.options": "likewise",
    "supervisors.pools.pool": "likewise",
    "supervisors.pools.report": "likewise",
    "supervisors.pools.tally": "likewise",
    "supervisors.quarantine": "OTP leaves poison messages to the programmer",
    "supervisors.runtime.outcomes": "deadlocks and full mailboxes are errors here, and none in Erlang",
    "supervisors.supervision.backoff": "beyond OTP, which restarts at once",
    "supervisors.supervision.budget": "beyond OTP, which has no budget for a whole tree",
    "supervisors.testing": "for tests of Python programs",
    "supervisors.typed": "for type checkers of Python",
}

NAMED = {name: thing for name, thing in PUBLIC.items() if inspect.isroutine(thing) or inspect.isclass(thing)}
OURS = {name: thing for name, thing in NAMED.items() if is_ours(thing)}
SECTIONS = set(re.findall(r"(?m)^## (\d+)\. ", DECISIONS.read_text(encoding="utf-8")))


def has_source(thing):
    return own_source(thing) or source_of(thing) is not None


def module(name, doc):
    made = types.ModuleType(name, doc)
    sys.modules[name] = made
    return made


@pytest.fixture
def invented():
    """Return a function that makes a class in a module with a docstring, in a package with another one."""
    made = []

    def make(doc, of_module, of_package):
        made.extend(module(name, text).__name__ for name, text in (("outer", of_package), ("outer.inner", of_module)))
        return type("Thing", (), {"__doc__": doc, "__module__": "outer.inner"})

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_every_public_class_and_function_has_a_source_or_is_our_own():
    assert len(OURS) > 300
    without = [name for name, thing in OURS.items() if not has_source(thing) and thing.__module__ not in OWN]
    assert not without


def test_no_module_is_called_our_own_without_need():
    needed = {thing.__module__ for thing in OURS.values() if not has_source(thing)}
    assert needed == set(OWN)


def test_every_decision_that_is_a_source_is_there():
    named = set()
    for folder in ("supervisors", "sessionactors"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for first, second in re.findall(r"\b[Dd]ecisions? (\d+)(?: and (\d+))?", text):
                named |= {first, second} - {""}
    assert named
    assert not named - SECTIONS


@pytest.mark.parametrize(
    ("doc", "of_module", "of_package", "added"),
    [
        ("Does (LINK-10).", "Of things.", "Of all.", None),
        ("Does.\n\nSource: somebody.", "Of things (SUP-1).", "Of all.", None),
        ("Does as RFC 9162 says.", "Of things (SUP-1).", "Of all.", None),
        ("Does.", "Of things (SUP-1 to SUP-3).", "Of all.", "Source: SUP-1 to SUP-3."),
        ("Does.", "Of things.\n\nSource: session system\n1.4.\n\nMore.", "Of all.", "Source: session system 1.4."),
        ("Does.", "Of things. Source: OTP's\n`x` (SUP-1). More.", "Of all.", "Source: OTP's `x` (SUP-1)."),
        ("Does.", "Of things.", "Of all (DYN-1).", "Source: DYN-1."),
        ("Does.", "Of text in UTF-8.", "Of all.", None),
        ("Writes UTF-8.", "Of things (SUP-1).", "Of all.", "Source: SUP-1."),
    ],
)
def test_the_reference_repeats_what_the_module_says_or_else_the_package(invented, doc, of_module, of_package, added):
    thing = invented(doc, of_module, of_package)
    lines = doc.split("\n")
    add_source(None, "class", "outer.inner.Thing", thing, None, lines)
    assert lines == doc.split("\n") + (["", added, ""] if added else [])


def test_a_refusal_says_where_its_code_stands():
    codes = {vars(thing)["code"]: thing for thing in OURS.values() if "code" in getattr(thing, "__dict__", {})}
    assert not set(CODES) - set(codes)
    assert source_of(codes["max_attempts"]) == "session system 1.1.2, where `max_attempts` stands."
    assert "ours" in (source_of(codes["wake_failed"]) or "")
    explained = set(re.findall(r"\| session system (\d\.\d) ", RULES.read_text(encoding="utf-8")))
    assert not {section[:3] for section in CODES.values()} - explained


def test_methods_are_left_as_they_are(invented):
    lines = ["Does."]
    add_source(None, "method", "outer.inner.f", invented("Does.", "Of things (SUP-1).", ""), None, lines)
    assert lines == ["Does."]
