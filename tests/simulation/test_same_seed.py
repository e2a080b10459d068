"""The same seed gives the same run: twice, in another process, under another hash seed and another Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pykka
import pytest

from tests.simulation.same_seed_hashes import all_hashes

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")

PROGRAM = """
from tests.simulation.same_seed_hashes import print_hashes
print_hashes()
"""


@pytest.fixture(scope="module")
def hashes():
    return all_hashes()


def test_the_same_seed_gives_the_same_hash_twice(hashes):
    assert all_hashes() == hashes


def test_different_seeds_give_different_hashes(hashes):
    assert len(set(hashes)) == len(hashes) == 28


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_another_process_with_another_hash_seed_gives_the_same_hashes(hashes, hash_seed):
    assert _hashes_of(sys.executable, hash_seed) == hashes


@pytest.mark.parametrize("version", VERSIONS)
def test_another_python_gives_the_same_hashes(hashes, version):
    python = _python(version)
    if python is None or version == "{}.{}".format(*sys.version_info):
        pytest.skip(f"there is no other Python {version} here")
    assert _hashes_of(python, "7") == hashes


def _hashes_of(python: str, hash_seed: str) -> list[str]:
    # Pykka is pure Python, and so is msgpack if it has to be: any version can use the copies that this one has.
    path = os.pathsep.join([str(ROOT), str(Path(pykka.__file__).parents[1])])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _python(version: str) -> str | None:
    """Return an interpreter of a version that pyenv has installed, or None."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(versions.glob(f"{version}.*")):
        if re.fullmatch(r"[\d.]+", folder.name) and (folder / "bin" / "python").exists():
            return str(folder / "bin" / "python")
    return None
