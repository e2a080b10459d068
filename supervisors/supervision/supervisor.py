"""Supervisor: a fixed set of children in order, and a strategy for their failures.

Source: OTP's `supervisor`. The rules are in the cores; this is how they are started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisors.errors import IgnoreStart, InvalidArgumentError
from supervisors.runtime.outcomes import StartError
from supervisors.supervision.configuration import InvalidConfiguration, configure
from supervisors.supervision.core import SupervisorCore
from supervisors.supervision.dynamic_core import SimpleCore
from supervisors.supervision.flags import SupervisorFlags
from supervisors.supervision.performer import SupervisorActor
from supervisors.supervision.static_core import StaticCore

__all__ = ["Supervisor", "children_and_flags"]


class Supervisor(SupervisorActor):
    """Starts its children in order, restarts them by its strategy, ends them in reverse.

    Either give it children and flags, or subclass it and override `init()`, which
    runs anew at each restart of the supervisor (SUP-20).

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> from supervisors.supervision.calls import which_children
        >>> from supervisors.supervision.child_spec import ChildSpec
        >>> class Worker(Actor):
        ...     dispatch = "inline"
        >>> with ActorSystem() as system:
        ...     tree = system.start(Supervisor, [ChildSpec("one", Worker), ChildSpec("two", Worker)],
        ...                         strategy="rest_for_one", max_restarts=3)
        ...     [child.id for child in which_children(tree)]
        ['two', 'one']

    Raises:
        StartError: on starting. Its reason is ("supervisor_data", why), ("start_spec",
            why) or ("bad_return", ...) when nothing was started (SPEC-10), and
            `Shutdown(FailedToStartChild(id, why))` when a child did not come up
            (SUP-6); then those before it have been ended again.

    Thread: its turns run on whichever thread tells it something; they never wait,
    except for start functions.
    """

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Say what to supervise: a pair of flags and a list of child specifications.

        Override it with parameters of your own; they get what the supervisor was
        started with. By default the parameters are a list of child specifications
        and, by name, the fields of `SupervisorFlags`.

        Returns:
            (flags, child specifications), both also as mappings; or "ignore" to
            decline (SUP-2).
        """
        return children_and_flags(*args, **kwargs)

    def make_core(self, supervisor: object, liveness: Callable[[object], bool | None]) -> SupervisorCore:
        """Call `init()` and make the core that its answer asks for."""
        args, kwargs = self._given
        try:
            configuration = configure(self.init(*args, **kwargs), type(self).__name__)
        except InvalidConfiguration as error:
            raise StartError(error.reason, self, told=str(error)) from error
        if configuration is None:
            raise IgnoreStart
        flags, specs = configuration.flags, configuration.specs
        delays = self.delays(flags.backoff)
        if flags.strategy == "simple_one_for_one":
            return SimpleCore(flags, specs[0], supervisor=supervisor, liveness=liveness, delays=delays)
        return StaticCore(flags, specs, supervisor=supervisor, liveness=liveness, delays=delays)


def children_and_flags(children: Any = (), /, **flags: Any) -> tuple[dict[str, Any], Any]:
    """Return flags given by name, and children, as `init()` does; a misspelt flag is an error."""
    # A mapping of flags may have unknown keys (SPEC-1); a misspelt keyword is a mistake.
    for name, value in flags.items():
        if name not in SupervisorFlags.__dataclass_fields__:
            raise InvalidArgumentError(name, value, ", ".join(SupervisorFlags.__dataclass_fields__))
    return flags, children
