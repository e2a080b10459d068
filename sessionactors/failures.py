"""Refusals because something outside the session did not work: each says what, in words.

`sessionactors.errors` draws all refusals as one tree, and is where others import them from.

Source: session system, chapters 1 and 3, for the codes that stand there; the others are ours.
"""

from __future__ import annotations

from sessionactors.refusal import SessionRefusal

__all__ = [
    "CollectionFailed",
    "LoadFailed",
    "MigrationFailed",
    "OperationFailed",
    "PersistFailed",
    "ProcessDied",
    "UpdateFailed",
    "WakeFailed",
]


class OperationFailed(SessionRefusal):
    """Something outside the session did not work; the session is as it was.

    Attributes:
        reason: what went wrong, in words.
    """

    code = "operation_failed"
    _told = "the operation failed: {}"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(self._told.format(reason))


class WakeFailed(OperationFailed):
    """A session that is spilled cannot be read now; it sleeps on, and can be woken later."""

    code = "wake_failed"
    _told = "the session cannot be read from the store now: {}; it sleeps on and can be asked again"


class PersistFailed(OperationFailed):
    """The snapshot did not become durable.

    Attributes:
        session_id: whose it is, where the store says so.
    """

    code = "persist_failed"
    session_id: str | None = None
    _told = "the session could not be stored: {}; the last stored snapshot is still there"


class LoadFailed(OperationFailed):
    """The stored session cannot be used."""

    code = "load_failed"
    _told = "the stored session cannot be loaded: {}; the session is as it was before"


class MigrationFailed(OperationFailed):
    """The target did not take the session over."""

    code = "migration_failed"
    _told = "the session could not move: {}; it goes on here"


class ProcessDied(OperationFailed):
    """The process that the session's code ran in has ended."""

    code = "process_died"
    _told = "the session's process has ended: {}; the session ends with it"


class UpdateFailed(OperationFailed):
    """The update function raised or took too long; the record is unchanged."""

    code = "update_failed"
    _told = "the update was not applied: {}; the record is unchanged"


class CollectionFailed(OperationFailed):
    """Memory could not be given back."""

    code = "collection_failed"
    _told = "memory could not be collected: {}"
