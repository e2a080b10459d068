"""Personal data in events: a commitment in the log, what opens it beside the log.

An entry can never be altered, so what has to be erased one day must not stand in it.
In the place of a personal value the entry has a *commitment* to it::

    {"event": "login", "user_id": "alice", "ip": "192.0.2.7"}             was logged
    {"event": "login", "$personal": {"/ip": "5c0d...", "/user_id": "9a11..."}}   is the entry

    commitment = HMAC-SHA-256(salt, msgpack([pointer, value]))

The salt is 32 random bytes of its own for each value, so the commitment tells nothing
about the value, not even to somebody who tries all there could be, and two commitments
to the same value differ. Salt and value are the *opening*. It lies beside the log
(`sessionactors.audit.openings`); without it nothing is left of the value. With it
anybody can check that this value, and no other, was logged there.

Whose a value is stands in the data: under `user_id`, `user`, `username` or `subject`.
Where none of them is, the value belongs to the session.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, cast, final

import msgpack

from sessionactors.audit.keys import new_secret
from sessionactors.audit.plain_values import FORBIDDEN_KEYS, Plain, forbidden_names, plain
from sessionactors.audit.pseudonyms import Pseudonyms
from sessionactors.audit.record import (
    DATA_SIZE_MAX,
    PERSONAL,
    Opening,
    PackedData,
    PersonalData,
    as_mapping,
    pack_data,
)

__all__ = ["SALT_SIZE", "DataRules", "commitment", "commitments_in", "is_opened_by", "restored"]

SALT_SIZE: Final = 32
"""Bytes of a salt."""

_SUBJECTS: Final = ("userid", "user", "username", "subject")
_SESSIONS: Final = frozenset({"session", "sessionid"})
_NOBODY: Final = "anonymous"
_FLAT: Final = frozenset({bool, float, int, str, type(None)})
_HARMLESS_MAX: Final = 4096
_pack: Final[Callable[[object], bytes]] = msgpack.packb


@final
class DataRules:
    """How a log writes the data of events.

    Args:
        forbidden: names of what is left out, from `plain_values.forbidden_names()`.
        personal: names of what stands in the log as a commitment.
        pseudonyms: what sessions are called, also in data under `session` and
            `session_id`; None for their ids.

    Attributes:
        personal: those names, lower case letters and digits only.
        pseudonyms: see above.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_forbidden", "_harmless", "personal", "pseudonyms")

    def __init__(
        self,
        forbidden: frozenset[str] = FORBIDDEN_KEYS,
        personal: Iterable[str] = (),
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._forbidden = forbidden
        self.personal = forbidden_names(personal)
        self.pseudonyms = pseudonyms
        # Keys that were looked at and are nothing of all this. It only ever grows, up to a limit.
        self._harmless: set[str] = set()

    def pack(self, data: object) -> PackedData | PersonalData:
        """Return data as bytes, and apart from them what opens the commitments in them; never fails."""
        if data.__class__ is dict and self._is_harmless(cast("dict[Any, object]", data)):
            return pack_data(data, self._forbidden)
        if data is None or not (self.personal or self.pseudonyms):
            return pack_data(data, self._forbidden)
        value = as_mapping(plain(data, self._forbidden))
        taken: list[tuple[str, Plain]] = []
        subject = self._take_out(value, "", taken)
        if not taken:
            return pack_data(value, frozenset())
        openings: list[Opening] = []
        commitments: dict[str, Plain] = {}
        for pointer, item in sorted(taken):
            raw = _pack(item)
            salt = new_secret(SALT_SIZE)
            commitments[pointer] = commitment(salt, pointer, raw).hex()
            openings.append(Opening(pointer, subject, salt, raw))
        packed = _pack(dict(sorted({**value, PERSONAL: commitments}.items())))
        if len(packed) > DATA_SIZE_MAX:
            return pack_data({"too_large": value, "commitments": len(openings)}, frozenset())
        return PersonalData(PackedData(packed), tuple(openings))

    def may_repeat(self, facts: Mapping[Any, object]) -> bool:
        """Tell whether the same data may be packed once for several events: nothing in them needs a salt of its own."""
        return facts.__class__ is dict and self._is_harmless(cast("dict[Any, object]", facts))

    def _is_harmless(self, data: dict[Any, object]) -> bool:
        """Tell whether there is nothing special in flat data; most are of a few dozen keys."""
        if not _FLAT.issuperset(map(type, data.values())):
            return False
        if self._harmless.issuperset(data):
            return True
        for key in data:
            if key.__class__ is not str or key == PERSONAL or self._is_special(_folded(key)):
                return False
        if len(self._harmless) < _HARMLESS_MAX:
            self._harmless.update(data)
        return True

    def _is_special(self, name: str) -> bool:
        return name in self.personal or (self.pseudonyms is not None and name in _SESSIONS)

    def _take_out(self, value: dict[str, Plain], above: str, taken: list[tuple[str, Plain]]) -> str | None:
        """Take what is personal out of a mapping and all that is in it; return whose it is, if that is said."""
        subjects: dict[str, str] = {}
        for key in list(value):
            item, name = value[key], _folded(key)
            if name in self.personal and item is not None and item != _NOBODY:
                taken.append((f"{above}/{_escaped(key)}", item))
                del value[key]
                if name in _SUBJECTS and isinstance(item, str):
                    subjects.setdefault(name, item)
            elif self.pseudonyms is not None and name in _SESSIONS and isinstance(item, str):
                value[key] = self.pseudonyms.of(item)
            elif isinstance(item, dict | list):
                found = self._take_out_of_any(item, f"{above}/{_escaped(key)}", taken)
                if found is not None:
                    subjects.setdefault("", found)
        return next((subjects[name] for name in (*_SUBJECTS, "") if name in subjects), None)

    def _take_out_of_any(self, value: Plain, above: str, taken: list[tuple[str, Plain]]) -> str | None:
        if isinstance(value, dict):
            return self._take_out(value, above, taken)
        subject = None
        for number, item in enumerate(value if isinstance(value, list) else ()):
            found = self._take_out_of_any(item, f"{above}/{number}", taken)
            subject = found if subject is None else subject
        return subject


def commitment(salt: bytes, pointer: str, value: bytes) -> bytes:
    """Return the commitment to a packed value at a place in the data."""
    return hmac.digest(salt, b"\x92" + _pack(pointer) + value, "sha256")


def is_opened_by(text: str, salt: object, pointer: object, value: object) -> bool:
    """Tell whether something opens a commitment; what a damaged file returns may be of any kind.

    Args:
        text: the commitment, in hexadecimal.
        salt: what was kept of it.
        pointer: where it stands.
        value: what was there, packed.
    """
    if not (isinstance(salt, bytes) and isinstance(pointer, str) and isinstance(value, bytes) and text.isascii()):
        return False
    return hmac.compare_digest(commitment(salt, pointer, value).hex(), text)


def commitments_in(data: Mapping[str, object]) -> dict[str, str]:
    """Return the commitments in the data of an entry by their pointers, in hexadecimal; what is none is left out."""
    found = data.get(PERSONAL)
    if not isinstance(found, dict):
        return {}
    return {pointer: text for pointer, text in found.items() if isinstance(pointer, str) and isinstance(text, str)}


def restored(data: Mapping[str, Plain], values: Mapping[str, Plain]) -> dict[str, Plain]:
    """Return the data of an entry with values put back in their places; what is not there stays a commitment.

    Args:
        data: of the entry.
        values: by their pointers.
    """
    whole: dict[str, Plain] = _copied(dict(data))  # type: ignore[assignment]  # a copy of a mapping is one
    left = {pointer: text for pointer, text in commitments_in(data).items() if pointer not in values}
    for pointer, value in values.items():
        _put(whole, pointer, value)
    if left:
        whole[PERSONAL] = dict(left)
    else:
        whole.pop(PERSONAL, None)
    return dict(sorted(whole.items()))


def _put(whole: dict[str, Plain], pointer: str, value: Plain) -> None:
    *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    place: Any = whole
    for part in path:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value


def _copied(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=4096)
def _folded(key: str) -> str:
    """Return a key as lower case letters and digits."""
    return "".join(filter(str.isalnum, key.casefold()))
