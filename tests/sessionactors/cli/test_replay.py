"""The command `replay`, run as its users run it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.cli import main
from supervisors.clock import SystemClock
from tests.sessionactors.replay.log_lines import access_line
from tests.sessionactors.replay.sshd_lines import sshd_line

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "access.log"
COMMAND = [sys.executable, "-m", "sessionactors"]


def replay(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, "replay", *map(str, arguments)], capture_output=True, input=stdin, cwd=ROOT, check=False
    )


def refused(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Run the command; it must fail with one sentence, which is returned."""
    done = replay(*arguments, stdin=stdin)
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), message
    assert message.startswith("sessionactors: ")
    assert message.count("\n") == 1
    assert "Traceback" not in message
    return message


def figures(*arguments: str | Path, stdin: bytes = b"") -> dict[str, object]:
    """Run the command with --json; it must succeed, and its object is returned."""
    done = replay("--json", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def verify(directory: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, "audit", "verify", str(directory)], capture_output=True, cwd=ROOT, check=False)


@pytest.fixture
def small(tmp_path) -> Path:
    """Return the first tenth of the example, for what does not depend on its size."""
    path = tmp_path / "small.log"
    path.write_bytes(b"".join(EXAMPLE.read_bytes().splitlines(keepends=True)[:345]))
    return path


class TestHelp:
    def test_tells_every_option_with_its_unit(self, capsys):
        assert main(["replay", "--help"]) == 0
        shown = capsys.readouterr().out
        for option in ("--idle-timeout SECONDS", "--reap-after SECONDS", "--reap-interval SECONDS"):
            assert option in shown
        assert "--rate PER_SECOND" in shown
        assert "--realtime[=SPEED]" in shown
        assert "--crash-every" not in shown

    def test_tells_the_exit_codes(self, capsys):
        main(["replay", "--help"])
        assert "130 after Ctrl-C" in " ".join(capsys.readouterr().out.split())


class TestSshd:
    @pytest.fixture
    def auth_log(self, tmp_path) -> Path:
        path = tmp_path / "auth.log"
        failed = sshd_line(0, "Failed password for root from P ssh2")
        path.write_text(f"{failed}\n{sshd_line(1, 'x').replace('sshd', 'CRON')}\n{sshd_line(60, 'x')}\nnonsense\n")
        return path

    def test_is_found_out_and_reported(self, auth_log):
        found = figures(auth_log)
        assert (found["lines"], found["other_lines"], found["bad_lines"], found["requests"]) == (4, 1, 1, 2)
        assert found["transitions"] == {"new->auth": 1, "auth->terminated": 1}

    def test_options_reach_the_sessions(self, auth_log):
        assert figures("--format", "sshd", auth_log)["simulated_seconds"] == 120
        assert figures("--auth-timeout", "30", auth_log)["simulated_seconds"] == 60
        assert figures("--max-auth-attempts", "1", auth_log)["auth_denied"] == 1

    def test_the_year_reaches_the_audit_log(self, auth_log, tmp_path):
        figures("--year", "2017", "--out", tmp_path / "out", auth_log)
        log = AuditLog(tmp_path / "out")
        times = {datetime.fromtimestamp(event.wall_time, UTC).year for event in log.events()}
        log.close()
        assert times == {2017}

    def test_other_formats_have_no_other_lines(self, small):
        assert "other_lines" not in figures(small)


