"""Processes that have been told to come up: who is waited for how long, and who is given up.

A process that is to be a worker says that it has heard so, before it does anything that
may take long. One that says nothing may be busy: a spare that imports what tasks come from. But
if it does not use the processor either, it was stopped from outside, or hangs in an
import. Nobody is to wait `start_timeout` for it, which is there for the setup of the user;
another process takes its turn.

On a loaded machine a process may get nothing of the processor for long. So the patience doubles with
each one that is given up for the same worker, and no machine is so slow that none ever comes up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from supervisors.pools.worker_process import WorkerProcess

__all__ = ["PATIENCE_SECONDS", "ComingUp"]

PATIENCE_SECONDS: Final = 1.0
"""How long the first process for a worker may do nothing at all without saying that it has heard; and half of
how long it takes at most until that is noticed."""


@final
class ComingUp:
    """Keeps who is to come up, and when each is looked at next.

    Args:
        work_of: returns the seconds of the processor that a process has used so far.

    Thread: the one of the pool's processes.
    """

    __slots__ = ("_dues", "_work_of", "_work_seen")

    def __init__(self, work_of: Callable[[WorkerProcess], float] = WorkerProcess.cpu_seconds) -> None:
        self._work_of = work_of
        self._dues: dict[WorkerProcess, float] = {}
        self._work_seen: dict[WorkerProcess, float] = {}

    def watch(self, process: WorkerProcess, now: float, patience: float) -> None:
        """Look at a process every so many seconds from now, a reading of the clock."""
        process.patience = patience
        self._dues[process] = now + patience

    def forget(self, process: WorkerProcess) -> None:
        """Note that it is up, has ended, or is not wanted any more."""
        self._dues.pop(process, None)
        self._work_seen.pop(process, None)

    def timeout(self, now: float) -> float | None:
        """Return the seconds to when somebody is to be looked at; None: nobody is."""
        return max(0.0, min(self._dues.values()) - now) if self._dues else None

    def given_up(self, now: float) -> list[WorkerProcess]:
        """Take out those that are stopped, and those that have neither heard nor done anything since the last look."""
        late = [process for process, due in self._dues.items() if due <= now]
        given_up = []
        for process in late:
            if process.is_stopped() or not (process.has_heard or self._has_worked(process)):
                self.forget(process)
                given_up.append(process)
            else:
                self._dues[process] = now + process.patience
        return given_up

    def _has_worked(self, process: WorkerProcess) -> bool:
        """Tell whether it has used the processor since the last look; at the first one nobody knows, so yes."""
        before = self._work_seen.get(process)
        work = self._work_seen[process] = self._work_of(process)
        return before is None or work > before
