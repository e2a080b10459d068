"""Many callers, many actors, much dying: nothing hangs and nothing is left over.

A few seconds in the normal suite. `make torture` runs the full size: the variable
TORTURE_SECONDS says for how long, and the rest grows to the size that is promised.
Each part runs in a process of its own, whose memory and threads are its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = os.environ.get("TORTURE_SECONDS")
FULL = SECONDS is not None

PARTS = Path(__file__).with_name("parts.py")


def part(name, **options):
    """Run one part of parts.py and return its figures."""
    done = subprocess.run(
        [sys.executable, str(PARTS), name, json.dumps(options)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=120 + 20 * options.get("seconds", 0),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    if FULL:
        print(name, options, figures)  # noqa: T201 - `make torture` shows them
    return figures


@pytest.mark.parametrize("switch_interval", [None, 1e-6])
def test_every_ask_ends_and_nothing_is_left_over(switch_interval):
    if FULL:
        size = {"seconds": float(SECONDS), "callers": 64, "actors": 1_000}
    else:
        size = {"seconds": 1.0, "callers": 16, "actors": 100}
    figures = part("asks", switch_interval=switch_interval, **size)
    assert figures["unexpected"] == {}
    assert figures["late"] == 0
    assert figures["threads_left"] == []
    assert figures["actors_left"] == 0
    assert figures["files_left"] == 0
    assert figures["ends"]["value"] > 0
    assert figures["killed"] > 0
    assert figures["crashed"] > 0


def test_a_fan_in_under_a_bound_takes_a_bounded_amount_of_memory():
    figures = part("fan_in", messages=400_000 if FULL else 40_000, senders=8, capacity=10_000)
    assert figures["handled"] == figures["sent"]
    assert figures["longest"] <= 10_000
    assert figures["peak_mib"] <= 64


def test_starting_and_stopping_leaves_no_memory_behind():
    figures = part("cycles", cycles=100_000 if FULL else 10_000)
    # A leak of one small object for each actor would be some 50 bytes.
    assert figures["bytes_a_cycle"] < 8
