from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.replay.access_log import NAME_MAX_BYTES, AccessLogParser
from sessionactors.replay.events import AccessRequest, BadLine

STAMP = "[17/May/2015:10:05:03 +0000]"
MOMENT = 1_431_857_103.0
COMMON = f'10.0.0.1 - - {STAMP} "GET /a HTTP/1.1" 200 1234'
COMBINED = f'{COMMON} "http://example.org/" "Tester/1.0"'


def read(line: str) -> AccessRequest:
    request = AccessLogParser().parse(line, 1)
    assert isinstance(request, AccessRequest), request
    return request


def refused(line: str) -> str:
    bad = AccessLogParser().parse(line, 7)
    assert isinstance(bad, BadLine), bad
    assert bad.number == 7
    return bad.reason


class TestFormats:
    def test_combined_has_every_field(self):
        assert read(COMBINED) == AccessRequest(
            time=MOMENT,
            client="10.0.0.1",
            identity="-",
            user="-",
            request="GET /a HTTP/1.1",
            status=200,
            size=1234,
            referer="http://example.org/",
            user_agent="Tester/1.0",
        )

    def test_common_lacks_referer_and_user_agent(self):
        assert read(COMMON)[:7] == read(COMBINED)[:7]
        assert read(COMMON)[7:] == ("", "")

    @pytest.mark.parametrize("line", [COMMON, COMBINED])
    def test_a_carriage_return_at_the_end_is_no_part_of_it(self, line):
        assert read(line + "\r") == read(line)

    def test_fields_after_the_user_agent_are_ignored(self):
        assert read(f'{COMBINED} "10.9.8.7" 0.003') == read(COMBINED)

    def test_unquoted_fields_after_the_size_are_ignored(self):
        assert read(f"{COMMON} 0.003") == read(COMMON)


