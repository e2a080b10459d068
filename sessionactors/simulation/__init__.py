"""A session system under the simulation: disks that fail, and checkers of what must hold all the same.

Source: decision 16.
"""

from sessionactors.simulation.audit_log import SimulatedAuditLog
from sessionactors.simulation.checks import SessionChecks, check_sessions
from sessionactors.simulation.limits import LimiterNeverOver
from sessionactors.simulation.store import SimulatedStore

__all__ = ["LimiterNeverOver", "SessionChecks", "SimulatedAuditLog", "SimulatedStore", "check_sessions"]
