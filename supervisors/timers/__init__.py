"""Timers: a million of them on one thread, cancelled in constant time."""

__all__: list[str] = []
