"""Names those that keep a daemon from stopping, before they are killed: afterwards nobody can tell."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sessionactors.surroundings import ROOT, SESSIONS
from supervisors.runtime.turn import all_turns

if TYPE_CHECKING:
    from sessionactors.system import SessionSystem

__all__ = ["lookout"]

logger = logging.getLogger("sessionactors.daemon")

_LOOK: Final = 0.5  # seconds between two looks at the same message, or less
_NAMED_MAX: Final = 20


@contextmanager
def lookout(system: SessionSystem, seconds: float, sessions: Mapping[Any, str]) -> Iterator[Mapping[Any, str]]:
    """While the block runs: log those that are still at the same message after some seconds.

    Sessions are the ids by ref: those that are killed meanwhile are nowhere to be found.
    Gives who they are in words, by ref; the table fills while the block runs.
    """
    named: dict[Any, str] = {}
    is_over = threading.Event()

    def look() -> None:
        if is_over.wait(seconds):
            return
        before = _in_hand(system)
        if is_over.wait(min(seconds / 2, _LOOK)):
            return
        # Many are ending just now; those that matter are still at the same message.
        named.update(_stuck(system, before, sessions))
        for who in named.values():
            logger.error("it stops, and %s is still busy", who)

    thread = threading.Thread(target=look, name="supervisors-lookout", daemon=True)
    thread.start()
    try:
        yield named
    finally:
        is_over.set()
        thread.join()


def _in_hand(system: SessionSystem) -> dict[Any, int]:
    """Return the actors whose turn it is, with how many messages each has handled."""
    refs: list[Any] = [turn.current for turn in all_turns()]
    return {ref: ref.messages_handled for ref in refs if ref is not None and ref.system is system.actors}


def _stuck(system: SessionSystem, before: Mapping[Any, int], sessions: Mapping[Any, str]) -> dict[Any, str]:
    """Return who is still at the message of before, in words; at most so many."""
    stuck: dict[Any, str] = {}
    for ref, handled in _in_hand(system).items():
        session_id = sessions.get(ref)
        # The supervisor of the sessions is at their ends all the time; that is its work.
        is_working = ref.name in (ROOT, SESSIONS)
        if before.get(ref) == handled and not is_working and len(stuck) < _NAMED_MAX:
            stuck[ref] = str(ref) if session_id is None else f"session {session_id!r} ({ref.actor_class.__name__})"
    return stuck
