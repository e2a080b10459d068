"""The reference has every public name, and each says what its users have to know.

It is made from docstrings when the documentation is built. Here stands what these have to
have: a sentence for everything that is public, the unit of everything that is a time,
the errors that are raised, and from which threads the methods of a class may be called.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGES = sorted(REFERENCE.glob("*.rst"))
ROOTS = ("sessionactors", "supervisors")
OF_THE_COMMAND = {"sessionactors.cli"}

# Bad arguments are errors everywhere; `InternalError` is our own fault; the last two are
# what a method says that somebody has to fill in first.
UNTOLD = {
    "InternalError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "InvalidKind",
    "InvalidValue",
    "Fenced",
    "StopNow",
    "UndefinedCallbackError",
    "UnknownRequest",
}
# What only the runtime calls, in the actor's own turn.
HOOKS = {"receive_ask", "receive_tell", "starting", "ending", "ended", "make_core"}

_TIME = re.compile(r"(^|_)(timeout|seconds|delay|interval|deadline|within|patience|budget)$")
_ALIKE = re.compile(r"\b(as|of|see|likewise|same)\b[^.]{0,40}`|likewise", re.IGNORECASE)


def listed(page):
    """Return the module of a page and the names that the page leaves to another one."""
    text = page.read_text(encoding="utf-8")
    excluded = re.search(r":exclude-members: (.+)", text)
    return re.search(r"automodule:: (\S+)", text)[1], set(excluded[1].split(", ")) if excluded else set()


def public():
    """Return every public object by its name, each once."""
    found = {}
    for page in PAGES:
        module = importlib.import_module(listed(page)[0])
        for name in module.__all__:
            found.setdefault(id(getattr(module, name)), (f"{module.__name__}.{name}", getattr(module, name)))
    return dict(found.values())


def is_ours(thing):
    return thing.__module__.partition(".")[0] in ROOTS


def methods(owner):
    """Return the public functions of a class that are ours, those of its bases as well."""
    for base in owner.__mro__:
        for name, value in vars(base).items() if is_ours(base) else ():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if inspect.isfunction(function) and not name.startswith("_"):
                yield base, name, function


def functions():
    """Return every public function and method with its name and its class, each once."""
    found = {}
    for name, thing in PUBLIC.items():
        if inspect.isclass(thing):
            for base, method, function in methods(thing):
                found.setdefault(function, (f"{name}.{method}", base))
        elif inspect.isfunction(thing):
            found.setdefault(thing, (name, None))
    return [(name, function, owner) for function, (name, owner) in found.items()]


def raised(function):
    """Return the exceptions of ours that a function itself raises."""
    found = []
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            error = function.__globals__.get(name.id) if isinstance(name, ast.Name) else None
            if inspect.isclass(error) and is_ours(error):
                found.append(error)
    return found


PUBLIC = public()
FUNCTIONS = functions()


def test_there_is_much_to_tell():
    assert len(PUBLIC) > 300
    assert len(FUNCTIONS) > 500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_that_of_its_module(page):
    module, excluded = listed(page)
    assert page.stem == module
    root, home = importlib.import_module(module.partition(".")[0]), importlib.import_module(module)
    elsewhere = {name for name in home.__all__ if root is not home and getattr(root, name, None) is getattr(home, name)}
    assert excluded == (elsewhere or ({"SessionSystem"} if module == "sessionactors" else set()))


def test_every_package_that_offers_names_has_a_page():
    offering = set(ROOTS)
    for root in map(importlib.import_module, ROOTS):
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if found.ispkg and getattr(importlib.import_module(found.name), "__all__", None):
                offering.add(found.name)
    assert not offering - OF_THE_COMMAND - {page.stem for page in PAGES}


def test_every_public_class_and_function_says_what_it_is():
    classes = [name for name, thing in PUBLIC.items() if inspect.isclass(thing) and not vars(thing).get("__doc__")]
    silent = [name for name, function, owner in FUNCTIONS if not (function.__doc__ or _of_a_base(owner, function))]
    assert not classes
    assert not silent


def test_every_time_has_its_unit():
    without = []
    for name, function, owner in FUNCTIONS:
        told = f"{function.__doc__} {owner and owner.__doc__}"
        for argument in inspect.signature(function).parameters.values():
            is_time = _TIME.search(argument.name) and "float" in str(argument.annotation)
            if is_time and "second" not in told and not _ALIKE.search(function.__doc__ or ""):
                without.append((name, argument.name))
    assert not without


def test_every_error_that_a_function_raises_is_told():
    untold = []
    for name, function, owner in FUNCTIONS:
        told = f"{function.__doc__ or ''} {_of_a_base(owner, function) or ''}"
        if function.__name__ in HOOKS or _ALIKE.search(told):
            continue
        untold += [
            (name, error.__name__)
            for error in raised(function)
            if error.__name__ not in UNTOLD and not any(base.__name__ in told for base in error.__mro__[:-3])
        ]
    assert not untold


def test_every_class_with_methods_says_from_which_threads():
    without = []
    for name, thing in PUBLIC.items():
        if not inspect.isclass(thing) or issubclass(thing, (BaseException, tuple)) or dataclasses.is_dataclass(thing):
            continue
        if getattr(thing, "_is_protocol", False) or not any(methods(thing)):
            continue
        told = f"{thing.__doc__} {sys.modules[thing.__module__].__doc__}".lower()
        if "thread" not in told and "turn" not in told:
            without.append(name)
    assert not without


def _of_a_base(owner, function):
    """Return what the class that a method comes from, or one that it stands for, says about it."""
    for base in owner.__mro__ if owner is not None else ():
        doc = getattr(vars(base).get(function.__name__), "__doc__", None)
        if doc:
            return doc
    return None
