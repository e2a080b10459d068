"""The echo actor of Thespian, in a module of its own: its process imports it."""

from __future__ import annotations

from typing import Any

from thespian.actors import Actor

__all__ = ["Echo"]


class Echo(Actor):  # type: ignore[misc]  # no types are published for it
    """Replies with what it gets."""

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 - Thespian's name
        """Reply to a number; everything else is Thespian's own."""
        if isinstance(message, int):
            self.send(sender, message)
