"""What users install is the wheel, not this tree: it is complete, and it works alone."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel once, with the build backend that the constraints name."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(ROOT)])
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_every_module_of_both_packages(files):
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("sessionactors", "supervisors")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= files.keys()


def test_it_tells_type_checkers_that_both_packages_are_typed(files):
    assert {"sessionactors/py.typed", "supervisors/py.typed"} <= files.keys()


def test_it_holds_nothing_but_the_packages_and_what_describes_them(files):
    assert {name.partition("/")[0].rpartition(".")[2] for name in files} == {
        "dist-info",
        "sessionactors",
        "supervisors",
    }


def test_it_brings_the_command(files):
    (entry_points,) = (text for name, text in files.items() if name.endswith("entry_points.txt"))
    assert b"sessionactors = sessionactors.cli:main" in entry_points


def test_it_brings_the_plugin_for_pytest(files):
    (entry_points,) = (text for name, text in files.items() if name.endswith("entry_points.txt"))
    assert b"[pytest11]\nsupervisors.pytest_plugin = supervisors.pytest_plugin" in entry_points


def test_it_brings_the_licence(files):
    (licence,) = (text for name, text in files.items() if name.endswith("/LICENSE"))
    assert b"Apache License" in licence


def test_it_asks_for_the_core_dependencies_only(files):
    (text,) = (text for name, text in files.items() if name.endswith("/METADATA"))
    required = email.message_from_bytes(text).get_all("Requires-Dist") or []
    core = {line.partition(">")[0].partition("<")[0] for line in required if "extra ==" not in line}
    assert core == {"click", "cryptography", "msgpack", "prometheus-client", "psutil", "pykka"}


@pytest.mark.parametrize("package", ["sessionactors", "supervisors"])
def test_its_packages_can_be_imported_without_the_tree(unpacked, package):
    told = _run([sys.executable, "-c", f"import {package}; print({package}.__file__)"], path=unpacked)
    assert Path(told.strip()) == unpacked / package / "__init__.py"


def test_its_command_can_be_run_without_the_tree(unpacked):
    assert "replay" in _run([sys.executable, "-m", "sessionactors", "--help"], path=unpacked)


def _run(command: list[str], path: Path | None = None) -> str:
    """Run a command, in `path` and with modules from there; return what it prints."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    ran = subprocess.run(
        command, cwd=path or ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
