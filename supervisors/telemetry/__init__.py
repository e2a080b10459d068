"""Figures of an actor system for Prometheus; nobody pays for them but who asks.

Source: Prometheus's custom collectors and its rules for names.
"""

from supervisors.telemetry.exposition import Telemetry
from supervisors.telemetry.handlers import HandlerTimes
from supervisors.telemetry.metrics import ActorSystemCollector
from supervisors.telemetry.pools import PoolCollector
from supervisors.telemetry.tally import ChildTally

__all__ = ["ActorSystemCollector", "ChildTally", "HandlerTimes", "PoolCollector", "Telemetry"]
