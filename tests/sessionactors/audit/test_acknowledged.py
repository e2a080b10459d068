"""What was acknowledged as durable is in the log of a process that is killed the moment after.

Several threads log events and work with sessions, each telling what it was given an
answer for; then the process gets SIGKILL. AUDIT_ACKNOWLEDGED_KILLS says how often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from sessionactors.errors import AuthBlocked
from tests.sessionactors.audit.test_service import break_log
from tests.sessionactors.session_world import TRUSTED, virtual

KILLS = int(os.environ.get("AUDIT_ACKNOWLEDGED_KILLS", "1"))
ROOT = Path(__file__).parents[3]

# A group would wait an hour: only what is waited for becomes durable.
VICTIM = """
import os, sys, threading
from sessionactors import AuditSettings, SessionSystem
settings = AuditSettings(batch_delay=3600.0, rights_are_durable=sys.argv[2] == "operations")
system = SessionSystem(audit_dir=sys.argv[1], audit=settings)

def tell(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

def log_events(name):
    for number in range(1_000_000):
        event_type = ("auth", "security")[number % 2]
        system.log_event(name, event_type, {"n": number})
        tell(name, event_type, str(number))

def operate(name):
    for number in range(1_000_000):
        session = f"{name}-{number}"
        system.start_session(session)
        system.authenticate(session, {"authenticated": True})
        tell(session, "auth", "auth_attempt")
        system.activate(session)
        tell(session, "auth", "auth_success")
        system.lock(session, admin="alice")
        tell(session, "security", "lock")
        system.force_terminate(session, admin="alice")
        tell(session, "security", "force_terminate")

work = operate if sys.argv[2] == "operations" else log_events
for number in range(3):
    threading.Thread(target=work, args=(f"t{number}",), daemon=True).start()
signal_that_never_comes = threading.Event()
signal_that_never_comes.wait()
"""


@pytest.mark.parametrize("what", ["events", "operations"])
def test_nothing_that_was_acknowledged_is_lost_with_the_process(tmp_path, what):
    dice = random.Random(3)
    for number in range(KILLS):
        path = tmp_path / str(number)
        process = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(path), what],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        with process.stdout as lines:
            told = [lines.readline() for _ in range(dice.randrange(20, 60))]
            process.kill()
            told += list(lines)
        assert process.wait(timeout=60) == -signal.SIGKILL
        said = {tuple(line.split()) for line in told if line.endswith("\n")}
        assert len(said) >= 20
        assert verify(path).exit_code in (0, 2)
        key = "n" if what == "events" else "event"
        with AuditReader(path) as reader:
            there = {(each.session, each.type, str(each.data.get(key))) for each in reader.events()}
        assert said <= there, f"round {number}: {sorted(said - there)}"


GRANTED = {
    "authenticate": lambda system: system.authenticate("new", TRUSTED),
    "activate": lambda system: system.activate("known"),
    "lock": lambda system: system.lock("new", admin="alice"),
    "unlock": lambda system: system.unlock("new", admin="alice"),
    "force_suspend": lambda system: system.force_suspend("active", admin="alice"),
    "force_terminate": lambda system: system.force_terminate("active", admin="alice"),
    "override_quota": lambda system: system.override_quota("active", {"max_requests": 5}, admin="alice"),
}


def with_sessions(path, **settings):
    system = virtual(audit_dir=path, audit=settings)
    for session in ("new", "known", "active"):
        system.start_session(session)
    for session in ("known", "active"):
        system.authenticate(session, TRUSTED)
    system.activate("active")
    return system


def size_of(path):
    with AuditReader(path) as reader:
        return reader.size


@pytest.mark.parametrize("name", GRANTED)
@pytest.mark.parametrize("is_durable", [True, False])
def test_an_operation_waits_for_the_disk_where_the_settings_want_that(tmp_path, name, is_durable):
    with with_sessions(tmp_path / "log", rights_are_durable=is_durable) as system:
        system.commit_audit()
        before = size_of(tmp_path / "log")
        GRANTED[name](system)
        assert (size_of(tmp_path / "log") > before) is is_durable


@pytest.mark.parametrize("is_verified", [True, False])
def test_an_activation_that_an_authenticator_grants_waits_as_well(tmp_path, is_verified):
    options = {"authenticator": lambda _: True} if is_verified else {}
    with virtual(audit_dir=tmp_path / "log", audit={"rights_are_durable": True}, **options) as system:
        system.start_session("a")
        system.authenticate("a", TRUSTED)
        system.activate("a")
        with AuditReader(tmp_path / "log") as reader:
            assert "auth_success" in {each.data["event"] for each in reader.events()}


def test_a_refusal_waits_as_well(tmp_path):
    with with_sessions(tmp_path / "log", rights_are_durable=True) as system:
        system.lock("new", admin="alice")
        with pytest.raises(AuthBlocked):
            system.authenticate("new", TRUSTED)
        with AuditReader(tmp_path / "log") as reader:
            assert "auth_blocked" in {each.data["event"] for each in reader.events()}


def test_a_refusal_stays_one_where_the_log_cannot_be_written(quiet_log):
    with virtual(audit={"rights_are_durable": True, "fail_closed": False}) as system:
        system.start_session("new")
        system.lock("new", admin="alice")
        log = break_log(system)
        with pytest.raises(AuthBlocked):
            system.authenticate("new", TRUSTED)
        log.full = False


@pytest.fixture
def quiet_log(caplog):
    caplog.set_level("CRITICAL", "sessionactors")
