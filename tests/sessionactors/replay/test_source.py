from __future__ import annotations

import gzip
import io
import os
import random
from pathlib import Path

import pytest

from sessionactors.replay import source
from sessionactors.replay.events import AccessRequest, SshdLine
from sessionactors.replay.source import LINE_LENGTH_MAX, Log, SkippedLine, SourceError, read_log
from tests.sessionactors.replay.log_lines import BASE, access_line
from tests.sessionactors.replay.sshd_lines import sshd_line

JSON_LINE = '{"t": 1, "session": "a", "op": "touch"}'


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path as text."""

    def write_file(content: str | bytes, name: str = "a.log") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


def lines(*texts: str) -> str:
    return "".join(f"{text}\n" for text in texts)


def clients(log: Log) -> list[str]:
    return [event.client for event in log.events if isinstance(event, AccessRequest)]


def refused(*names: str, **options: str) -> str:
    with pytest.raises(SourceError) as caught:
        read_log(names, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestOrder:
    def test_is_that_of_the_time_stamps(self, write):
        path = write(lines(access_line(5, "late"), access_line(0, "early"), access_line(3, "middle")))
        assert clients(read_log([path])) == ["early", "middle", "late"]

    def test_is_that_of_the_lines_for_equal_time_stamps(self, write):
        path = write(lines(*[access_line(0, client) for client in "zyxabc"], access_line(-1, "first")))
        assert clients(read_log([path])) == ["first", *"zyxabc"]

    def test_goes_across_files(self, write):
        one = write(lines(access_line(0, "a"), access_line(2, "c")), "1.log")
        two = write(lines(access_line(1, "b"), access_line(2, "d")), "2.log")
        assert clients(read_log([one, two])) == ["a", "b", "c", "d"]


class TestCounts:
    def test_every_line_is_an_event_or_bad(self, write):
        log = read_log([write(lines(access_line(0), "nonsense", access_line(1)))])
        assert (log.lines, log.bad_lines, len(log.events)) == (3, 1, 2)

    def test_blank_lines_are_neither_but_keep_their_number(self, write):
        name = write(lines("", "  \t\r", access_line(0), "", "nonsense"))
        log = read_log([name])
        assert (log.lines, log.bad_lines) == (2, 1)
        assert log.skipped[0].number == 5

    def test_a_last_line_without_an_end_is_a_line(self, write):
        assert read_log([write(lines(access_line(0)) + access_line(1))]).lines == 2

    def test_windows_line_ends_are_line_ends(self, write):
        log = read_log([write(f"{access_line(0)}\r\n{access_line(1)}\r\n")])
        assert (log.lines, log.bad_lines) == (2, 0)

    def test_the_first_few_bad_lines_are_shown_with_file_and_number(self, write):
        one = write(lines(access_line(0), *["nonsense"] * 3), "1.log")
        two = write(lines(*["nonsense"] * 3, access_line(0)), "2.log")
        log = read_log([one, two])
        assert log.bad_lines == 6
        assert [(Path(line.source).name, line.number) for line in log.skipped] == [
            ("1.log", 2),
            ("1.log", 3),
            ("1.log", 4),
            ("2.log", 1),
            ("2.log", 2),
        ]

    def test_a_skipped_line_reads_as_file_number_and_reason(self):
        assert str(SkippedLine("a.log", 3, "it is odd")) == "a.log:3: it is odd"


class TestEncoding:
    def test_bytes_that_are_not_utf_8_are_shown_as_escapes(self, write):
        line = access_line(0).encode().replace(b"Tester", b"T\xffst\xe9r\xe2\x82")
        (event,) = read_log([write(line)]).events
        assert isinstance(event, AccessRequest)
        assert event.user_agent == r"T\xffst\xe9r\xe2\x82/1.0"

    def test_utf_8_across_a_block_border_stays_whole(self, write, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK_SIZE", 1)
        line = access_line(0).replace("Tester", "Größe€")
        (event,) = read_log([write(lines(line))]).events
        assert isinstance(event, AccessRequest)
        assert event.user_agent == "Größe€/1.0"

    def test_a_byte_order_mark_is_no_part_of_the_first_line(self, write):
        assert clients(read_log([write(b"\xef\xbb\xbf" + access_line(0, "a").encode())])) == ["a"]


class TestGzip:
    def test_is_told_by_its_content(self, write):
        assert clients(read_log([write(gzip.compress(access_line(0, "a").encode()), "plain.log")])) == ["a"]
        assert clients(read_log([write(access_line(0, "a"), "odd.gz")])) == ["a"]

    def test_may_have_several_members(self, write):
        members = b"".join(gzip.compress(lines(access_line(0, client)).encode()) for client in "ab")
        assert clients(read_log([write(members)])) == ["a", "b"]

    @pytest.mark.parametrize("kept", [3, 10, 0.5, -1])
    def test_that_is_cut_off_is_refused_as_a_whole(self, write, kept):
        packed = gzip.compress(lines(*[access_line(at) for at in range(5000)]).encode())
        end = int(len(packed) * kept) if isinstance(kept, float) else kept
        assert refused(write(packed[:end])).endswith("the gzip file is cut off before its end")

    def test_that_is_damaged_is_refused_as_a_whole(self, write):
        packed = bytearray(gzip.compress(lines(*[access_line(at) for at in range(5000)]).encode()))
        packed[len(packed) // 2] ^= 0xFF
        assert refused(write(bytes(packed))).endswith("the gzip file is damaged")


class TestLongLines:
    def test_one_at_the_limit_is_read(self, write):
        line = access_line(0, "a")
        line = line.replace("Tester", "T" * (LINE_LENGTH_MAX - len(line) + 6))
        assert len(line) == LINE_LENGTH_MAX
        assert clients(read_log([write(lines(line, access_line(1, "b")))])) == ["a", "b"]

    @pytest.mark.parametrize("length", [LINE_LENGTH_MAX + 1, LINE_LENGTH_MAX + 300_000, 10_000_000])
    @pytest.mark.parametrize("end", ["\n", ""])
    def test_one_over_the_limit_is_a_bad_line(self, write, length, end):
        log = read_log([write(access_line(0, "a") + "\n" + "x" * length + end)])
        assert (clients(log), log.lines, log.bad_lines) == (["a"], 2, 1)
        assert (log.skipped[0].number, log.skipped[0].reason) == (2, "it is longer than 1,048,576 bytes")

    def test_one_over_the_limit_does_not_hide_its_neighbours(self, write):
        long = "x" * 3_000_000
        path = write(lines(access_line(0, "a"), long, access_line(1, "b"), "nonsense", long, access_line(2, "c")))
        log = read_log([path])
        assert clients(log) == ["a", "b", "c"]
        assert [line.number for line in log.skipped] == [2, 4, 5]

    def test_one_alone_makes_no_log(self, write):
        assert "longer than 1,048,576 bytes" in refused(write("x" * 10_000_000))

    def test_none_is_ever_kept_whole(self):
        class Endless(io.RawIOBase):
            """Gives a line of 100 MB without having it."""

            left = 400
            largest = 0

            def read(self, size: int = -1) -> bytes:
                self.largest = max(self.largest, size)
                self.left -= 1
                return b"x" * size if self.left >= 0 else b""

        stream = Endless()
        blocks = list(source._line_blocks(stream, "endless"))  # type: ignore[arg-type]
        assert blocks == [[None]]
        assert 0 < stream.largest <= LINE_LENGTH_MAX


@pytest.mark.parametrize("block_size", [1, 2, 7, 100, 200])
def test_the_size_of_blocks_does_not_matter(write, monkeypatch, block_size):
    monkeypatch.setattr(source, "LINE_LENGTH_MAX", 200)
    monkeypatch.setattr(source, "_BLOCK_SIZE", block_size)
    texts = [access_line(0, "a"), "", "x" * 200, "x" * 201, "x" * 999, access_line(1, "b"), "y" * 500, "y"]
    log = read_log([write("\n".join(texts))])
    assert clients(log) == ["a", "b"]
    assert [(line.number, "longer" in line.reason) for line in log.skipped] == [
        (3, False),
        (4, True),
        (5, True),
        (7, True),
        (8, False),
    ]


class TestFormat:
    @pytest.mark.parametrize(
        ("line", "log_format"),
        [(access_line(0, "a"), "access"), (JSON_LINE, "jsonl"), (sshd_line(0, "Connection from P"), "sshd")],
    )
    def test_is_found_behind_lines_that_are_nothing(self, write, line, log_format):
        log = read_log([write(lines(*["garbage"] * 150, line, line))])
        assert (log.format, len(log.events), log.bad_lines) == (log_format, 2, 150)

    def test_is_found_out(self, write):
        assert read_log([write(access_line(0))]).format == "access"
        assert read_log([write(JSON_LINE)]).format == "jsonl"

    def test_is_found_out_behind_blank_and_bad_lines(self, write):
        assert read_log([write(lines("", "{nonsense", JSON_LINE, JSON_LINE))]).format == "jsonl"
        assert read_log([write("\n" * 600_000 + JSON_LINE)]).format == "jsonl"

    def test_can_be_told(self, write):
        path = write(lines(JSON_LINE, access_line(0)))
        assert clients(read_log([path], log_format="access")) == ["10.0.0.1"]

    def test_must_be_the_same_for_all_files(self, write):
        one, two = write(access_line(0), "1.log"), write(JSON_LINE, "2.log")
        assert "one run takes one format" in refused(one, two)

    def test_of_times_that_look_nothing_alike_still_sorts(self, write):
        path = write(lines(JSON_LINE, JSON_LINE.replace("1,", "0.5,")))
        assert [event.time for event in read_log([path]).events] == [0.5, 1.0]


class TestRefusals:
    def test_no_such_file(self, tmp_path):
        assert refused(str(tmp_path / "none.log")).endswith("none.log: there is no such file")

    def test_a_directory(self, tmp_path):
        assert refused(str(tmp_path)).endswith(": it is a directory")

    def test_no_permission(self, write, monkeypatch):
        path = write(access_line(0))

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
        assert refused(path).endswith("permission is denied")

    def test_a_path_that_cannot_be(self):
        assert refused("a\0b").endswith("it cannot be opened")

    @pytest.mark.parametrize("content", ["", "\n\n", "  \n\t\n"])
    def test_nothing_in_it(self, write, content):
        assert refused(write(content)).endswith("it is empty")

    def test_an_empty_gzip(self, write):
        assert refused(write(gzip.compress(b""))).endswith("it is empty")

    def test_no_readable_line(self, write):
        message = refused(write(lines("nonsense", "more of it")))
        assert "none of its 2 lines is an access log line" in message
        assert "line 1: " in message

    def test_one_unreadable_line(self, write):
        assert "its only line is not a JSON line" in refused(write("{}"))

    def test_binary_noise(self, write):
        assert "looks like binary data" in refused(write(random.Random(1).randbytes(100_000)))

    def test_one_bad_file_among_good_ones(self, write):
        assert "2.log" in refused(write(access_line(0), "1.log"), write("nonsense", "2.log"))

    def test_standard_input_twice(self):
        assert "only once" in refused("-", "-")

    def test_a_file_name_is_shown_without_control_characters(self, tmp_path):
        assert r"\x1b[2J" in refused(str(tmp_path / "\x1b[2J"))
        assert r"\udcff" in refused(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))


def test_progress_is_told_in_events(write):
    told: list[int] = []
    read_log([write(lines(access_line(0), "nonsense", access_line(1)))], on_progress=told.append)
    assert told[-1] == 2


def test_the_real_sample_is_read_to_the_last_line(shared_path):
    log = read_log([str(shared_path / "data" / "apache_access.log")])
    assert (log.lines, log.bad_lines, len(set(clients(log)))) == (10_000, 0, 1_753)
    assert sum(event.size for event in log.events if isinstance(event, AccessRequest)) > 0
    times = [event.time for event in log.events]
    assert times == sorted(times)


class TestSshd:
    def test_is_found_out(self, write):
        log = read_log([write(lines(sshd_line(0, "x"), sshd_line(1, "y")))])
        assert (log.format, len(log.events), log.lines) == ("sshd", 2, 2)

    def test_is_found_out_where_other_programs_have_the_first_lines(self, write):
        cron = sshd_line(0, "x").replace("sshd", "CRON")
        assert read_log([write(lines(*[cron] * 150, sshd_line(1, "y")))]).format == "sshd"

    def test_lines_of_other_programs_are_counted(self, write):
        cron = sshd_line(0, "x").replace("sshd", "CRON")
        log = read_log([write(lines(cron, sshd_line(1, "x"), "nonsense", cron))])
        assert (log.lines, log.other_lines, log.bad_lines, len(log.events)) == (4, 2, 1, 1)

    def test_lines_of_other_programs_alone_are_refused(self, write):
        assert "none of its lines is by sshd" in refused(write(lines(sshd_line(0, "x").replace("sshd", "CRON"))))

    def test_a_file_with_no_readable_line(self, write):
        assert "none of its 2 lines is a syslog line" in refused(write(lines("a", "b")), log_format="sshd")

    def test_is_sorted_by_time(self, write):
        log = read_log([write(lines(sshd_line(9, "x", 1), sshd_line(0, "x", 2), sshd_line(9, "x", 3)))])
        assert [event.pid for event in log.events if isinstance(event, SshdLine)] == [2, 1, 3]

    def test_the_year_goes_on_from_file_to_file(self, write):
        first = write("Dec 31 23:59:59 web sshd[1]: x\n", "1.log")
        second = write("Jan  1 00:00:01 web sshd[2]: x\n", "2.log")
        before, after = read_log([first, second], year=2016).events
        assert after.time - before.time == 2
        assert [event.time for event in read_log([first], year=2016).events] == [before.time]

    def test_files_of_two_formats_are_refused(self, write):
        assert "looks like the format sshd" in refused(
            write(access_line(0), "1.log"), write(sshd_line(0, "x"), "2.log")
        )


def test_a_log_of_another_program_is_refused(shared_path):
    assert "is an access log line" in refused(str(shared_path / "data" / "sshd_auth.log"), log_format="access")


def test_times_are_kept_to_the_second(write):
    (event,) = read_log([write(access_line(59))]).events
    assert event.time == BASE + 59
