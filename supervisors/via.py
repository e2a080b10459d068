"""Names that are looked up again at every use (NAME-5, REG-20, EREG-11).

A ref names one life of an actor; after a restart it names a dead one. A `Via` names
whoever has the name at the moment, in the system's own registry or in any other
that fulfils `NameRegistry`. It works wherever a name does: for `start(name=...)`,
`monitor()`, timers and `ActorSystem.send()`; and it can be told and asked like a ref.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, final, overload, runtime_checkable

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.exits import NOPROC
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ASK_TIMEOUT, ActorRef

if TYPE_CHECKING:
    from collections.abc import Hashable

    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import _Default
    from supervisors.typed import Request

__all__ = ["NameRegistry", "Via", "checked_name"]

R = TypeVar("R")


@runtime_checkable
class NameRegistry(Protocol):
    """What OTP calls a via module; sending is left to the ref that `whereis()` gives."""

    def register(self, name: Hashable, ref: ActorRef[Any], /) -> None:
        """Give an actor a name; raise `NameTakenError` if somebody has it.

        A registry has to notice the actor's end by itself (`ref.when_ended()`).
        """
        ...

    def unregister(self, name: Hashable, /) -> None:
        """Free a name; raise a `ValueError` if nobody has it."""
        ...

    def whereis(self, name: Hashable, /) -> ActorRef[Any] | None:
        """Return the living actor that has the name, or None."""
        ...


@final
class Via:
    """A name in a certain registry; equal to another one of the same.

    Args:
        registry: where the name is looked up.
        name: any hashable value but None.

    Example:
        >>> from supervisors import Actor, ActorSystem, Via
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         return f"hello {message}"
        >>> with ActorSystem() as system:
        ...     greeter = Via(system.registry, "greeter")
        ...     first = system.start(Greeter, name="greeter")
        ...     first.stop()
        ...     second = system.start(Greeter, name="greeter")
        ...     greeter.ask("again")
        True
        'hello again'
    """

    __slots__ = ("name", "registry")

    def __init__(self, registry: NameRegistry, name: Hashable) -> None:
        if not isinstance(registry, NameRegistry):
            raise InvalidTypeError("registry", registry, "something with register(), unregister() and whereis()")
        checked_name(name)
        self.registry = registry
        self.name = name

    def whereis(self) -> ActorRef[Any] | None:
        """Return who has the name now, or None."""
        return self.registry.whereis(self.name)

    def ref(self) -> ActorRef[Any]:
        """Return who has the name now.

        Raises:
            ActorDeadError: nobody has it; the reason is `"noproc"`.
        """
        found = self.registry.whereis(self.name)
        if found is None:
            raise ActorDeadError(f"nobody has the name {self.name!r}", NOPROC)
        return found

    def tell(self, message: Any) -> None:
        """Send a message to who has the name now.

        Raises:
            ActorDeadError: nobody has it.
        """
        self.ref().tell(message)

    def send(self, message: Any) -> bool:
        """Send a message to who has the name now; False if nobody has it. Never raises (NAME-4)."""
        found = self.registry.whereis(self.name)
        if found is None:
            return False
        found.send(message)
        return True

    @overload
    def ask(
        self, message: Request[R], *, block: Literal[False], timeout: float | _Default | None = ...
    ) -> ScheduledFuture[R]: ...

    @overload
    def ask(self, message: Request[R], *, block: Literal[True] = ..., timeout: float | _Default | None = ...) -> R: ...

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | _Default | None = ...
    ) -> ScheduledFuture[Any]: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True] = ..., timeout: float | _Default | None = ...) -> Any: ...

    @overload
    def ask(self, message: Any, *, block: bool, timeout: float | _Default | None = ...) -> Any: ...

    def ask(self, message: Any, *, block: bool = True, timeout: float | _Default | None = ASK_TIMEOUT) -> Any:
        """Ask who has the name now; see `ActorRef.ask()`.

        Raises:
            ActorDeadError: nobody has it; the reason is `"noproc"`. At once, also
                where a future was wanted.
        """
        return self.ref().ask(message, block=block, timeout=timeout)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and self.registry is other.registry and bool(self.name == other.name)

    def __hash__(self) -> int:
        return hash((id(self.registry), self.name))

    def __repr__(self) -> str:
        return f"Via({self.registry!r}, {self.name!r})"


def checked_name(name: object) -> None:
    """Raise what explains why this cannot be a name."""
    if name is None:
        raise InvalidArgumentError("name", name, "any hashable value but None")
    try:
        hash(name)
    except TypeError:
        raise InvalidTypeError("name", name, "a hashable value") from None
