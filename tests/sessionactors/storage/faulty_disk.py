"""A connection to a real database that fails at the step it is told to."""

from __future__ import annotations

import sqlite3

CODES = {
    "EIO": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "ENOSPC": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "EROFS": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "busy": (sqlite3.SQLITE_BUSY, "database is locked"),
}


class Disk:
    """Counts the steps of all connections made by its `connection_class`, and fails some of them.

    Attributes:
        steps: steps since `fail()`.
        failed: how many of them failed.
    """

    def __init__(self):
        self.steps = 0
        self.failed = 0
        self._first = self._last = 0
        self._code = "EIO"
        self._is_late = False
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, *parameters):
                return disk.step(super().execute, sql, *parameters)

            def executemany(self, sql, *parameters):
                return disk.step(super().executemany, sql, *parameters)

        self.connection_class = Connection

    def fail(self, first, code="EIO", *, times=1, late=False):
        """Fail the steps from the first one on, so many times; late: after they have been done."""
        self.steps = self.failed = 0
        self._first, self._last, self._code, self._is_late = first, first + times, code, late

    def heal(self):
        self._first = self._last = 0

    def step(self, action, *arguments):
        self.steps += 1
        if not self._first <= self.steps < self._last:
            return action(*arguments)
        if self._is_late:
            action(*arguments)
        self.failed += 1
        code, words = CODES[self._code]
        error = sqlite3.OperationalError(words)
        error.sqlite_errorcode = code
        raise error
