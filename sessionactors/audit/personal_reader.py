"""Entries with their personal data in place again, for a reader of a log."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, final

import msgpack

from sessionactors.audit.database import translated
from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import segment_number
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.openings import ROLE, Erasure, erasures_of, open_for_reading
from sessionactors.audit.personal import commitments_in, is_opened_by, restored
from sessionactors.audit.plain_values import Plain
from sessionactors.audit.record import PERSONAL, AuditRecord, decode
from sessionactors.sqlite_files import FAULTS

__all__ = ["MARK", "PersonalReader"]

MARK: Final = PERSONAL.encode()
"""Bytes that stand in every entry with commitments; now and then in another one."""

_FIND: Final = "SELECT pointer, salt, value FROM openings WHERE segment = ? AND sequence = ?"


@final
class PersonalReader:
    """Reads what opens the commitments of one log.

    Args:
        paths: the log; the file is opened when the first entry wants it.

    Thread: one at a time.
    """

    __slots__ = ("_connection", "_open", "_paths", "_segment")

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._open = ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._segment = 0

    def record_of(self, leaf: bytes) -> AuditRecord:
        """Return an entry with its personal data, as far as they are there.

        Raises:
            AuditDamagedError: what is there is not what was logged.
        """
        record = decode(leaf)
        commitments = commitments_in(record.data)
        if not commitments:
            return record
        values: dict[str, Plain] = {}
        connection = self._connected()
        try:
            rows = connection.execute(_FIND, (self._segment, record.sequence)).fetchall()
            for pointer, salt, value in rows:
                if not is_opened_by(commitments.get(pointer, ""), salt, pointer, value):
                    raise self._damaged(record.sequence)
                values[pointer] = msgpack.unpackb(value)
            return replace(record, data=restored(record.data, values))
        except FAULTS as error:
            raise translated(error, self._paths.personal, ROLE) from error
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise self._damaged(record.sequence) from error

    def erasures_of(self, subject: str) -> list[Erasure]:
        """Return the erasures of somebody, in their order."""
        return erasures_of(self._connected(), self._paths.personal, subject)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._open.close()
        self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._segment = segment_number(load_public_key(self._paths.public_key).name)
            self._connection = self._open.enter_context(open_for_reading(self._paths.personal))
        return self._connection

    def _damaged(self, sequence: int) -> AuditDamagedError:
        problem = f"what is kept of entry {sequence} is not what was logged"
        return AuditDamagedError(ROLE, problem, "verify the log", self._paths.personal)
