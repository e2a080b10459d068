"""What is known of a session since its `persist()` was acknowledged, and what may not come back after that.

A session may be newer than what was acknowledged, because its changes are stored by themselves as
well; nobody outside can say how much newer. What is surely wrong is what had been
replaced before: a value that somebody has seen give way to the acknowledged one, and that nobody
has seen since. Each fact is looked at for itself, so that one which goes back alone is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

from sessionactors.settings import Quota

__all__ = ["Facts", "Persisted", "Version", "facts_of", "stored_facts"]


class Facts(NamedTuple):
    """What a session has that must not be lost.

    Attributes:
        metadata: its metadata.
        user_id: whose it is.
        quota: what it may use.
        locked: whether an administrator has locked it.
        requests: how many it has had.
        bytes: how many it has had.
    """

    metadata: Mapping[str, object]
    user_id: str
    quota: Quota
    locked: bool
    requests: int
    bytes: int


class Version(NamedTuple):
    """How far a session is.

    Attributes:
        transitions: how many there have been.
        facts: at that time.
    """

    transitions: int
    facts: Facts


def facts_of(data: Any) -> Facts:
    """Return what a living session has."""
    return Facts(data.metadata, data.user_id, data.quota, data.locked, data.requests, data.bytes)


def stored_facts(stored: Mapping[str, Any]) -> Facts:
    """Return what a stored session has."""
    quota = Quota.from_mapping(stored["quota"])
    return Facts(stored["metadata"], stored["user_id"], quota, stored["locked"], stored["requests"], stored["bytes"])


@final
class _Values:
    """What one fact has been.

    Attributes:
        past: before what was acknowledged; it must not come back.
        present: since.
    """

    __slots__ = ("past", "present")

    def __init__(self) -> None:
        self.past: list[object] = []
        self.present: list[object] = []

    def saw(self, value: object) -> None:
        if not self.present or self.present[-1] != value:
            self.present.append(value)

    def acknowledge(self, value: object) -> None:
        place = max((at for at, each in enumerate(self.present) if each == value), default=0)
        self.past += self.present[:place]
        del self.present[:place]

    def has_gone_back(self, value: object) -> bool:
        return value in self.past and value not in self.present


@final
class Persisted:
    """What is known of one session.

    Attributes:
        least: it never falls behind this one again; None as long as nothing is acknowledged.
    """

    __slots__ = ("_values", "least")

    def __init__(self) -> None:
        self.least: Version | None = None
        self._values: Final = tuple(_Values() for _ in Facts._fields)

    def saw(self, facts: Facts) -> None:
        """Take note of what it has now."""
        for values, fact in zip(self._values, facts, strict=True):
            values.saw(fact)

    def acknowledge(self, version: Version) -> None:
        """Let nothing before a version come back."""
        if self.least is None or version.transitions >= self.least.transitions:
            self.least = version
        for values, fact in zip(self._values, version.facts, strict=True):
            values.acknowledge(fact)

    def fault(self, transitions: int | None, facts: Facts) -> str | None:
        """Say what is wrong with the session as it was found, or return None.

        Args:
            transitions: how many it has had; None where that is not known.
            facts: what it has.
        """
        least = self.least
        if least is None:
            return None
        if transitions is not None and transitions < least.transitions:
            return f"{transitions} transitions, acknowledged: {least.transitions}"
        for name, values, fact, acknowledged in zip(Facts._fields, self._values, facts, least.facts, strict=True):
            if values.has_gone_back(fact):
                return f"{name} {_shortly(fact)}, acknowledged: {_shortly(acknowledged)}"
        return None


def _shortly(fact: object) -> str:
    text = repr(dict(fact) if isinstance(fact, Mapping) else fact)
    return text if len(text) <= 100 else f"{text[:100]}..."
