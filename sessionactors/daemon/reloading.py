"""What of a new configuration can be had without a restart: a pure decision.

Reloadable is what the daemon looks at again and again, or what is told to a service by
a message. All else (paths, addresses, classes, numbers of threads) is fixed when the
daemon comes up; where such a value has changed, it is named, and the old one stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessionactors.settings import IsolationSettings, LimiterSettings

if TYPE_CHECKING:
    from sessionactors.daemon.config import Config

__all__ = ["RELOADABLE", "Change", "changes"]

RELOADABLE: Final = frozenset(
    {
        ("daemon", "log_level"),
        ("front", "connections_max"),
        ("front", "idle_timeout"),
        ("front", "line_max"),
        ("health", "connections_max"),
        ("health", "interval"),
        ("health", "watch_within"),
        ("inspection", "connections_max"),
        ("inspection", "idle_timeout"),
        ("reaper", "idle_threshold"),
        ("reaper", "interval"),
        ("reaper", "policy"),
        *(("limiter", name) for name in LimiterSettings.names()),
        *(("isolation", name) for name in IsolationSettings.names() if name != "spare_processes"),
    }
)
"""Section and name of the options that count at once; all of `session`, for sessions that start from then on, too.

Of `isolation`, the limits of single sessions count for those that are accounted for from then on.
"""


class Change(NamedTuple):
    """An option that is another one than before.

    Attributes:
        section: where it stands.
        name: of the option.
        before: the value that was in force.
        after: the value that is wanted.
        is_live: it can be had without a restart.
    """

    section: str
    name: str
    before: Any
    after: Any
    is_live: bool

    def __str__(self) -> str:
        return f"{self.section}.{self.name}: {self.before!r} -> {self.after!r}"


def changes(before: Config, after: Config) -> list[Change]:
    """Return what differs, in the order in which the options are printed."""
    found = []
    for section, options in after.settings.items():
        for name, setting in options.items():
            old = before.get(section, name)
            if old != setting.value:
                is_live = section == "session" or (section, name) in RELOADABLE
                found.append(Change(section, name, old, setting.value, is_live))
    return found
