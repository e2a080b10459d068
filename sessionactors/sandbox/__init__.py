"""Code of a session in a process of its own: limited, watched, and killable."""

from __future__ import annotations

__all__: list[str] = []
