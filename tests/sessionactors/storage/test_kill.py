"""A process is killed at random points, again and again, and nothing confirmed is lost.

Every round goes on with the file that the last one has left. The number of rounds is
in the environment variable KILL_ROUNDS.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
ROOT = Path(__file__).parents[3]


def run(path, seed, lines_max):
    """Run a victim, kill it after so many lines, and return all that it has said."""
    command = [sys.executable, "-m", "tests.sessionactors.storage.victim", str(path), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stdout:
            said.append(line.split())
            if len(said) >= lines_max and said[-1][0] != "found":
                process.kill()
                lines_max = sys.maxsize
    assert process.returncode == -9
    return [each for each in said if each]


def check(found, confirmed, ending):
    """Compare what came back with what was confirmed; return what is wrong."""
    wrong = [f"{name} is gone, with {count}" for name, count in confirmed.items() if name not in found | ending]
    wrong += [
        f"{name} has {found[name]}, and {count} were confirmed"
        for name, count in confirmed.items()
        if name in found and found[name] < count
    ]
    return wrong


def test_what_was_confirmed_is_there_after_every_kill(tmp_path):
    chance = random.Random(11)
    confirmed, ended, ending = {}, set(), {}
    came_back = 0
    for number in range(ROUNDS):
        said = run(tmp_path / "sessions.db", number, chance.randrange(1, 400))
        names = [each[1] for each in said if each[0] == "found"]
        assert len(names) == len(set(names)), "at most one live session for each id"
        found = {each[1]: int(each[2]) for each in said if each[0] == "found"}
        came_back += len(found)
        wrong = check(found, confirmed, ending)
        wrong += [f"{name} has ended, and is back with {found[name]}" for name in ended & found.keys()]
        assert not wrong, f"round {number}: {wrong}"
        # What came back counts as confirmed from now on, also what was stored by the way.
        confirmed, ended, ending = dict(found), set(), {}
        for kind, name, *rest in (each for each in said if each[0] in ("p", "t", "e", "s")):
            if kind == "p":
                confirmed[name] = int(rest[0])
                ended.discard(name)
                ending.pop(name, None)
            elif kind == "t":
                ended.add(name)
            else:  # it is about to end, or to be another one: what is stored of it may be there or not
                ending[name] = confirmed.pop(name, 0)
                ended.discard(name)
    assert ROUNDS < 3 or came_back > 0
