"""Looking into an actor system from outside, without slowing it: lists, trees, states and traces.

Source: what `observer` and `recon` show of an Erlang node.
"""

from supervisors.inspection.branches import Branch
from supervisors.inspection.client import InspectionClient, InspectionRefusal
from supervisors.inspection.details import ActorDetails
from supervisors.inspection.door import InspectionDoor
from supervisors.inspection.errors import (
    ActorEndedError,
    ActorHangsError,
    AlreadyTracedError,
    InspectionRefused,
    InspectorBusyError,
    NoSuchActorError,
    StateUnknownError,
)
from supervisors.inspection.inspector import Inspector
from supervisors.inspection.live import Frame, Live, LiveRow
from supervisors.inspection.rows import ActorRow
from supervisors.inspection.trace import Trace, TraceEvent

__all__ = [
    "ActorDetails",
    "ActorEndedError",
    "ActorHangsError",
    "ActorRow",
    "AlreadyTracedError",
    "Branch",
    "Frame",
    "InspectionClient",
    "InspectionDoor",
    "InspectionRefusal",
    "InspectionRefused",
    "Inspector",
    "InspectorBusyError",
    "Live",
    "LiveRow",
    "NoSuchActorError",
    "StateUnknownError",
    "Trace",
    "TraceEvent",
]
