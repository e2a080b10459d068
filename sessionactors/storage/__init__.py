"""Where sessions are kept so that they survive: the contract, and one file for each store.

Source: session system 1.8 and 3.8.
"""

from __future__ import annotations

__all__: list[str] = []
