"""A process that persists, terminates and crashes sessions until it is killed.

It first says what it has found: for each session that came back, how many requests
it has made. Then it says what was confirmed, one line for each, after the fact:
``p <session> <requests>`` for a persist, ``t <session>`` for an end. Before it asks
for an end or a start it says so (``e <session>``, ``s <session>``), because the
answer may not come any more.
"""

from __future__ import annotations

import random
import sys
import threading

from sessionactors import SessionSystem
from sessionactors.errors import SessionRefusal

SESSIONS = 40
THREADS = 3


def say(*words: object) -> None:
    # One write for each line: a kill leaves whole lines.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def work(system: SessionSystem, number: int, seed: int) -> None:
    """Use the sessions of one thread; nobody else uses them."""
    chance = random.Random(seed * 1000 + number)
    names = [f"s{each}" for each in range(number, SESSIONS, THREADS)]
    while True:
        name = chance.choice(names)
        try:
            if system.state_of(name) in (None, "terminated"):
                say("s", name)
                system.start_session(name)
                system.activate(name)
            elif system.get_state(name) == "idle":
                system.resume(name)
            act(system, name, chance)
        except SessionRefusal:
            continue  # it is coming back from a crash


def act(system: SessionSystem, name: str, chance: random.Random) -> None:
    roll = chance.random()
    if roll < 0.05:
        say("e", name)
        system.terminate(name)
        say("t", name)
    elif roll < 0.08:
        system.directory.find(name).kill()
    else:
        system.update_resources(name, requests=chance.randrange(1, 5))
        if roll > 0.5:
            requests = system.get_info(name).resources_used.requests
            system.persist(name)
            say("p", name, requests)


def main() -> None:
    path, seed = sys.argv[1], int(sys.argv[2])
    options = {"persistent": True, "auth_required": False, "quota": {"max_requests": None}}
    system = SessionSystem(path=path, session=options)
    assert system.recovered.quarantined == ()
    assert system.recovered.refused == ()
    for name in system.live_sessions():
        say("found", name, system.get_info(name).resources_used.requests)
    say("ready")
    threads = [threading.Thread(target=work, args=(system, number, seed), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
