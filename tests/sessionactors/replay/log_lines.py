"""Write access log lines for tests."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["BASE", "access_line"]

BASE = 1_431_856_800.0
"""17 May 2015, 10:00:00 UTC; times in tests count from here."""


def access_line(at: float, client: str = "10.0.0.1", status: int = 200, size: int | str = 100, user: str = "-") -> str:
    """Return a combined line of a request `at` whole seconds after `BASE`."""
    stamp = datetime.fromtimestamp(BASE + at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{client} - {user} [{stamp}] "GET / HTTP/1.1" {status} {size} "-" "Tester/1.0"'
