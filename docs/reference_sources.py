"""Where a public name comes from, for its entry in the reference.

A docstring that names a rule (LINK-10), an RFC or, after ``Source:``, anything else says
it itself. For the others the docstring of their module says it for all of them, and
else that of the package around it; the reference repeats that beside each name.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

__all__ = ["add_source", "own_source", "source_of"]

_NAMED = re.compile(
    r"\b(?!UTF-|SHA-)[A-Z]{2,}-\d+\b|\bRFC \d+\b|\bsession system \d|\bdecision \d|(?:^|\s)Source: ", re.MULTILINE
)
_PARAGRAPH = re.compile(r"^Source: (.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r" Source: (.+?\.)(?:\s|\Z)", re.DOTALL)
_RULES = re.compile(r"\b[A-Z]{2,}-\d+\b(?: (?:to|and) [A-Z]{2,}-\d+\b)?|\bRFC \d+\b")
_NO_RULES = ("UTF-", "SHA-")


def own_source(thing: Any) -> bool:
    """Tell whether the docstring of a class or function names its source itself."""
    return bool(_NAMED.search(inspect.getdoc(thing) or "")) if thing.__doc__ else False


def source_of(thing: Any) -> str | None:
    """Return what the module of a class or function, or a package around it, says of its source; None: nothing."""
    module = thing.__module__
    while module:
        told = _told(sys.modules[module].__doc__ or "")
        if told is not None:
            return told
        module = module.rpartition(".")[0]
    return None


def _told(text: str) -> str | None:
    found = _PARAGRAPH.search(text) or _INLINE.search(text)
    if found:
        return " ".join(found[1].split())
    rules = [each for each in _RULES.findall(text) if not each.startswith(_NO_RULES)]
    return f"{', '.join(dict.fromkeys(rules))}." if rules else None


def add_source(_app: object, what: str, _name: str, thing: Any, _options: object, lines: list[str]) -> None:
    """Add the source to a docstring that does not name one. Called by Sphinx."""
    if what not in ("class", "exception", "function") or own_source(thing):
        return
    source = source_of(thing)
    if source is not None:
        lines += ["", f"Source: {source}", ""]
