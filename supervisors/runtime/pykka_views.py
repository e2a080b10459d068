"""What Pykka wants to see of an actor that it did not make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.runtime.outcomes import AskTimeoutError

if TYPE_CHECKING:
    import pykka

    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef

__all__ = ["Inbox", "Stopped", "copy_outcome"]


class Inbox:
    """Pykka's view of a mailbox: `put` works, reading is the runtime's."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def put(self, envelope: Any, /) -> None:
        """Put a Pykka envelope: an ask if it wants a reply, else a message."""
        if envelope.reply_to is None:
            self._ref.send(envelope.message)
        else:
            self._ref.forward(envelope.message, envelope.reply_to)

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return self._ref.mailbox_length == 0


class Stopped:
    """Looks like the `threading.Event` that Pykka keeps for each actor."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def is_set(self) -> bool:
        """Tell whether the actor is dead."""
        return not self._ref.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the actor's end, at most so many seconds; inside a turn as `ActorRef.join()` does."""
        try:
            self._ref.join(timeout)
        except AskTimeoutError:
            return False
        return True


def copy_outcome(done: ScheduledFuture[Any], other: pykka.Future[Any]) -> None:
    """Hand the outcome of a future on to one of another kind."""
    try:
        value = done.get()
    except BaseException as error:  # noqa: BLE001 - handed on as it is
        other.set_exception((type(error), error, error.__traceback__))
    else:
        other.set(value)