class TestClient:
    @pytest.mark.parametrize(
        "client", ["2001:db8::1", "::1", "host-7.example.org", "a" * NAME_MAX_BYTES, "-", "ümlaut"]
    )
    def test_may_be_any_address_or_name(self, client):
        assert read(COMBINED.replace("10.0.0.1", client)).client == client

    def test_must_leave_room_for_a_session_id(self):
        assert "240 bytes" in refused(COMBINED.replace("10.0.0.1", "a" * (NAME_MAX_BYTES + 1)))
        assert "240 bytes" in refused(COMBINED.replace("10.0.0.1", "ü" * (NAME_MAX_BYTES // 2 + 1)))

    @pytest.mark.parametrize("client", ["a\x1b[2Jb", "a\x00b", "a\u202eb", "a\x7fb"])
    def test_must_be_showable(self, client):
        assert refused(COMBINED.replace("10.0.0.1", client)) == "the client has characters that cannot be shown"

    def test_must_be_there(self):
        assert "client" in refused(" - - " + COMBINED)


class TestUser:
    @pytest.mark.parametrize("user", ["frank", '""', "Jane Doe", "jane@example.org", "DOM\\jane"])
    def test_may_be_anything_that_can_be_shown(self, user):
        assert read(COMBINED.replace("- - [", f"- {user} [")).user == user

    def test_must_be_showable(self):
        assert "user" in refused(COMBINED.replace("- - [", "- a\x07b ["))

    def test_must_not_be_endless(self):
        assert "user" in refused(COMBINED.replace("- - [", f"- {'a' * 241} ["))


class TestTime:
    @pytest.mark.parametrize(
        ("stamp", "seconds"),
        [
            ("01/Jan/1970:00:00:00 +0000", 0.0),
            ("17/May/2015:10:05:03 +0000", MOMENT),
            ("17/May/2015:12:05:03 +0200", MOMENT),
            ("17/May/2015:04:35:03 -0530", MOMENT),
            ("29/Feb/2016:23:59:59 +0000", 1_456_790_399.0),
            ("31/Dec/2016:23:59:60 +0000", 1_483_228_800.0),
            ("31/Dec/9999:23:59:59 +0000", 253_402_300_799.0),
        ],
    )
    def test_is_told_in_seconds_since_1970(self, stamp, seconds):
        assert read(COMBINED.replace(STAMP, f"[{stamp}]")).time == seconds

    @pytest.mark.parametrize(
        ("stamp", "reason"),
        [
            ("17/Mai/2015:10:05:03 +0000", "month"),
            ("30/Feb/2015:10:05:03 +0000", "calendar"),
            ("00/May/2015:10:05:03 +0000", "calendar"),
            ("17/May/0000:10:05:03 +0000", "calendar"),
            ("17/May/2015:24:05:03 +0000", "of a day"),
            ("17/May/2015:10:60:03 +0000", "of a day"),
            ("17/May/2015:10:05:61 +0000", "of a day"),
            ("17/May/2015:10:05:03 +2400", "zone"),
            ("17/May/2015:10:05:03 +0060", "zone"),
            ("31/Dec/1969:23:59:59 +0000", "before 1970"),
            ("17/May/2015:10:05:03 +000", "look like"),
            ("17/May/2015:10:05:3 +0000", "look like"),
            ("17/May/2015:10-05-03 +0000", "look like"),
            ("1431857103 +0000", "look like"),
            ("\u0661\u0667/May/2015:10:05:03 +0000", "look like"),
        ],
    )
    def test_must_be_a_time(self, stamp, reason):
        assert reason in refused(COMBINED.replace(STAMP, f"[{stamp}]"))

    def test_of_a_bad_line_is_not_remembered(self):
        parser = AccessLogParser()
        bad = COMBINED.replace("17/May", "17/Mai")
        assert isinstance(parser.parse(bad, 1), BadLine)
        assert isinstance(parser.parse(bad, 2), BadLine)

    def test_is_the_same_whether_remembered_or_read(self):
        parser = AccessLogParser()
        assert parser.parse(COMBINED, 1) == parser.parse(COMBINED, 2)


class TestRequest:
    @pytest.mark.parametrize(
        ("field", "request_line"),
        [
            ("-", "-"),
            ("", ""),
            (r"GET /?q=\"a\" HTTP/1.1", 'GET /?q="a" HTTP/1.1'),
            (r"GET /\\server HTTP/1.1", r"GET /\server HTTP/1.1"),
            (r"\x16\x03\x01", r"\x16\x03\x01"),
            ('GET /?q="a" HTTP/1.1', 'GET /?q="a" HTTP/1.1'),
            ('GET /" 20 HTTP/1.1', 'GET /" 20 HTTP/1.1'),
        ],
    )
    def test_may_hold_anything(self, field, request_line):
        for line in (COMMON, COMBINED):
            assert read(line.replace("GET /a HTTP/1.1", field)).request == request_line

    def test_must_have_an_end(self):
        assert refused(COMBINED[: COMBINED.index("HTTP")]) == "the request has no closing quote"

    def test_must_be_there(self):
        assert refused(f"10.0.0.1 - - {STAMP} 200 17") == "no quoted request follows the time"


class TestStatusAndSize:
    @pytest.mark.parametrize(
        ("fields", "status", "size"),
        [("304 -", 304, 0), ("- -", 0, 0), ("000 0", 0, 0), ("408 " + "9" * 18, 408, 10**18 - 1)],
    )
    def test_may_be_missing(self, fields, status, size):
        for line in (COMMON, COMBINED):
            request = read(line.replace("200 1234", fields))
            assert (request.status, request.size) == (status, size)

    def test_a_size_that_is_not_there_at_all_is_0(self):
        for line in (COMMON, COMBINED):
            request = read(line.replace("200 1234", "200"))
            assert (request.status, request.size) == (200, 0)

    @pytest.mark.parametrize(
        "fields",
        [
            "20 1234",
            "2000 1234",
            "200 12x4",
            "200 -5",
            "200 1_0",
            "200 " + "9" * 19,
            "\u0662\u0660\u0660 5",
            "200 \u0665",
        ],
    )
    def test_must_be_numbers_of_bearable_size(self, fields):
        for line in (COMMON, COMBINED):
            assert "status and size" in refused(line.replace("200 1234", fields))


class TestUserAgent:
    @pytest.mark.parametrize(
        ("field", "user_agent"),
        [
            ("-", "-"),
            ("", ""),
            (r"My \"best\" agent", 'My "best" agent'),
            ('My "best" agent', 'My "best" agent'),
            (r"back\\slash", r"back\slash"),
            (r"bell \x07", r"bell \x07"),
            ("() { :; }; echo", "() { :; }; echo"),
            ("日本語", "日本語"),
        ],
    )
    def test_may_hold_anything(self, field, user_agent):
        assert read(COMBINED.replace("Tester/1.0", field)).user_agent == user_agent

    def test_of_many_lines_is_kept_once(self):
        parser = AccessLogParser()
        one, two = (parser.parse(COMBINED, number) for number in (1, 2))
        assert isinstance(one, AccessRequest)
        assert isinstance(two, AccessRequest)
        assert one.user_agent is two.user_agent


class TestTruncated:
    def test_a_line_may_end_anywhere_after_the_status(self):
        whole = read(COMBINED)
        for end in range(COMBINED.index("200") + 3, len(COMBINED)):
            request = read(COMBINED[:end])
            assert request[:6] == whole[:6]
            assert whole.referer.startswith(request.referer)
            assert whole.user_agent.startswith(request.user_agent)

    def test_a_line_that_ends_before_is_bad(self):
        for end in range(1, COMBINED.index("200") + 3):
            refused(COMBINED[:end])

    def test_a_user_agent_keeps_what_is_left_of_it(self):
        assert read(COMBINED[:-4]).user_agent == "Tester/"


@pytest.mark.parametrize(
    "line",
    [
        "a" * 500_000,
        "a b c [" * 100_000,
        f'a b c {STAMP} "' * 20_000,
        f'a b c {STAMP} "' + '" 2' * 200_000,
        "a b " + "[x] " * 100_000,
        "a b " + f'{STAMP} "' * 20_000,
        f'a b c {STAMP} "' + r"\a" * 200_000,
        f'{COMMON} "' + r"\"" * 200_000,
        " " * 500_000,
        '"' * 500_000,
        "[" * 500_000,
    ],
    ids=range(11),
)
def test_a_hostile_line_is_answered_in_time_that_grows_with_its_length_only(line):
    # Where reading took quadratic time these would take minutes, which is failure enough.
    AccessLogParser().parse(line, 1)


FIELD = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)
ALMOST = st.sampled_from(
    [
        "-",
        "",
        "10.0.0.1",
        STAMP,
        "[17/May/2015:10:05:03",
        "+0000]",
        "200",
        "1234",
        '"',
        '"GET /"',
        " ",
        "\\",
        '\\"',
        '"-"',
    ]
)


@given(st.lists(FIELD | ALMOST, max_size=12).map(" ".join))
def test_any_text_is_either_a_request_or_a_bad_line(line):
    result = AccessLogParser().parse(line, 1)
    assert isinstance(result, AccessRequest | BadLine)


@given(
    st.lists(
        st.tuples(FIELD | ALMOST, st.sampled_from([0, 1, 2, 5, 6, 7, 8])),
        max_size=2,
    )
)
def test_the_quick_way_and_the_patterns_agree(changes):
    parts = ["10.0.0.1", "-", "-", STAMP, '"GET /a HTTP/1.1"', "200", "1234", '"http://example.org/"', '"Tester/1.0"']
    for text, place in changes:
        parts[place] = f'"{text}"' if place > 6 else text
    line = " ".join(parts)
    parser = AccessLogParser()
    parser.parse(COMBINED, 1)  # the quick way only knows times that were read before
    assert parser.parse(line, 1) == parser._parse_patterns(line, 1)


def test_the_quick_way_is_taken_for_a_tidy_line(monkeypatch):
    parser = AccessLogParser()
    parser.parse(COMBINED, 1)
    monkeypatch.setattr(AccessLogParser, "_parse_patterns", None)
    assert isinstance(parser.parse(COMBINED, 2), AccessRequest)
