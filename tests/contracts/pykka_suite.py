"""Run Pykka's own test suite with our actor and future in place of its own.

    python tests/contracts/pykka_suite.py [SDIST.tar.gz] [pytest arguments]

Without a path, pip fetches the source distribution of the Pykka release that is
installed, and `pytest-mock`, which the suite needs, if it is not there. The suite
runs from a temporary folder; nothing of it is kept. `test_threading_actor.py` is
about Pykka's own actor, and stays with it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]

FIXTURE = '@pytest.fixture(scope="session", params=RUNTIMES'

OURS = """
from supervisors import Actor as OurActor, ActorSystem, ScheduledFuture

# The suite expects Pykka's rule, that an exception which is no Exception stops
# every actor; with us that is an option of the system.
RUNTIMES = {
    "supervisors": pytest.param(
        Runtime(
            name="supervisors",
            actor_class=ActorSystem(stop_all_on_base_exception=True).bind(OurActor),
            event_class=threading.Event,
            future_class=ScheduledFuture,
            sleep_func=time.sleep,
        ),
        id="supervisors",
    )
}


"""


def main(arguments: list[str]) -> int:
    """Run the suite and return pytest's exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [Path(each) for each in arguments if each.endswith(".tar.gz")]
        archive = given[0] if given else fetched(folder, f"pykka=={version('pykka')}")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        suite = next(folder.glob("pykka-*/tests"))
        conftest = suite / "conftest.py"
        text = conftest.read_text()
        if text.count(FIXTURE) != 1:
            sys.exit(f"the suite's conftest.py has no place like {FIXTURE!r}; adapt {__file__}")
        conftest.write_text(text.replace(FIXTURE, OURS + FIXTURE))
        path = [str(ROOT), str(suite.parent)]
        if importlib.util.find_spec("pytest_mock") is None:
            pip("install", "--quiet", "--no-deps", "--target", str(folder / "extra"), "pytest-mock")
            path.append(str(folder / "extra"))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_mock", "tests"]
        command += [each for each in arguments if not each.endswith(".tar.gz")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        return subprocess.run(command, cwd=suite.parent, env=environment, check=False).returncode


def fetched(folder: Path, requirement: str) -> Path:
    """Download a source distribution and return its path."""
    pip("download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", str(folder), requirement)
    return next(folder.glob("*.tar.gz"))


def pip(*arguments: str) -> None:
    """Run pip, or end with its message."""
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
