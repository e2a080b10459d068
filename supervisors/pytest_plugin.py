"""The plugin for pytest: actor systems, simulations and probes for tests of actors.

Installed with the package; pytest finds it by itself.

**Fixtures.** `virtual_clock` and `actor_system` (a system on that clock, ended after
the test), `probe` (a `supervisors.testing.Probe` in it), and `simulation`: a test with this
one is a workload, run once for each of its seeds. `chaos` makes experiments on an
`actor_system` in real time.

**Markers.** ``@pytest.mark.seeds(...)`` gives a simulated test its seeds,
``@pytest.mark.simulation(...)`` the arguments of `SimulationOptions`, and
``@pytest.mark.actor_system(...)`` those of `ActorSystem`.

**After each test** it is checked that no actor and no thread of ours is left.

Source: pytest's hooks of these names.
"""

from __future__ import annotations

import functools
import gc
import inspect
import shlex
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

import pytest

from supervisors.clock import SystemClock, VirtualClock
from supervisors.entropy import Entropy
from supervisors.runtime.pykka_adapter import shown_systems
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.runner import SimulationFailedError, simulate
from supervisors.system import ActorSystem
from supervisors.testing import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from supervisors.chaos import Chaos
    from supervisors.simulation.simulation import Simulation

__all__ = [
    "actor_system",
    "chaos",
    "no_actor_left_behind",
    "probe",
    "pytest_addoption",
    "pytest_configure",
    "pytest_pyfunc_call",
    "simulation",
    "virtual_clock",
]

SEEDS: Final = 20
"""Seeds of a simulated test that says nothing."""

SHOWN_MAX: Final = 5

POLL: Final = 0.01

GRACE: Final = 2.0
"""Seconds that actors and threads have to end in after a test that has left them."""

