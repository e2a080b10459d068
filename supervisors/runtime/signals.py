"""What travels in a mailbox beside plain messages.

A *signal* is applied to its receiver when the receiver's owner takes it in, and
may leave a message in its place (SIG-1: two signals from one actor to another
arrive in the order they were sent, because they share the mailbox with the
messages; SIG-3 follows). Signals of different senders, or to different receivers, are
in no order that anybody may rely on (SIG-2): nothing here waits for another
mailbox to establish one. What a signal leaves is an ordinary message, in order with
all others (SIG-6). Link and monitor tables are therefore only ever touched by the thread
that owns the mailbox: there is no lock to forget and no race to lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

from supervisors.exits import KILL, KILLED, NOPROC, NORMAL, Crashed
from supervisors.runtime.small_set import with_item, without_item

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture

__all__ = [
    "NOTHING",
    "AliasMessage",
    "AliasMode",
    "AliasRef",
    "Ask",
    "ControlMessage",
    "Demonitored",
    "Down",
    "DownSignal",
    "Envelope",
    "ExitSignal",
    "Exited",
    "Interrupted",
    "LinkExit",
    "Linked",
    "MonitorRef",
    "Monitored",
    "NotThere",
    "Resumed",
    "Signal",
    "Suspended",
    "UnlinkTaken",
    "Unlinked",
    "Unwatched",
    "Watched",
]

NOTHING: Final = object()
"""What a signal leaves behind when it leaves no message."""


class ControlMessage:
    """Base of what the library itself puts among the messages, such as the ring of a timer.

    No user has sent it, so nothing counts it, holds it back or drops it as one of theirs.
    """

    __slots__ = ()


AliasMode: TypeAlias = Literal["explicit_unalias", "demonitor", "reply_demonitor", "reply"]
"""What ends an alias beside `unalias()` and its owner's end (ALIAS-2, ALIAS-4)."""


class AliasRef:
    """An address of an actor that the actor can take back (ALIAS-1).

    Whoever has it can send to it, from anywhere. Only its owner's turn changes
    `mode`, so a message arrives or vanishes, never both.

    Attributes:
        owner: the actor that gets what is sent.
        mode: what ends the alias; None: it has ended, or never was one.
    """

    __slots__ = ("mode", "owner")

    def __init__(self, owner: Cell | None, mode: AliasMode | None) -> None:
        self.owner = owner
        self.mode = mode

    def send(self, message: Any) -> None:
        """Send to the owner; once the alias has ended, the message is a dead letter.

        Never blocks and never raises. Messages sent by one actor arrive in order,
        also with those that it sends to the owner's own ref.

        Thread: any.
        """
        if self.owner is not None:
            self.owner.signal(AliasMessage(self, message))

    def __repr__(self) -> str:
        return f"<AliasRef of {self.owner}>"


@final
class MonitorRef(AliasRef):
    """Names one monitor; each call of `monitor()` makes a new one (MON-1).

    It can be an alias of the watcher at the same time (ALIAS-4); if it is none,
    what is sent to it vanishes as with one that has ended.
    """

    __slots__ = ("name", "tag", "target")

    def __init__(
        self,
        owner: Cell | None,
        target: Cell | None,
        name: object = None,
        tag: object = None,
        mode: AliasMode | None = None,
    ) -> None:
        super().__init__(owner, mode)
        self.target = target
        self.name = name
        self.tag = tag

    def over(self) -> None:
        """Note that the monitor has fired or was removed: some aliases end with it."""
        if self.mode != "explicit_unalias":
            self.mode = None

    def __repr__(self) -> str:
        return f"<MonitorRef on {self.name if self.name is not None else self.target}>"


@dataclass(frozen=True, slots=True)
class Exited:
    """A trapped exit signal, as a message (LINK-6).

    Attributes:
        source: the actor that ended or sent the signal (LINK-8); None: not an actor.
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

    @property
    def tag(self) -> object:
        """What the watcher put on the monitor to tell its messages apart (MON-11)."""
        return self.monitor.tag


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
class Interrupted(Signal):
    """A turn was interrupted when it had raised, and before it was known what that does to the actor: it ends."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def apply(self, ref: Cell) -> object:
        ref.doom(Crashed(self.error))
        return NOTHING


