"""The arithmetic of rate limits, without actors and clocks."""

from __future__ import annotations

__all__: list[str] = []
