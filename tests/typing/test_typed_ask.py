"""A typed message class and its reply type are checked where it is asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from dataclasses import dataclass

from supervisors import Actor, ActorRef, Request


@dataclass(frozen=True)
class Withdraw(Request[int]):
    amount: int


class Account(Actor):
    def on_receive(self, message: Withdraw) -> int:
        return 100 - message.amount


def use(account: ActorRef[Account]) -> None:
    reveal_type(account.ask(Withdraw(5)))
    reveal_type(account.ask(Withdraw(5), timeout=1.0))
    reveal_type(account.ask(Withdraw(5), block=False))
    reveal_type(account.ask("anything"))
    wrong: str = account.ask(Withdraw(5))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    program = tmp_path_factory.mktemp("typed") / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_an_ask_has_the_type_of_the_messages_reply(said):
    revealed = re.findall(r'Revealed type is "(?:builtins\.)?(.*)"', said)
    assert revealed[:2] == ["int", "int"]


def test_a_future_of_an_ask_has_it_too(said):
    assert re.search(r'Revealed type is ".*ScheduledFuture\[(builtins\.)?int\]"', said)


def test_any_other_message_can_be_asked_and_has_a_reply_of_any_type(said):
    assert 'Revealed type is "Any"' in said


def test_a_reply_used_as_another_type_is_an_error(said):
    assert re.search(r'expression has type "int", variable has type "str"', said)
