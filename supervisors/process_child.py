"""The other process of an actor with the dispatch `"process"`: ``python -m supervisors.process_child``.

It reads frames from what was standard input and answers on what was standard output; what
the actor prints goes to standard error. In a simulation it has two pipes instead. The
actor lives in an `ActorSystem` of its own here, so that everything an actor can do works,
among the actors of this process.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, final

from supervisors.errors import Exit, IgnoreStart, Refusal, UsageError
from supervisors.exits import SHUTDOWN, Crashed, describe
from supervisors.runtime.frames import Frames, Packing, UnreadableError, in_words, plain_text
from supervisors.runtime.outcomes import ActorDeadError, StartError
from supervisors.runtime.program import begin
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.replies import Reply
from supervisors.runtime.signals import NOTHING, Signal
from supervisors.system import ActorSystem
from supervisors.timers.service import SECONDS_MAX

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell

__all__ = ["main", "serve"]


def main() -> int:
    """Serve one actor until the parent closes the pipe or the actor ends."""
    return serve(*begin(), ActorSystem)


def serve(reader: BinaryIO, writer: BinaryIO, make_system: Callable[..., ActorSystem]) -> int:
    """Serve one actor over two pipes, in a system of its own; return the exit code."""
    first = Frames(reader, writer).read()
    if first is None:
        return 0
    sys.path[:] = first[0]
    actor_class: Any = importlib.import_module(first[1])
    for name in first[2].split("."):
        actor_class = getattr(actor_class, name)
    frames = Frames(reader, writer, Packing(actor_class.message_coders))
    with make_system(ask_timeout=None, shutdown_timeout=SECONDS_MAX) as system:  # the parent has limits
        frames.write("hello")
        try:
            arguments = frames.read()
        except UnreadableError as error:
            frames.write("failed", *_told(error))
            return 0
        if arguments is None:
            return 0
        try:
            ref: ActorRef[Any] = system.spawn(
                actor_class, tuple(arguments[0]), arguments[1], link=False, report=True, dispatch="inline"
            )
        except IgnoreStart:
            frames.write("ignored")
            return 0
        except StartError as error:
            frames.write("failed", *_told(error.__cause__ or error))
            return 0
        ref.__class__ = type(type(ref).__name__, (_Served, type(ref)), {"__slots__": ()})
        frames.write("up")
        _serve(frames, ref)
    return 0


class _Served(ActorRef[Any]):
    """The ref of the actor that is served here: who asks it waits, and nothing else comes meanwhile."""

    __slots__ = ()

    def defer(self) -> Reply:
        raise UsageError("an actor in another process cannot defer a reply: no message reaches it before it is given")


def _serve(frames: Frames, ref: ActorRef[Any]) -> None:
    while True:
        try:
            frame = frames.read()
        except UnreadableError as error:
            frames.write("unreadable", plain_text(str(error)))
            continue
        if frame is None:
            ref.signal(_Stop(SHUTDOWN))
            return
        if frame[0] == "stop":
            frames.write(*_stop(ref, frame[1]))
            return
        kind, message = frame
        answer: tuple[str, Any]
        try:
            if kind == "ask":
                answer = ("reply", ref.ask(message))
            else:
                _tell(ref, message)
                answer = ("reply", None)
        except Refusal as error:
            answer = ("refused", _told(error))
        except ActorDeadError as error:
            answer = ("ended", plain_text(describe(error.reason)))
        except Exception as error:  # noqa: BLE001 - the parent gets it
            answer = ("raised", _told(error)) if ref.is_alive() else ("crashed", _told(error))
        if not ref.is_alive() and answer[0] == "reply":
            answer = ("ended", plain_text(describe(ref.exit_reason)))
        try:
            frames.write(*answer)
        except TypeError as error:
            frames.write("raised", _told(error))
        if not ref.is_alive():
            return


@final
class _Stop(Signal):
    """The end that the parent has decided on: it cannot be trapped, and the actor cleans up."""

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason

    def apply(self, ref: Cell) -> object:
        ref.doom(self.reason)
        return NOTHING


def _stop(ref: ActorRef[Any], reason: str) -> tuple[str, Any]:
    """End the actor, and say how that went."""
    ref.signal(_Stop(reason))
    end = ref.join()
    if isinstance(end, Crashed):
        return "crashed", _told(end.error)
    return "ended", plain_text(describe(end))


def _tell(ref: ActorRef[Any], message: Any) -> None:
    ref.tell(message)
    reason = ref.exit_reason
    error = getattr(reason, "error", None)
    if isinstance(error, Exception) and not isinstance(error, Exit):
        raise error


def _told(error: BaseException) -> list[str]:
    """Return an exception as text: its type, what it says, its code if it is a refusal, its traceback."""
    kind, said = in_words(error).split(": ", 1)
    told = "".join(traceback.format_exception(error))
    return [kind, said, plain_text(str(getattr(error, "code", ""))), plain_text(told)]


if __name__ == "__main__":
    sys.exit(main())
