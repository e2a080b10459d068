"""The configuration of the daemon: a TOML file, overridden by the environment, checked field by field.

A section is a table of the file. Those of the session system's own settings have the
options of their classes; the rest stands here. `SESSIONACTORS_FRONT__LINE_MAX=4096` in
the environment stands for ``line_max`` of ``[front]``. Every problem is found in one
go, one sentence each; nothing is started before there is none left.

TOML has no null: the text ``"none"`` is one, where an option may be None.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from sessionactors.daemon.agreement import disagreements
from sessionactors.daemon.options import OWN_OPTIONS, Option
from sessionactors.errors import InvalidKind, InvalidValue, SessionActorsError
from sessionactors.settings import (
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    ReaperSettings,
    SessionOptions,
    Settings,
    StoreSettings,
    UserSettings,
)
from supervisors.errors import SupervisorsError

__all__ = ["DEFAULT", "FILE_MAX", "PREFIX", "Config", "ConfigError", "Setting", "load", "shown"]

FILE_MAX: Final = 1024 * 1024
"""Bytes of a configuration file."""
PREFIX: Final = "SESSIONACTORS_"
DEFAULT: Final = "default"

_SETTINGS: Final[dict[str, type[Settings]]] = {
    "session": SessionOptions,
    "users": UserSettings,
    "limiter": LimiterSettings,
    "isolation": IsolationSettings,
    "reaper": ReaperSettings,
    "audit": AuditSettings,
    "storage": StoreSettings,
}


class Setting(NamedTuple):
    """One value and where it comes from.

    Attributes:
        value: checked.
        source: `"default"`, the file's name, or the name of the environment variable.
    """

    value: Any
    source: str


class ConfigError(SessionActorsError):
    """The configuration cannot be used.

    Attributes:
        problems: one sentence for each field at fault.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@final
@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a daemon is started with.

    Attributes:
        settings: by section, then by name; every option is there.
        system: settings of the session system, by section.
        session_classes: those of the import paths.
        authenticator: that of its import path, or None.
    """

    settings: Mapping[str, Mapping[str, Setting]]
    system: Mapping[str, Settings]
    session_classes: tuple[type, ...]
    authenticator: Callable[[object], object] | None

    def with_live(self, other: Config, live: frozenset[tuple[str, str]]) -> Config:
        """Return this one with those options of another that can be had without a restart, and its session options."""
        settings = {
            section: {
                name: other.settings[section][name] if section == "session" or (section, name) in live else setting
                for name, setting in options.items()
            }
            for section, options in self.settings.items()
        }
        system = {
            section: kept.updated({name: settings[section][name].value for name in kept.names()})
            for section, kept in self.system.items()
        }
        return replace(self, settings=settings, system={**system, "session": other.system["session"]})

    def get(self, section: str, name: str) -> Any:
        """Return one value."""
        return self.settings[section][name].value


def load(path: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration file and the environment.

    Args:
        path: of the file.
        environment: such as `os.environ`.

    Raises:
        ConfigError: with every problem.
    """
    problems: list[str] = []
    given = _read_file(path)
    given_from_file = {
        section: {name: Setting(value, path.name) for name, value in table.items()}
        for section, table in _tables(given, problems).items()
    }
    for section, name, setting in _overrides(environment, problems):
        given_from_file.setdefault(section, {})[name] = setting
    settings: dict[str, dict[str, Setting]] = {}
    for section, fields in OWN_OPTIONS.items():
        settings[section] = _checked(section, fields, given_from_file.get(section, {}), problems)
    at_fault = {problem.partition(".")[0] for problem in problems}
    problems += disagreements({section: table for section, table in settings.items() if section not in at_fault})
    system: dict[str, Settings] = {}
    for section, kind in _SETTINGS.items():
        system[section], settings[section] = _checked_settings(
            section, kind, given_from_file.get(section, {}), problems
        )
    classes = tuple(
        found
        for name in settings["daemon"]["session_classes"].value
        if (found := _imported("daemon.session_classes", name, problems)) is not None
    )
    named = settings["daemon"]["authenticator"].value
    authenticator = None if named is None else _imported("daemon.authenticator", named, problems)
    _check_kinds(classes, authenticator, problems)
    if settings["telemetry"]["otel"].value:
        _check_spans(environment, problems)
    if problems:
        raise ConfigError(problems)
    return Config(settings, system, classes, authenticator)


def shown(config: Config) -> str:
    """Return the configuration as TOML, with the source of each value behind it."""
    lines = []
    for section, fields in config.settings.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_toml(setting.value)}  # {setting.source}" for name, setting in fields.items()]
        lines.append("")
    return "\n".join(lines)


# -- reading -----------------------------------------------------------------------


