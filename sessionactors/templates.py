"""The classes of sessions: how each is supervised, and what it is called in the store.

A stored session names its class. Only a class that the program has shown, by
starting a session of it or by naming it, is ever used for that: a name in a file
makes nobody import anything. Of several classes with one name the first that was
shown has it, and sessions of the others are not stored: they would come back as something else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, final

from sessionactors.errors import InvalidKind, InvalidValue
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

    __slots__ = ("_classes", "_lock", "_namesakes", "_specs")

    def __init__(self, classes: Iterable[type[Session]] = ()) -> None:
        self._lock = threading.Lock()  # guards changes of all; looking one up needs no lock
        self._specs: dict[type[Session], ChildSpec] = {}
        self._classes: dict[str, type[Session]] = {}
        self._namesakes: set[type[Session]] = set()  # whose name is that of a class shown before
        self.of(Session)
        if isinstance(classes, (str, bytes)) or not isinstance(classes, Iterable):
            raise InvalidKind("session_classes", classes, "classes derived from Session")
        for session_class in classes:
            self.of(session_class, is_stored=True)

    def of(self, session_class: type[Session], *, is_stored: bool = False) -> ChildSpec:
        """Return the specification for sessions of a class; its arguments are still missing.

        Args:
            session_class: the class.
            is_stored: the store is to know them by the name of the class.

        Raises:
            InvalidKind: it is no class of sessions.
            InvalidValue: they are to be stored, and another class has this name.
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
            name = session_class.stored_name()
            with self._lock:
                self._specs[session_class] = spec
                if self._classes.setdefault(name, session_class) is not session_class:
                    self._namesakes.add(session_class)
        if is_stored and session_class in self._namesakes:
            raise InvalidValue("session_class", session_class.stored_name(), "one whose stored_name() no other has")
        return spec

    def named(self, name: object) -> ChildSpec | None:
        """Return the specification for the class of this name, or None."""
        known = self._classes.get(name) if isinstance(name, str) else None
        return None if known is None else self._specs[known]
