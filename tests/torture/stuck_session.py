"""A session whose handler never returns."""

from __future__ import annotations

import threading

from sessionactors import Session


class NeverReturns(Session):
    """Goes on for ever when it is activated."""

    dispatch = "shared"

    def on_activated(self) -> None:
        threading.Event().wait()
