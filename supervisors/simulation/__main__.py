"""The command ``python -m supervisors.simulation``: run a workload under seeds, or one seed again."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisors.simulation.campaign import campaign
from supervisors.simulation.elsewhere import ElsewhereError, simulate_elsewhere
from supervisors.simulation.pictures import mermaid, record, svg
from supervisors.simulation.runner import SimulationFailedError, run_seed, run_twice, shrunk, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DEFAULT_WORKLOAD = "supervisors.simulation.workloads:supervised_workers"
BUDGET_MAX = 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: as on the command line, without the program's name.

    Returns:
        0: all seeds passed; 1: one has failed; 2: bad usage.
    """
    parser = argparse.ArgumentParser(prog="python -m supervisors.simulation", description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"module:function, or several (default: {DEFAULT_WORKLOAD})")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="how many seeds from there on (default: 1, or the budget)")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="begin no further seed after so long")
    parser.add_argument("--transcript", action="store_true", help="print every line of a single run")
    parser.add_argument("--mermaid", metavar="FILE", help="write a single run as a Mermaid sequence diagram")
    parser.add_argument("--svg", metavar="FILE", help="write a single run as a picture")
    parser.add_argument("--shrink", action="store_true", help="show a single run that fails with as little as it takes")
    parser.add_argument("--twice", action="store_true", help="run each seed twice and demand the same transcript")
    parser.add_argument(
        "--elsewhere", action="store_true", help="run the seeds in a process with other hashes too, and compare"
    )
    parser.add_argument("--hashes", action="store_true", help="print the hash of each transcript, and nothing else")
    options = parser.parse_args(arguments)
    if options.runs is not None and options.runs < 1:
        parser.error(f"--runs: {options.runs} is not allowed; allowed: at least 1")
    if options.budget is not None and not 0 < options.budget < BUDGET_MAX:
        parser.error(f"--budget: {options.budget} is not allowed; allowed: above 0, below {BUDGET_MAX:,.0f} seconds")
    workloads = [_load(parser, name) for name in options.workload or [DEFAULT_WORKLOAD]]
    if options.elsewhere or options.hashes:
        if len(workloads) > 1 or options.budget is not None:
            parser.error(
                "--elsewhere, --hashes: several workloads or a budget are not allowed; allowed: one, with --runs"
            )
        name = (options.workload or [DEFAULT_WORKLOAD])[0]
        return _compare(name, workloads[0], options.seed, options.runs or 1, with_others=options.elsewhere)
    if options.runs in (None, 1) and options.budget is None and len(workloads) == 1:
        workload = workloads[0]
        outcome = (run_twice if options.twice else run_seed)(workload, options.seed)
        recipe = None
        if options.shrink and outcome.failed:
            outcome = shrunk(workload, outcome)
            recipe = outcome.recipe
        for path, draw in ((options.mermaid, mermaid), (options.svg, svg)):
            if path is not None:
                Path(path).write_text(draw(record(workload, options.seed, repeat=recipe)), encoding="utf-8")
        if options.transcript:
            _say(outcome.transcript.rstrip("\n"))
        _say(str(outcome))
        return int(outcome.failed)
    runs = 1 if options.runs is None and options.budget is None else options.runs
    try:
        done = campaign(*workloads, first=options.seed, runs=runs, budget=options.budget, twice=options.twice)
    except SimulationFailedError as failure:
        _say(str(failure))
        return 1
    _say(str(done))
    return 0


def _compare(name: str, workload: Any, first: int, runs: int, *, with_others: bool) -> int:
    """Print what one process tells another about its seeds, or compare both."""
    try:
        if not with_others:
            for outcome in simulate(workload, range(first, first + runs)):
                _say(outcome.transcript_hash)
            return 0
        outcomes, difference = simulate_elsewhere(name, workload, first, runs)
    except (ElsewhereError, SimulationFailedError) as failure:
        _say(str(failure))
        return 1
    if difference is not None:
        _say(str(difference))
        return 1
    _say(f"{len(outcomes)} seeds have the same transcripts in a process with other hashes: all well")
    return 0


def _load(parser: argparse.ArgumentParser, name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"workload: {name!r} is not allowed; allowed: module:function ({error})")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
