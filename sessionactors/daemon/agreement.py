"""What is wrong with options that are good one by one: they contradict each other, or name what cannot be used.

Found when the configuration is checked, so that `--check-config` says good of nothing
that cannot be started for a reason that stands in the file. What may come only
later, such as the directory of a socket, which systemd makes at the start, is not looked at.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["SOCKET_PATH_MAX", "TOKEN_LEAST", "disagreements", "token_in"]

TOKEN_LEAST: Final = 16
"""Characters of a token that can be guessed by nobody."""
SOCKET_PATH_MAX: Final = 107
"""Bytes of a Unix socket's path, on Linux."""

_TOKEN_MAX: Final = 65_536  # bytes of its file


def disagreements(options: Mapping[str, Mapping[str, tuple[Any, str]]]) -> list[str]:
    """Return what is wrong, one sentence for each field.

    Args:
        options: checked values and their sources by section, then by name; a section with a
            problem of its own is left out.
    """
    values = {section: {name: value for name, (value, _) in table.items()} for section, table in options.items()}
    found: list[tuple[str, str, str]] = []
    front, health = values.get("front", {}), values.get("health", {})
    for section, table in (("front", front), ("health", health)):
        if table.get("port") is not None:
            found += [(section, *each) for each in _of_a_listener(section, table)]
    paths: dict[str, Path] = {}
    for section in ("front", "inspection"):
        path = values.get(section, {}).get("socket")
        if path is None:
            continue
        paths[section] = path
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            found.append((section, "socket", f"a path of {len(os.fsencode(path))} bytes; allowed: {SOCKET_PATH_MAX}"))
    # Two names of one file count as one, whatever stands between them now.
    if len(paths) == 2 and os.path.realpath(paths["front"]) == os.path.realpath(paths["inspection"]):
        found.append(("inspection", "socket", "the path of front.socket; allowed: another one"))
    if health.get("port") and (front.get("port"), front.get("host")) == (health["port"], health["host"]):
        found.append(("health", "port", "that of front.port at the same host; allowed: another one"))
    return [f"{section}.{name} ({options[section][name][1]}): {what}" for section, name, what in found]


def _of_a_listener(section: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with something that listens at a port, by option."""
    host, token_file = table["host"], table["token_file"]
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return [("host", f"{host!r} is not allowed; allowed: an address in numbers, such as 127.0.0.1 or ::1")]
    found = []
    if section == "front" and not is_loopback and not table["allow_remote"]:
        found.append(("host", f"others can reach {host}; allowed: with allow_remote = true, or 127.0.0.1"))
    if token_file is not None:
        try:
            token = token_in(token_file)
        except OSError as error:
            found.append(("token_file", f"{token_file}: {(error.strerror or 'cannot be read').lower()}"))
        except ValueError as error:
            found.append(("token_file", f"{token_file}: {error}"))
        else:
            # What an HTTP header can say; a line of JSON can say anything.
            if section == "health" and (not token.isascii() or not token.isprintable() or " " in token):
                found.append(("token_file", f"{token_file}: here, a token is ASCII without blanks"))
    elif section == "front" or not is_loopback:
        found.append(("token_file", f"nothing; allowed: a file with a token, because of {section}.port"))
    return found


def token_in(path: Path) -> str:
    """Return the token that stands in a file, without what is blank around it.

    Raises:
        OSError: it cannot be read.
        ValueError: what is wrong with it, without what stands in it.
    """
    # Anything else may have no end, or keep whoever opens it waiting.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("this is no regular file")
    with path.open("rb") as file:
        data = file.read(_TOKEN_MAX + 1)
    if len(data) > _TOKEN_MAX:
        raise ValueError(f"longer than {_TOKEN_MAX} bytes")
    try:
        token = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("this is no UTF-8") from None
    if len(token) < TOKEN_LEAST:
        raise ValueError(f"fewer than {TOKEN_LEAST} characters")
    return token
