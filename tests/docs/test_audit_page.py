"""The commands in the pages about the audit log run, in the order in which they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "audit.md"
SHORT_PAGE = ROOT / "docs" / "how-to" / "verify-audit.md"


def commands(page):
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(blocks, folder):
    """Run the commands of a page in a folder; return what they print."""
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "access.log", folder / "examples")
    # As if it were installed, and stopping at the first command that fails.
    start = f'set -eu\nsessionactors() {{ "{sys.executable}" -m sessionactors "$@"; }}\n'
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-c", start + "".join(blocks)],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_commands_run(tmp_path):
    blocks = commands(PAGE)
    assert len(blocks) == 9
    assert "valid: entry 42 of " in run(blocks, tmp_path)
    assert {"audit.csv", "audit.json", "my-key.pub", "since-monday.proof", "soc2.json", "cosigned.head"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_commands_for_another_machine_run(tmp_path):
    blocks = commands(SHORT_PAGE)
    assert len(blocks) == 5
    told = run(blocks, tmp_path)
    assert "valid: entry 7 of " in told
    assert not (tmp_path / "carried" / "audit.key").exists()


def test_no_other_page_has_commands():
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    assert {page for page in pages if commands(page)} == {PAGE, SHORT_PAGE}
