from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import os
from supervisors import Actor, ActorSystem
from supervisors.runtime.outcomes import ForkedError

class Echo(Actor):
    dispatch = "inline"
    def on_receive(self, message):
        return message

class SharedEcho(Echo):
    dispatch = "shared"

def refused(verb):
    try:
        verb()
    except ForkedError:
        return True
    return False

with ActorSystem() as system:
    refs = [system.start(Echo), system.start(SharedEcho)]
    assert [ref.ask(1) for ref in refs] == [1, 1]
    child = os.fork()
    if not child:
        code = 0
        for ref in refs:
            for verb in (lambda: ref.ask(1), lambda: ref.tell(1), lambda: ref.send(1), ref.stop, ref.kill, ref.join):
                code |= not refused(verb)
        code |= 2 * (not refused(lambda: system.start(Echo)))
        code |= 4 * (system.stop() != [])
        with ActorSystem() as own:
            code |= 8 * (own.start(SharedEcho).ask(2) != 2 or own.start(Echo).ask(2) != 2)
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [ref.ask(3) for ref in refs] == [3, 3]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_in_a_forked_child_old_refs_raise_and_new_systems_work():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, cwd=ROOT, timeout=60)
