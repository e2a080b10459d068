"""DynamicSupervisor: children that are started on demand, in any number.

Source: Elixir's `DynamicSupervisor` (DYN-1 to DYN-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from supervisors.errors import IgnoreStart, InvalidArgumentError, InvalidTypeError
from supervisors.runtime.outcomes import StartError
from supervisors.supervision.configuration import IGNORE
from supervisors.supervision.core import SupervisorCore
from supervisors.supervision.dynamic_core import DynamicCore
from supervisors.supervision.flags import DynamicFlags, InvalidFlags
from supervisors.supervision.performer import SupervisorActor

__all__ = ["DynamicSupervisor"]

_FIELDS: Final = tuple(DynamicFlags.__dataclass_fields__)


class DynamicSupervisor(SupervisorActor):
    """Starts children one by one as it is asked to; each has a specification of its own.

    Starting, restarting, ending and counting cost the same with 100,000 children as
    with one. At its own end all children are shut down at the same time, each within
    its own limit (DYN-9).

    Either give it the fields of `DynamicFlags` by name, or subclass it and override
    `init()`.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> from supervisors.supervision.calls import count_children, start_child
        >>> from supervisors.supervision.child_spec import ChildSpec
        >>> class Worker(Actor):
        ...     dispatch = "inline"
        >>> with ActorSystem() as system:
        ...     workers = system.start(DynamicSupervisor, max_children=100)
        ...     worker = start_child(workers, ChildSpec("any", Worker, restart="temporary")).ref
        ...     count_children(workers).active
        1

    Raises:
        StartError: on starting, when a flag is not valid; its reason is
            ("supervisor_data", why).

    Thread: its turns run on whichever thread tells it something; they never wait,
    except for start functions.
    """

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Say how to supervise; by default the fields of `DynamicFlags`, by name.

        Returns:
            `DynamicFlags`, or "ignore" to decline.
        """
        if args:
            raise InvalidTypeError("flags", args[0], "settings by name: " + ", ".join(_FIELDS))
        for name, value in kwargs.items():
            if name not in _FIELDS:
                raise InvalidArgumentError(name, value, ", ".join(_FIELDS))
        return DynamicFlags(**kwargs)

    def make_core(self, supervisor: object, liveness: Callable[[object], bool | None]) -> SupervisorCore:
        """Call `init()` and make an empty core."""
        args, kwargs = self._given
        try:
            flags = self.init(*args, **kwargs)
        except InvalidFlags as error:
            raise StartError(("supervisor_data", error.why), self, told=str(error)) from error
        if isinstance(flags, str) and flags == IGNORE:
            raise IgnoreStart
        if not isinstance(flags, DynamicFlags):
            kind = type(self).__name__
            told = f"{kind}.init: a {type(flags).__name__} is not allowed; allowed: DynamicFlags; 'ignore'"
            raise StartError(("bad_return", (kind, "init", flags)), self, told=told)
        return DynamicCore(flags, supervisor=supervisor, liveness=liveness, delays=self.delays(flags.backoff))