@final
class LinkExit(Signal):
    """A linked actor has ended (LINK-4 to LINK-6); dropped after an unlink (LINK-10).

    No reason has power of its own here: `"kill"` over a link can be trapped (EXIT-8).
    One that is linked and monitors gets an `Exited` and a `Down` for each monitor, in
    no order that is promised (SIG-7).
    """

    __slots__ = ("reason", "source")

    def __init__(self, source: Cell, reason: object) -> None:
        self.source = source
        self.reason = reason

    def apply(self, ref: Cell) -> object:
        links, source = ref.links, self.source
        if links is None or source not in links or (ref.system.unlinks and _unlinks(ref, source)):
            return NOTHING
        left: object = NOTHING
        if ref.traps_exits:
            left = Exited(source, self.reason)
        elif not _is(self.reason, NORMAL):
            ref.doom(self.reason)
        # Last: who is interrupted before that is applied again (Cell.take()).
        if links.__class__ is dict and len(links) > 1:
            del links[source]  # as with a supervisor of many
        else:
            ref.links = without_item(links, source)
        return left


@final
class NotThere(Signal):
    """Who was to be linked to is dead already (LINK-3): no message, so that it always gets in."""

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        if ref.traps_exits:
            return Exited(self.source, NOPROC)
        ref.doom(NOPROC)
        return NOTHING


@final
class Linked(Signal):
    """The other side of a new link; a dead receiver answers with its absence (LINK-3)."""

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        if not _unlinks(ref, self.source):
            ref.links = with_item(ref.links, self.source)
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        self.source.signal(LinkExit(ref, NOPROC))


@final
class Unlinked(Signal):
    """The other side of a link has taken it away; answered by `UnlinkTaken`.

    Both sides must end up with the same view, whatever crosses on the way:

    1. A and B link to each other at the same time, and A unlinks at once.
    2. B's `Linked`, sent before it has seen anything of this, reaches A last.
    3. A now believes in a link that B drops when it takes A's `Unlinked`.

    So A counts its unlinks that B has not answered yet, and until then drops what
    B says about a link: B has said it before it knew (LINK-1, LINK-10).
    """

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        ref.links = without_item(ref.links, self.source)
        self.source.signal(UnlinkTaken(ref))
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        self.source.signal(UnlinkTaken(ref))


@final
class UnlinkTaken(Signal):
    """The other side knows of the unlink: what it says about links counts again."""

    __slots__ = ("source",)

    def __init__(self, source: Cell) -> None:
        self.source = source

    def apply(self, ref: Cell) -> object:
        self.bounce(ref)
        return NOTHING

    def bounce(self, ref: Cell) -> None:
        unlinks = ref.system.unlinks
        left = unlinks.pop((ref, self.source)) - 1
        if left:
            unlinks[ref, self.source] = left


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
        monitor.over()
        down = Down(monitor, monitor.name if monitor.name is not None else monitor.target, self.reason)
        ref.monitors = without_item(monitors, monitor)  # last, as above
        return down


@final
class AliasMessage(Signal):
    """A message on its way to an alias, delivered only if that is active on arrival.

    A signal and not a message, because the alias may end between the sending and
    the arrival (ALIAS-1).
    """

    __slots__ = ("alias", "message")

    def __init__(self, alias: AliasRef, message: Any) -> None:
        self.alias = alias
        self.message = message

    def apply(self, ref: Cell) -> object:
        alias = self.alias
        mode = alias.mode
        if mode is None:
            ref.system.dead_letter(ref, self.message)
            return NOTHING
        if mode == "reply":
            alias.mode = None
        elif mode == "reply_demonitor" and isinstance(alias, MonitorRef):
            alias.mode = None
            if ref.monitors is not None and alias in ref.monitors:
                ref.monitors = without_item(ref.monitors, alias)
                if alias.target is not None:
                    alias.target.signal(Demonitored(alias))
        return self.message

    def bounce(self, ref: Cell) -> None:
        ref.system.dead_letter(ref, self.message)


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
class Unwatched(Signal):
    """Whoever waited for the end has given up."""

    __slots__ = ("future",)

    def __init__(self, future: ScheduledFuture[Any]) -> None:
        self.future = future

    def apply(self, ref: Cell) -> object:
        ref.watchers = without_item(ref.watchers, self.future)
        return NOTHING


@final
class Suspended(Signal):
    """Hold back everything but signals and system messages until resumed (SRV-27)."""

    __slots__ = ()

    def apply(self, ref: Cell) -> object:
        ref.suspended = 1
        return NOTHING


@final
class Resumed(Signal):
    """Let a suspended actor go on."""

    __slots__ = ()

    def apply(self, ref: Cell) -> object:
        ref.suspended = 0
        return NOTHING


def _unlinks(ref: Cell, other: Cell) -> bool:
    """Tell whether an unlink of the receiver's is still on its way to the other one."""
    unlinks = ref.system.unlinks
    return bool(unlinks) and (ref, other) in unlinks


def _is(reason: object, name: str) -> bool:
    # A reason can be anything, also something with an __eq__ of its own.
    return isinstance(reason, str) and reason == name
