"""Runs seeds in another process as well, with another hash seed: what differs depends on the order of a set.

Within one process, a set of texts has the same order every time, so a run that is
repeated there shows nothing. In another process the order is another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from supervisors.errors import SupervisorsError
from supervisors.simulation.runner import NOT_REPEATABLE, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisors.simulation.simulation import Simulation
    from supervisors.simulation.verdict import Outcome

__all__ = ["ElsewhereError", "simulate_elsewhere"]

SECONDS_MAX: Final = 3600.0
"""Real seconds that the other process may take."""


class ElsewhereError(SupervisorsError):
    """The other process could not run the workload."""


def simulate_elsewhere(
    name: str, workload: Callable[[Simulation], object], first: int, runs: int
) -> tuple[list[Outcome], Outcome | None]:
    """Run seeds here and in another process, and compare the transcripts.

    Args:
        name: of the workload, ``module:function``, by which the other process finds it.
        workload: the same.
        first: the first seed.
        runs: how many from there on.

    Returns:
        The outcomes of here, and the first of them whose transcript is another one
        there, as a failure that names the first line that differs; None: all are the same.

    Raises:
        SimulationFailedError: for the first seed that fails here.
        ElsewhereError: the other process fails where this one does not, or takes too long.
    """
    seeds = range(first, first + runs)
    here = simulate(workload, seeds)
    there = _run([name, "--seed", str(first), "--runs", str(runs), "--hashes"]).split()
    for outcome, transcript_hash in zip_longest(here, there):
        if outcome is None or transcript_hash is None:
            raise ElsewhereError(f"another process has run {len(there)} seeds of {name} instead of {len(here)}")
        if outcome.transcript_hash != transcript_hash:
            lines = _run([name, "--seed", str(outcome.seed), "--transcript"]).splitlines()
            return here, replace(outcome, verdict="crash", by=NOT_REPEATABLE, what=_difference(outcome, lines))
    return here, None


def _difference(outcome: Outcome, there: Iterable[str]) -> str:
    for line, other in zip_longest(outcome.transcript.splitlines(), there, fillvalue="(the end)"):
        if line != other:
            return (
                "a process with another hash seed runs it differently, as by the order of a set; "
                f"first here:\n  {line}\n  {other}"
            )
    return "a process with another hash seed runs it differently now and then"


def _run(arguments: list[str]) -> str:
    """Run the command in a process with another hash seed, and return what it prints."""
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    command = [sys.executable, "-m", "supervisors.simulation", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - this very Python, with a workload that runs here as well
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ElsewhereError(f"another process has not been done within {SECONDS_MAX:g} s") from error
    if done.returncode != 0:
        raise ElsewhereError(f"another process has failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout
