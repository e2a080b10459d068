"""What an actor system does right now, for people and programs that look from outside.

Nothing here is called while messages are handled, and nothing waits for an actor but
`state()`, which has a deadline and asks through the mailbox. Every answer has an upper
bound, and one answer at a time walks over the living.
"""

from __future__ import annotations

import heapq
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.inspection.asking import Asking
from supervisors.inspection.branches import NODES_MAX, Branch, branches
from supervisors.inspection.details import ActorDetails, details_of
from supervisors.inspection.errors import InspectorBusyError, NoSuchActorError, StateUnknownError
from supervisors.inspection.insides import actor_of
from supervisors.inspection.plain import on_one_line, plain
from supervisors.inspection.restarts import Restarts
from supervisors.inspection.rows import ActorRow, InHand, Looks, label_of, row_of
from supervisors.inspection.trace import Trace
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.watchdog import stack_of
from supervisors.state import StateRequest
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from types import TracebackType

    from supervisors.runtime.cell import Cell
    from supervisors.system import ActorSystem

__all__ = [
    "CHILDREN_MAX",
    "DUMP_MAX",
    "PAGE_ROWS",
    "ROWS_MAX",
    "SORTS",
    "STATE_TIMEOUT",
    "Inspector",
    "checked_count",
    "matches",
]

ROWS_MAX: Final = 1_000
"""Actors in one answer of `ps()`; ask again with `after` for the next ones."""

PAGE_ROWS: Final = 200
"""Actors in one page of `pages()`, and in one line of an answer to another process."""

CHILDREN_MAX: Final = 20
"""Children of one actor that `tree()` shows unless told otherwise."""

STATE_TIMEOUT: Final = 2.0
"""Seconds that an actor has to show its state unless told otherwise."""

DUMP_MAX: Final = 4 * 1024 * 1024
"""Characters of a dump."""

_TIMEOUT_MAX: Final = 60.0
_PATIENCE: Final = 5.0  # seconds to wait for other walks over the living

SORTS: Final = ("id", "mailbox", "messages", "restarts")
"""What `ps()` can be sorted by."""


