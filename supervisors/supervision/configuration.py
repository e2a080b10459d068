"""What a supervisor's init callback says, made sure of before anything is started (SPEC-8, SPEC-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from supervisors.errors import SupervisorsError
from supervisors.supervision.child_spec import ChildSpec, InvalidChildSpec, check_child_specs
from supervisors.supervision.flags import InvalidFlags, SupervisorFlags, check_flags

__all__ = ["IGNORE", "Configuration", "InvalidConfiguration", "configure"]

IGNORE: Final = "ignore"
"""What init, or a start function, returns to say: nothing to start, and no error (PROC-3)."""


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """Valid flags with the valid specifications that go with them."""

    flags: SupervisorFlags
    specs: tuple[ChildSpec, ...]


class InvalidConfiguration(SupervisorsError):  # noqa: N818 - named after what it refuses
    """A supervisor cannot start with what its init callback returned; nothing was started.

    Attributes:
        reason: exit reason of the supervisor and start error at its parent:
            ("supervisor_data", why), ("start_spec", why), ("bad_start_spec", specs)
            or ("bad_return", (callback, "init", returned)).
    """

    def __init__(self, message: str, reason: object) -> None:
        self.reason = reason
        super().__init__(message)


def configure(returned: object, callback: str) -> Configuration | None:
    """Check the return value of an init callback.

    Args:
        returned: a pair of flags and a list of child specifications, either of them
            also as mappings; or `ignore` (SUP-2).
        callback: name of the callback's class, for the error.

    Returns:
        The configuration, or None for `ignore`.

    Raises:
        InvalidConfiguration: with the first fault: flags, then specifications in
            list order (SPEC-10).
    """
    if isinstance(returned, str) and returned == IGNORE:
        return None
    match returned:
        case (flags, list() | tuple() as specs):
            pass
        case _:
            raise InvalidConfiguration(
                f"{callback}.init: {_kind(returned)} is not allowed; "
                "allowed: a pair of flags and a list of child specifications; 'ignore'",
                ("bad_return", (callback, "init", returned)),
            )
    try:
        checked_flags = check_flags(flags)
    except InvalidFlags as exc:
        raise InvalidConfiguration(f"{callback}.init: {exc}", ("supervisor_data", exc.why)) from exc
    if checked_flags.strategy == "simple_one_for_one" and len(specs) != 1:
        raise InvalidConfiguration(
            f"{callback}.init: simple_one_for_one wants exactly one child specification; got {len(specs)}",
            ("bad_start_spec", specs),
        )
    try:
        return Configuration(checked_flags, check_child_specs(specs, checked_flags.auto_shutdown))
    except InvalidChildSpec as exc:
        raise InvalidConfiguration(f"{callback}.init: child specification: {exc}", ("start_spec", exc.why)) from exc


def _kind(returned: object) -> str:
    match returned:
        case (flags, specs):
            return f"a pair of a {type(flags).__name__} and a {type(specs).__name__}"
        case _:
            return f"a {type(returned).__name__}"
