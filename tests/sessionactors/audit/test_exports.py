"""Exports can be read by other programs, and nothing in them is obeyed by one."""

from __future__ import annotations

import csv
import io
import json
import re

import msgpack
import pytest

from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.exports import EXPORT_FORMATS, export, json_of, line_of, row_of
from sessionactors.audit.record import AuditEvent, AuditRecord, decode, encode, kind_of

HOSTILE = [
    "=HYPERLINK(1)",
    " =1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\uff1d1",
    "'=1",
    'a"b\\c]d',
    "\x1b[31mred\x07",
    "two\r\nlines",
    "\u202eright to left",
    "a,b;c|d",
    "",
]


def _record(text, data=None):
    return decode(encode(7, AuditEvent(1_700_000_000.5, 1.25, text, kind_of("auth", "warning"), text, data)))


def _exported(export_format, *records):
    return "".join(export(records, export_format, {"size": len(records)}))


class TestJson:
    def test_it_is_one_object_with_log_events_and_their_number(self):
        found = json.loads(_exported("json", _record("a"), _record("b")))
        assert (found["log"], found["count"]) == ({"size": 2}, 2)
        assert [event["session"] for event in found["events"]] == ["a", "b"]

    def test_without_entries_it_is_whole_too(self):
        assert json.loads(_exported("json"))["events"] == []

    def test_lines_are_one_object_each(self):
        lines = _exported("jsonl", *map(_record, HOSTILE)).splitlines()
        assert [json.loads(line)["actor"] for line in lines] == HOSTILE

    def test_it_is_printable_ascii(self):
        text = _exported("jsonl", *map(_record, HOSTILE)).replace("\n", "")
        assert text.isascii()
        assert text.isprintable()

    @pytest.mark.parametrize("value", [float("nan"), b"\xff", {"a": {1: 2}}, msgpack.ExtType(3, b"x")])
    def test_data_that_json_has_no_word_for_are_shown_all_the_same(self, value):
        assert json.loads(json_of({"value": value}))


class TestCsv:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_no_cell_is_a_formula(self, text):
        _, row = csv.reader(io.StringIO(_exported("csv", _record(text, {"k": text}))))
        for cell in row:
            assert cell.lstrip()[:1] not in {"=", "+", "-", "@", "\uff1d", "\t", "\r"}

    @pytest.mark.parametrize("text", ["=1", "'=1", "'", "plain", "-5"])
    def test_one_apostrophe_less_is_the_original(self, text):
        _, row = csv.reader(io.StringIO(_exported("csv", _record(text))))
        assert row[4].removeprefix("'") == text

    def test_every_entry_is_one_line(self):
        assert _exported("csv", *map(_record, HOSTILE)).count("\r\n") == len(HOSTILE) + 1

    def test_all_cells_are_quoted(self):
        assert all(line[0] == line[-1] == '"' for line in _exported("csv", _record("a;=1")).split("\r\n")[:-1])


class TestSyslog:
    LINE = re.compile(
        r"<(\d{1,3})>1 (\S+) - sessionactors - (\S{1,32}) \[audit@32473"
        r'((?: [a-z_]+="(?:[^"\\\]]|\\["\\\]])*")+)\] ([ -~]*)'
    )

    @pytest.mark.parametrize("text", HOSTILE)
    def test_a_line_has_the_form_of_the_rfc(self, text):
        (line,) = _exported("syslog", _record(text, {"k": text})).splitlines()
        match = self.LINE.fullmatch(line)
        assert match is not None
        assert json.loads(match[5]) == {"k": text}

    def test_priority_and_time_are_those_of_the_entry(self):
        match = self.LINE.fullmatch(_exported("syslog", _record("a")).rstrip("\n"))
        assert match.group(1, 2, 3) == (str(13 * 8 + 4), "2023-11-14T22:13:20.500000Z", "auth")

    def test_quotes_and_brackets_are_escaped(self):
        assert r'session="a\"b\\c\]d"' in _exported("syslog", _record('a"b\\c]d'))

    def test_a_time_beyond_the_calendar_is_left_out(self):
        record = decode(encode(0, AuditEvent(1e300, 0.0, None, kind_of("auth"), "a", None)))
        line = _exported("syslog", record)
        assert line.startswith("<110>1 - - sessionactors")
        assert 'wall_time="1e+300"' in line
        assert row_of(record)["time"] is None


def test_a_line_for_people_has_no_control_characters():
    assert all(line_of(_record(text, {"k": text})).isprintable() for text in HOSTILE)


@pytest.mark.parametrize("export_format", EXPORT_FORMATS)
def test_an_entry_that_no_writer_makes_is_told(export_format):
    forged = AuditRecord(0, 0.0, 0.0, 5, "auth", "info", "a", {})
    with pytest.raises(AuditDamagedError, match="entry 0"):
        _exported(export_format, forged)


@pytest.mark.parametrize("export_format", EXPORT_FORMATS)
def test_entries_are_fetched_one_by_one(export_format):
    fetched = []

    def records():
        for number in range(100):
            fetched.append(number)
            yield _record("a")

    pieces = export(records(), export_format, {})
    for _ in range(4):
        next(pieces)
    assert len(fetched) <= 4
