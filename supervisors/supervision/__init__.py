"""Supervision: children with a restart rule, ended in order, never silently lost."""

__all__: list[str] = []
