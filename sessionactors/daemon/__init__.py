"""A session system as a daemon: configuration, signals, health, figures, and a front for other programs."""

from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.metrics import SessionCollector

__all__ = ["FrontClient", "FrontRefusal", "SessionCollector"]
