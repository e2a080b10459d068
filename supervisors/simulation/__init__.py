"""Runs any actor system under one seed: every order, every fault and every failure can be repeated.

Source: decisions 4 and 16.
"""

from supervisors.simulation.checkers import STOCK_CHECKERS, Checker
from supervisors.simulation.faults import ALL_WITHIN_CONTRACT, FAULT_KINDS, FaultKind, InjectedFaultError
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.runner import SimulationFailedError, explore, run_seed, run_twice, simulate, with_options
from supervisors.simulation.scheduler import ForeignThreadError, NoProgressError
from supervisors.simulation.schedules import Exhaustive, Pct, RandomOrder, Replay, RoundRobin, Schedule
from supervisors.simulation.simulation import Simulation
from supervisors.simulation.verdict import Outcome, Recipe, Verdict, ViolationError

__all__ = [
    "ALL_WITHIN_CONTRACT",
    "FAULT_KINDS",
    "STOCK_CHECKERS",
    "Checker",
    "Exhaustive",
    "FaultKind",
    "ForeignThreadError",
    "InjectedFaultError",
    "NoProgressError",
    "Outcome",
    "Pct",
    "RandomOrder",
    "Recipe",
    "Replay",
    "RoundRobin",
    "Schedule",
    "Simulation",
    "SimulationFailedError",
    "SimulationOptions",
    "Verdict",
    "ViolationError",
    "explore",
    "run_seed",
    "run_twice",
    "simulate",
    "with_options",
]
