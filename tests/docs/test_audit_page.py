"""The commands in the page about the audit log run, in the order in which they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "audit.md"


def test_the_commands_run(tmp_path):
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "access.log", tmp_path / "examples")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    # As if it were installed, and stopping at the first command that fails.
    start = f'set -eu\nsessionactors() {{ "{sys.executable}" -m sessionactors "$@"; }}\n'
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-c", start + "".join(blocks)],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert result.returncode == 0, result.stderr
    assert "valid: entry 42 of " in result.stdout
    assert {"audit.csv", "audit.json", "my-key.pub", "since-monday.proof", "soc2.json", "cosigned.head"} <= {
        path.name for path in tmp_path.iterdir()
    }
