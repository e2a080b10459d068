from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from sessionactors.cli import main
from sessionactors.cli.program import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, complain, program, reason_of

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its users do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sessionactors", *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "replay    Drive supervised sessions with a recorded log." in shown
    assert "audit     Verify, prove, read and export audit logs." in shown


def test_help_imports_no_command():
    code = (
        "import sys; from sessionactors.cli import main; main(['--help']); "
        "print([name for name in sys.modules if name.startswith(('sessionactors.cli.', 'sessionactors.replay'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert shown.splitlines()[-1] == "['sessionactors.cli.entry', 'sessionactors.cli.program']"


@pytest.mark.parametrize("command", program.list_commands(click.Context(program)))
def test_the_short_help_is_the_command_s_own(command):
    context = click.Context(program)
    found = program.get_command(context, command)
    assert found is not None
    listed = found.get_short_help_str(200)
    formatter = click.HelpFormatter(width=200)
    program.format_commands(context, formatter)
    assert f"{command}{' ' * (10 - len(command))}{listed}" in formatter.getvalue()


def test_version_is_shown(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sessionactors ")


def test_python_dash_m_is_the_program():
    assert run("--version").stdout.startswith("sessionactors ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "No such command 'nope'."),
        (["--nope"], "No such option '--nope'."),
        (["replay"], "Missing argument 'FILE...'."),
        (["replay", "--idle-timeout", "x", "a.log"], "Invalid value for '--idle-timeout': 'x' is not a valid float."),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(arguments, sentence):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_USAGE, "", f"sessionactors: {sentence}\n")


def test_a_complaint_is_one_line_that_commands_no_terminal(capsys):
    complain("a\nb \x1b[2J\udcff")
    assert capsys.readouterr().err == "sessionactors: a b \\x1b[2J\\udcff\n"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/somewhere"), "permission denied"),
        (OSError("odd"), "odd"),
        (ValueError("embedded null byte"), "embedded null byte"),
    ],
)
def test_reasons_are_words(error, reason):
    assert reason_of(error) == reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["replay", "--json", "examples/access.log"]])
def test_a_full_output_is_one_sentence_and_exit_code_1(arguments):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "sessionactors", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    problem = "sessionactors: cannot write the output: no space left on device\n"
    assert done.returncode == EXIT_FAILED
    assert done.stderr.endswith(problem)
    assert "Traceback" not in done.stderr


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from sessionactors.cli import main
code = main(["--help"])
os.kill(os.getpid(), signal.SIGINT)
sys.exit(code)
"""


def test_an_interrupt_while_the_program_is_loaded_is_no_traceback():
    command = [sys.executable, "-c", INTERRUPTED_WHILE_LOADING]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_INTERRUPTED, "", "sessionactors: interrupted\n")
