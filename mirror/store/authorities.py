"""Log of the time-stamp authorities whose tokens (RFC 3161) are trusted, with their certificates.

It is apart from the log of trusted keys: no state, verdict or key set digest (K3) follows from it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from mirror.store.checked_table import ChainedTable
from mirror.store.records import damaged

__all__ = ["AuthorityChange", "AuthorityLog"]


class AuthorityChange(NamedTuple):
    """A line of the log."""

    at: str
    action: str
    """`add` or `remove`."""
    name: str
    certificates: bytes
    """The certificates that were added or removed, in PEM."""


class AuthorityLog:
    """The table `timestamp_authority`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        columns = "id, at, action, name, certificates"
        self._table = ChainedTable(conn, "timestamp_authority", columns)

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._table.version

    def log(self) -> list[AuthorityChange]:
        """Return every change, the oldest first.

        Raises:
            CorruptStoreError: `store.damaged` if a line is damaged or missing.
        """
        changes = [AuthorityChange(*row[1:]) for row in self._table.rows()]
        if self._table.is_truncated():
            message = "the last lines of the log of time-stamp authorities are missing"
            raise damaged(message, "timestamp_authority")
        return changes

    def trusted(self) -> dict[str, bytes]:
        """Return the certificates (PEM) of the trusted authorities by name; raises as `log`."""
        found: dict[str, bytes] = {}
        for change in self.log():
            if change.action == "add":
                found[change.name] = change.certificates
            else:
                found.pop(change.name, None)
        return found

    def append(self, action: str, name: str, certificates: bytes, at: str) -> None:
        """Add a change; call within a transaction."""
        self._table.add([(self._table.next_id(), at, action, name, certificates)])

    def clear(self) -> None:
        """Start an empty log; the lines of the old one are in quarantine."""
        self._table.clear()

    def is_truncated(self) -> bool:
        """Whether lines at the end of the log are missing; see `ChainedTable`."""
        return self._table.is_truncated()

    def distrust_all(self, at: str) -> None:
        """Remove every authority that was ever named: which of them were removed is not known."""
        query = "SELECT name, certificates FROM timestamp_authority GROUP BY name ORDER BY name"
        for name, certificates in self._conn.execute(query).fetchall():
            self.append("remove", name, certificates, at)
