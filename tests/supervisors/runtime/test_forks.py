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


BUSY = """
import os, threading
import pykka
from supervisors import Actor, ActorSystem
from supervisors.runtime.outcomes import ForkedError

class Echo(Actor):
    def on_receive(self, message):
        return message

class Stock(pykka.ThreadingActor):
    def on_receive(self, message):
        seen.append(message)

seen = []
system = ActorSystem()
ref = system.start(Echo)
timer = system.timers.send_after(60.0, ref, 1)
# As when other threads of the parent are at work in them.
for lock in (system.timers._lock, system.timers._sorting, system.living._lock, system._lock):
    lock.acquire()
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
refused = []
for verb in (
    lambda: system.dump(), lambda: system.statistics(), lambda: system.actors(), lambda: system.whereis("x"),
    lambda: system.dead_letters, lambda: system.timers.pending(), lambda: system.timers.send_after(1.0, ref, 1),
    lambda: timer.cancel(), lambda: timer.remaining(), lambda: system.timers.next_deadline(), lambda: ref.tell(1),
):
    try:
        verb()
    except ForkedError:
        refused.append(1)
assert len(refused) == 11, refused
assert repr(system) == "<ActorSystem of the parent process>"
own = Stock.start()
pykka.ActorRegistry.broadcast("hello")
assert pykka.ActorRegistry.get_all() == [own]
pykka.ActorRegistry.stop_all()
assert (seen, own.is_alive()) == (["hello"], False)
with ActorSystem() as another:
    assert another.timers.send_after(60.0, another.start(Echo), 1).cancel() > 0
    assert another.statistics()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_in_the_child_of_a_busy_parent_everything_is_refused_at_once():
    subprocess.run([sys.executable, "-c", BUSY], check=True, cwd=ROOT, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_in_a_forked_child_old_refs_raise_and_new_systems_work():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, cwd=ROOT, timeout=60)
