"""The faults of the simulator on a live system: seeded, bounded, undone, and judged.

Source: the Principles of Chaos Engineering (steady state, method, blast radius).
"""

from supervisors.chaos.chaos import Chaos
from supervisors.chaos.kinds import LIVE_KINDS
from supervisors.chaos.plan import BlastRadius, Budget, Fault, Plan, Recovery, Rollback, Stop
from supervisors.chaos.probes import Alive, Answers, Call, Counter, Ready
from supervisors.chaos.reading import load_plan, plan_of
from supervisors.chaos.record import ChaosEvent
from supervisors.chaos.report import ChaosFailedError, ChaosReport, ProbeResult

__all__ = [
    "LIVE_KINDS",
    "Alive",
    "Answers",
    "BlastRadius",
    "Budget",
    "Call",
    "Chaos",
    "ChaosEvent",
    "ChaosFailedError",
    "ChaosReport",
    "Counter",
    "Fault",
    "Plan",
    "ProbeResult",
    "Ready",
    "Recovery",
    "Rollback",
    "Stop",
    "load_plan",
    "plan_of",
]
