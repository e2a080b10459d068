"""The fixtures that watch over all tests can themselves fail, and do when they should."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"

LEAVES_A_THREAD = """
import atexit, threading

def test_leaves_a_thread():
    end = threading.Event()
    atexit.register(end.set)
    threading._register_atexit(end.set)
    threading.Thread(target=end.wait, name={name!r}, daemon={daemon}).start()
"""


@pytest.fixture
def run(pytester):
    """Run one test module under our conftest in a process of its own; return the outcomes."""

    def outcomes(source: str) -> dict[str, int]:
        pytester.makeconftest(CONFTEST.read_text().replace("GRACE = 10.0", "GRACE = 0.05"))
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()

    return outcomes


@pytest.mark.parametrize(("name", "daemon"), [("somebody", False), ("supervisors-worker-1", True)])
def test_a_test_that_leaves_a_thread_behind_fails(run, name, daemon):
    assert run(LEAVES_A_THREAD.format(name=name, daemon=daemon)) == {"passed": 1, "errors": 1}


def test_a_foreign_daemon_thread_may_stay(run):
    assert run(LEAVES_A_THREAD.format(name="somebody", daemon=True)) == {"passed": 1}


def test_a_thread_that_is_just_ending_is_waited_for(run):
    source = """
import threading

def test_ends_a_thread_without_waiting():
    end = threading.Event()
    threading.Thread(target=end.wait, name="supervisors-ending").start()
    end.set()
"""
    assert run(source) == {"passed": 1}


def test_the_shared_folder_can_be_named(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SESSIONACTORS_SHARED", str(tmp_path))
    assert run(f"def test_path(shared_path): assert str(shared_path) == {str(tmp_path)!r}") == {"passed": 1}


def test_a_missing_shared_folder_skips_the_test(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SESSIONACTORS_SHARED", str(tmp_path / "missing"))
    assert run("def test_path(shared_path): raise AssertionError") == {"skipped": 1}
