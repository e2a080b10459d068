"""What all settings have in common: option names and values, checked, and the nearest name of a misspelt one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, Self, cast

from sessionactors.errors import InvalidKind, InvalidOption

__all__ = ["Settings"]


class Settings:
    """What all settings classes can do."""

    __slots__ = ()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all options, in the order of their definition."""
        return _names(cast("Hashable", cls))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Build settings from option names and values; what is missing has its default.

        Raises:
            InvalidOption: a name is unknown; the message tells the nearest known one.
            InvalidKind: this is not a mapping, or a value is of the wrong kind.
            InvalidValue: a value is out of bounds.
        """
        cls._check_names(mapping)
        return cls(**mapping)

    def updated(self, mapping: Mapping[str, object]) -> Self:
        """Return a copy with some options changed, checked as a new one is.

        Raises:
            InvalidOption, InvalidKind, InvalidValue: as in `from_mapping`.
        """
        self._check_names(mapping)
        return dataclasses.replace(self, **mapping)  # type: ignore[type-var]  # every subclass is a dataclass

    def changed(self, given: object) -> Self:
        """Return what somebody wants in place of these: settings as they are, or a mapping of those that differ.

        Raises:
            InvalidOption, InvalidKind, InvalidValue: as in `from_mapping`.
        """
        if isinstance(given, type(self)):
            return given
        if not isinstance(given, Mapping):
            raise InvalidKind("settings", given, f"{type(self).__name__}, or a mapping of its options")
        return self.updated(given)

    def as_dict(self) -> dict[str, object]:
        """Return option names and values."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def _check_names(cls, mapping: object) -> None:
        if not isinstance(mapping, Mapping):
            raise InvalidKind(cls.__name__, mapping, "a mapping of option names to values")
        known = cls.names()
        for name in mapping:
            if name not in known:
                raise _unknown(cls.__name__, name, known)

    def _keep(self, name: str, value: object) -> None:
        """Replace a value by its checked form while the instance is being made."""
        object.__setattr__(self, name, value)


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(option.name for option in dataclasses.fields(cls) if option.init)


def _unknown(owner: str, name: object, known: tuple[str, ...]) -> InvalidOption:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if isinstance(name, str) else []
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(known)}"
    if nearest and isinstance(name, str) and name.endswith("_ms"):
        hint += " (in seconds)"
    return InvalidOption(f"option of {owner}", name, hint)
