"""Makes a plan of TOML. Every mistake is told at once: the field, what was given, and what is allowed."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from supervisors.chaos.plan import BlastRadius, Budget, Fault, Plan, Recovery, Rollback, Stop
from supervisors.chaos.probes import PROBE_KINDS
from supervisors.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisors.chaos.probes import Probe

__all__ = ["load_plan", "plan_of"]

T = TypeVar("T")

Mistake: TypeAlias = InvalidArgumentError | InvalidTypeError

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
        InvalidArgumentError, InvalidTypeError: it is no plan; `field` is the path of the first mistake,
            such as ``method[2].rate``, and each further one is a note of the error.
    """
    mistakes: list[Mistake] = []
    _check_keys("", given, _KEYS, mistakes)
    system = _table("system", given.get("system", {}), mistakes)
    _check_keys("system", system, ("start",), mistakes)
    processes = _table("processes", given.get("processes", {}), mistakes)
    for name, where in processes.items():
        if isinstance(where, bool) or not isinstance(where, (int, str)):
            allowed = "a process id, or the path of a file that holds one"
            mistakes.append(InvalidTypeError(f"processes.{name}", where, allowed))
    methods = _tables("method", given, mistakes)
    if not methods and "method" not in {mistake.field for mistake in mistakes}:
        allowed = "at least one [[method]] with a kind of fault"
        mistakes.append(InvalidArgumentError("method", "nothing", allowed))
    faults = [_made(f"method[{n}]", Fault, each, mistakes) for n, each in enumerate(methods)]
    steady = [_probe(f"steady[{n}]", each, mistakes) for n, each in enumerate(_tables("steady", given, mistakes))]
    rollback = [
        _made(f"rollback[{n}]", Rollback, each, mistakes) for n, each in enumerate(_tables("rollback", given, mistakes))
    ]
    parts: dict[str, Any] = {
        name: _made(name, kind, _table(name, given[name], mistakes), mistakes)
        for name, kind in (
            ("blast_radius", BlastRadius),
            ("budget", Budget),
            ("stop", Stop),
            ("recovery", Recovery),
        )
        if name in given
    }
    values = {
        **{name: given[name] for name in ("title", "seed") if name in given},
        **{name: part for name, part in parts.items() if part is not None},
        "faults": tuple(each for each in faults if each is not None),
        "steady": tuple(each for each in steady if each is not None),
        "rollback": tuple(each for each in rollback if each is not None),
        "processes": tuple(processes.items()),
        "start": system.get("start"),
    }
    renamed = {"faults": "method", "start": "system.start"}
    plan = _tried(Plan, values, lambda error: mistakes.append(_under("", error, renamed)))
    if mistakes:
        first, *others = mistakes
        for other in others:
            first.add_note(str(other))
        raise first
    assert plan is not None, "it has no mistakes"
    return plan


def _probe(field: str, given: Mapping[str, Any], mistakes: list[Mistake]) -> Probe | None:
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in PROBE_KINDS:
        told = "nothing" if kind is None else kind
        mistakes.append(InvalidArgumentError(f"{field}.kind", told, ", ".join(PROBE_KINDS)))
        return None
    rest = {key: value for key, value in given.items() if key != "kind"}
    made: Probe | None = _made(field, PROBE_KINDS[kind], rest, mistakes)
    return made


def _made(field: str, kind: type[T], given: Mapping[str, Any], mistakes: list[Mistake]) -> T | None:
    """Make a part of the plan; None: it has mistakes, which have been noted."""
    known = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]  # all of ours are
    before = len(mistakes)
    _check_keys(field, given, tuple(known), mistakes)
    needed = [
        name
        for name, each in known.items()
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in needed if name not in given]
    mistakes += [InvalidArgumentError(f"{field}.{name}", "nothing", "a value: it has no default") for name in missing]
    if missing:
        return None
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if key in known}
    made = _tried(kind, values, lambda error: mistakes.append(_under(field, error)))
    return made if len(mistakes) == before else None


def _tried(kind: Callable[..., T], values: dict[str, Any], note: Callable[[Mistake], None]) -> T | None:
    """Make something of values; None: it has mistakes, which have been noted, one for each value."""
    left = dict(values)
    while True:
        try:
            return kind(**left)
        except (InvalidArgumentError, InvalidTypeError) as error:
            wrong = error.field.partition("[")[0]
            if wrong in left or left == values:
                note(error)
            # What has a default is tried without the mistake: there may be others.
            if left.pop(wrong, None) is None:
                return None
        except TypeError:
            return None  # what is needed has been left out, because it is wrong


def _under(field: str, error: Mistake, renamed: Mapping[str, str] | None = None) -> Mistake:
    """Return the same error for the field's place in the file."""
    inner = error.field
    for old, new in (renamed or {}).items():
        if inner.startswith(old):
            inner = new + inner[len(old) :]
    full = f"{field}.{inner}" if field else inner
    again = type(error)(full, None, error.allowed)
    again.args = (str(error).replace(error.field, full, 1),)  # what was given is told as it was
    return again


def _check_keys(field: str, given: Mapping[str, Any], known: tuple[str, ...], mistakes: list[Mistake]) -> None:
    for key in given:
        if key not in known:
            where = f"{field}.{key}" if field else key
            mistakes.append(InvalidArgumentError(where, "a key that nobody knows", ", ".join(known)))


def _table(field: str, given: object, mistakes: list[Mistake]) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        mistakes.append(InvalidTypeError(field, given, f"a table [{field}]"))
        return {}
    return given


def _tables(field: str, given: Mapping[str, Any], mistakes: list[Mistake]) -> list[Mapping[str, Any]]:
    tables = given.get(field, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        mistakes.append(InvalidTypeError(field, tables, f"tables [[{field}]]"))
        return []
    return tables
