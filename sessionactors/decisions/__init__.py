"""The handlers behind `sessionactors.lifecycle`, one file per part of a session's life.

Each handler takes the record, the monotonic time and the operation's argument. It
either raises a refusal before it has changed anything, or changes the record
completely and returns the effects. None of them looks at the state first: the
table in `sessionactors.lifecycle` says in which states each one is used.
"""

from __future__ import annotations

__all__: list[str] = []
