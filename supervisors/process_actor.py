"""The stand-in, in this process, of an actor that lives in another one.

It has a thread of its own (it is pinned), which writes each message to the other
process and waits until that has handled it. So order, mailbox bounds by stopping to
read, links, monitors and names are those of any actor. Killing it kills the process.
A second thread waits for the end of the process.

The process is one of the system's `machine`: a simulation has simulated ones.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from supervisors.actor import Actor
from supervisors.errors import Exit, IgnoreStart, InvalidArgumentError, InvalidTypeError, Refusal, SupervisorsError
from supervisors.exits import KILLED, Crashed, describe
from supervisors.runtime.frames import Frames, Packing, UnreadableError, plain_text
from supervisors.runtime.machine import Program
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.process_ref import ref_to_process
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES

if TYPE_CHECKING:
    from supervisors.runtime.machine import Process

__all__ = ["ProcessActor", "ProcessEnded", "RemoteError", "RemoteRefusal"]

logger = logging.getLogger("supervisors.process")

PROGRAM: Final = Program("supervisors.process_child", own_session=True)

EXIT_SECONDS: Final = 5.0
"""Seconds that a process has to end once its actor has ended by itself, or its pipe is closed; then it is killed.

A cleanup that somebody has asked for has no limit here: whoever has asked has one, and kills.
"""


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """An exit reason: the process has ended, and nobody had asked for it.

    Attributes:
        exit_code: what it returned; None if a signal has ended it.
        signal_name: such as `"SIGSEGV"`; None if it has returned.
        out_of_memory: the kernel killed a process for want of memory meanwhile,
            and this one got the signal that it uses. Without the kernel, a process that
            gets no more memory raises `MemoryError`, which is a crash like any other.
    """

    exit_code: int | None
    signal_name: str | None
    out_of_memory: bool = False


class RemoteError(SupervisorsError):
    """An exception in the other process, told in words.

    Attributes:
        kind: the name of its type.
        trace: its traceback there.
    """

    def __init__(self, kind: str, message: str, _code: str, trace: str) -> None:
        self.kind = kind
        self.trace = trace
        super().__init__(f"{kind}: {message}")


class RemoteRefusal(Refusal):
    """A refusal by an actor in another process; `code` is that of the original."""

    def __init__(self, kind: str, message: str, code: str, _trace: str) -> None:
        self.kind = kind
        self.code = code
        super().__init__(message)


class ProcessActor(Actor):
    """Passes everything on to an actor in a process of its own.

    Args:
        actor_class: what runs there; importable by its module and name.
        args: for its constructor, as far as msgpack can carry them.
        kwargs: the same.
    """

    dispatch = "pinned"
    ref_class = staticmethod(ref_to_process)

    def __init__(self, actor_class: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name = actor_class.__qualname__
        if "<locals>" in name or actor_class.__module__ == "__main__":
            raise InvalidArgumentError("actor_class", name[:40], "one that can be imported")
        self.packing = Packing(actor_class.message_coders)
        super().__init__()
        self._made_of = (actor_class, args, kwargs)
        self._process: Process | None = None
        self._frames: Frames | None = None
        self._expected = False
        self._is_over = False
        self._killed_before = self.system.machine.memory_kills()

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid if self._process is not None else None

    @property
    def crash_on_ask_error(self) -> bool:  # type: ignore[override]  # that of the class is the other process's matter
        """Whether the error that is raised has ended the actor there."""
        return self._is_over

    def starting(self) -> None:
        actor_class, args, kwargs = self._made_of
        process = self._process = self.system.machine.process(PROGRAM)
        if self._expected:
            # Killed before there was a process: ended() has set this, found none, and does not come again.
            self.ended()
            raise Exit(KILLED)
        frames = self._frames = Frames(process.reader, process.writer, self.packing)
        answer = self._exchange(list(sys.path), actor_class.__module__, actor_class.__qualname__)
        if answer[0] == "hello":
            answer = self._exchange(list(args), kwargs)
        self._is_over = answer[0] != "up"
        if answer[0] == "ignored":
            raise IgnoreStart
        if answer[0] == "failed":
            raise StartError(Crashed(RemoteError(*answer[1:])), actor_class.__name__)
        assert frames is self._frames
        process.when_ended(self._tell_end)

    def receive_ask(self, message: Any) -> Any:
        if message.__class__ in PYKKA_MESSAGES:
            return super().receive_ask(message)
        return self._outcome(self._exchange("ask", message))

    def receive_tell(self, message: Any) -> None:
        if message.__class__ in PYKKA_MESSAGES:
            super().receive_tell(message)
            return
        try:
            self._outcome(self._exchange("tell", message))
        except (InvalidTypeError, UnreadableError):
            # The sender has changed it since it was looked at, or it was none of a sender's; or the other side
            # cannot make it out. Nobody waits for it.
            logger.warning("%s: a message cannot travel", self, exc_info=True)
            self.system.dead_letter(self.actor_ref, message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        del crash, by_signal
        self._expected = True
        process, frames = self._process, self._frames
        if process is None or frames is None or process.poll() is not None:
            return reason
        if self._is_over:
            self._exit_code()
            return reason
        try:
            frames.write("stop", plain_text(describe(reason)))
            answer = frames.read()
        except (OSError, ValueError):
            answer = None
        if answer is None:
            return self._why()  # it has not said that it has cleaned up
        process.wait(None)
        if answer[0] == "crashed":
            raise RemoteError(*answer[1])
        return reason

    def ended(self) -> None:
        self._expected = True
        process = self._process
        if process is None:
            return
        if process.poll() != 0:
            process.signal(signal.SIGKILL)  # what it has started does not outlive it, unless it has ended as planned
        process.wait(None)
        process.close()

    def _exchange(self, *frame: Any) -> list[Any]:
        frames = self._frames
        assert frames is not None
        try:
            frames.write(*frame)
            answer = frames.read()
        except SupervisorsError:
            raise  # about what is in it
        except (OSError, ValueError):
            answer = None
        if answer is None:
            raise Exit(self._why())
        return answer

    def _outcome(self, answer: list[Any]) -> Any:
        kind, told = answer
        if kind == "reply":
            return told
        if kind == "refused":
            raise RemoteRefusal(*told)
        if kind == "raised":
            raise RemoteError(*told)
        if kind == "unreadable":
            raise UnreadableError(told)
        self._is_over = True
        if kind == "crashed":
            raise RemoteError(*told)
        raise Exit(told)

    def _exit_code(self) -> int:
        process = self._process
        assert process is not None
        code = process.wait(EXIT_SECONDS)
        if code is None:
            process.signal(signal.SIGKILL)
            code = process.wait(None)
            assert code is not None, "a wait without end has one"
        return code

    def _why(self) -> ProcessEnded:
        code = self._exit_code()
        if code >= 0:
            return ProcessEnded(code, None)
        memory = -code == signal.SIGKILL and self.system.machine.memory_kills() > self._killed_before
        return ProcessEnded(None, signal.Signals(-code).name, memory)

    def _tell_end(self) -> None:
        if not self._expected:
            # Nobody may be asking it just now; a signal tells all the same.
            self.actor_ref.exit(self._why())