def _read_file(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise ConfigError([f"{path}: {(error.strerror or 'cannot be read').lower()}"]) from error
    if len(data) > FILE_MAX:
        raise ConfigError([f"{path}: longer than {FILE_MAX} bytes"])
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: this is no TOML: {error}"]) from error


def _tables(given: Mapping[str, object], problems: list[str]) -> dict[str, Mapping[str, object]]:
    found: dict[str, Mapping[str, object]] = {}
    known = [*OWN_OPTIONS, *_SETTINGS]
    for section, table in given.items():
        if section not in known:
            problems.append(f"[{section}]: there is no such section; {_hint(section, known)}")
        elif not isinstance(table, Mapping):
            problems.append(f"{section}: a {type(table).__name__} is not allowed; allowed: a table [{section}]")
        else:
            found[section] = table
    return found


def _overrides(environment: Mapping[str, str], problems: list[str]) -> list[tuple[str, str, Setting]]:
    found = []
    for variable, text in sorted(environment.items()):
        section, two, name = variable.removeprefix(PREFIX).lower().partition("__")
        if not variable.startswith(PREFIX) or not two:
            continue  # without the two underscores it is somebody else's
        known = [*OWN_OPTIONS, *_SETTINGS]
        if section not in known:
            problems.append(f"{variable}: there is no section {section!r}; {_hint(section, known)}")
            continue
        found.append((section, name, Setting(_value(text), variable)))
    return found


def _value(text: str) -> object:
    """Read a value as TOML does; what is none is text, so that a path needs no quotation marks."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


# -- checking ----------------------------------------------------------------------


def _checked(
    section: str, fields: Mapping[str, Option], given: Mapping[str, Setting], problems: list[str]
) -> dict[str, Setting]:
    problems += _unknown(section, given, list(fields))
    checked: dict[str, Setting] = {}
    for name, field in fields.items():
        setting = given.get(name)
        checked[name] = Setting(field.default, DEFAULT)
        if setting is None:
            continue
        if setting.value == "none" and field.default is None:
            checked[name] = Setting(None, setting.source)
            continue
        try:
            checked[name] = Setting(field.check(name, setting.value), setting.source)
        except (InvalidKind, InvalidValue) as error:
            problems.append(_problem(section, setting.source, error, name))
    return checked


def _checked_settings(
    section: str, kind: type[Settings], given: Mapping[str, Setting], problems: list[str]
) -> tuple[Settings, dict[str, Setting]]:
    names = kind.names()
    problems += _unknown(section, given, list(names))
    optional = {field.name for field in dataclasses.fields(kind) if "None" in str(field.type)}  # type: ignore[arg-type]  # all are dataclasses
    good: dict[str, object] = {}
    for name, setting in given.items():
        if name not in names:
            continue
        value = None if setting.value == "none" and name in optional else setting.value
        try:
            kind.from_mapping({name: value})
        except (InvalidKind, InvalidValue) as error:
            if error.field == name or error.field not in names:
                # A field that the section does not have is one of the value itself, such as of a quota.
                problems.append(_problem(section, setting.source, error, name))
                continue
            # It does not go with the default of another one, which may have been given as well.
        good[name] = value
    try:
        made = kind.from_mapping(good)
    except (InvalidKind, InvalidValue) as error:  # each is good, but not together
        blamed = given.get(str(error.field))
        problems.append(_problem(section, DEFAULT if blamed is None else blamed.source, error, str(error.field)))
        made = kind()
    values = made.as_dict()
    return made, {name: Setting(values[name], given[name].source if name in good else DEFAULT) for name in names}


def _unknown(section: str, given: Mapping[str, Setting], known: list[str]) -> list[str]:
    return [
        f"{section}.{name} ({setting.source}): there is no such option; {_hint(name, known)}"
        for name, setting in given.items()
        if name not in known
    ]


def _problem(section: str, source: str, error: InvalidKind | InvalidValue, name: str) -> str:
    field = str(error.field)
    where = name if field == name else f"{name}.{field}"
    return f"{section}.{where} ({source}){str(error).removeprefix(field)}"


def _hint(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"


def _imported(field: str, named: str, problems: list[str]) -> Any:
    module, _, name = named.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
        problems.append(f"{field}: {named!r} cannot be imported: {type(error).__name__}: {error}")
        return None


def _check_kinds(classes: tuple[Any, ...], authenticator: object, problems: list[str]) -> None:
    if classes:
        from sessionactors.session import Session  # noqa: PLC0415 - loads the actors, which few configurations need

        problems += [
            f"daemon.session_classes: {found!r} is no class derived from Session"
            for found in classes
            if not (isinstance(found, type) and issubclass(found, Session))
        ]
    if authenticator is not None and not callable(authenticator):
        problems.append("daemon.authenticator: what stands there cannot be called")


def _check_spans(environment: Mapping[str, str], problems: list[str]) -> None:
    from sessionactors.daemon.spans import exporter_name  # noqa: PLC0415 - loads the actors, as above

    try:
        exporter_name(environment)
    except SupervisorsError as error:
        problems.append(f"telemetry.otel: {error}")


def _toml(value: object) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Settings):
        value = value.as_dict()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(name))} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
