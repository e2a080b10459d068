"""A value that nothing can be told apart from."""

from __future__ import annotations

__all__ = ["Incomparable"]


class Incomparable:
    """Has the same hash as all of its kind, and raises when it is compared."""

    def __eq__(self, other):
        raise RuntimeError("no")

    def __hash__(self):
        return 1

    def __call__(self, event):
        pass
