"""Drive supervised sessions with a recorded log, on the log's own time."""

from __future__ import annotations

__all__: list[str] = []
