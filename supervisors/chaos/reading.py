"""Makes a plan of TOML. Every mistake is an error that names the field, what was given, and what is allowed."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from supervisors.chaos.plan import BlastRadius, Budget, Fault, Plan, Recovery, Rollback, Stop
from supervisors.chaos.probes import PROBE_KINDS
from supervisors.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisors.chaos.probes import Probe

__all__ = ["load_plan", "plan_of"]

T = TypeVar("T")

_TOP: Final = ("title", "seed", "system", "processes", "steady", "method", "rollback", "recovery", "stop", "budget")
_KEYS: Final = (*_TOP, "blast_radius")


def load_plan(path: str | Path) -> Plan:
    """Read a plan from a file.

    Args:
        path: of a TOML file; docs/how-to/chaos.md describes it.

    Raises:
        OSError: it cannot be read.
        InvalidArgumentError, InvalidTypeError: it is no TOML, or no plan.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgumentError(str(path), "a file", f"TOML ({error})") from error
    return plan_of(given)


def plan_of(given: Mapping[str, Any]) -> Plan:
    """Make a plan of what a TOML file holds.

    Raises:
        InvalidArgumentError, InvalidTypeError: it is no plan; `field` is the path of the mistake,
            such as ``method[2].rate``.
    """
    _check_keys("", given, _KEYS)
    system = _table("system", given.get("system", {}))
    _check_keys("system", system, ("start",))
    processes = _table("processes", given.get("processes", {}))
    for name, where in processes.items():
        if isinstance(where, bool) or not isinstance(where, (int, str)):
            raise InvalidTypeError(f"processes.{name}", where, "a process id, or the path of a file that holds one")
    faults = tuple(_made(f"method[{n}]", Fault, each) for n, each in enumerate(_tables("method", given)))
    steady = tuple(_probe(f"steady[{n}]", each) for n, each in enumerate(_tables("steady", given)))
    rollback = tuple(_made(f"rollback[{n}]", Rollback, each) for n, each in enumerate(_tables("rollback", given)))
    if not faults:
        raise InvalidArgumentError("method", "nothing", "at least one [[method]] with a kind of fault")
    parts: dict[str, Any] = {
        name: _made(name, kind, _table(name, given[name]))
        for name, kind in (
            ("blast_radius", BlastRadius),
            ("budget", Budget),
            ("stop", Stop),
            ("recovery", Recovery),
        )
        if name in given
    }
    try:
        return Plan(
            **{name: given[name] for name in ("title", "seed") if name in given},
            **parts,
            faults=faults,
            steady=steady,
            rollback=rollback,
            processes=tuple(processes.items()),
            start=system.get("start"),
        )
    except (InvalidArgumentError, InvalidTypeError) as error:
        raise _under("", error, {"faults": "method", "start": "system.start"}) from error


def _probe(field: str, given: Mapping[str, Any]) -> Probe:
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in PROBE_KINDS:
        raise InvalidArgumentError(f"{field}.kind", "nothing" if kind is None else kind, ", ".join(PROBE_KINDS))
    rest = {key: value for key, value in given.items() if key != "kind"}
    made: Probe = _made(field, PROBE_KINDS[kind], rest)
    return made


def _made(field: str, kind: type[T], given: Mapping[str, Any]) -> T:
    known = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]  # all of ours are
    _check_keys(field, given, tuple(known))
    for name, each in known.items():
        has_default = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if name not in given and not has_default:
            raise InvalidArgumentError(f"{field}.{name}", "nothing", "a value: it has no default")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    try:
        return kind(**values)
    except (InvalidArgumentError, InvalidTypeError) as error:
        raise _under(field, error) from error


def _under(
    field: str, error: InvalidArgumentError | InvalidTypeError, renamed: Mapping[str, str] | None = None
) -> InvalidArgumentError | InvalidTypeError:
    """Return the same error for the field's place in the file."""
    inner = error.field
    for old, new in (renamed or {}).items():
        if inner.startswith(old):
            inner = new + inner[len(old) :]
    full = f"{field}.{inner}" if field else inner
    again = type(error)(full, None, error.allowed)
    again.args = (str(error).replace(error.field, full, 1),)  # what was given is told as it was
    return again


def _check_keys(field: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            where = f"{field}.{key}" if field else key
            raise InvalidArgumentError(where, "a key that nobody knows", ", ".join(known))


def _table(field: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise InvalidTypeError(field, given, f"a table [{field}]")
    return given


def _tables(field: str, given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tables = given.get(field, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise InvalidTypeError(field, tables, f"tables [[{field}]]")
    return tables