class TestBadInput:
    def test_a_missing_file(self):
        assert "none.log: there is no such file" in refused("none.log")

    def test_a_directory(self, tmp_path):
        assert "it is a directory" in refused(tmp_path)

    def test_an_empty_file(self, tmp_path):
        (tmp_path / "a.log").touch()
        assert "it is empty" in refused(tmp_path / "a.log")

    def test_a_file_with_no_readable_line(self, tmp_path):
        (tmp_path / "a.log").write_text("nonsense\n" * 7)
        assert "none of its 7 lines is an access log line" in refused(tmp_path / "a.log")

    def test_a_truncated_gzip(self, tmp_path):
        (tmp_path / "a.gz").write_bytes(gzip.compress(EXAMPLE.read_bytes())[:-1000])
        assert "cut off before its end" in refused(tmp_path / "a.gz")

    def test_binary_noise(self, tmp_path):
        (tmp_path / "a.log").write_bytes(random.Random(3).randbytes(50_000))
        assert "looks like binary data" in refused(tmp_path / "a.log")

    def test_a_line_of_ten_megabytes(self, tmp_path):
        (tmp_path / "a.log").write_bytes(b"x" * 10_000_000)
        assert "longer than 1,048,576 bytes" in refused(tmp_path / "a.log")

    def test_standard_input_without_a_log(self):
        assert "standard input" in refused("-", stdin=b"")

    def test_a_name_that_would_command_the_terminal(self):
        assert "\x1b" not in refused("\x1b[2Jnone.log")

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--idle-timeout", "0"),
            ("--idle-timeout", "-5"),
            ("--idle-timeout", "nan"),
            ("--reap-after", "inf"),
            ("--reap-interval", "0"),
            ("--capacity", "0"),
            ("--rate", "-1"),
            ("--max-requests", "0"),
            ("--max-requests", "1.5"),
            ("--seed", "-1"),
            ("--realtime", "=0"),
            ("--realtime", "=fast"),
            ("--format", "xml"),
            ("--auth-timeout", "0"),
            ("--auth-timeout", "inf"),
            ("--max-auth-attempts", "0"),
            ("--year", "1969"),
            ("--year", "9999"),
            ("--year", "MMXVII"),
        ],
    )
    def test_a_value_that_cannot_be(self, option, value):
        arguments = [option + value] if value.startswith("=") else [option, value]
        assert option in refused(*arguments, EXAMPLE)

    def test_a_result_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "out").touch()
        assert "is not a folder" in refused("--out", tmp_path / "out", EXAMPLE)

    def test_a_result_folder_that_has_results(self, tmp_path):
        (tmp_path / "audit.db").write_text("precious")
        assert "--overwrite" in refused("--out", tmp_path, EXAMPLE)
        assert (tmp_path / "audit.db").read_text() == "precious"

    def test_a_bad_log_leaves_older_results_alone(self, tmp_path):
        (tmp_path / "report.txt").write_text("precious")
        refused("--overwrite", "--out", tmp_path, "none.log")
        assert (tmp_path / "report.txt").read_text() == "precious"


class TestOutput:
    def test_text_is_a_report_for_people(self):
        done = replay(EXAMPLE)
        assert done.returncode == 0
        text = done.stdout.decode()
        assert text.startswith("Replay of ")
        assert "Transitions" in text
        assert "Skipped lines" in text
        assert "access.log:701: " in text
        assert done.stderr == b""

    def test_json_is_one_object_and_bad_lines_go_to_standard_error(self):
        done = replay("--json", EXAMPLE)
        assert json.loads(done.stdout)["bad_lines"] == 4
        assert done.stdout.count(b"\n") == 1
        assert b"skipped 4 of 3,456 lines" in done.stderr

    def test_figures_do_not_depend_on_the_process(self):
        first, second = figures(EXAMPLE), figures(EXAMPLE)
        for moving in ("wall_seconds", "requests_per_second"):
            first.pop(moving)
            second.pop(moving)
        assert first == second

    def test_options_reach_the_sessions(self):
        options = ["--idle-timeout", "5", "--reap-after", "60", "--reap-interval", "7", "--max-requests", "2"]
        found = figures(*options, "--capacity", "3", "--rate", "0.5", EXAMPLE)
        assert found["sessions"] == 1127
        assert found["quota_exceeded"] != 0
        assert found["rate_limited"] != figures(EXAMPLE)["rate_limited"]


class TestSources:
    def test_standard_input(self, small):
        assert figures("-", stdin=small.read_bytes())["requests"] == 345

    def test_gzip_from_standard_input(self, small):
        assert figures("-", stdin=gzip.compress(small.read_bytes()))["requests"] == 345

    def test_several_files_are_one_log(self, tmp_path, small):
        lines = small.read_bytes().splitlines(keepends=True)
        (tmp_path / "1.log").write_bytes(b"".join(lines[::2]))
        (tmp_path / "2.gz").write_bytes(gzip.compress(b"".join(lines[1::2])))
        apart, together = figures(tmp_path / "1.log", tmp_path / "2.gz"), figures(small)
        assert (apart["requests"], apart["sessions"]) == (together["requests"], together["sessions"])

    def test_json_lines(self):
        line = b'{"t": 0, "session": "a", "op": "init_session"}'
        assert figures("-", stdin=line)["sessions"] == 1


class TestOut:
    def test_leaves_audit_log_and_reports(self, tmp_path, small):
        directory = tmp_path / "deep" / "out"
        found = figures("--out", directory, small)
        assert json.loads((directory / "report.json").read_text()) == found
        assert (directory / "report.txt").read_text().startswith("Replay of ")
        assert verify(directory).returncode == 0

    def test_overwrites_only_when_told_to(self, tmp_path, small):
        out = tmp_path / "out"
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        first = figures("--out", out, small)
        assert "--overwrite" in refused("--out", out, small)
        second = figures("--overwrite", "--out", out, small)
        assert first["audit_root"] == second["audit_root"]
        assert (out / "notes.txt").read_text() == "mine"
        assert verify(out).returncode == 0

    def test_an_altered_audit_log_is_found_out(self, tmp_path, small):
        out = tmp_path / "out"
        figures("--out", out, small)
        database = bytearray((out / "audit.db").read_bytes())
        place = database.rindex(b"crawl-1.example.net")
        database[place : place + 5] = b"CRAWL"
        (out / "audit.db").write_bytes(bytes(database))
        assert verify(out).returncode == 1


