"""Health means progress: watchdogs for actors, probes over HTTP, and what systemd wants to hear."""

from supervisors.health.endpoint import Endpoint
from supervisors.health.health import Health
from supervisors.health.metrics import HealthCollector
from supervisors.health.progress import Stuck
from supervisors.health.systemd import Notifier

__all__ = ["Endpoint", "Health", "HealthCollector", "Notifier", "Stuck"]
