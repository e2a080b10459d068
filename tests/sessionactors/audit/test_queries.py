"""Queries give what was asked for, all of it and nothing else, whether a log is on disk or in memory."""

from __future__ import annotations

import zlib

import pytest

from sessionactors.audit.errors import AuditDamagedError, AuditReadError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.merkle import is_consistent, is_included, leaf_hash
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import EVENT_TYPES, SEVERITIES, AuditEvent, decode, kind_of
from supervisors.errors import InvalidArgumentError
from tests.sessionactors.audit.conftest import alter, some_events, write_log


def _mixed(count):
    """Events of 60 sessions and none, of all types and severities, transitions most of all."""
    events = []
    for number in range(count):
        event_type = EVENT_TYPES[number // 11 % 7] if number % 11 == 0 else "state_transition"
        kind = kind_of(event_type, SEVERITIES[number % 5])
        session = None if number % 97 == 0 else f"s{number % 60}"
        events.append(AuditEvent(float(number), float(number), session, kind, "session", {"n": number}))
    return events


MANY = 16_384 * 2 + 700


@pytest.fixture(scope="module")
def expected():
    log = MemoryAuditLog(recent_max=MANY)
    log.append_many(_mixed(MANY))
    log.commit()
    return list(log.events())


@pytest.fixture(scope="module", params=["sqlite", "memory"])
def store(request, tmp_path_factory):
    log = (
        MemoryAuditLog(recent_max=MANY)
        if request.param == "memory"
        else AuditLog(tmp_path_factory.mktemp("queries") / "log")
    )
    events = _mixed(MANY)
    for start in range(0, MANY, 7_000):
        log.append_many(events[start : start + 7_000])
        log.commit()
    yield log
    log.close()


class TestBoth:
    def test_everything_is_given_in_order(self, store, expected):
        assert list(store.events()) == expected
        assert [record.sequence for record in expected] == list(range(MANY))

    @pytest.mark.parametrize("session", ["s0", "s1", "s42", "s59"])
    def test_one_session(self, store, expected, session):
        found = list(store.events(session=session))
        assert found == [record for record in expected if record.session == session]
        assert len(found) > 500

    @pytest.mark.parametrize("event_type", EVENT_TYPES)
    def test_one_type(self, store, expected, event_type):
        found = list(store.events(event_type=event_type))
        assert found == [record for record in expected if record.type == event_type]
        assert found

    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_a_severity_and_above(self, store, expected, severity):
        wanted = SEVERITIES[SEVERITIES.index(severity) :]
        assert list(store.events(severity=severity)) == [record for record in expected if record.severity in wanted]

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 0), (5, 9), (0, 10**9), (16_000, 17_000), (16_384, 32_768), (33_000, None), (10**9, None), (9, 5)],
    )
    def test_a_range(self, store, expected, start, stop):
        assert list(store.events(start=start, stop=stop)) == expected[start:stop]
        wanted = [
            record for record in expected[start:stop] if record.session == "s7" and record.type == "state_transition"
        ]
        found = store.events(session="s7", event_type="state_transition", start=start, stop=stop)
        assert list(found) == wanted

    def test_all_at_once(self, store, expected):
        found = store.events(session="s8", event_type="error", severity="warning", start=100, stop=30_000)
        assert list(found) == [
            record
            for record in expected[100:30_000]
            if record.session == "s8" and record.type == "error" and record.severity in SEVERITIES[2:]
        ]

    @pytest.mark.parametrize("session", ["", "nobody", "s", "s600", "x" * 1000])
    def test_nobody(self, store, session):
        assert list(store.events(session=session)) == []

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"event_type": "login"}, "event_type"),
            ({"severity": "loud"}, "severity"),
            ({"start": -1}, "start"),
            ({"start": True}, "start"),
            ({"stop": -5}, "stop"),
            ({"stop": 1.5}, "stop"),
        ],
    )
    def test_wrong_questions_are_refused_at_once(self, store, options, field):
        with pytest.raises(InvalidArgumentError) as caught:
            store.events(**options)
        assert caught.value.field == field

    def test_counters_agree_with_the_entries(self, store, expected):
        statistics = store.statistics()
        assert statistics.size == MANY
        assert sum(statistics.by_kind.values()) == MANY
        for event_type, count in statistics.by_type().items():
            assert count == sum(record.type == event_type for record in expected)

    def test_a_query_sees_what_was_committed_when_it_was_asked(self, store, expected):
        found = store.events(start=MANY - 3)
        store.append_many(_mixed(1))
        store.commit()
        assert list(found) == expected[MANY - 3 :]


def test_long_and_odd_session_ids_are_found(tmp_path):
    names = ["x" * 1000, "ü" * 200, "a\ud800", "a'b\"c;--", "", " ", "\x00", "hex:00"]
    with AuditLog(tmp_path / "log") as log:
        for name in names * 3:
            log.append_many([AuditEvent(0.0, 0.0, name, kind_of("auth"), "session", None)])
        log.commit()
        for name in names:
            assert [record.sequence % len(names) for record in log.events(session=name)] == [names.index(name)] * 3


