"""Faults of whole processes: killed, stopped, and short of memory or files. Linux, for the limits."""

from __future__ import annotations

import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import psutil

from supervisors.errors import InvalidArgumentError, SupervisorsError
from supervisors.pools import child
from supervisors.process_actor import ProcessActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import ActorRef

__all__ = ["ProcessVictim", "UnsupportedFaultError", "do_to_process", "named_process", "pool_processes", "process_of"]

_LIMITS: Final = {"process_memory": resource.RLIMIT_AS, "process_files": resource.RLIMIT_NOFILE}
_PID_MIN: Final = 2


@final
@dataclass(frozen=True, slots=True)
class ProcessVictim:
    """A process, told from a later one with the same number.

    Attributes:
        pid: its number.
        born: when it was started, as the operating system says.
        label: for people.
    """

    pid: int
    born: float
    label: str

    def is_alive(self) -> bool:
        """Tell whether it still runs, or stands still."""
        try:
            process = psutil.Process(self.pid)
            return bool(process.create_time() == self.born and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def process_of(ref: ActorRef[Any]) -> ProcessVictim | None:
    """Return the process of an actor that lives in one of its own."""
    actor = ref._actor_weakref()  # noqa: SLF001 - the runtime's own way to the actor
    pid = actor.pid if isinstance(actor, ProcessActor) else None
    return None if pid is None else _victim(pid, f"{ref.actor_class.__name__} in process {pid}")


def pool_processes() -> list[ProcessVictim]:
    """Return the worker processes of the pools of this program."""
    found = []
    for process in psutil.Process().children(recursive=False):
        try:
            is_worker = child.__file__ in process.cmdline()
        except psutil.Error:
            continue
        victim = _victim(process.pid, f"pool worker in process {process.pid}") if is_worker else None
        if victim is not None:
            found.append(victim)
    return found


def named_process(name: str, where: str | int) -> ProcessVictim | None:
    """Return a process that the plan names, or None when it does not run now.

    Args:
        name: in the plan.
        where: its number, or the path of a file with its number.

    Raises:
        InvalidArgumentError: the number is that of this process, or of one that nobody may hit.
    """
    try:
        pid = where if isinstance(where, int) else int(Path(where).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    if pid < _PID_MIN or pid == psutil.Process().pid:
        raise InvalidArgumentError(f"processes.{name}", pid, "the number of another process, at least 2")
    return _victim(pid, f"{name} in process {pid}")


def do_to_process(
    victim: ProcessVictim, kind: str, size: int, undo_later: Callable[[Callable[[], None]], None]
) -> str | None:
    """Do what a kind of fault says; return what was done in words, or None if it could not be.

    Args:
        victim: to whom; one that has ended meanwhile is left alone.
        kind: one of `ON_PROCESS`.
        size: bytes or files that it still gets.
        undo_later: takes what undoes it, where that is possible.
    """
    try:
        process = psutil.Process(victim.pid)
        if process.create_time() != victim.born:
            return None
        if kind == "process_kill":
            process.send_signal(signal.SIGKILL)
            return "SIGKILL"
        if kind == "process_stop":
            process.send_signal(signal.SIGSTOP)
            undo_later(lambda: _go_on(victim))
            return "SIGSTOP"
        return _limit(process, victim, kind, size, undo_later)
    except (psutil.Error, OSError):
        return None


class UnsupportedFaultError(SupervisorsError):
    """The operating system cannot do this to another process."""


def _limit(
    process: psutil.Process,
    victim: ProcessVictim,
    kind: str,
    size: int,
    undo_later: Callable[[Callable[[], None]], None],
) -> str:
    what: Any = _LIMITS[kind]
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        raise UnsupportedFaultError(f"{kind} needs Linux: nobody else can limit another process")
    before: tuple[int, int] = prlimit(victim.pid, what)
    used = process.memory_info().vms if kind == "process_memory" else process.num_fds()
    limit = used + size
    hard = before[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    prlimit(victim.pid, what, (limit, hard))  # the soft one, so that it can be taken back
    undo_later(lambda: _unlimit(victim, what, before))
    return f"at most {limit:,} {'bytes' if kind == 'process_memory' else 'files'}"


def _unlimit(victim: ProcessVictim, what: Any, before: tuple[int, int]) -> None:
    if victim.is_alive():
        prlimit: Callable[..., Any] = resource.prlimit
        try:
            prlimit(victim.pid, what, before)
        except OSError:
            return  # it has ended at the last moment


def _go_on(victim: ProcessVictim) -> None:
    if victim.is_alive():
        try:
            psutil.Process(victim.pid).send_signal(signal.SIGCONT)
        except psutil.Error:
            return  # it has ended at the last moment


def _victim(pid: int, label: str) -> ProcessVictim | None:
    try:
        return ProcessVictim(pid, psutil.Process(pid).create_time(), label)
    except psutil.Error:
        return None
