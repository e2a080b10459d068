from __future__ import annotations

import pytest

from supervisors import UsageError
from tests.supervisors.actors import Echo, SharedEcho


def counting(own):
    """Return a subclass that counts asks; the same one for the same class."""

    def ask(self, message, **how):
        asked.append(message)
        return own.ask(self, message, **how)

    return made.setdefault(own, type(own.__name__, (own,), {"__slots__": (), "ask": ask}))


made: dict[type, type] = {}
asked: list[object] = []


@pytest.fixture(autouse=True)
def nothing_asked():
    asked.clear()


@pytest.mark.parametrize("kind", [Echo, SharedEcho])
def test_wrapped_refs_are_those_that_live_and_those_to_come_until_the_end(system, kind):
    before = system.start(kind)
    plain = type(before)
    end = system.wrap_refs(counting)
    after = system.start(kind)
    assert (before.ask(1), after.ask(2)) == (1, 2)
    assert asked == [1, 2]
    assert system.has_wrapped_refs
    end()
    assert (before.ask(3), system.start(kind).ask(4)) == (3, 4)
    assert asked == [1, 2]
    assert type(before) is type(after) is plain
    assert not system.has_wrapped_refs


def test_refs_are_wrapped_by_one_at_a_time(system):
    end = system.wrap_refs(counting)
    with pytest.raises(UsageError, match="one at a time"):
        system.wrap_refs(counting)
    end()
    end()
    system.wrap_refs(counting)()
