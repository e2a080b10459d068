"""The classes of sessions: how each is supervised, and what it is called in the store.

A stored session names its class. Only a class that the program has shown, by
starting a session of it or by naming it, is ever used for that: a name in a file
makes nobody import anything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, final

from sessionactors.errors import InvalidKind
from sessionactors.session import Session
from supervisors.supervision.child_spec import ChildSpec

__all__ = ["Templates"]

_SHUTDOWN: Final = 5.0  # seconds that a session has to end


@final
class Templates:
    """Child specifications by class, and classes by name.

    Args:
        classes: those that sessions may come back as.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_classes", "_lock", "_specs")

    def __init__(self, classes: Iterable[type[Session]] = ()) -> None:
        self._lock = threading.Lock()  # guards changes of both; reading one key needs no lock
        self._specs: dict[type[Session], ChildSpec] = {}
        self._classes: dict[str, type[Session]] = {}
        self.of(Session)
        if isinstance(classes, (str, bytes)) or not isinstance(classes, Iterable):
            raise InvalidKind("session_classes", classes, "classes derived from Session")
        for session_class in classes:
            self.of(session_class)

    def of(self, session_class: type[Session]) -> ChildSpec:
        """Return the specification for sessions of a class; its arguments are still missing.

        Raises:
            InvalidKind: it is no class of sessions.
        """
        try:
            spec = self._specs.get(session_class)
        except TypeError:  # it cannot even be looked up
            spec = None
        if spec is None:
            if not (isinstance(session_class, type) and issubclass(session_class, Session)):
                raise InvalidKind("session_class", session_class, "Session, or a class derived from it")
            # A crash ends a session for its supervisor. One that is stored is started
            # again from the store, which takes longer than a supervisor may wait.
            spec = ChildSpec("session", session_class, restart="temporary", shutdown=_SHUTDOWN)
            with self._lock:
                self._specs[session_class] = spec
                self._classes[session_class.stored_name()] = session_class
        return spec

    def named(self, name: object) -> ChildSpec | None:
        """Return the specification for the class of this name, or None."""
        known = self._classes.get(name) if isinstance(name, str) else None
        return None if known is None else self._specs[known]
