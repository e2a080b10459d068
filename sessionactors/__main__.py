"""`python -m sessionactors` is the command `sessionactors`."""

from __future__ import annotations

import sys

from sessionactors.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
