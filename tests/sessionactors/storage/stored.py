"""Sessions and records for the tests of stores."""

from __future__ import annotations

from sessionactors.session_data import SessionData
from sessionactors.settings import SessionOptions
from sessionactors.storage.codec import decode, encode

OPTIONS = SessionOptions(persistent=True, auth_required=False)


def session_of(session_id, **fields):
    data = SessionData(session_id, OPTIONS, 0.0)
    for name, value in fields.items():
        setattr(data, name, value)
    return data


def record(session_id="a", **fields):
    return encode(session_of(session_id, **fields), 10.0, 1_000_000.0)


def requests(store, session_id="a"):
    """Return how many requests the stored session has made, None when it is not there."""
    found = store.read(session_id)
    return None if found is None else decode(found)["requests"]


def all_ids(store):
    return [each.session_id.decode() for each in store.page(None, 10_000)]
