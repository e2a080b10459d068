"""What makes two runs differ comes in through one door each.

Time is read in `supervisors.clock`, random numbers are drawn in
`supervisors.entropy`, and secrets are made where keys and tokens are made.
Everything else takes them as arguments: that is what lets the simulator repeat
a run to the bit. Tests do not wait for time to pass either.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture.import_graph import Module, read_package

ROOT = Path(__file__).parents[2]

# A name with a dot at the end stands for everything in that module.
TIME: frozenset[str] = frozenset(
    {
        "asyncio.sleep",
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "threading.Timer",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "time.ctime",
        "time.gmtime",
        "time.localtime",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.process_time",
        "time.process_time_ns",
        "time.sleep",
        "time.strftime",
        "time.thread_time",
        "time.thread_time_ns",
        "time.time",
        "time.time_ns",
    }
)
RANDOMNESS: frozenset[str] = frozenset(
    {"os.getrandom", "os.urandom", "random.", "secrets.", "uuid.uuid1", "uuid.uuid4"}
)

# Who may use what, and why.
DOORS: Mapping[str, frozenset[str]] = {
    "supervisors/clock.py": TIME,
    "supervisors/entropy.py": frozenset({"os.urandom", "random."}),
    # Puts something around them that sees who else uses them; draws nothing.
    "supervisors/simulation/outside.py": frozenset({"random."}),
    # Runs in worker processes, where importing the package would take longer than starting Python.
    "supervisors/pools/child.py": frozenset({"time.perf_counter"}),
    # Makes the keys that sign the heads of the audit log.
    "sessionactors/audit/keys.py": frozenset({"secrets."}),
    # Makes session tokens, which nobody may guess.
    "sessionactors/identifiers.py": frozenset({"secrets."}),
    # Makes the salts of password hashes.
    "sessionactors/passwords.py": frozenset({"secrets."}),
}


@pytest.mark.parametrize("package", ["supervisors", "sessionactors"])
def test_time_and_randomness_come_in_through_their_doors(package):
    found = [problem for module in read_package(ROOT, package).values() for problem in _undue(module)]
    assert not found, "\n".join(found)


def test_no_test_waits_for_time_to_pass():
    waits = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in _uses(_without_bare_yields(ast.parse(path.read_bytes())))
        if name in ("asyncio.sleep", "time.sleep") and path.parent.name != "simulation"  # there it is virtual
    ]
    assert not waits, "\n".join(waits)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import time\ntime.time()", "time.time"),
        ("import time as t\ndef f(): return t.monotonic()", "time.monotonic"),
        ("from time import perf_counter as tick", "time.perf_counter"),
        ("def f():\n    import time\n    time.sleep(1)", "time.sleep"),
        ("import time\nclock = time.monotonic", "time.monotonic"),
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("import datetime as d\nd.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("import random\nrandom.Random(1)", "random.Random"),
        ("from random import shuffle", "random.shuffle"),
        ("import uuid\nuuid.uuid4().hex", "uuid.uuid4"),
        ("import os\nos.urandom(8)", "os.urandom"),
        ("import secrets\nsecrets.token_hex()", "secrets.token_hex"),
    ],
)
def test_another_door_is_found(source, name):
    module = Module("supervisors.server", Path("supervisors/server.py"), ast.parse(source))
    (problem,) = _undue(module)
    assert problem.startswith("supervisors/server.py:")
    assert name in problem


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.strptime('2015', '%Y')",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
        "import uuid\nuuid.UUID(int=1)",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import random\ndef f(numbers: random.Random): ...",
        "import random\ndef f(numbers: random.Random) -> random.Random:\n    mine: random.Random = numbers\n",
        "self.time.sleep(1)\nrandom = stream.random()",
    ],
)
def test_names_that_read_no_clock_and_draw_no_number_are_fine(source):
    module = Module("supervisors.server", Path("supervisors/server.py"), ast.parse(source))
    assert not list(_undue(module))


def test_a_door_opens_only_for_what_it_is_made_for():
    source = "import os, random, time\nos.urandom(8)\nrandom.random()\ntime.time()"
    module = Module("supervisors.entropy", Path("supervisors/entropy.py"), ast.parse(source))
    (problem,) = _undue(module)
    assert "time.time" in problem


def _undue(module: Module) -> Iterator[str]:
    """Yield what a module uses without being its door."""
    allowed = DOORS.get(module.path.as_posix(), frozenset())
    for line, name in _uses(module.tree):
        if _is_in(name, TIME | RANDOMNESS) and not _is_in(name, allowed):
            yield f"{module.path}:{line}: uses {name}; only its door may (see DOORS)"


def _is_in(name: str, names: frozenset[str]) -> bool:
    return name in names or f"{name.partition('.')[0]}." in names


def _uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full name of each use of something imported, however it was renamed.

    Annotations do not count: a parameter may be *typed* as a random generator.
    """
    annotations = {id(part) for root in _annotations(tree) for part in ast.walk(root)}
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in annotations:
            top, _, rest = ast.unparse(node).partition(".")
            if top in aliases:
                yield node.lineno, f"{aliases[top]}.{rest}"


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        found = getattr(node, "returns", None) or getattr(node, "annotation", None)
        if isinstance(found, ast.expr):
            yield found


def _without_bare_yields(tree: ast.Module) -> ast.Module:
    """Drop `asyncio.sleep(0)`, which lets others run and waits for nothing."""

    class Dropper(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            is_bare_yield = ast.unparse(node) == "asyncio.sleep(0)"
            return ast.Constant(None) if is_bare_yield else self.generic_visit(node)

    dropped = Dropper().visit(tree)
    assert isinstance(dropped, ast.Module)
    return dropped
