"""Why an inspection cannot answer; each has a code for programs."""

from __future__ import annotations

from supervisors.errors import Refusal

__all__ = [
    "ActorEndedError",
    "ActorHangsError",
    "AlreadyTracedError",
    "InspectionRefused",
    "InspectorBusyError",
    "NoSuchActorError",
    "StateUnknownError",
]


class InspectionRefused(Refusal):
    """Root of what an inspection refuses.

    Attributes:
        code: a stable name for programs.
    """

    code = "refused"


class NoSuchActorError(InspectionRefused):
    """Nobody is meant by this reference."""

    code = "no_actor"

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"{reference!r} is no living actor; give its number, its name or its URN, as `ps` shows them")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reference,)


class ActorEndedError(InspectionRefused):
    """The actor has ended meanwhile."""

    code = "ended"


class ActorHangsError(InspectionRefused):
    """The actor has not answered in time; what it does instead is in the message."""

    code = "hangs"


class AlreadyTracedError(InspectionRefused):
    """Somebody else traces the actor; there is one trace of an actor at a time."""

    code = "traced"


class InspectorBusyError(InspectionRefused):
    """As many inspections as may be are under way."""

    code = "busy"


class StateUnknownError(InspectionRefused):
    """The actor is neither a server nor a state machine, so it cannot be asked for its state."""

    code = "no_state"
