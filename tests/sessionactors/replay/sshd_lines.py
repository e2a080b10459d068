"""Write lines of sshd for tests."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["SSHD_BASE", "sshd_line"]

SSHD_BASE = 954_151_200.0
"""27 March 2000, 10:00:00 UTC: the default year; times in tests count from here."""


def sshd_line(at: float, message: str, pid: int = 1, host: str = "web") -> str:
    """Return a line `at` whole seconds after `SSHD_BASE`; P in the message stands for a client and its port."""
    stamp = datetime.fromtimestamp(SSHD_BASE + at, UTC).strftime("%b %e %H:%M:%S")
    return f"{stamp} {host} sshd[{pid}]: {message.replace(' P', ' 192.0.2.1 port 40001')}"
