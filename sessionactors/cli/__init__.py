"""The commands."""

from __future__ import annotations

from sessionactors.cli.program import main

__all__ = ["main"]
