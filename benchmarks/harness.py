"""Run benchmarks and report what they found with its spread.

A benchmark is a function that answers a question with figures under stable
keys. It measures by `Effort.interleave()`: the contenders take turns, A B A B,
so that whatever the machine does meanwhile meets all of them, and a ratio is
taken inside each turn, where both sides have met the same machine.

Goals: figures that can be compared within one report; a smoke size that runs in
the checks; the spread always beside the median.

Not goals: absolute figures to compare between machines; a test that fails for
being slow (shared machines have bad days); profiles.

Garbage: a full collection precedes every single run, so that nobody pays for
the rubbish of the one before. The collector stays on during the run, because it
stays on in our users' programs.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

__all__ = [
    "CATALOGUE",
    "GROUPS",
    "Benchmark",
    "Catalogue",
    "Comparison",
    "Effort",
    "Figure",
    "benchmark",
    "figure",
    "interleave",
    "machine",
    "missing",
    "rate",
    "seconds",
]

GROUPS: Final = ("kernel", "otp", "sessions", "services", "audit", "pools", "simulation", "telemetry")
"""Every group there may be, in the order of a report."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a report.

    Attributes:
        median: of all runs; None where a contender is not installed here.
        low: the smallest of the runs.
        high: the largest of the runs.
        unit: what one of it is, such as ``"calls/s"``, ``"us"``, ``"bytes"`` or ``"x"``.
    """

    median: float | None
    low: float | None
    high: float | None
    unit: str

    def as_json(self) -> dict[str, float | str | None]:
        """Return the row as the report file has it."""
        return asdict(self)


def figure(values: Sequence[float], unit: str) -> Figure:
    """Return the median and the spread of the runs.

    Raises:
        ValueError: there is no value, or one is not a finite number.
    """
    if not values:
        raise ValueError("values: none were measured; at least one is needed")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"values: {values!r} holds what is no finite number; a run measured nothing")
    return Figure(statistics.median(values), min(values), max(values), unit)


def missing(unit: str) -> Figure:
    """Return the row of something that cannot be measured here."""
    return Figure(None, None, None, unit)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each contender measured, run by run.

    Attributes:
        values: by contender, in the order of the runs; None for one that is
            missing. All others have the same number of values.
    """

    values: Mapping[str, tuple[float, ...] | None]

    def figure(self, contender: str, unit: str, *, scale: float = 1.0) -> Figure:
        """Return one contender's row; `scale` turns its unit into a handier one, such as seconds into microseconds."""
        values = self.values[contender]
        return missing(unit) if values is None else figure([value * scale for value in values], unit)

    def ratio(self, contender: str, baseline: str, unit: str = "x") -> Figure:
        """Return contender by baseline, pair by pair: run 1 by run 1, run 2 by run 2, and so on.

        The median of the ratios is not the ratio of the medians: a slow minute
        of the machine spoils one pair, not all of them.
        """
        above, below = self.values[contender], self.values[baseline]
        if above is None or below is None:
            return missing(unit)
        return figure([one / other for one, other in zip(above, below, strict=True)], unit)


def interleave(candidates: Mapping[str, Callable[[], float] | None], runs: int = 8, *, warm_ups: int = 1) -> Comparison:
    """Let the candidates take turns, A B A B, and keep what each run returns.

    Args:
        candidates: by name, a function that does one run and returns what it
            measured (a rate, a duration, a size); it times itself, so that what
            it prepares and cleans up costs nothing. None is a contender that is
            not installed.
        runs: how often each is run.
        warm_ups: rounds before, which are not counted: they fill caches, start
            threads and let the interpreter specialise its code.

    Raises:
        ValueError: there is no candidate, or fewer than one run.
    """
    if not candidates:
        raise ValueError("candidates: none given; at least one is needed")
    if runs < 1 or warm_ups < 0:
        raise ValueError(f"runs: {runs} with {warm_ups} warm-ups is not allowed; allowed: at least 1 with 0 or more")
    present = {name: run for name, run in candidates.items() if run is not None}
    values: dict[str, list[float]] = {name: [] for name in present}
    for turn in range(warm_ups + runs):
        for name, run in present.items():
            gc.collect()
            measured = run()
            if turn >= warm_ups:
                values[name].append(measured)
    return Comparison({name: tuple(values[name]) if name in present else None for name in candidates})


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes, in seconds of the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rate(operations: int, work: Callable[[], object]) -> float:
    """Return operations a second for a piece of work that does so many."""
    return operations / seconds(work)


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try: everything, or just enough to see that it works.

    Attributes:
        smoke: run once, without a warm-up, at the smallest size.
    """

    smoke: bool = False

    @property
    def runs(self) -> int:
        return 1 if self.smoke else 8

    def size(self, full: int, *, smoke: int) -> int:
        """Return the number of operations, actors, keys ... to use."""
        return smoke if self.smoke else full

    def interleave(self, candidates: Mapping[str, Callable[[], float] | None]) -> Comparison:
        """Do `interleave()` with the runs and warm-ups of this effort."""
        return interleave(candidates, self.runs, warm_ups=0 if self.smoke else 1)


Measure = Callable[[Effort], Mapping[str, Figure]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A question and the function that answers it.

    Attributes:
        group: one of `GROUPS`.
        name: the function's name.
        measure: takes the effort, returns figures by key.
    """

    group: str
    name: str
    measure: Measure


class Catalogue:
    """The benchmarks there are, in the order of their groups and definitions."""

    def __init__(self) -> None:
        self._benchmarks: list[Benchmark] = []

    def benchmark(self, group: str) -> Callable[[Measure], Measure]:
        """Add the decorated function to a group.

        Raises:
            ValueError: there is no such group.
        """
        if group not in GROUPS:
            raise ValueError(f"group: {group!r} is not allowed; allowed: {', '.join(GROUPS)}")

        def add(measure: Measure) -> Measure:
            self._benchmarks.append(Benchmark(group, getattr(measure, "__name__", repr(measure)), measure))
            return measure

        return add

    def groups(self) -> list[str]:
        """Return the groups that have a benchmark."""
        return [group for group in GROUPS if any(one.group == group for one in self._benchmarks)]

    def of(self, groups: Sequence[str]) -> Iterator[Benchmark]:
        """Yield the benchmarks of some groups."""
        for group in GROUPS:
            if group in groups:
                yield from (one for one in self._benchmarks if one.group == group)


CATALOGUE: Final = Catalogue()
"""Where the modules ``benchmarks/bench_*.py`` put theirs."""

benchmark = CATALOGUE.benchmark


def machine() -> dict[str, str | int | bool]:
    """Return what a reader must know of the machine; nothing that tells whose it is."""
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)  # before 3.13 there is no way to be without
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "cpu": _processor(),
        "gil": bool(gil_enabled()),
        "implementation": platform.python_implementation(),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Return the model of the processor, which only Linux tells in full."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []  # another system; the architecture has to do
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
