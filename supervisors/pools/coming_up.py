"""Processes that have been told to come up: who is waited for how long, and who is given up.

A process that is to be a worker says that it has heard so, before it does anything that
may take long. One that says nothing is not starting slowly: it was stopped from
outside, or is a spare that hangs in an import. Nobody is to wait `start_timeout` for it, which
is there for the setup of the user; another process takes its turn.

How long a process may take on a loaded machine is not known. So the patience doubles with each
process that is given up for the same worker, and no machine is so slow that none ever comes up.
"""

from __future__ import annotations

from typing import Final, final

from supervisors.pools.worker_process import WorkerProcess

__all__ = ["PATIENCE_SECONDS", "ComingUp"]

PATIENCE_SECONDS: Final = 2.0
"""How long the first process for a worker may take to say that it has heard."""


@final
class ComingUp:
    """Keeps who is to come up, and until when each is waited for.

    Thread: the one of the pool's processes.
    """

    __slots__ = ("_dues",)

    def __init__(self) -> None:
        self._dues: dict[WorkerProcess, float] = {}

    def watch(self, process: WorkerProcess, now: float, patience: float) -> None:
        """Wait for a process, so many seconds from now, a reading of the clock."""
        process.patience = patience
        self._dues[process] = now + patience

    def forget(self, process: WorkerProcess) -> None:
        """Note that it is up, has ended, or is not wanted any more."""
        self._dues.pop(process, None)

    def timeout(self, now: float) -> float | None:
        """Return the seconds to when somebody is to be looked at; None: nobody is."""
        return max(0.0, min(self._dues.values()) - now) if self._dues else None

    def given_up(self, now: float) -> list[WorkerProcess]:
        """Take out those whose time is up; one that has heard has more, unless it is stopped."""
        late = [process for process, due in self._dues.items() if due <= now]
        given_up = []
        for process in late:
            if process.has_heard and not process.is_stopped():
                self._dues[process] = now + process.patience
            else:
                del self._dues[process]
                given_up.append(process)
        return given_up
