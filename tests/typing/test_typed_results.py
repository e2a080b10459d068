"""What comes back from an ask by name, a call, a future and a task has a known type too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from dataclasses import dataclass

from supervisors import ActorRef, ActorSystem, Request, Via, server, tasks
from supervisors.statem import calls as statem


@dataclass(frozen=True)
class Withdraw(Request[int]):
    amount: int


def double(number: int) -> float:
    return 2.0 * number


def by_name(account: Via) -> None:
    reveal_type(account.ask(Withdraw(5)))  # 1: int
    reveal_type(account.ask(Withdraw(5), timeout=1.0))  # 2: int
    reveal_type(account.ask(Withdraw(5), block=False))  # 3: Future
    reveal_type(account.ask(Withdraw(5), block=False).get())  # 4: int
    reveal_type(account.ask("anything"))  # 5: Any


async def later(account: ActorRef[server.Server]) -> None:
    reveal_type(await account.ask_async(Withdraw(5)))  # 14: int
    reveal_type(await account.ask(Withdraw(5), block=False))  # 15: int


def calls(account: Via, ref: ActorRef[server.Server], system: ActorSystem) -> None:
    reveal_type(server.call(account, Withdraw(5)))  # 6: int
    reveal_type(server.call("account", Withdraw(5), system=system))  # 7: int
    reveal_type(server.call(ref, "anything"))  # 8: Any
    reveal_type(statem.call(ref, Withdraw(5), timeout=1.0))  # 9: int


def of_tasks(supervisor: Via) -> None:
    reveal_type(tasks.await_(tasks.async_(supervisor, double, 3)))  # 10: float
    reveal_type(tasks.async_nolink(supervisor, double, 3))  # 11: Task
    done = tasks.yield_(tasks.async_(supervisor, double, 3))
    if isinstance(done, tasks.TaskDone):
        reveal_type(done.value)  # 12: float
    for outcome in tasks.async_stream("tasks", [1, 2], double):
        if isinstance(outcome, tasks.TaskDone):
            reveal_type(outcome.value)  # 13: float


def wrong(account: Via, supervisor: Via) -> None:
    one: str = server.call(account, Withdraw(5))  # error: int
    two: str = account.ask(Withdraw(5))  # error: int
    three: str = tasks.await_(tasks.async_(supervisor, double, 3))  # error: float
    tasks.async_(supervisor, double, "three")  # error: str
    tasks.async_(supervisor, double)  # error: missing
    tasks.async_stream(supervisor, ["three"], double)  # error: items
    four: str = account.ask(Withdraw(5), block=False).get()  # error: int
"""

LINES = PROGRAM.splitlines()
REVEALED = {match[1]: number for number, line in enumerate(LINES, 1) if (match := re.search(r"# (\d+): ", line))}
ERRORS = [number for number, line in enumerate(LINES, 1) if "# error" in line]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Return what mypy says, by line."""
    program = tmp_path_factory.mktemp("typed") / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--no-pretty", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[int, list[str]] = {}
    for match in re.finditer(r"program\.py:(\d+): (.*)", done.stdout):
        found.setdefault(int(match[1]), []).append(match[2].replace("builtins.", ""))
    return found


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("1", "int"),
        ("2", "int"),
        ("3", "supervisors.runtime.futures.ScheduledFuture[int]"),
        ("4", "int"),
        ("5", "Any"),
        ("6", "int"),
        ("7", "int"),
        ("8", "Any"),
        ("9", "int"),
        ("10", "float"),
        ("11", "supervisors.tasks.handle.Task[float]"),
        ("12", "float"),
        ("13", "float"),
        ("14", "int"),
        ("15", "int"),
    ],
)
def test_what_comes_back_has_the_type_that_was_promised(said, number, kind):
    assert said[REVEALED[number]] == [f'note: Revealed type is "{kind}"']


@pytest.mark.parametrize("line", ERRORS)
def test_a_use_as_another_type_is_an_error(said, line):
    assert any(each.startswith("error:") for each in said[line])


def test_nothing_else_is_an_error(said):
    assert {line for line, texts in said.items() if any(text.startswith("error:") for text in texts)} == set(ERRORS)
