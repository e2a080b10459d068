"""A session that nobody uses any more: it ends when the reaper says so, or when somebody wants to use it after its ttl.

An expired session is not there any more, whether the reaper has been round or not. So
whoever asks for it finds that it has ended, and that has happened by then. Only what ends it, what comes from its
own timer, and what merely looks for who is expired goes through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionactors.decisions.moves import REAPED, end
from sessionactors.errors import SessionTerminated
from sessionactors.expiry import is_expired
from sessionactors.lifecycle import CRASH, FORCE_TERMINATE, TERMINATE, VERDICT, WAKE
from sessionactors.reap_entry import reaped
from sessionactors.session_messages import PEEK, Reaping
from sessionactors.sleeping import RestingSession
from sessionactors.states import TERMINATED
from supervisors.runtime.pykka_adapter import StopNow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.session_data import SessionData

__all__ = ["ReapedSession"]

_NO_USE: Final = frozenset({WAKE, VERDICT, CRASH, TERMINATE, FORCE_TERMINATE, PEEK})


class ReapedSession(RestingSession):
    """The half of a session that goes when it has not been used for too long."""

    def _reap(self, reaping: Reaping) -> float:
        """End in this turn if the session has to go; else return when it could have to, monotonic seconds."""
        data = self.data
        if data.state == TERMINATED:
            raise SessionTerminated(data.session_id)
        now = self._around.now()
        moment = reaping.spares(data, now)
        if moment is not None:
            return moment
        self._is_accounted_for = True
        self._go(reaping.policy.name, now)
        raise StopNow

    def _refuse_expired(self, now: float, wish: str | None = None) -> None:
        """End, and say that, if somebody wants something of a session that is expired; to be called of such only.

        Args:
            now: monotonic seconds.
            wish: the operation or query.

        Raises:
            SessionTerminated: it has ended, by now at the latest.
        """
        data = self.data
        if data.state == TERMINATED or wish in _NO_USE:
            return
        self._go("expired", now)
        raise SessionTerminated(data.session_id)

    def _refuse_use(self) -> None:
        """End, and say that, if the session is expired; somebody wants something else of it than an operation."""
        now = self._around.now()
        if is_expired(self.data, now):
            self._refuse_expired(now)

    def _answer(self, name: str, query: Callable[[SessionData, float], object]) -> object:
        """Answer a query."""
        data, now = self.data, self._around.now()
        if data.state == TERMINATED:  # a question that was on its way when the session ended
            raise SessionTerminated(data.session_id)
        if is_expired(data, now):
            self._refuse_expired(now, name)
        return query(data, now)

    def _go(self, policy: str, now: float) -> None:
        data = self.data
        kind, facts = reaped(policy, now - data.last_activity)
        self._around.audit.put((now, data.session_id, kind, facts, "session"))
        self._perform(end(data, now, REAPED), now)
