"""`top`, `tree` and the progress of `replay` in a real terminal of 80 columns and 24 rows."""

from __future__ import annotations

import signal
import threading

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.cli import main
from sessionactors.inspection import SessionInspector, session_operations
from supervisors.inspection import InspectionDoor
from tests.sessionactors.cli.terminal_screen import Program


class Slow(Session):
    """Waits in its turn until a test lets it go on."""

    entered = threading.Event()
    let_go = threading.Event()
    dispatch = "shared"

    def on_activated(self):
        self.entered.set()
        self.let_go.wait(60.0)


@pytest.fixture
def system():
    with SessionSystem(session={"auth_required": False}) as system:
        yield system


@pytest.fixture
def socket_path(tmp_path):
    return tmp_path / "look"


@pytest.fixture
def door(system, socket_path):
    with SessionInspector(system) as inspector:
        door = InspectionDoor(socket_path, session_operations(inspector), clock=system.actors.clock)
        door.start()
        yield door
        assert door.stop() == 0


@pytest.fixture
def run(door, socket_path):
    made = []

    def start(*arguments, **size):
        made.append(Program(*arguments, "--socket", str(socket_path), **size))
        return made[-1]

    yield start
    for program in made:
        program.close()


@pytest.fixture
def busy(system):
    """A session in the middle of a message, with three more in its mailbox."""
    system.start_session("stuck", session_class=Slow)
    ref = system.directory.get("stuck")
    activated = ref.ask(("activate", None), block=False)
    assert Slow.entered.wait(10.0)
    waiting = [ref.ask("get_state", block=False) for _ in range(3)]
    yield ref
    Slow.let_go.set()
    for future in (activated, *waiting):
        future.get(timeout=10.0)
    Slow.let_go.clear()
    Slow.entered.clear()


def test_the_screen_fits_and_shows_who_is_stuck_at_the_top(run, busy):
    program = run("top", "--interval", "0.1")
    screen = program.until("Slow")
    assert screen.is_other
    assert not screen.has_cursor
    assert (screen.wrapped, screen.scrolled) == (0, 0)
    assert screen.lines[0].startswith("sessionactors top  ")
    assert "ID STATUS" in screen.lines[3]
    first = screen.lines[4].split()
    assert first[:1] == [str(busy.id)]
    assert first[2] == "3"
    assert first[-2:] == ["stuck", "(Slow)"]
    assert screen.lines[23].endswith("q quit")


@pytest.mark.parametrize("key", ["q", "\x03", "\x04"])
def test_it_ends_cleanly_and_the_terminal_is_as_before(run, key):
    program = run("top", "--interval", "0.1")
    program.until("audit")
    program.press(key)
    assert program.end() == 0
    assert program.is_as_before()
    assert "Traceback" not in str(program.screen)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_the_terminal_as_before(run, number, code):
    program = run("top", "--interval", "0.1")
    program.until("audit")
    program.process.send_signal(number)
    assert program.end() == code
    assert program.is_as_before()
    assert "Traceback" not in str(program.screen)


def test_keys_sort_filter_and_open_one_actor(run, system, busy):
    system.start_session("alice")
    program = run("top", "--interval", "0.1")
    program.until("by mailbox")
    for key, sort in (("c", "busy"), ("e", "memory"), ("r", "restarts"), ("h", "messages"), ("m", "mailbox")):
        program.press(key)
        program.until(f"by {sort}")
    program.press("/SLow\x7f")
    program.until("filter: SLo_")
    program.press("\r")
    program.until(lambda screen: "with 'SLo'" in str(screen) and not screen.lines[5])
    program.press("\r")
    screen = program.until("mailbox   3")
    assert screen.lines[1].startswith(f"actor #{busy.id}")
    assert "handled   1 messages" in str(screen)
    at = next(number for number, line in enumerate(screen.lines) if line.startswith("now in"))
    assert "let_go.wait" in "".join(screen.lines[at : at + 9])  # where it hangs, on the first screen
    assert "stack" not in str(screen)
    program.press("\x1b[6~" * 20)
    program.until(lambda screen: "let_go.wait" in str(screen) and "now in" not in str(screen))
    program.press("\x1b")
    program.until("with 'SLo'")
    program.press("\x1b")
    program.until(lambda screen: "with 'SLo'" not in str(screen) and "audit" in str(screen))
    program.press("q")
    assert program.end() == 0


def test_a_service_can_be_opened_from_the_list(run):
    program = run("top", "--interval", "0.1", "--match", "RateLimiter")
    program.until("RateLimiter")
    program.press("\r")
    screen = program.until("rate_limiter (RateLimiter)")
    assert screen.lines[-1].endswith("quit")
    program.press("q")
    assert program.end() == 0


def test_when_the_daemon_goes_it_says_so_with_the_terminal_as_before(run, door):
    program = run("top", "--interval", "0.1")
    program.until("audit")
    door.stop()
    assert program.end() == 1
    assert program.is_as_before()
    assert "has gone" in str(program.screen)


@pytest.mark.parametrize(("columns", "rows"), [(40, 8), (20, 4), (200, 60)])
def test_it_fits_into_other_terminals(run, columns, rows):
    program = run("top", "--interval", "0.1", columns=columns, rows=rows)
    screen = program.until(lambda screen: "actors" in str(screen) or "UTC" in str(screen))
    assert (screen.wrapped, screen.scrolled) == (0, 0)
    program.press("q")
    assert program.end() == 0


def test_the_tree_is_drawn_within_80_columns(run, system):
    for number in range(30):
        system.start_session(f"s{number}")
    program = run("tree", "--children", "8")
    assert program.end() == 0
    screen = program.screen
    assert screen.wrapped == 0
    assert any(line.startswith("├── audit (AuditService)") for line in screen.lines)
    assert any("... and 22 more" in line for line in screen.lines)


def test_one_screen_can_be_printed_without_a_terminal(door, socket_path, capsys, busy):
    assert main(["top", "--once", "--interval", "0.1", "--socket", str(socket_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Slow" in lines[4]
    assert max(map(len, lines)) <= 80


def test_without_a_terminal_it_says_what_to_do(door, socket_path, capsys):
    assert main(["top", "--socket", str(socket_path)]) == 2
    assert "--once" in capsys.readouterr().err


def test_the_progress_of_a_replay_stays_on_one_line_and_goes_away(tmp_path):
    log = tmp_path / "access.log"
    line = '10.0.0.{} - u{} [01/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "x"\n'
    log.write_text("".join(line.format(number % 250, number % 300) for number in range(60_000)))
    program = Program("replay", "--out", str(tmp_path / "out"), str(log))
    try:
        screen = program.until(lambda screen: any("[#" in each and "/s" in each for each in screen.lines), 60.0)
        assert screen.wrapped == 0
        assert program.end(120.0) == 0
        assert "[#" not in str(program.screen)
        assert program.is_as_before()
    finally:
        program.close()
