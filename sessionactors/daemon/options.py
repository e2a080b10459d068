"""The daemon's own options: what stands in its sections of the configuration, and what is allowed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidValue

__all__ = ["LEVELS", "OWN_OPTIONS", "Option"]

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""Of the log, the most talkative one first."""


class Option(NamedTuple):
    """One option of the daemon's own.

    Attributes:
        default: what it is where nothing is given.
        check: gets name and value; returns the checked value, or raises what names the field.
    """

    default: Any
    check: Callable[[str, object], Any]


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidKind(name, value, "a path as text")
    return Path(value)


def _import_path(name: str, value: object) -> str:
    allowed = "an import path such as package.module:Name"
    if not isinstance(value, str):
        raise InvalidKind(name, value, allowed)
    module, colon, attribute = value.partition(":")
    if not colon or not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise InvalidValue(name, value, allowed)
    return value


def _import_paths(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidKind(name, value, "a list of import paths")
    return tuple(_import_path(name, each) for each in value)


def _mode(name: str, value: object) -> str:
    allowed = 'permissions as octal digits in quotation marks, such as "600" or "660"; nothing for others'
    if not isinstance(value, str):
        raise InvalidKind(name, value, allowed)
    if len(value.lstrip("0")) > 3 or not value or set(value) - set("01234567") or int(value, 8) & 0o117:
        raise InvalidValue(name, value, allowed)
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidKind(name, value, "true or false")
    return value


def _count(most: int, least: int = 1) -> Callable[[str, object], int]:
    return lambda name, value: bounds.count(name, value, least=least, most=most)


OWN_OPTIONS: Final[dict[str, dict[str, Option]]] = {
    "daemon": {
        "audit_dir": Option(None, _path),
        "path": Option(None, _path),
        "session_classes": Option((), _import_paths),
        "authenticator": Option(None, _import_path),
        "workers": Option(None, _count(256)),
        "shutdown_timeout": Option(10.0, bounds.seconds),
        "max_restarts": Option(10, _count(1_000_000, 0)),
        "max_seconds": Option(60.0, bounds.seconds),
        "pid_file": Option(None, _path),
        "log_level": Option("warning", lambda name, value: bounds.choice(name, value, LEVELS)),
    },
    "health": {
        "host": Option("127.0.0.1", bounds.text),
        "port": Option(None, _count(65_535, 0)),
        "token_file": Option(None, _path),
        "interval": Option(1.0, bounds.seconds),
        "watch_within": Option(30.0, bounds.seconds),
        "connections_max": Option(16, _count(1024)),
        "handler_times": Option(False, _flag),
        "handler_times_every": Option(53, _count(1_000_000)),
    },
    "telemetry": {
        "otel": Option(False, _flag),
    },
    "inspection": {
        "socket": Option(None, _path),
        "connections_max": Option(8, _count(1024)),
        "idle_timeout": Option(600.0, bounds.seconds),
    },
    "front": {
        "socket": Option(None, _path),
        "mode": Option("600", _mode),
        "host": Option("127.0.0.1", bounds.text),
        "port": Option(None, _count(65_535, 0)),
        "token_file": Option(None, _path),
        "allow_remote": Option(False, _flag),
        "line_max": Option(65_536, _count(16 * 1024 * 1024, 128)),
        "connections_max": Option(64, _count(1024)),
        "idle_timeout": Option(300.0, bounds.seconds),
    },
}
