"""Hypothesis drives simulations: it draws seeds, faults and the data of workloads, and shrinks what fails.

This is the only module that needs Hypothesis (``pip install sessionactors[simulation]``).
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from hypothesis import given, note
from hypothesis import strategies as st

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.simulation.faults import ALL_WITHIN_CONTRACT, checked_chances
from supervisors.simulation.options import ScheduleName, SimulationOptions
from supervisors.simulation.runner import run_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisors.simulation.simulation import Simulation

__all__ = ["fault_plans", "schedules", "seeds", "simulate", "simulated", "workloads"]

T = TypeVar("T")

SEED_MAX: Final = 2**32 - 1


def seeds() -> st.SearchStrategy[int]:
    """Draw seeds; they shrink towards 0."""
    return st.integers(0, SEED_MAX)


def schedules() -> st.SearchStrategy[str]:
    """Draw names of schedules; they shrink towards round robin."""
    return st.sampled_from(sorted(get_args(ScheduleName), key=lambda name: (name != "round robin", name)))


def fault_plans(
    kinds: Iterable[str] = ALL_WITHIN_CONTRACT, *, chance_max: float = 0.1
) -> st.SearchStrategy[dict[str, float]]:
    """Draw kinds of faults with chances; they shrink towards few kinds that fire seldom.

    Args:
        kinds: to draw from.
        chance_max: the highest chance that one fires at a point, above 0 to 1.
    """
    known = list(checked_chances("kinds", kinds))
    if not 0.0 < chance_max <= 1.0:
        raise InvalidArgumentError("chance_max", chance_max, "above 0 to 1")
    return (
        st.dictionaries(st.sampled_from(known), st.floats(0.0, chance_max), max_size=len(known))
        if known
        else st.just({})
    )


def workloads(
    steps: st.SearchStrategy[T], *, clients_max: int = 4, steps_max: int = 20
) -> st.SearchStrategy[list[list[T]]]:
    """Draw what clients do: for each client, a list of steps; they shrink towards one client that does nothing.

    Args:
        steps: draws one step, in whatever form the workload understands.
        clients_max: clients at most, 1 or more.
        steps_max: steps of a client at most, 0 or more.
    """
    for field, value, lowest in (("clients_max", clients_max, 1), ("steps_max", steps_max, 0)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidTypeError(field, value, "a whole number")
        if value < lowest:
            raise InvalidArgumentError(field, value, f"at least {lowest}")
    return st.lists(st.lists(steps, max_size=steps_max), min_size=1, max_size=clients_max)


def simulated(
    faults: st.SearchStrategy[dict[str, float]] | None = None,
    schedule: st.SearchStrategy[str] | None = None,
    **data: st.SearchStrategy[Any],
) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """Make a test of a workload that Hypothesis runs with what it draws.

    Args:
        faults: draws faults; by default there are none.
        schedule: draws the schedule; by default all of them.
        **data: draws the other arguments of the workload, by name.

    Example:
        >>> from hypothesis import strategies as st
        >>> @simulated(numbers=st.lists(st.integers()))
        ... def test_nothing(simulation, numbers):
        ...     assert simulation.system.actors() == []
        >>> test_nothing()
    """
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "seed": seeds(),
        "faults": st.just({}) if faults is None else faults,
        "schedule": schedules() if schedule is None else schedule,
    }

    def decorate(workload: Callable[..., object]) -> Callable[..., None]:
        @given(**{f"simulation_{name}": each for name, each in drawn.items()}, **data)
        def test(
            simulation_seed: int, simulation_faults: dict[str, float], simulation_schedule: Any, **arguments: Any
        ) -> None:
            def run(simulation: Simulation) -> None:
                workload(simulation, **arguments)

            # Armed in every run: whether a kind is in it, Hypothesis decides.
            options = SimulationOptions(faults=simulation_faults, schedule=simulation_schedule, arming=1.0)
            outcome = run_seed(run, simulation_seed, options)
            if outcome.failed:
                note(outcome.transcript)
                raise AssertionError(str(outcome))

        return _named_as(test, workload)

    return decorate


simulate = simulated
"""The same, as a word for ``@simulate(...)``; `supervisors.simulation.simulate()` is for seeds of one's own."""


def _named_as(test: Any, workload: Callable[..., object]) -> Callable[..., None]:
    # Not functools.wraps(): pytest would take the workload's arguments for fixtures.
    signature = inspect.signature(test)
    functools.update_wrapper(test, workload, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())
    del test.__wrapped__
    test.__signature__ = signature
    result: Callable[..., None] = test
    return result