_MARKERS: Final = (
    f"seeds(*numbers, count={SEEDS}): of a simulated test: these seeds, then so many from 0 on",
    "simulation(**options): arguments of SimulationOptions for a simulated test",
    "actor_system(real_time=False, **options): arguments of ActorSystem for the fixture actor_system",
    "leaves_actors: the test may leave actors and threads behind",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line."""
    group = parser.getgroup("supervisors", "simulated tests of actors")
    group.addoption("--simulation-seed", type=int, metavar="N", help="run simulated tests under this seed only")
    group.addoption("--simulation-runs", type=int, metavar="N", help="run so many seeds of each simulated test")
    group.addoption("--simulation-transcript", action="store_true", help="print the transcripts of simulated tests")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and refuse options that make no sense."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    runs = config.getoption("--simulation-runs")
    if runs is not None and runs < 1:
        raise pytest.UsageError(f"--simulation-runs: {runs} is not allowed; allowed: at least 1")


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that passes only when it is told to; that of `actor_system`."""
    return VirtualClock()


@pytest.fixture
def actor_system(request: pytest.FixtureRequest) -> Iterator[ActorSystem]:
    """An actor system on virtual time, whose actors must end when they are told to.

    With ``@pytest.mark.actor_system(real_time=True)`` it has real time and threads.
    """
    marker = request.node.get_closest_marker("actor_system")
    options: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    if not options.pop("real_time", False):
        options = {"clock": request.getfixturevalue("virtual_clock"), "entropy": Entropy(0), **options}
    system = ActorSystem(**options)
    late = []
    try:
        yield system
    finally:
        late = system.stop()
    if late:
        named = ", ".join(str(ref) for ref in late[:SHOWN_MAX])
        pytest.fail(f"actors that did not end when they were told to: {named}", pytrace=False)


@pytest.fixture
def probe(actor_system: ActorSystem) -> Probe:
    """An actor of `actor_system` in the hands of the test."""
    return Probe(actor_system)


@pytest.fixture
def chaos(actor_system: ActorSystem) -> Callable[..., Chaos]:
    """A function that makes an experiment on `actor_system`, which needs real time.

    It takes the plan and the options of `supervisors.chaos.Chaos`; the experiment is for a
    ``with`` block, or for its `run()`.
    """
    from supervisors.chaos import Chaos  # noqa: PLC0415 - few tests need it, and every test run imports this

    return functools.partial(Chaos, actor_system)


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Simulation:
    """A `Simulation`, another one for each seed: the test is its workload.

    The test is called once for each seed; its other fixtures stay the same all the while.
    """
    if request.scope != "function" or "simulation" not in getattr(request.node, "fixturenames", ()):
        raise pytest.UsageError("simulation is for test functions")
    return _Nowhere()  # type: ignore[return-value]  # replaced before the test is called


@final
class _Nowhere:
    """Stands for the simulation until the test is called."""

    def __getattr__(self, name: str) -> NoReturn:
        raise pytest.UsageError("simulation is for the test itself; other fixtures are made before it begins")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a simulated test once for each of its seeds."""
    if not isinstance(pyfuncitem.funcargs.get("simulation"), _Nowhere):
        return None

    marker = pyfuncitem.get_closest_marker("simulation")
    options = SimulationOptions(**(marker.kwargs if marker is not None else {}))
    workload = _Workload(pyfuncitem)
    try:
        outcomes = simulate(workload, _seeds_of(pyfuncitem), options, command=_command_of(pyfuncitem))
    except SimulationFailedError as failure:
        # What the test has raised, with its own traceback, is told first.
        raise failure from workload.raised
    if pyfuncitem.config.getoption("--simulation-transcript"):
        for outcome in outcomes:
            sys.stdout.write(f"{outcome.transcript}{outcome}\n")
    return True


@final
class _Workload:
    """A test function, as something that a simulation runs."""

    def __init__(self, item: pytest.Function) -> None:
        self.__name__ = item.name
        self._call = item.obj
        names = inspect.signature(item.obj).parameters
        self._arguments = {name: value for name, value in item.funcargs.items() if name in names}
        self.raised: BaseException | None = None

    def __call__(self, simulation: Simulation) -> None:
        self.raised = None
        if "simulation" in self._arguments:
            self._arguments["simulation"] = simulation
        try:
            self._call(**self._arguments)
        except pytest.fail.Exception as failed:
            # Not an Exception, and so no verdict by itself.
            self.raised = failed
            raise AssertionError(failed.msg) from failed
        except Exception as error:
            self.raised = error
            raise


def _seeds_of(item: pytest.Function) -> Iterable[int]:
    """Return the seeds of a simulated test: those named first, each once."""
    only = item.config.getoption("--simulation-seed")
    if only is not None:
        return (only,)
    marker = item.get_closest_marker("seeds")
    named = marker.args if marker is not None else ()
    count = marker.kwargs.get("count", SEEDS) if marker is not None else SEEDS
    runs = item.config.getoption("--simulation-runs")
    try:
        return dict.fromkeys((*named, *range(count if runs is None else runs)))
    except TypeError as error:
        raise pytest.UsageError(f"@pytest.mark.seeds: count={count!r} is not allowed; allowed: an int") from error


def _command_of(item: pytest.Function) -> Callable[[int], str]:
    return lambda seed: f"{shlex.join(['pytest', item.nodeid])} --simulation-seed {seed}"


@pytest.fixture(autouse=True)
def no_actor_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves actors of systems of its own, or threads of ours."""
    if request.node.get_closest_marker("leaves_actors") is not None:
        yield
        return
    # Kept by the list, so that no identity passes to another one.
    systems, threads = _running_systems(), set(threading.enumerate())
    yield
    if not _left(systems, threads):
        return
    gc.collect()  # a system that nobody can reach any more is no leak
    clock = SystemClock()
    deadline = clock.monotonic() + GRACE
    while (found := _left(systems, threads)) and clock.monotonic() < deadline:
        threading.Event().wait(POLL)
    if found:
        pytest.fail(f"left behind: {', '.join(found[:SHOWN_MAX])}", pytrace=False)


_OF_A_SYSTEM: Final = ("supervisors-worker-", "supervisors-watchdog", "supervisors-timers")
"""How the names begin of threads that a system starts when it first needs them."""


def _running_systems() -> list[Any]:
    """Return the systems that have not been stopped; who did not end while one was stopped has been told of there."""
    return [system for system in shown_systems() if not system.is_stopped]


def _left(systems: Sequence[Any], threads: Container[threading.Thread]) -> list[str]:
    """Return the names of actors and threads that were not there before."""
    known = {id(system) for system in systems}
    # A system of a wider fixture may start a thread of its own in any test.
    lent = _OF_A_SYSTEM if any(not system.is_stopped for system in systems) else ()
    actors = [str(ref) for system in _running_systems() if id(system) not in known for ref in system.actors()]
    names = [each.name for each in threading.enumerate() if each not in threads]
    return [*actors, *(name for name in names if name.startswith("supervisors-") and not name.startswith(lent))]
