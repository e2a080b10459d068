"""Read a package's imports from its source, without running any of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Import", "Module", "imports_of", "read_package"]


@dataclass(frozen=True, slots=True)
class Module:
    """One source file of a package.

    Attributes:
        name: the dotted name; a package's own name stands for its `__init__.py`.
        path: relative to the folder that holds the package.
        tree: the parsed source.
    """

    name: str
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True, slots=True)
class Import:
    """One module naming another.

    Attributes:
        importer: the module with the statement.
        target: the module; for ``from package import name`` this is
            ``package.name`` if that is a module of ours, or else ``package``.
        line: where it stands.
        is_type_only: stands under ``if TYPE_CHECKING`` and never runs.
    """

    importer: Module
    target: str
    line: int
    is_type_only: bool

    def __str__(self) -> str:
        return f"{self.importer.path}:{self.line}: {self.importer.name} imports {self.target}"


def read_package(root: Path, package: str) -> dict[str, Module]:
    """Parse every module of a package; return them by dotted name, sorted."""
    modules = {}
    for path in sorted((root / package).rglob("*.py")):
        relative = path.relative_to(root)
        parts = relative.with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(name, relative, ast.parse(path.read_bytes(), filename=str(relative)))
    return modules


def imports_of(module: Module, known: frozenset[str]) -> Iterator[Import]:
    """Yield every import statement of a module, those inside functions included."""
    for statement, is_type_only in _import_statements(module.tree.body, is_type_only=False):
        for target in _targets(statement, module, known):
            yield Import(module, target, statement.lineno, is_type_only)


def _import_statements(
    body: list[ast.stmt], *, is_type_only: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield statement, is_type_only
            continue
        guarded = isinstance(statement, ast.If) and ast.unparse(statement.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        )
        for field, value in ast.iter_fields(statement):
            if isinstance(value, list):
                yield from _import_statements(
                    _statements(value), is_type_only=is_type_only or (guarded and field == "body")
                )


def _statements(nodes: list[object]) -> list[ast.stmt]:
    """Keep statements, and open what holds statements itself: handlers of a try, cases of a match."""
    found: list[ast.stmt] = []
    for node in nodes:
        if isinstance(node, ast.stmt):
            found.append(node)
        elif isinstance(node, (ast.ExceptHandler, ast.match_case)):
            found.extend(node.body)
    return found


def _targets(statement: ast.Import | ast.ImportFrom, module: Module, known: frozenset[str]) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    origin = statement.module or ""
    if statement.level:
        parts = module.name.split(".")
        above = statement.level - 1 if module.is_package else statement.level
        parts = parts[: len(parts) - above]
        origin = ".".join([*parts, origin] if origin else parts)
    # What is named is a module of the package, or else something that the package defines.
    named = [f"{origin}.{alias.name}" for alias in statement.names]
    return [name if name in known else origin for name in named]
