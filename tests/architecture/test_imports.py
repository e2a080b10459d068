"""Importing a library of ours does nothing but define names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs in a process of its own: the one that runs the tests has everything imported already.
WATCH = """
import json, signal, sys, threading
loaded_before = set(sys.modules)
signals_before = {number: signal.getsignal(number) for number in signal.valid_signals()}
import PACKAGE
print(json.dumps({
    "file": PACKAGE.__file__,
    "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
    "signals": [
        str(number) for number in signal.valid_signals() if signal.getsignal(number) is not signals_before[number]
    ],
    "libraries": sorted(
        {name.partition(".")[0] for name in set(sys.modules) - loaded_before} - set(sys.stdlib_module_names)
    ),
}))
"""

# What each package may load: itself, and the libraries it stands on with what they bring along.
LIBRARIES = {
    "supervisors": {"pykka", "supervisors"},
    "sessionactors": {
        "_cffi_backend",
        "cffi",
        "click",
        "cryptography",
        "msgpack",
        "prometheus_client",
        "psutil",
        "pykka",
        "sessionactors",
        "supervisors",
    },
}


@pytest.fixture(scope="module", params=sorted(LIBRARIES))
def package(request):
    return request.param


@pytest.fixture(scope="module")
def seen(package):
    return _watch(package)


def test_importing_finds_a_package_with_a_file(package, seen):
    assert str(seen["file"]).endswith(f"{package}/__init__.py")


def test_importing_starts_no_thread(seen):
    assert not seen["threads"]


def test_importing_installs_no_signal_handler(seen):
    assert not seen["signals"]


def test_importing_loads_only_the_libraries_the_package_stands_on(package, seen):
    # What Cython puts beside its modules has the number of its version in its name.
    found = [library for library in seen["libraries"] if not library.startswith(("_cython_", "cython_runtime"))]
    assert not [library for library in found if library not in LIBRARIES[package]]


def test_what_an_import_does_is_seen(tmp_path):
    (tmp_path / "planted.py").write_text(
        "import signal, threading, psutil\n"
        "threading.Thread(target=threading.Event().wait, name='left', daemon=True).start()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    )
    seen = _watch("planted", cwd=tmp_path)
    assert seen["threads"] == ["left"]
    assert len(seen["signals"]) == 1
    assert "psutil" in seen["libraries"]


def _watch(package: str, *, cwd: Path = ROOT) -> dict:
    # With -c the working directory is the first place to look for modules.
    ran = subprocess.run(
        [sys.executable, "-c", WATCH.replace("PACKAGE", package)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
