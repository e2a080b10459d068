"""The command ``python -m benchmarks``: run groups, print a table, write a report file."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import benchmarks
from benchmarks.harness import CATALOGUE, GROUPS, Benchmark, Catalogue, Effort, Figure, machine

__all__ = ["discover", "main"]

GROUP_SECONDS_MAX = 300.0


def main(arguments: Sequence[str] | None = None, catalogue: Catalogue | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: as on the command line, without the program's name.
        catalogue: the benchmarks to choose from; by default those of the
            modules ``benchmarks/bench_*.py``.

    Returns:
        0; 1 if a benchmark failed (the others are still run and reported); 2
        for bad usage; 130 if it was interrupted.
    """
    options = _parser().parse_args(arguments)
    groups = options.only.split(",") if options.only is not None else list(GROUPS)
    wrong = [group for group in groups if group not in GROUPS]
    if wrong:
        return _refuse(f"--only: there is no group {wrong[0]!r}; the groups are {', '.join(GROUPS)}")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        return _refuse(f"--json: the folder of {str(options.json)!r} does not exist")
    if options.json is not None and options.json.is_dir():
        return _refuse(f"--json: {str(options.json)!r} is a folder; name a file")
    try:
        catalogue = discover() if catalogue is None else catalogue
        figures, failed = _run(catalogue, groups, Effort(smoke=options.smoke))
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return 130
    if options.json is not None:
        report = {"machine": machine(), "results": {key: row.as_json() for key, row in figures.items()}}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _print_table(figures)
    return 1 if failed else 0


def discover() -> Catalogue:
    """Import every module ``benchmarks/bench_*.py`` and return the catalogue they fill."""
    for found in pkgutil.iter_modules(benchmarks.__path__):
        if found.name.startswith("bench_"):
            importlib.import_module(f"benchmarks.{found.name}")
    return CATALOGUE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what this library costs here.")
    parser.add_argument(
        "--only", metavar="GROUP[,GROUP]", help=f"run these groups and no others; groups: {', '.join(GROUPS)}"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report to this file")
    parser.add_argument(
        "--smoke", action="store_true", help="run each once at its smallest size: shows that it works, measures nothing"
    )
    return parser


def _run(catalogue: Catalogue, groups: Sequence[str], effort: Effort) -> tuple[dict[str, Figure], list[str]]:
    """Run the benchmarks of some groups; return figures by key, and the names of those that failed."""
    figures: dict[str, Figure] = {}
    failed: list[str] = []
    empty = [group for group in GROUPS if group in groups and group not in catalogue.groups()]
    if empty:
        _say(f"no benchmarks exist yet in {', '.join(empty)}")
    for group in catalogue.groups():
        if group not in groups:
            continue
        start = time.monotonic()
        for one in catalogue.of([group]):
            _say(f"{group}: {one.name}")
            try:
                _add(figures, one, one.measure(effort))
            except Exception:  # noqa: BLE001 - one broken benchmark must not cost the figures of the others
                traceback.print_exc()
                failed.append(one.name)
        took = time.monotonic() - start
        limit = f", over the limit of {GROUP_SECONDS_MAX:.0f} s for a group" if took > GROUP_SECONDS_MAX else ""
        _say(f"{group}: took {took:.1f} s{limit}")
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return figures, failed


def _add(figures: dict[str, Figure], one: Benchmark, found: Mapping[str, Figure]) -> None:
    """Add what a benchmark found; a key that is taken would hide another benchmark's figure."""
    for key, row in found.items():
        if key in figures:
            raise ValueError(f"key: {key!r} of {one.name} is already in the report")
        figures[key] = row


def _print_table(figures: Mapping[str, Figure]) -> None:
    if not figures:
        return
    rows = [("", "median", "low", "high", "")]
    rows += [
        (key, _shown(row.median), _shown(row.low), _shown(row.high), row.unit) for key, row in sorted(figures.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for key, median, low, high, unit in rows:
        numbers = "  ".join(text.rjust(width) for text, width in zip((median, low, high), widths[1:4], strict=True))
        print(f"{key.ljust(widths[0])}  {numbers}  {unit}".rstrip())


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _refuse(sentence: str) -> int:
    _say(sentence)
    return 2


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