def test_sessions_that_share_a_key_are_kept_apart(tmp_path):
    one, other = "plumless", "buckeroo"
    assert zlib.crc32(one.encode()) == zlib.crc32(other.encode())
    with AuditLog(tmp_path / "log") as log:
        events = [AuditEvent(0.0, 0.0, (one, other)[number % 2], 1, "session", None) for number in range(16_384)]
        log.append_many(events)
        log.commit()
        assert [record.sequence for record in log.events(session=one, stop=8)] == [0, 2, 4, 6]
        assert {record.sequence % 2 for record in log.events(session=other)} == {1}


class TestReader:
    def test_needs_no_writer_and_no_key(self, log_path):
        (log_path / "audit.key").unlink()
        with AuditReader(log_path) as reader:
            assert len(list(reader.events())) == reader.size == 23

    def test_reads_beside_a_writer(self, log_path):
        with AuditLog(log_path) as log, AuditReader(log_path) as reader:
            log.append_many(some_events(2, 23))
            assert reader.size == 23
            log.commit()
            assert reader.size == 25
            assert reader.head() == log.head()

    def test_knows_the_counters(self, log_path):
        with AuditReader(log_path) as reader:
            assert reader.statistics().by_type() == {"state_transition": 19, "auth": 4}

    def test_gives_the_bytes_of_an_entry(self, log_path):
        with AuditReader(log_path) as reader:
            assert decode(reader.leaf(5)).sequence == 5

    @pytest.mark.parametrize("sequence", [-1, 23, True, "5"])
    def test_refuses_entries_that_are_not_there(self, log_path, sequence):
        with AuditReader(log_path) as reader, pytest.raises(InvalidArgumentError):
            reader.leaf(sequence)

    def test_proves_every_entry(self, log_path):
        with AuditReader(log_path) as reader:
            root = reader.head().root
            for sequence in range(23):
                proof = reader.prove_inclusion(sequence)
                assert is_included(sequence, 23, leaf_hash(reader.leaf(sequence)), root, proof)

    def test_proves_that_it_has_only_grown(self, log_path):
        with AuditLog(log_path) as log:
            before = log.head()
            log.append_many(some_events(40, 23))
            after = log.commit()
            proof = log.reader().prove_consistency(before.size)
            assert is_consistent(before.size, after.size, before.root, after.root, proof)

    def test_hashes_that_are_gone_are_made_from_the_entries(self, log_path):
        with AuditReader(log_path) as reader:
            proof = reader.prove_inclusion(3)
            (log_path / "hashes").write_bytes(b"")
            assert reader.prove_inclusion(3) == proof
            (log_path / "hashes").unlink()
            with pytest.raises(AuditReadError):
                reader.prove_inclusion(3)

    def test_no_more_can_be_proved_than_there_is(self, log_path):
        with AuditReader(log_path) as reader, pytest.raises(AuditDamagedError):
            reader.prove_inclusion(3, 24)

    def test_refuses_what_is_no_log(self, tmp_path):
        with pytest.raises(AuditReadError) as caught:
            AuditReader(tmp_path)
        assert caught.value.role == "audit database"

    @pytest.mark.parametrize("statement", ["DROP TABLE heads", "CREATE TABLE more (x)", "PRAGMA user_version = 9"])
    def test_refuses_other_tables(self, log_path, statement):
        alter(log_path, statement)
        with pytest.raises(AuditDamagedError):
            AuditReader(log_path)

    @pytest.mark.parametrize("statement", ["DELETE FROM tip", "UPDATE tip SET counts = x'c0', frontier = x'00'"])
    def test_tells_a_damaged_row(self, log_path, statement):
        alter(log_path, statement)
        with AuditReader(log_path) as reader:
            with pytest.raises(AuditDamagedError):
                reader.statistics()
            with pytest.raises(AuditDamagedError):
                reader.head()

    def test_closes_twice_and_is_then_of_no_use(self, log_path):
        reader = AuditReader(log_path)
        assert repr(reader) == "<AuditReader open>"
        reader.close()
        reader.close()
        assert repr(reader) == "<AuditReader closed>"
        with pytest.raises(AuditReadError):
            _ = reader.size


def test_memory_keeps_the_last_entries_only_and_counts_all():
    log = MemoryAuditLog(recent_max=10)
    log.append_many(some_events(25))
    log.commit()
    assert [record.sequence for record in log.events()] == list(range(15, 25))
    assert [record.sequence for record in log.events(start=3, stop=17)] == [15, 16]
    assert log.statistics().size == log.size == 25


def test_memory_can_be_renounced_and_closed():
    log = MemoryAuditLog()
    log.append_many(some_events(3))
    assert (log.pending, log.forget_pending(), log.pending) == (3, 3, 0)
    log.append_many(some_events(2))
    assert repr(log) == "<MemoryAuditLog 0 entries, 2 pending>"
    log.close()
    assert (log.size, log.head().note) == (2, None)


def test_memory_refuses_bad_events_like_any_log():
    log = MemoryAuditLog()
    with pytest.raises(InvalidArgumentError):
        log.append_many([*some_events(1), AuditEvent(0.0, 0.0, "a", 99, "session", None)])
    assert log.pending == 0


def test_a_log_that_is_read_is_left_as_it_is(tmp_path):
    path = write_log(tmp_path / "log", (50,))
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with AuditReader(path) as reader:
        list(reader.events(session="10.0.0.3#1"))
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
