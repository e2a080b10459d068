"""The ten steps of a session's life (the specification's scenario) as the example shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

STEPS = """\
 1. start: new
 2. initialise and authenticate: auth
 3. activate: active
 4. isolate: 104,857,600 bytes at most
 5. limit: 1000 at once, 10 a second
 6. check the limit: (True, 0.0)
 7. log, and find it again: 2 events that say so
 8. deactivate: idle
 9. resume: active
10. terminate: session_terminated; it is known to nobody
"""


def test_the_ten_steps_do_what_the_specification_says(tmp_path):
    example = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "lifecycle.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (example.stdout, example.stderr) == (STEPS, "")


def test_what_it_leaves_verifies(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, str(ROOT / "examples" / "lifecycle.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        timeout=100,
        check=True,
    )
    verify = subprocess.run(
        [sys.executable, "-m", "sessionactors", "audit", "verify", str(tmp_path / "audit")],
        env=environment,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert verify.returncode == 0
