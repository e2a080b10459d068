"""What isolation has done in a session's own turn: measuring, metering, collecting.

A session's state belongs to its turn, so a service does not look into it; it sends an
errand, which the session runs like a message. A session that hangs does not answer,
and holds up nobody.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from sessionactors.errors import CollectionFailed
from sessionactors.footprint import data_size, size_of

if TYPE_CHECKING:
    from sessionactors.settings import SessionOptions
    from supervisors.runtime.ref import ActorRef

__all__ = ["ACTOR_BYTES", "MEASURED", "Collect", "Errand", "Measure", "Meter", "SetMeter", "TellOptions"]

MEASURED: Final = "measured"
"""What isolation is told: `(MEASURED, session id, ref, bytes)`."""

ACTOR_BYTES: Final = 600
"""An actor with its ref and its entries in the tables of the system, measured."""

_OUR_OWN: Final = frozenset({
    "_activation",
    "_actor_ref",
    "_around",
    "_is_accounted_for",
    "_subscribers",
    "_timer",
    "data",
    "receive_ask",
    "requests",
})  # fmt: skip
_YOUNG: Final = 1


class Errand(ABC):
    """Something to be done in a session's turn.

    Attributes:
        is_use: somebody wants to use or to see the session, and is to find none that is expired.
    """

    __slots__ = ()

    is_use: ClassVar[bool] = False

    @abstractmethod
    def run(self, session: Any) -> object:
        """Do it."""

    def look(self, sleeper: Any) -> object:
        """Do it without waking the session, which sleeps; `NotImplemented` wakes it."""
        del sleeper
        return NotImplemented


@final
class Measure(Errand):
    """Tell isolation how much memory the session holds.

    Args:
        to: isolation.
    """

    __slots__ = ("_to",)

    def __init__(self, to: ActorRef[Any]) -> None:
        self._to = to

    def run(self, session: Any) -> None:
        """Measure, and send the figure."""
        size = ACTOR_BYTES + data_size(session.data)
        for name, value in session.__dict__.items():
            if name not in _OUR_OWN:
                size += size_of(value)
        self._to.send((MEASURED, session.data.session_id, session.actor_ref, size))

    def look(self, sleeper: Any) -> None:
        """Send the figure of a session that sleeps."""
        self._to.send((MEASURED, sleeper.session_id, sleeper.actor_ref, sleeper.footprint))


@final
class Meter:
    """The CPU seconds that one session's turns have taken.

    Args:
        session_id: whose meter it is.
        read: reads the CPU seconds of the running thread.
        used: gets this meter once it has something new; the reader sets `is_noted` back.

    Attributes:
        seconds: so far; written in the session's turns only.
        is_noted: it is in `used` already.
    """

    __slots__ = ("is_noted", "read", "seconds", "session_id", "used")

    def __init__(self, session_id: str, read: Callable[[], float], used: list[Meter]) -> None:
        self.session_id = session_id
        self.read = read
        self.used = used
        self.seconds = 0.0
        self.is_noted = False

    def around(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the handler with the meter running while it does."""
        read = self.read

        def metered(message: Any) -> Any:
            begun = read()
            try:
                return handler(message)
            finally:
                self.seconds += read() - begun
                if not self.is_noted:
                    self.is_noted = True
                    self.used.append(self)

        return metered


@final
class SetMeter(Errand):
    """Measure the CPU time of every turn of the session from now on, or of none any more.

    Without a meter a turn costs what it always did: the meter is put in front of
    the handler of this one actor.

    Args:
        meter: None takes it off.
    """

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter

    def run(self, session: Any) -> None:
        """Put the meter in front of the handler, or take it away."""
        session.__dict__.pop("receive_ask", None)
        if self._meter is not None:
            session.__dict__["receive_ask"] = self._meter.around(session.receive_ask)


@final
class TellOptions(Errand):
    """Answer with the session's options."""

    __slots__ = ()

    def run(self, session: Any) -> SessionOptions:
        """Return the options."""
        options: SessionOptions = session.data.options
        return options

    def look(self, sleeper: Any) -> SessionOptions:
        """Return the options; a sleeper has them at hand."""
        options: SessionOptions = sleeper.options
        return options


@final
class Collect(Errand):
    """Have the session release what it can make again, and collect young garbage."""

    __slots__ = ()

    def run(self, session: Any) -> int:
        """Call the session's hook, then the collector; return how many objects it has freed.

        Raises:
            CollectionFailed: the hook raised; the session goes on.
        """
        try:
            session.on_memory_pressure()
        except Exception as error:
            raise CollectionFailed(f"on_memory_pressure() raised {type(error).__name__}") from error
        # Not a full collection: that takes a second in a process with a million sessions.
        return gc.collect(_YOUNG)
