"""What may be chosen for one session: its timers, its guards, its quota, and whether it is stored.

Source: session system 1.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sessionactors import bounds
from sessionactors.errors import InvalidBackend, InvalidLimit, InvalidQuota
from sessionactors.metadata import NO_METADATA, check_metadata
from sessionactors.option_table import Settings

__all__ = ["BACKENDS", "MIB", "Quota", "SessionOptions"]

MIB: Final = 1024 * 1024
BACKENDS: Final = ("default", "memory", "sqlite")


@dataclass(frozen=True, slots=True)
class Quota(Settings):
    """How much one session may use; None is unlimited.

    Reaching a limit is legal, going over it is not.

    Attributes:
        max_requests: requests over the whole life of the session.
        max_connections: connections open at the same time.
        max_message_size: bytes of any single message (not a sum).
    """

    max_requests: int | None = 1000
    max_connections: int | None = 10
    max_message_size: int | None = 10 * MIB

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_connections", "max_message_size"):
            self._keep(name, bounds.count_or_none(name, getattr(self, name), least=0, refuse=InvalidQuota))

    @classmethod
    def unlimited(cls) -> Quota:
        """Return the quota that never refuses."""
        return _UNLIMITED


_UNLIMITED: Final = Quota(None, None, None)
_DEFAULT_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True)
class SessionOptions(Settings):
    """How one session behaves. Sessions with equal options share one instance.

    Attributes:
        idle_timeout: seconds without activity after which an active session
            becomes idle, and an idle one suspended; None turns both off.
        auth_timeout: seconds that authentication may take in all; a retry does
            not start it again.
        suspend_timeout: seconds after which a suspended session ends.
        absolute_timeout: seconds after which any session ends, active or not.
        ttl: seconds without activity after which the session counts as expired
            for the manager and for the reaper's policy `expired`.
        hibernate_after: seconds without activity after which the session hibernates,
            see `sessionactors.sleeping`; its state stays as it is. None: only when asked to.
        spill_after: seconds without activity after which a persistent session that
            hibernates leaves memory for the store, see `sessionactors.spilling`. None:
            only when asked to.
        max_auth_attempts: how many calls of `authenticate` there may be.
        strict_authentication: the first rejected credentials end the session.
        auth_required: credentials or a pre-authenticated mark are needed.
        locked_out: start with authentication blocked until `unlock`.
        resume_allowed: whether a suspended session can be resumed.
        migration_allowed: whether the session may move to another node.
        persistent: whether the session is stored and survives a crash.
        backend: "default", which is the store that the system has, or its name, to
            be sure that it is that one: "memory" or "sqlite". None: there is none.
        keep_persistent: leave the stored copy when the session ends.
        quota: what the session may use.
        memory_limit: bytes the session may hold, watched by isolation; None is unlimited.
        metadata: plain data, see `sessionactors.metadata`; `pre_authenticated:
            True` lets `activate` succeed without credentials.
        user_id: whose session it is; falls back to `metadata["user_id"]`, then "anonymous".
        protocol_version: carried along for the embedding program.
        capabilities: carried along for the embedding program.
        max_history_size: transitions that are remembered; 0 remembers none.
        audit_requests_every: accepted updates are audited once for that many
            requests, with totals; 0 never audits them. Refusals are always audited.
    """

    idle_timeout: float | None = 300.0
    auth_timeout: float = 30.0
    suspend_timeout: float | None = None
    absolute_timeout: float | None = None
    ttl: float | None = 3600.0
    hibernate_after: float | None = None
    spill_after: float | None = None
    max_auth_attempts: int = 3
    strict_authentication: bool = False
    auth_required: bool = True
    locked_out: bool = False
    resume_allowed: bool = True
    migration_allowed: bool = False
    persistent: bool = False
    backend: str | None = "default"
    keep_persistent: bool = False
    quota: Quota = _DEFAULT_QUOTA
    memory_limit: int | None = 100 * MIB
    metadata: Mapping[str, object] = NO_METADATA
    user_id: str = ""
    protocol_version: str = "2025-11-25"
    capabilities: Mapping[str, object] = NO_METADATA
    max_history_size: int = 100
    audit_requests_every: int = 100

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "suspend_timeout", "absolute_timeout", "ttl", "hibernate_after", "spill_after"):
            self._keep(name, bounds.seconds_or_none(name, getattr(self, name)))
        self._keep("auth_timeout", bounds.seconds("auth_timeout", self.auth_timeout))
        self._keep("max_auth_attempts", bounds.count("max_auth_attempts", self.max_auth_attempts, most=1000))
        for name in (
            "strict_authentication",
            "auth_required",
            "locked_out",
            "resume_allowed",
            "migration_allowed",
            "persistent",
            "keep_persistent",
        ):
            bounds.flag(name, getattr(self, name))
        if bounds.text_or_none("backend", self.backend) is not None:
            bounds.choice("backend", self.backend, BACKENDS, refuse=InvalidBackend)
        if not isinstance(self.quota, Quota):
            self._keep("quota", _quota(self.quota))
        self._keep("memory_limit", bounds.count_or_none("memory_limit", self.memory_limit, refuse=InvalidLimit))
        self._keep("metadata", check_metadata("metadata", self.metadata))
        self._keep("user_id", self._whose())
        bounds.text("protocol_version", self.protocol_version)
        self._keep("capabilities", check_metadata("capabilities", self.capabilities))
        bounds.count("max_history_size", self.max_history_size, least=0, most=100_000)
        bounds.count("audit_requests_every", self.audit_requests_every, least=0)

    def updated(self, mapping: Mapping[str, object]) -> Self:
        """Return a copy with some options changed; metadata may name the user if nobody did so before."""
        if isinstance(mapping, Mapping) and "metadata" in mapping and self.user_id == "anonymous":
            mapping = {"user_id": "", **mapping}
        return Settings.updated(self, mapping)

    def _whose(self) -> str:
        if self.user_id != "":
            return bounds.text("user_id", self.user_id)
        return bounds.text("metadata.user_id", self.metadata.get("user_id", "anonymous"))


def _quota(value: object) -> Quota:
    if not isinstance(value, Mapping):
        raise InvalidQuota("quota", value, "a Quota or a mapping of its options")
    return Quota.from_mapping(value)
