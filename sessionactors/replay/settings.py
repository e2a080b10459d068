"""What a replay can be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sessionactors import bounds
from sessionactors.errors import InvalidValue

__all__ = ["REAP_INTERVAL_MIN", "SSHD_GRACE_TIME", "SSHD_MAX_TRIES", "ReplaySettings"]

REAP_INTERVAL_MIN: Final = 0.001
"""The shortest time between sweeps, seconds: a log knows nothing shorter."""

SSHD_GRACE_TIME: Final = 120.0
"""sshd's own `LoginGraceTime`, seconds."""

SSHD_MAX_TRIES: Final = 6
"""sshd's own `MaxAuthTries`."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How the sessions of a replay behave; durations are simulated seconds.

    Attributes:
        idle_timeout: seconds without activity after which an active session
            becomes idle, and an idle one suspended.
        reap_after: a session is ended at the first sweep at which its last
            activity is more than this many seconds ago.
        reap_interval: seconds between sweeps, counted from the first event.
        capacity: requests that a session may make at once.
        rate: requests a second that a session may make in the long run.
        max_requests: requests that a session may make in its whole life; None
            is unlimited.
        seed: of everything that is drawn; equal seeds give equal runs.
        crash_every: kill something after each so many events; None never does.
        auth_timeout: seconds from the first attempt to authenticate to the end of
            a session that has not succeeded; None leaves it to the kind of log.
        max_auth_attempts: how many attempts a session has; None leaves it to the
            kind of log.

    Raises:
        InvalidKind, InvalidValue: a value is not what it has to be.
    """

    idle_timeout: float = 300.0
    reap_after: float = 1800.0
    reap_interval: float = 60.0
    capacity: float = 1000.0
    rate: float = 10.0
    max_requests: int | None = None
    seed: int = 0
    crash_every: int | None = None
    auth_timeout: float | None = None
    max_auth_attempts: int | None = None

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "reap_after", "reap_interval"):
            object.__setattr__(self, name, bounds.seconds(name, getattr(self, name)))
        if self.reap_interval < REAP_INTERVAL_MIN:
            raise InvalidValue("reap_interval", self.reap_interval, f"at least {REAP_INTERVAL_MIN} seconds")
        for name in ("capacity", "rate"):
            object.__setattr__(self, name, bounds.number(name, getattr(self, name), most=1e9))
        bounds.count_or_none("max_requests", self.max_requests)
        bounds.count_or_none("crash_every", self.crash_every)
        bounds.count("seed", self.seed, least=0)
        object.__setattr__(self, "auth_timeout", bounds.seconds_or_none("auth_timeout", self.auth_timeout))
        if self.max_auth_attempts is not None:
            bounds.count("max_auth_attempts", self.max_auth_attempts, most=1000)

    def as_sshd(self) -> ReplaySettings:
        """Return these settings with what sshd itself has for what was left open."""
        return replace(
            self,
            auth_timeout=SSHD_GRACE_TIME if self.auth_timeout is None else self.auth_timeout,
            max_auth_attempts=SSHD_MAX_TRIES if self.max_auth_attempts is None else self.max_auth_attempts,
        )
