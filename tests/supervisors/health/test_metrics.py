from __future__ import annotations

from prometheus_client import CollectorRegistry

from supervisors import ActorSystem, VirtualClock
from supervisors.health import Health, HealthCollector


def test_health_is_shown_as_of_the_last_look():
    with ActorSystem(clock=VirtualClock()) as system:
        health = Health(system)
        registry = CollectorRegistry()
        registry.register(HealthCollector(health))

        def figures():
            names = ("watched_actors", "stuck_actors", "live", "ready")
            return [registry.get_sample_value(f"supervisors_{name}") for name in names]

        assert figures() == [0, 0, 1, 0]
        health.watch("absent", within=1.0)
        health.set_ready()
        health.look()
        assert figures() == [1, 0, 1, 1]
        system.clock.move_to(1.0)
        health.look()
        assert figures() == [1, 1, 0, 0]