class TestCrashes:
    def test_heal_without_a_word_and_leave_a_good_audit_log(self, tmp_path, small):
        out = tmp_path / "out"
        done = replay("--crash-every", "10", "--out", out, small)
        assert (done.returncode, done.stderr) == (0, b"")
        assert verify(out).returncode == 0


class TestFailures:
    def test_a_full_disk_is_one_sentence(self, small, monkeypatch, capsys):
        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device", "/somewhere")

        monkeypatch.setattr("sessionactors.replay.run.replay_log", fail)
        assert main(["replay", str(small)]) == 1
        assert capsys.readouterr().err == "sessionactors: the run failed: no space left on device\n"

    def test_a_folder_that_a_run_is_writing_to_is_left_alone(self, tmp_path, small, capsys):
        log = AuditLog(tmp_path / "out")
        assert main(["replay", "--overwrite", "--out", str(tmp_path / "out"), str(small)]) == 2
        log.close()
        assert "another writer" in capsys.readouterr().err
        assert (tmp_path / "out" / "audit.db").exists()

    def test_a_folder_that_cannot_be_made_is_one_sentence(self, tmp_path, small):
        (tmp_path / "file").touch()
        assert "cannot be used" in refused("--out", tmp_path / "file" / "out", small)

    def test_nobody_reading_the_report_is_no_traceback(self, small):
        process = subprocess.Popen(
            [*COMMAND, "replay", str(small)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(20) == 1


class TestRealtime:
    @pytest.mark.parametrize("option", ["--realtime", "--realtime=1e6"])
    def test_does_not_take_the_file_for_its_speed(self, tmp_path, option):
        path = tmp_path / "none.log"
        assert "no such file" in refused(option, path)

    def test_takes_its_time(self, tmp_path):
        path = tmp_path / "a.log"
        path.write_text(access_line(0) + "\n")
        found = figures("--realtime=3600", path)
        assert found["simulated_seconds"] == 1860
        assert float(str(found["wall_seconds"])) >= 1860 / 3600


class TestInterrupt:
    def interrupt(self, process: subprocess.Popen[bytes]) -> tuple[int, float, bytes]:
        clock = SystemClock()
        begun = clock.monotonic()
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=20)
        return process.returncode, clock.monotonic() - begun, shown

    def test_ends_a_run_soon_and_leaves_a_good_audit_log(self, tmp_path):
        # An hour of the log takes a minute, so it surely is in the middle when the audit log has begun.
        process = subprocess.Popen(
            [*COMMAND, "replay", "--realtime=60", "--out", str(tmp_path / "out"), str(EXAMPLE)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        wait_for(tmp_path / "out" / "checkpoints", process)
        code, seconds, shown = self.interrupt(process)
        assert code == 130
        assert seconds < 2
        assert b"interrupted after" in shown
        assert b"Traceback" not in shown
        assert verify(tmp_path / "out").returncode == 0

    def test_ends_the_reading_of_a_log_that_never_ends(self):
        process = subprocess.Popen(
            [*COMMAND, "replay", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdin is not None
        process.stdin.write(b"x" * 1_000_000)  # more than a pipe holds: it is through when the program reads
        process.stdin.flush()
        code, seconds, shown = self.interrupt(process)
        assert (code, seconds < 2) == (130, True)
        assert b"interrupted" in shown
        assert b"Traceback" not in shown


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a file is there; give up when the process ends or after 20 seconds."""
    clock = SystemClock()
    deadline = clock.monotonic() + 20
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert clock.monotonic() < deadline
        os.sched_yield()


def test_a_terminal_sees_progress_and_then_the_report(tmp_path):
    (tmp_path / "a.log").write_text(access_line(0) + "\n")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "replay", "--realtime=3600", str(tmp_path / "a.log")],
        stdout=subprocess.PIPE,
        stderr=slave,
        cwd=ROOT,
    )
    os.close(slave)
    out, _ = process.communicate(timeout=60)
    drawn = os.read(master, 100_000)
    os.close(master)
    assert b"replaying" in drawn
    assert b"left" in drawn
    assert out.startswith(b"Replay of ")
