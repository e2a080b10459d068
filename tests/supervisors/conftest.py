from __future__ import annotations

import pytest

from supervisors import ActorSystem, Entropy, VirtualClock


@pytest.fixture
def system():
    """A deterministic actor system on virtual time."""
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as made:
        yield made


@pytest.fixture
def real():
    """An actor system with real time and real threads."""
    with ActorSystem(workers=4) as made:
        yield made
    assert made.statistics()["actors"] == 0
