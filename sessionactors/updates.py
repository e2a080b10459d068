"""What the manager has done in a session's own turn: replacing metadata, changing the ttl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sessionactors.effects import Audit
from sessionactors.errands import Errand
from sessionactors.errors import SessionTerminated
from sessionactors.lifecycle import PERSIST, TOUCH, UPDATE_CONFIG, decide
from sessionactors.states import TERMINATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionactors.storage.intake import Asker

__all__ = ["DeleteStored", "PersistFor", "ReplaceMetadata", "SetTtl", "TellMetadata"]


@final
class PersistFor(Errand):
    """Have the session stored, and somebody told who does not wait for this answer.

    Attributes:
        asker: gets the session's id when it is durable, or the reason why it is not; whoever watches may stand
            in for it before the session has its turn.
    """

    __slots__ = ("asker",)
    is_use = True

    def __init__(self, asker: Asker) -> None:
        self.asker = asker

    def run(self, session: Any) -> None:
        """Hand a snapshot over, as `persist` does."""
        decide(session.data, PERSIST, session.data.last_activity)  # it says whether that is allowed
        session.persist_for(self.asker, session.data.session_id)


@final
class DeleteStored(Errand):
    """Have the stored copy of the session deleted, by the session itself: it may not leave memory for it meanwhile."""

    __slots__ = ()

    def run(self, session: Any) -> None:
        """Delete it. One that was asleep is awake by now, and no spilling that has begun lets go of it any more."""
        session.forget_stored()


@final
class TellMetadata(Errand):
    """Answer with the session's metadata, which nobody changes in place."""

    __slots__ = ()
    is_use = True

    def run(self, session: Any) -> Mapping[str, object]:
        """Return the mapping itself: its identity is its version."""
        _check_live(session)
        metadata: Mapping[str, object] = session.data.metadata
        return metadata


@final
class ReplaceMetadata(Errand):
    """Put metadata in the place of what they were made from; this is activity.

    Args:
        old: what the session had when the new ones were made, the very mapping.
        new: checked metadata.
    """

    __slots__ = ("_new", "_old")
    is_use = True

    def __init__(self, old: Mapping[str, object], new: Mapping[str, object]) -> None:
        self._old = old
        self._new = new

    def run(self, session: Any) -> bool:
        """Replace them; False when somebody else was faster."""
        _check_live(session)
        if session.data.metadata is not self._old:
            return False
        session.data.metadata = self._new
        session.apply((Audit("lifecycle", "metadata_updated", "debug"),))
        session.receive_ask((TOUCH, None))
        return True


@final
class SetTtl(Errand):
    """Change after which time without activity the session counts as expired; this is no activity.

    Args:
        ttl: seconds, or None for never.
    """

    __slots__ = ("_ttl",)
    is_use = True

    def __init__(self, ttl: float | None) -> None:
        self._ttl = ttl

    def run(self, session: Any) -> None:
        """Give the session options of its own."""
        session.receive_ask((UPDATE_CONFIG, session.data.options.updated({"ttl": self._ttl})))


def _check_live(session: Any) -> None:
    if session.data.state == TERMINATED:
        raise SessionTerminated(session.data.session_id)
