"""The examples of pools run, at a small size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_images_are_shrunk_and_a_broken_one_fails_alone(tmp_path):
    images, thumbnails = tmp_path / "images", tmp_path / "thumbnails"
    images.mkdir()
    (images / "broken.ppm").write_bytes(b"P6 10 10 255\nabc")
    done = run("pool_images.py", images, thumbnails, "--make", 4, "--workers", 2, "--width", 16)
    assert "4 images shrunk, 1 failed" in done.stdout, done.stderr
    assert "broken.ppm: the image is cut short" in done.stderr
    assert done.returncode == 1
    made = sorted(thumbnails.iterdir())
    assert len(made) == 4
    header, _, pixels = made[0].read_bytes().partition(b"\n")
    columns, rows = (int(each) for each in header.split()[1:3])
    assert 16 <= columns <= 20
    assert len(pixels) == columns * rows * 3


@pytest.mark.parametrize("stop_after", [None, 20])
def test_every_flaky_task_is_accounted_for(stop_after):
    more = [] if stop_after is None else ["--stop-after", stop_after]
    done = run("pool_flaky.py", "--tasks", 60, "--share", 0.1, "--workers", 2, "--timeout", 0.3, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 submitted" in done.stdout
    if stop_after is None:
        assert "WorkerDiedError" in done.stdout
        assert "0 returned" in done.stdout
    else:
        # How many were left when the pool was told to stop is a matter of speed.
        assert ("TaskReturnedError" in done.stdout) == (" 0 returned" not in done.stdout)
