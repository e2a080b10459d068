"""Replays what the real Erlang/OTP did, and says where we differ.

    python -m tests.conformance.otp_traces FILES...

A file has one recorded scenario a line, as JSON, and may be gzipped, whatever its
name. There is one line of output for each scenario that goes otherwise: file,
number of the line, id, the first step that differs, what was recorded, what
happened. The last line counts: ``N passed, M failed``. The exit code is 0 only if
something was replayed and nothing failed.

A *kind* of recording is a module with ``matches(record) -> bool``, which looks at
the shape of a record, and ``replay(record) -> Difference | None``. It drives the
public API by the format of the recordings and knows no single one of them.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from tests.conformance import links, server, specifications, statem, trees
from tests.conformance.difference import Difference

__all__ = ["KINDS", "Kind", "lines_of", "main", "replay_line"]

GZIP_MAGIC: Final = b"\x1f\x8b"


class Kind(Protocol):
    """What a module about one kind of recording offers."""

    def matches(self, record: dict[str, Any]) -> bool:
        """Tell from its shape whether a record is of this kind."""
        ...

    def replay(self, record: dict[str, Any]) -> Difference | None:
        """Replay a record; return where it first differs, or None."""
        ...


KINDS: Final[tuple[Kind, ...]] = (links, server, specifications, statem, trees)


def replay_line(line: bytes) -> tuple[str, Difference | None]:
    """Replay one line of a file; return the id in it and the first difference.

    Whatever a replay raises is a difference too: the scenario did not pass.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return "?", Difference("reading the line", "JSON", str(error))
    if not isinstance(record, dict):
        return "?", Difference("reading the line", "an object", type(record).__name__)
    name = str(record.get("id", "?"))
    kinds = [kind for kind in KINDS if kind.matches(record)]
    if len(kinds) != 1:
        return name, Difference("telling the kind", "one kind", f"{len(kinds)} kinds match")
    try:
        return name, kinds[0].replay(record)
    except Exception as error:  # noqa: BLE001 - told, counted, and the next one is replayed
        return name, Difference("replaying", "no exception", f"{type(error).__name__}: {error}")


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that have something in them, with their numbers from 1."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP_MAGIC
    with gzip.open(path) if zipped else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line


def main(arguments: Iterable[str]) -> int:
    """Replay the files named on the command line; return the exit code."""
    names = list(arguments)
    if not names or any(name.startswith("-") for name in names):
        print(__doc__)  # noqa: T201 - the usage
        return 2
    # Crashes are part of the recordings; what is logged of them is not looked at.
    logging.disable(logging.CRITICAL)
    passed = failed = 0
    for name in names:
        try:
            for number, line in lines_of(Path(name)):
                scenario, difference = replay_line(line)
                if difference is None:
                    passed += 1
                else:
                    failed += 1
                    print(f"{name}:{number}: {scenario}: {difference}", flush=True)  # noqa: T201 - the report
        except (OSError, EOFError, zlib.error) as error:
            failed += 1
            print(f"{name}: cannot be read to its end: {error}", flush=True)  # noqa: T201
    print(f"{passed} passed, {failed} failed")  # noqa: T201
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
