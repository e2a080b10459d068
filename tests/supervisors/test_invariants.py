from __future__ import annotations

import subprocess
import sys

import pytest

from supervisors import InternalError
from supervisors.invariants import invariant


def test_a_condition_that_holds_passes():
    invariant(True, "it holds")


def test_one_that_does_not_carries_its_facts():
    with pytest.raises(InternalError, match=r"a child is known \(child='x', known=2\)") as caught:
        invariant(False, "a child is known", child="x", known=2)
    assert caught.value.facts == {"child": "x", "known": 2}


def test_it_stays_in_force_without_assertions():
    code = "from supervisors.invariants import invariant; invariant(False, 'x')"
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False)
    assert "InternalError: x" in done.stderr
