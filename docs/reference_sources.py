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

__all__ = ["CODES", "add_source", "own_source", "source_of"]

# Where a refusal's code stands in the description of the session system; the other codes are ours.
CODES = {
    "already_exists": "2.2",
    "auth_blocked": "1.1.2",
    "authentication_failed": "1.1.2",
    "capacity_exceeded": "3.1",
    "invalid_action": "1.3",
    "invalid_backend": "1.6",
    "invalid_limit": "1.2",
    "invalid_quota": "1.1.2",
    "invalid_state": "1.1.2",
    "invalid_transition": "1.1.2",
    "limit_exceeds_global": "1.2",
    "load_failed": "1.1.2",
    "max_attempts": "1.1.2",
    "migration_failed": "1.1.2",
    "migration_not_allowed": "1.1.2",
    "no_backend": "1.1.2",
    "no_pid": "1.2",
    "not_authenticated": "1.1.2",
    "not_found": "1.2",
    "not_persistent": "1.1.2",
    "persist_failed": "1.1.2",
    "quota_exceeded": "1.1.2",
    "rate_limited": "1.3",
    "resume_blocked": "1.1.2",
    "session_exists": "1.2",
    "session_manager_not_running": "1.6",
    "session_terminated": "1.1.2",
    "unknown_request": "1.2",
    "unsupported_format": "1.5",
    "update_failed": "1.6",
}

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
    """Return what the module of a class or function, or a package around it, says of its source; None: nothing.

    Of a refusal it is where its code stands.
    """
    module = thing.__module__
    code = vars(thing).get("code") if inspect.isclass(thing) else None
    if code in CODES and module.startswith("sessionactors."):
        return f"session system {CODES[code]}, where `{code}` stands."
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
