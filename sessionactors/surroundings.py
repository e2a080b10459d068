"""What one session knows of the system around it, shared by all sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.arrivals import Arrivals
from sessionactors.coroutines import TurnCoroutines
from sessionactors.departures import Departures
from sessionactors.hibernation_ledger import HibernationLedger
from sessionactors.request_waits import RequestWaits
from sessionactors.settings import UserSettings
from sessionactors.users import Users
from supervisors.runtime.folding import Folding

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.audit.intake import Intake
    from sessionactors.coroutines import Coroutines
    from sessionactors.directory import Directory
    from sessionactors.storage.intake import StoreIntake
    from sessionactors.verification import TurnVerifier, Verifier
    from supervisors.runtime.ref import ActorRef
    from supervisors.timers.service import TimerService

__all__ = [
    "AUDIT",
    "ISOLATION",
    "RATE_LIMITER",
    "REAPER",
    "RECOVERY",
    "REST",
    "RESTART",
    "ROOT",
    "SERVICES",
    "SESSIONS",
    "STORE",
    "UPDATES",
    "Surroundings",
]

ROOT: Final = "root"
AUDIT: Final = "audit"
STORE: Final = "store"
RATE_LIMITER: Final = "rate_limiter"
ISOLATION: Final = "isolation"
REAPER: Final = "reaper"
SESSIONS: Final = "sessions"
RECOVERY: Final = "recovery"
UPDATES: Final = "updates"

SERVICES: Final = (AUDIT, STORE, RATE_LIMITER, ISOLATION, RECOVERY, REAPER)
"""The registered names of the singleton actors, in order of their start."""

REST: Final = "rest"
"""First half of the message to the rate limiter that a session has fallen asleep."""

RESTART: Final = "restart"
"""First half of the message to the recovery actor that a stored session has crashed."""


@final
class Surroundings:
    """Clock, audit queue, timers and names; one object for all sessions.

    Attributes:
        now: reads the monotonic clock, seconds.
        wall: reads the wall clock, UTC seconds; for what another process is to read.
        wall_offset: UTC seconds minus monotonic seconds, as of the system's start.
        arrivals: the sessions that the reaper is to know of.
        audit: where audit events go.
        coroutines: runs the handlers that are coroutine functions.
        departures: the sessions that the rate limiter is to forget.
        directory: the live sessions.
        folding: folds the mailboxes of those that sleep.
        hibernations: counts which of them sleep.
        timers: the timer service.
        saves: where snapshots of persistent sessions go; None stores nothing.
        users: the sessions of each user.
        waits: which handlers wait for which sessions.
        verifier: has the authenticator asked; None is the default one, which trusts
            the embedding program.
        whereis: finds a service by its name; None while it is being restarted.
    """

    __slots__ = (
        "arrivals",
        "audit",
        "coroutines",
        "departures",
        "directory",
        "folding",
        "hibernations",
        "now",
        "saves",
        "timers",
        "users",
        "verifier",
        "waits",
        "wall",
        "wall_offset",
        "whereis",
    )

    def __init__(
        self,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        audit: Intake,
        directory: Directory,
        timers: TimerService,
        whereis: Callable[[object], ActorRef[Any] | None],
        verifier: Verifier | TurnVerifier | None = None,
        saves: StoreIntake | None = None,
        users: Users | None = None,
        coroutines: Coroutines | None = None,
    ) -> None:
        self.now = now
        self.wall = wall
        self.wall_offset = wall() - now()
        self.audit = audit
        self.arrivals = Arrivals(lambda: whereis(REAPER))
        self.departures = Departures(lambda: whereis(RATE_LIMITER))
        self.directory = directory
        self.folding = Folding()
        self.hibernations = HibernationLedger()
        self.timers = timers
        self.whereis = whereis
        self.verifier = verifier
        self.waits = RequestWaits()
        self.saves = saves
        self.users = Users(UserSettings()) if users is None else users
        self.coroutines = TurnCoroutines() if coroutines is None else coroutines

    def give_up(self, session_id: str) -> None:
        """Enter everywhere that a session that was to come back does not."""
        self.directory.give_up(session_id)
        self.users.gave_up(session_id)

    def send(self, name: str, message: object) -> None:
        """Send a message to a service; while it is being restarted nobody gets it."""
        service = self.whereis(name)
        if service is not None:
            service.send(message)
