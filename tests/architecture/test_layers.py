"""Arrows between modules point inward, and nothing goes in a circle.

The table is the drawing of the house. A layer imports itself and layers with a
smaller number. A new module that is not in the table makes a test fail: its
place is a decision, so make it here.

Entries are paths inside the package, without ``.py``; one that ends with ``/``
is a whole folder. A file's own entry wins over its folder's.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.architecture.import_graph import Import, Module, imports_of, read_package

ROOT = Path(__file__).parents[2]

LAYERS: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "supervisors": {
        # Foundations: the standard library only, no threads, no Pykka.
        0: ("clock", "entropy", "errors", "events", "exits", "identity", "invariants", "typed"),
        # Very many actors on few threads.
        1: ("runtime/",),
        # What processes have besides messages.
        2: (
            "actor",
            "addressee",
            "aliases",
            "counters",
            "groups",
            "hibernation",
            "links",
            "monitors",
            "names",
            "process_actor",
            "registry",
            "signals",
            "spawning",
            "starter",
            "stopping",
            "timers/",
            "via",
        ),
        # Behaviours: OTP's ways to write an actor.
        3: ("alarm", "behaviour", "callbacks", "quarantine", "server", "state", "statem/", "supervision/"),
        # Composition.
        4: (
            "application/",
            "health/",
            "inspection/",
            "pools/",
            "process_child",
            "resources/",
            "system",
            "tasks/",
            "telemetry/",
        ),
        # Proof: nothing else imports this.
        5: ("chaos/", "pytest_plugin", "simulation/", "testing"),
    },
    "sessionactors": {
        # The domain: pure values, no actors, no I/O.
        0: (
            "audit/__init__",
            "audit/errors",
            "audit/merkle",
            "audit/plain_values",
            "audit/record",
            "bad_input",
            "bounds",
            "decisions/",
            "effects",
            "errors",
            "expiry",
            "failures",
            "footprint",
            "hibernation_ledger",
            "identifiers",
            "lifecycle",
            "limits/",
            "metadata",
            "operations",
            "option_table",
            "packing",
            "refusal",
            "session_data",
            "session_options",
            "settings",
            "snapshots",
            "states",
        ),
        # Ports and adapters.
        1: ("audit/", "sandbox/", "sqlite_files", "storage/", "telemetry"),
        # Actors.
        2: (
            "arrivals",
            "audit/service",
            "audit/upkeep",
            "coroutines",
            "departures",
            "directory",
            "flusher",
            "errands",
            "glance",
            "isolation",
            "isolation_calls",
            "isolation_ledger",
            "isolation_reports",
            "judging",
            "limited",
            "moving",
            "passwords",
            "limiter_memory",
            "limiter_upkeep",
            "limiter_table",
            "rate_limiter",
            "reap_agenda",
            "reap_entry",
            "reap_jobs",
            "reaper",
            "reaper_ledger",
            "receipts",
            "reaping",
            "recovery",
            "request_waits",
            "requests",
            "restraints",
            "sandbox/session_host",
            "service_access",
            "service_calls",
            "session",
            "session_code",
            "session_followers",
            "session_messages",
            "session_saving",
            "sleeping",
            "sleeping_session",
            "spilling",
            "storage/service",
            "subscribers",
            "surroundings",
            "templates",
            "tiers",
            "updates",
            "users",
            "verbs",
            "verification",
            "waiting_room",
            "writer",
        ),
        # Assembly, and the commands.
        3: (
            "__main__",
            "cli/",
            "daemon/",
            "inspection/",
            "audit_calls",
            "log_calls",
            "manager",
            "replay/",
            "session_calls",
            "session_tracing",
            "system",
            "testing",
            "tree",
            "user_calls",
        ),
        # Proof: nothing else imports this.
        4: ("simulation/",),
    },
}

# Modules that any layer may name for the type checker only (the import stands under
# ``if TYPE_CHECKING``), with the reason above each.
TYPE_ONLY_TARGETS: frozenset[str] = frozenset(
    {
        # An actor's `system` is how user code reaches everything else, so its type must be the real one.
        "supervisors.system",
    }
)


def test_every_module_has_a_layer():
    found = _homeless(_packages(ROOT))
    assert not found, "\n".join(found)


def test_no_import_points_to_an_outer_layer():
    found = _outward(_imports(ROOT), TYPE_ONLY_TARGETS)
    assert not found, "\n".join(found)


def test_every_exception_for_types_is_still_needed():
    outward = {found.target for found in _imports(ROOT) if found.is_type_only and _points_outward(found)}
    assert not TYPE_ONLY_TARGETS - outward


def test_supervisors_knows_nothing_of_sessionactors():
    found = _wrong_way(_imports(ROOT))
    assert not found, "\n".join(found)


def test_no_module_imports_from_its_own_package_root():
    found = _from_own_root(_imports(ROOT))
    assert not found, "\n".join(found)


def test_no_import_goes_in_a_circle():
    found = _circle(_imports(ROOT))
    assert not found, found


@pytest.fixture
def plant(tmp_path):
    """Write a small house with `supervisors` in it: path -> source; return its root."""

    def write(**sources: str) -> Path:
        files = {"supervisors/__init__.py": "", "sessionactors/__init__.py": "", "supervisors/runtime/__init__.py": ""}
        files |= {name.replace("__in__", "/") + ".py": source for name, source in sources.items()}
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return tmp_path

    return write


def test_a_module_without_a_layer_is_found_and_told_where_to_go(plant):
    root = plant(supervisors__in__attic="")
    (problem,) = _homeless(_packages(root))
    assert problem.startswith("supervisors/attic.py")
    assert "LAYERS" in problem
    assert "test_layers.py" in problem


@pytest.mark.parametrize(
    "statement",
    [
        "from supervisors.system import ActorSystem",
        "import supervisors.system as outer",
        "from ..system import ActorSystem",
        "def later():\n    from supervisors import system",
        "try:\n    pass\nexcept ValueError:\n    import supervisors.system",
        "match 1:\n    case 1:\n        import supervisors.system",
        "if TYPE_CHECKING:\n    from supervisors.system import ActorSystem",
    ],
)
def test_an_outward_arrow_is_found(plant, statement):
    root = plant(supervisors__in__runtime__in__cell=statement, supervisors__in__system="")
    (problem,) = _outward(_imports(root), frozenset())
    assert "supervisors/runtime/cell.py:" in problem
    assert "L1" in problem
    assert "L4" in problem


def test_an_outward_arrow_to_a_module_that_does_not_exist_yet_is_found(plant):
    root = plant(supervisors__in__clock="from supervisors.registry import Registry")
    assert len(_outward(_imports(root), frozenset())) == 1


def test_an_exception_for_types_does_not_cover_an_import_that_runs(plant):
    arrow = frozenset({"supervisors.system"})
    guarded = "if TYPE_CHECKING:\n    from supervisors.system import ActorSystem\n"
    running = "else:\n    from supervisors.system import ActorSystem\n"
    root = plant(supervisors__in__runtime__in__cell=guarded, supervisors__in__system="")
    assert not _outward(_imports(root), arrow)
    root = plant(supervisors__in__runtime__in__cell=guarded + running, supervisors__in__system="")
    assert len(_outward(_imports(root), arrow)) == 1


def test_an_inward_arrow_is_fine(plant):
    root = plant(supervisors__in__system="from supervisors.runtime import cell", supervisors__in__runtime__in__cell="")
    assert not _outward(_imports(root), frozenset())


def test_an_arrow_from_supervisors_to_sessionactors_is_found(plant):
    root = plant(supervisors__in__system="from sessionactors.session import Session", sessionactors__in__session="")
    assert len(_wrong_way(_imports(root))) == 1


@pytest.mark.parametrize("statement", ["import supervisors", "from supervisors import Actor", "from . import Actor"])
def test_an_import_from_the_own_root_is_found(plant, statement):
    root = plant(supervisors__in__server=statement)
    assert len(_from_own_root(_imports(root))) == 1


def test_sessionactors_may_import_the_root_of_supervisors(plant):
    root = plant(sessionactors__in__session="from supervisors import Actor")
    assert not _from_own_root(_imports(root))
    assert not _wrong_way(_imports(root))


def test_a_circle_is_found_also_through_a_function(plant):
    root = plant(
        supervisors__in__links="from supervisors import monitors",
        supervisors__in__monitors="from supervisors import registry",
        supervisors__in__registry="def late():\n    from supervisors.links import Link",
    )
    for name in ("links", "monitors", "registry"):
        assert f"supervisors.{name}" in _circle(_imports(root))


def test_a_circle_of_types_only_is_fine(plant):
    root = plant(
        supervisors__in__links="from supervisors import monitors",
        supervisors__in__monitors="import typing\nif typing.TYPE_CHECKING:\n    from supervisors.links import Link",
    )
    assert not _circle(_imports(root))


def _packages(root: Path) -> list[Module]:
    return [module for package in LAYERS for module in read_package(root, package).values()]


def _imports(root: Path) -> list[Import]:
    """Return every import of one of our modules by another."""
    modules = _packages(root)
    known = frozenset(module.name for module in modules)
    return [
        found for module in modules for found in imports_of(module, known) if found.target.partition(".")[0] in LAYERS
    ]


def _layer(name: str) -> int | None:
    """Return the layer of a dotted name, or None if the table does not have it."""
    package, _, inside = name.partition(".")
    path = inside.replace(".", "/")
    best, layer = -1, None
    for number, entries in LAYERS[package].items():
        for entry in entries:
            is_match = f"{path}/".startswith(entry) if entry.endswith("/") else entry in (path, f"{path}/__init__")
            # A folder's entry is shorter than that of a file inside it, so the longest match is the closest.
            if is_match and len(entry) > best:
                best, layer = len(entry), number
    return layer


def _homeless(modules: Iterable[Module]) -> list[str]:
    return [
        f"{module.path} has no layer: add it to LAYERS at the top of tests/architecture/test_layers.py"
        for module in modules
        if module.name not in LAYERS and _layer(module.name) is None
    ]


def _points_outward(found: Import) -> bool:
    if found.importer.name in LAYERS or found.target in LAYERS:
        return False  # the public face imports everything; who imports the face is another test's matter
    inner = _layer(found.importer.name)
    outer = _layer(found.target)
    is_same_package = found.importer.name.partition(".")[0] == found.target.partition(".")[0]
    return is_same_package and inner is not None and outer is not None and inner < outer


def _outward(imports: Iterable[Import], exceptions: frozenset[str]) -> list[str]:
    return [
        f"{found} (L{_layer(found.importer.name)} -> L{_layer(found.target)})"
        for found in imports
        if _points_outward(found) and not (found.is_type_only and found.target in exceptions)
    ]


def _wrong_way(imports: Iterable[Import]) -> list[str]:
    return [
        str(found)
        for found in imports
        if found.importer.name.partition(".")[0] == "supervisors" and found.target.partition(".")[0] == "sessionactors"
    ]


def _from_own_root(imports: Iterable[Import]) -> list[str]:
    return [str(found) for found in imports if found.target == found.importer.name.partition(".")[0]]


def _circle(imports: Iterable[Import]) -> str:
    """Return the modules of one circle as text, or nothing.

    Imports inside functions count: they hide a circle, they do not open it.
    Imports for types only do not: two classes of one layer may know each
    other's name.
    """
    graph: dict[str, set[str]] = {}
    for found in imports:
        if not found.is_type_only and found.target != found.importer.name:
            graph.setdefault(found.importer.name, set()).add(found.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return " <- ".join(error.args[1])
    return ""
