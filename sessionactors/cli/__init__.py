"""The commands."""

from __future__ import annotations

from sessionactors.cli.entry import main

__all__ = ["main"]
