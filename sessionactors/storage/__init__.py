"""Where sessions are kept so that they survive: the contract, and one file for each store."""

from __future__ import annotations

__all__: list[str] = []
