"""A session's own code in the process of a sandbox: what `sessionactors.tiers` talks to.

There is the object that the class makes, with its own state, and nothing around it: no
actor, no record, no system. It is asked to take up a state, to call one of the functions
that derived classes fill in, and to say what its state is.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from sessionactors.session import Session
from supervisors.errors import Refusal

__all__ = ["CALL", "RESTORE", "SessionHost"]

RESTORE: Final = "restore"
CALL: Final = "call"


class SessionHost:
    """Holds one session's own code.

    Args:
        module: where its class is.
        name: of the class, with dots where it is nested.
        session_id: of the session.
    """

    def __init__(self, module: str, name: str, session_id: str) -> None:
        cls: Any = importlib.import_module(module)
        for part in name.split("."):
            cls = getattr(cls, part)
        # What a constructor does for an actor has no place here; what the derived class
        # adds to it has. Put back afterwards: a simulated process is not the only one here.
        proper = Session.__init__
        Session.__init__ = _without_actor  # type: ignore[method-assign,assignment]
        try:
            self._session: Any = cls(session_id, None, None)
        finally:
            Session.__init__ = proper  # type: ignore[method-assign]  # put back what was there

    def handle_request(self, request: list[Any]) -> list[Any]:
        """Do what is asked, and return `["value", answer]`, or `["refused", words]` if the session's code says no."""
        verb, *rest = request
        if verb == RESTORE:
            self._session.restore(*rest)
            return ["value", None]
        name, arguments = rest
        try:
            return ["value", getattr(self._session, name)(*arguments)]
        except Refusal as refusal:
            return ["refused", str(refusal)]


def _without_actor(_session: Session, *_given: object) -> None:
    """Stand in for the constructor of `Session`."""
