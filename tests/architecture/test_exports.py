"""What a module offers is written down, sorted, complete and true."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.architecture.import_graph import Module, read_package

ROOT = Path(__file__).parents[2]

MODULES = [module for package in ("sessionactors", "supervisors") for module in read_package(ROOT, package).values()]
PACKAGES = [module for module in MODULES if module.is_package]


def _named(modules: list[Module]) -> list[str]:
    return [module.name for module in modules]


@pytest.mark.parametrize("module", MODULES, ids=_named(MODULES))
def test_every_module_has_a_sorted_list_of_what_it_offers(module):
    fault = _faults_of_list(module)
    assert not fault, fault


@pytest.mark.parametrize("module", MODULES, ids=_named(MODULES))
def test_every_public_class_and_function_is_offered(module):
    found = _unlisted(module)
    assert not found, f"{module.path}: {', '.join(found)} should stand in __all__ or have a name with an underscore"


@pytest.mark.parametrize("module", PACKAGES, ids=_named(PACKAGES))
def test_every_name_that_a_package_offers_can_be_imported(module):
    imported = importlib.import_module(module.name)
    assert not [name for name in _listed(module) or () if not hasattr(imported, name)]


@pytest.mark.parametrize("module", PACKAGES, ids=_named(PACKAGES))
def test_a_package_file_holds_a_docstring_imports_and_the_list_only(module):
    assert not _foreign_statements(module)


@pytest.mark.parametrize("module", PACKAGES, ids=_named(PACKAGES))
def test_every_name_comes_from_the_module_that_its_type_comes_from(module):
    homes = getattr(importlib.import_module(module.name), "_HOMES", None)
    if homes is not None:
        assert homes == _typed_homes(module)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", "has no __all__"),
        ("__all__ = [name for name in dir()]", "has no __all__"),
        ("__all__ = ['b', 'a']", "not sorted"),
        ("__all__ = ['Late', 'EARLY']", "not sorted"),
        ("__all__ = ['a', 'a']", "twice"),
    ],
)
def test_a_faulty_list_is_found(source, fault):
    assert fault in _faults_of_list(_module(source))


def test_constants_come_first_then_classes_then_functions():
    assert not _faults_of_list(
        _module("__all__: list[str] = ['KILL', 'ZERO', 'Apple', 'Bread', 'add', 'step2', 'step10']")
    )


@pytest.mark.parametrize("definition", ["def f(): ...", "async def f(): ...", "class f: ..."])
def test_an_unlisted_public_name_is_found(definition):
    assert _unlisted(_module(f"__all__ = []\n{definition}")) == ["f"]


def test_a_private_name_needs_no_listing():
    assert not _unlisted(_module("__all__ = []\ndef _f(): ...\nclass _C: ..."))


@pytest.mark.parametrize("statement", ["x = 1", "def f(): ...", "print(1)", "for x in []: ..."])
def test_a_statement_that_does_not_belong_into_a_package_file_is_found(statement):
    assert _foreign_statements(_module(f"'''Doc.'''\nimport a\nfrom b import c\n__all__ = ['c']\n{statement}"))


def _module(source: str) -> Module:
    return Module("planted", Path("planted/__init__.py"), ast.parse(source))


def _listed(module: Module) -> list[str] | None:
    """Return `__all__` as it is written, or None where there is no literal list."""
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name("__all__")], value=value):
                pass
            case ast.AnnAssign(target=ast.Name("__all__"), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            return list(ast.literal_eval(value))
        except ValueError:
            return None
    return None


def _faults_of_list(module: Module) -> str:
    listed = _listed(module)
    if listed is None:
        return f"{module.path} has no __all__ that is a plain list of names"
    if len(set(listed)) != len(listed):
        return f"{module.path} names something twice in __all__"
    if listed != sorted(listed, key=_rank):
        return f"{module.path}: __all__ is not sorted; should be {sorted(listed, key=_rank)}"
    return ""


def _rank(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Sort as the linter does: CONSTANTS, Classes, the rest; numbers in names by their value."""
    if len(name) > 1 and name.isupper():
        kind = 0
    elif name[:1].isupper():
        kind = 1
    else:
        kind = 2
    return kind, [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _unlisted(module: Module) -> list[str]:
    listed = _listed(module) or ()
    return [
        statement.name
        for statement in module.tree.body
        if isinstance(statement, (ast.AsyncFunctionDef, ast.ClassDef, ast.FunctionDef))
        and not statement.name.startswith("_")
        and statement.name not in listed
    ]


def _foreign_statements(module: Module) -> list[str]:
    foreign = []
    for position, statement in enumerate(module.tree.body):
        is_docstring = position == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_import = isinstance(statement, (ast.Import, ast.ImportFrom))
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        is_list = isinstance(target, ast.Name) and target.id in ("__all__", "__version__")
        if not (is_docstring or is_import or is_list or _is_lazy_loading(statement)):
            foreign.append(f"{module.path}:{statement.lineno}: {ast.unparse(statement)}")
    return foreign


def _is_lazy_loading(statement: ast.stmt) -> bool:
    """Tell whether this is part of the one way to offer names without loading them."""
    match statement:
        case ast.FunctionDef(name="__getattr__" | "__dir__"):
            return True
        case ast.If(test=ast.Name("TYPE_CHECKING"), orelse=[]):
            return all(isinstance(inner, ast.ImportFrom) for inner in statement.body)
        case ast.Assign(targets=[ast.Name("_HOMES")], value=ast.Dict()):
            return True
    return False


def _typed_homes(module: Module) -> dict[str, str]:
    """Return where each name comes from that is imported for types only."""
    return {
        name.name: inner.module or ""
        for statement in module.tree.body
        if isinstance(statement, ast.If)
        for inner in statement.body
        if isinstance(inner, ast.ImportFrom)
        for name in inner.names
    }
