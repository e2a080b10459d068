"""What travels in a mailbox beside plain messages.

A *signal* is applied to its receiver when the receiver's owner takes it in, and
may leave a message in its place (SIG-1: two signals from one actor to another
arrive in the order they were sent, because they share the mailbox with the
messages). Link and monitor tables are therefore only ever touched by the thread
that owns the mailbox: there is no lock to forget and no race to lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.exits import KILL, KILLED, NOPROC, NORMAL
from supervisors.runtime.small_set import with_item, without_item

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture

__all__ = [
    "NOTHING",
    "Ask",
    "Demonitored",
    "Down",
    "DownSignal",
    "Envelope",
    "ExitSignal",
    "Exited",
    "LinkExit",
    "Linked",
    "MonitorRef",
    "Monitored",
    "Resumed",
    "Signal",
    "Suspended",
    "Unlinked",
    "Watched",
]

NOTHING: Final = object()
"""What a signal leaves behind when it leaves no message."""


@final
class MonitorRef:
    """Names one monitor; each call of `monitor()` makes a new one (MON-1)."""

    __slots__ = ("name", "owner", "tag", "target")

    def __init__(self, owner: Cell | None, target: Cell | None, name: object = None, tag: object = None) -> None:
        self.owner = owner
        self.target = target
        self.name = name
        self.tag = tag

    def __repr__(self) -> str:
        return f"<MonitorRef on {self.name if self.name is not None else self.target}>"


@dataclass(frozen=True, slots=True)
class Exited:
    """A trapped exit signal, as a message (LINK-6).

    Attributes:
        source: the actor that ended or sent the signal; None: not an actor.
        reason: its exit reason.
    """

    source: Any
    reason: object


@dataclass(frozen=True, slots=True)
class Down:
    """The monitored actor has ended (MON-2).

    Attributes:
        monitor: the reference that `monitor()` returned.
        source: the actor, or the name, that was monitored.
        reason: its exit reason; `"noproc"` when it was not there.
    """

    monitor: MonitorRef
    source: object
    reason: object


class Envelope:
    """Anything in a mailbox that is not a plain message."""

    __slots__ = ()


@final
class Ask(Envelope):
    """A message together with the future that wants the reply."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any, reply_to: ScheduledFuture[Any]) -> None:
        self.message = message
        self.reply_to = reply_to


class Signal(Envelope):
    """Changes its receiver when it is taken in, alive or dead."""

    __slots__ = ()

    def apply(self, ref: Cell) -> object:
        """Act on a living receiver; return the message to leave, or `NOTHING`."""
        raise NotImplementedError

    def bounce(self, ref: Cell) -> None:
        """Act on a dead receiver; by default nothing (EXIT-11)."""


@final
class ExitSignal(Signal):
    """`exit/2`: from anybody to anybody (LINK-5 to LINK-7, EXIT-7)."""

    __slots__ = ("reason", "source")

    def __init__(self, source: Cell | None, reason: object) -> None:
        self.source = source
        self.reason = reason

    def apply(self, ref: Cell) -> object:
        reason = self.reason
        if _is(reason, KILL):
            ref.doom(KILLED)
            return NOTHING
        if ref.traps_exits:
            return Exited(self.source, reason)
        # LINK-7: only one's own `normal` ends one that does not trap.
        if not _is(reason, NORMAL) or self.source is ref:
            ref.doom(reason)
        return NOTHING


@final
class LinkExit(Signal):
    """A linked actor has ended (LINK-4 to LINK-6); dropped after an unlink (LINK-10)."""

    __slots__ = ("reason", "source")

    def __init__(self, source: Cell, reason: object) -> None:
        self.source = source
        self.reason = reason

    def apply(self, ref: Cell) -> object:
        links = ref.links
        if links is None or self.source not in links:
            return NOTHING
        ref.links = without_item(links, self.source)
        if ref.traps_exits:
            return Exited(self.source, self.reason)
        if not _is(self.reason, NORMAL):
            ref.doom(self.reason)
        return NOTHING


@final
class Linked(Signal):
    """The other side of a new link; a dead receiver answers with its absence (LINK-3)."""

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        ref.links = with_item(ref.links, self.source)
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        self.source.signal(LinkExit(ref, NOPROC))


@final
class Unlinked(Signal):
    """The other side of a link has taken it away."""

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        ref.links = without_item(ref.links, self.source)
        return NOTHING


@final
class Monitored(Signal):
    """Somebody wants to know of the receiver's end (MON-2, MON-3)."""

    __slots__ = ("monitor",)

    def __init__(self, monitor: MonitorRef) -> None:
        self.monitor = monitor

    def apply(self, ref: Cell) -> object:
        ref.watchers = with_item(ref.watchers, self.monitor)
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        owner = self.monitor.owner
        if owner is not None:
            owner.signal(DownSignal(self.monitor, NOPROC))


@final
class Demonitored(Signal):
    """The watcher has taken its monitor away (MON-6)."""

    __slots__ = ("monitor",)

    def __init__(self, monitor: MonitorRef) -> None:
        self.monitor = monitor

    def apply(self, ref: Cell) -> object:
        ref.watchers = without_item(ref.watchers, self.monitor)
        return NOTHING


@final
class DownSignal(Signal):
    """A monitor fires; dropped when it was taken away meanwhile (MON-6)."""

    __slots__ = ("monitor", "reason")

    def __init__(self, monitor: MonitorRef, reason: object) -> None:
        self.monitor = monitor
        self.reason = reason

    def apply(self, ref: Cell) -> object:
        monitor = self.monitor
        monitors = ref.monitors
        if monitors is None or monitor not in monitors:
            return NOTHING
        ref.monitors = without_item(monitors, monitor)
        return Down(monitor, monitor.name if monitor.name is not None else monitor.target, self.reason)


@final
class Watched(Signal):
    """A future that wants the exit reason: how a plain thread waits for an end."""

    __slots__ = ("future",)

    def __init__(self, future: ScheduledFuture[Any]) -> None:
        self.future = future

    def apply(self, ref: Cell) -> object:
        ref.watchers = with_item(ref.watchers, self.future)
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        self.future.offer(ref.exit_reason)


@final
class Suspended(Signal):
    """Hold back everything but signals until resumed (SRV-27)."""

    __slots__ = ()

    def apply(self, ref: Cell) -> object:
        ref.suspended = True
        return NOTHING


@final
class Resumed(Signal):
    """Let a suspended actor go on."""

    __slots__ = ()

    def apply(self, ref: Cell) -> object:
        ref.suspended = False
        return NOTHING


def _is(reason: object, name: str) -> bool:
    # A reason can be anything, also something with an __eq__ of its own.
    return isinstance(reason, str) and reason == name
