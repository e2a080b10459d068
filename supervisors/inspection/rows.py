"""What can be seen of an actor without asking it anything.

Everything here is read from where the runtime keeps it anyway, so an actor that
hangs is seen as well as any other, and nobody waits for anybody. Each value is right
for some moment of the reading; two of them need not be right for the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, final

from supervisors.inspection.insides import actor_of
from supervisors.inspection.plain import on_one_line
from supervisors.runtime.turn import all_turns

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["HUNG_AFTER", "ActorRow", "InHand", "Looks", "Status", "label_of", "row_of"]

HUNG_AFTER: Final = 5.0
"""Seconds with one message in hand after which an actor is shown as `hung`."""

Status: TypeAlias = Literal["idle", "ready", "running", "waiting", "hung", "suspended", "ending", "asleep"]
"""`ready`: messages wait and nobody handles one; `waiting`: for a reply of another actor;
`asleep`: it hibernates."""


@final
@dataclass(frozen=True, slots=True)
class ActorRow:
    """One actor.

    Attributes:
        id: its number in the system, in order of start.
        name: its name in words, or None; of a session without one its id.
        actor_class: the name of its class.
        status: what it does; see `Status`.
        mailbox: messages that wait.
        handled: messages handled so far.
        seconds: how long it has been seen with the message in hand; None without one.
        restarts: how often it was started again after a failure, as far as was seen.
        dispatch: `"inline"`, `"shared"`, `"pinned"` or `"process"`.
        parent: the number of the actor that started and linked it; None when there is none.
        waits_for: the number of the actor whose reply it waits for; None when there is none.
    """

    id: int
    name: str | None
    actor_class: str
    status: Status
    mailbox: int
    handled: int
    seconds: float | None
    restarts: int
    dispatch: str
    parent: int | None
    waits_for: int | None


class InHand(NamedTuple):
    """An actor that is handling a message.

    Attributes:
        thread_id: of the thread that runs it.
        seconds: since it was first seen with this message; 0 at the first look.
    """

    thread_id: int
    seconds: float


@final
class Looks:
    """Remembers who was seen with which message in hand.

    The watchdog of the system looks many times a second, so what it has seen counts;
    a system without one knows only of the looks of this object.

    Thread: one at a time.
    """

    __slots__ = ("_seen", "_system")

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._seen: dict[int, tuple[Cell, int, float]] = {}

    def now(self) -> dict[Cell, InHand]:
        """Return who has a message in hand at this moment."""
        system, now = self._system, self._system.clock.monotonic()
        watchdog = system._watchdog  # noqa: SLF001 - what it has seen is nobody else's to know
        watched: Mapping[int, Any] = {} if watchdog is None else watchdog._seen  # noqa: SLF001 - as above
        found: dict[Cell, InHand] = {}
        seen: dict[int, tuple[Cell, int, float]] = {}
        for turn in all_turns():
            ref = turn.current
            if ref is None or ref.system is not system:
                continue
            thread_id, handled = turn.thread_id, ref.messages_handled
            since = now
            for before in (self._seen.get(thread_id), watched.get(thread_id)):
                if before is not None and before[0] is ref and before[1] == handled:
                    since = min(since, before[2])
            seen[thread_id] = (ref, handled, since)
            found[ref] = InHand(thread_id, now - since)
        self._seen = seen
        return found


def label_of(ref: Cell) -> str | None:
    """Return an actor's name in words; of one without a name, what its class shows it as; or None.

    A class of actors of which there are very many says so with a method `_shown_as()`: it only
    reads, on a thread that is not the actor's, and is never user code.
    """
    if ref.name is not None:
        return on_one_line(ref.name)
    shown_as = getattr(ref.actor_class, "_shown_as", None)
    actor = None if shown_as is None else actor_of(ref)
    if shown_as is None or actor is None:
        return None
    try:
        return on_one_line(shown_as(actor))
    except Exception:  # noqa: BLE001 - it starts just now, and has not what the label is made of
        return None


def row_of(ref: ActorRef[Any], in_hand: Mapping[Cell, InHand], restarts: Mapping[int, int]) -> ActorRow:
    """Read one actor.

    Args:
        ref: which.
        in_hand: who has a message in hand.
        restarts: by number.
    """
    held = in_hand.get(ref)
    waits_for = ref.waits_for
    parent = ref.parent
    length = ref.mailbox_length
    return ActorRow(
        ref.id,
        label_of(ref),
        ref.actor_class.__name__,
        _status(ref, held, length),
        length,
        ref.messages_handled,
        None if held is None else held.seconds,
        restarts.get(ref.id, 0),
        _dispatch(ref),
        None if parent is None else parent.id,
        None if waits_for is None else waits_for.id,
    )


def _dispatch(ref: ActorRef[Any]) -> str:
    # Who stands in for a process runs as an actor of this one.
    return "process" if getattr(ref.actor_class, "dispatch", None) == "process" else ref.dispatch


def _status(ref: ActorRef[Any], held: InHand | None, length: int) -> Status:
    if held is not None and ref.waits_for is None and held.seconds >= HUNG_AFTER:
        return "hung"
    if ref.ending:
        return "ending"
    if ref.waits_for is not None:
        return "waiting"
    if held is not None:
        return "running"
    if ref.suspended:
        return "suspended"
    if length:
        return "ready"
    return "idle" if actor_of(ref) is not None else "asleep"
