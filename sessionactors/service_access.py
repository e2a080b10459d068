"""How the functions of a session system reach a service: by its name, each time anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessionactors.errors import NotFound
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ASK_TIMEOUT

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["ServiceAccess"]


class ServiceAccess:
    """Finds services and asks them.

    Attributes:
        actors: the actor system that the services live in.

    Thread: every method is safe anywhere.
    """

    actors: ActorSystem

    def _ask(self, name: str, message: object, timeout: Any = ASK_TIMEOUT) -> Any:
        service = self._service(name)
        try:
            return service.ask(message, timeout=timeout)
        except ActorDeadError as dead:
            raise NotFound(name, "running service") from dead

    def _service(self, name: str) -> ActorRef[Any]:
        ref = self.actors.whereis(name)
        if ref is None:
            raise NotFound(name, "running service")
        return ref
