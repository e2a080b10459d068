"""The owner of a store is killed at every call that changes a file, and every such call fails: nothing told is lost.

A few of them in the normal suite; STORE_KILLS says how many (0 for all, some hundred).
Needs a C compiler, because what SQLite does can be seen from below only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS = int(os.environ.get("STORE_KILLS", "6"))
SEED = int(os.environ.get("STORE_SEED", "5"))
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs a C compiler on Linux")
def test_a_store_whose_disk_or_owner_fails_at_any_call_loses_nothing_that_was_durable(tmp_path):
    shim = tmp_path / "fatal_calls.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "fatal_calls.c", "-ldl"], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.store_crashes", str(KILLS), str(SEED)],
        cwd=HERE.parents[1],
        env={**os.environ, "PYTHONPATH": ".", "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=60 + 10 * (KILLS or 400),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    figures = json.loads(done.stdout)
    print(figures)  # noqa: T201 - shown when the campaign is run at full size
    assert figures["calls"] > 100
    assert figures["chosen"] == min(KILLS or figures["calls"], figures["calls"])