@final
class Inspector:
    """Looks into one actor system.

    It listens to supervisor reports, to count restarts, until `close()`.

    Args:
        system: what is looked into.

    Attributes:
        system: the same.
        restarts: how often children were started again since the inspector is there.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> class Greeter(Actor):
        ...     pass
        >>> with ActorSystem() as system, Inspector(system) as inspector:
        ...     _ = system.start(Greeter, name="greeter")
        ...     [(row.id, row.name, row.status) for row in inspector.ps()]
        [(1, 'greeter', 'idle')]

    Thread: every method is safe anywhere, but not inside the turn of an actor of the system.
    """

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.restarts = Restarts()
        self._asking = Asking()
        self._walking = threading.Lock()  # held while somebody walks over the living, so that it is one at a time
        self._looking = threading.Lock()  # guards _looks
        self._looks = Looks(system)
        self._end = system.on_report(self.restarts.hear)

    def close(self) -> None:
        """Stop listening to reports; more than once is fine."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- all of them ---------------------------------------------------------------

    def ps(self, *, sort: str = "id", limit: int = 100, after: int = 0, match: str = "") -> list[ActorRow]:
        """Return living actors.

        Args:
            sort: `"id"`: in order of start; else those with the most first: `"mailbox"`,
                `"messages"` (handled so far), `"restarts"`.
            limit: actors in the answer, 1 to 1,000.
            after: only those with a higher number; together with `"id"` this pages.
            match: only those in whose name or class this text is; case does not count.

        Raises:
            InvalidArgumentError: one of these is not allowed.
            InspectorBusyError: others are looking, and it takes too long.
        """
        if sort not in SORTS:
            raise InvalidArgumentError("sort", sort, f"one of {', '.join(SORTS)}")
        checked_count("limit", limit, ROWS_MAX)
        checked_count("after", after, 2**63 - 1, least=0)
        with self.walk() as living:
            restarts = self.restarts.counts()
            wanted = (ref for ref in living if ref.id > after)
            if match:
                wanted = (ref for ref in wanted if matches(ref, match))
            if sort == "id":
                found = list(islice(wanted, limit))
            else:
                found = heapq.nlargest(limit, wanted, key=_KEYS[sort](restarts))
            in_hand = self.in_hand()
            return [row_of(ref, in_hand, restarts) for ref in found]

    def pages(self, *, limit: int, after: int = 0, match: str = "") -> Iterator[list[ActorRow]]:
        """Yield living actors in order of start, 200 at once; who starts meanwhile is not among them.

        Each page is read when it is wanted, so that nobody holds the rows of all. Arguments as of `ps()`,
        but that the limit has no upper bound.
        """
        checked_count("limit", limit, 2**63 - 1)
        checked_count("after", after, 2**63 - 1, least=0)
        living = self.system.actors()
        return self._rows((ref for ref in living if ref.id > after), limit, match)

    def _rows(self, refs: Iterator[ActorRef[Any]], limit: int, match: str) -> Iterator[list[ActorRow]]:
        wanted = (ref for ref in refs if ref.is_alive() and (not match or matches(ref, match)))
        while limit > 0 and (page := list(islice(wanted, min(limit, PAGE_ROWS)))):
            limit -= len(page)
            in_hand, restarts = self.in_hand(), self.restarts.counts()
            yield [row_of(ref, in_hand, restarts) for ref in page]

    def tree(self, ref: ActorRef[Any] | str | int | None = None, *, children: int = CHILDREN_MAX) -> tuple[Branch, ...]:
        """Return the living actors below one, or all of them, as their parents started them; nobody is asked.

        Args:
            ref: where to begin; None begins with those that have no parent.
            children: how many of one actor are shown, 1 to 10,000; the others are counted.

        Raises:
            NoSuchActorError: nobody is meant.
            InspectorBusyError: others are looking, and it takes too long.
        """
        checked_count("children", children, NODES_MAX)
        below = None if ref is None else self.find(ref)
        with self.walk() as living:
            return branches(living, below, self.in_hand(), self.restarts.counts(), children_max=children)

    def dump(self, longest: int = 20) -> str:
        """Return who is busy with what, with stacks, who waits for whom, and full mailboxes, as text for people."""
        checked_count("longest", longest, ROWS_MAX)
        with self.walk():
            return self.system.dump(longest)[:DUMP_MAX]

    # -- one of them ---------------------------------------------------------------

    def find(self, reference: ActorRef[Any] | str | int) -> ActorRef[Any]:
        """Return the living actor that is meant.

        Args:
            reference: a ref; a number, as `17` or `"17"` or `"#17"`; a name; or a URN.

        Raises:
            NoSuchActorError: nobody is.
            InvalidTypeError: it is none of these.
        """
        if isinstance(reference, ActorRef):
            if reference.system is not self.system or not reference.is_alive():
                raise NoSuchActorError(str(reference))
            return reference
        if isinstance(reference, bool) or not isinstance(reference, (str, int)):
            raise InvalidTypeError("ref", reference, "a number, a name, a URN or an ActorRef")
        if isinstance(reference, str):
            named = self.system.whereis(reference)
            if named is not None:
                return named
        number = _number_in(reference, self.system)
        found = None if number is None else self.system.living.get(number)
        if found is None and isinstance(reference, str):
            found = self._named(reference)
        if found is None:
            raise NoSuchActorError(on_one_line(str(reference)[:200]))
        return found

    def info(self, ref: ActorRef[Any] | str | int) -> ActorDetails:
        """Return everything about an actor that can be seen without asking it.

        Raises:
            NoSuchActorError: nobody is meant.
        """
        found = self.find(ref)
        in_hand = self.in_hand()
        row = row_of(found, in_hand, self.restarts.counts())
        held = in_hand.get(found)
        frame = None if held is None else sys._current_frames().get(held.thread_id)  # noqa: SLF001 - there is no public way
        return details_of(found, row, None if frame is None else stack_of(frame))

    def state(self, ref: ActorRef[Any] | str | int, *, timeout: float = STATE_TIMEOUT) -> Any:
        """Return the state of an actor as plain data; what is secret by its name is left out.

        A server or state machine is asked for it, between two of its messages. Any other
        actor is looked at from outside, perhaps in the middle of a message.

        Args:
            ref: whose.
            timeout: seconds that it has to answer, at most 60.

        Raises:
            NoSuchActorError: nobody is meant.
            ActorEndedError: it has ended meanwhile.
            ActorHangsError: it has not answered in time.
            StateUnknownError: it lives in another process.
        """
        timeout = checked_delay("timeout", timeout)
        if timeout > _TIMEOUT_MAX:
            raise InvalidArgumentError("timeout", timeout, f"at most {_TIMEOUT_MAX:g} seconds")
        found = self.find(ref)
        kind: Any = found.actor_class
        if kind.dispatch == "process":
            raise StateUnknownError(f"{found} lives in another process, which cannot be looked into")
        if StateRequest in kind.client_messages:
            return plain(self._asking.ask(found, StateRequest(None), timeout))
        actor = actor_of(found)
        own = {} if actor is None else dict(vars(actor))
        own.pop("_actor_ref", None)
        return plain(own)

    def ask(self, ref: ActorRef[Any] | str | int, message: object, *, timeout: float = STATE_TIMEOUT) -> Any:
        """Ask an actor something that it understands, without running it on this thread; raises as `state()`.

        Args:
            ref: the actor: its ref, its name or its number.
            message: for the actor.
            timeout: seconds to wait for its answer.
        """
        return self._asking.ask(self.find(ref), message, checked_delay("timeout", timeout))

    def trace(self, ref: ActorRef[Any] | str | int, *, seconds: float = 60.0, rate: int = 100) -> Trace:
        """Return a trace of an actor's messages that is to be started; see `Trace`.

        Args:
            ref: the actor: its ref, its name or its number.
            seconds: after which it ends by itself.
            rate: messages a second that are told at most.

        Raises:
            NoSuchActorError: nobody is meant.
            InvalidArgumentError: too long, or too many.
        """
        return Trace(self.find(ref), seconds=seconds, rate=rate)

    # -- for those who show more ---------------------------------------------------

    @contextmanager
    def walk(self) -> Iterator[list[ActorRef[Any]]]:
        """Give the living actors in order of start, to one thread at a time.

        Raises:
            InspectorBusyError: others have it, and it takes too long.
        """
        if not self._walking.acquire(timeout=_PATIENCE):
            raise InspectorBusyError("others are looking at all actors; try again later")
        try:
            yield self.system.actors()
        finally:
            self._walking.release()

    def in_hand(self) -> dict[Cell, InHand]:
        """Return who has a message in hand now, and for how long that has been seen."""
        with self._looking:
            return self._looks.now()

    def _named(self, text: str) -> ActorRef[Any] | None:
        """Find somebody by how the name is shown, because a name need not be text."""
        with self.walk() as living:
            for ref in living:
                if ref.name is not None and not isinstance(ref.name, str) and label_of(ref) == text:
                    return ref
        return None


def checked_count(field: str, given: object, most: int, *, least: int = 1) -> int:
    """Return a whole number within bounds, or raise what names the field."""
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise InvalidArgumentError(field, given, f"an integer from {least} to {most}")
    return given


def matches(ref: Cell, text: str) -> bool:
    """Tell whether a text is in an actor's name or class; case does not count."""
    wanted = text.casefold()
    if wanted in ref.actor_class.__name__.casefold():
        return True
    label = label_of(ref)
    return label is not None and wanted in label.casefold()


def _number_in(reference: str | int, system: ActorSystem) -> int | None:
    if isinstance(reference, int):
        return reference
    digits = reference.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(digits)
    if reference.startswith("urn:uuid:") and len(reference) == 45:
        # The last 62 bits are the number; see `ActorRef.actor_urn`.
        try:
            number = int(reference[9:].replace("-", ""), 16) & ((1 << 62) - 1)
        except ValueError:
            return None
        found = system.living.get(number)
        return number if found is not None and found.actor_urn == reference else None
    return None


_KEYS: Final[dict[str, Callable[[dict[int, int]], Callable[[ActorRef[Any]], int]]]] = {
    "mailbox": lambda _restarts: lambda ref: ref.mailbox_length,
    "messages": lambda _restarts: lambda ref: ref.messages_handled,
    "restarts": lambda restarts: lambda ref: restarts.get(ref.id, 0),
}
