"""What lives in the process of an isolated session in `bench_services.py`; imported there, so it is small."""

from __future__ import annotations

__all__ = ["Echo"]


class Echo:
    """Answers what it is asked."""

    def handle_request(self, request: object) -> object:
        """Return the request."""
        return request
