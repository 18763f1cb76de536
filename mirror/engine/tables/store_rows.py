"""Rows of the tables of the whole store: findings, keys, statements of upstreams."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from mirror.core.keys import BUILT_IN, Key
from mirror.engine.tables.record_rows import Row
from mirror.engine.tables.schema import OF_STORE
from mirror.store import Store
from mirror.store.findings import FindingFilter

__all__ = ["add_upstream_statements", "replace_findings", "replace_keys"]

_INSERT = {table.name: table.insert for table in OF_STORE}


def replace_findings(conn: sqlite3.Connection, store: Store) -> None:
    """Write all findings."""
    conn.execute("DELETE FROM findings")
    conn.executemany(_INSERT["findings"], _findings(store))


def _findings(store: Store) -> Iterator[Row]:
    for code in store.findings.counts(FindingFilter()):
        for one in store.findings.all(FindingFilter(code)):
            place = one.source or None, one.member or None, one.arrived_at or None
            yield code, one.pith_number or None, one.total, one.known, one.reason, *place


def replace_keys(conn: sqlite3.Connection, store: Store) -> None:
    """Write all keys that are or were trusted."""
    trusted = store.trust_log.key_set()
    keys: dict[str, tuple[Key, str | None, str | None]] = {BUILT_IN.key_id: (BUILT_IN, None, None)}
    for change in store.trust_log.log():
        if isinstance(change.what, Key):
            is_added = change.action == "add"
            since = change.at if is_added else keys.get(change.name, (None, None))[1]
            keys[change.name] = change.what, since, None if is_added else change.at
    conn.execute("DELETE FROM keys")
    rows = [_key_row(*one, is_trusted=trusted.get(name) is not None) for name, one in keys.items()]
    conn.executemany(_INSERT["keys"], rows)


def _key_row(key: Key, since: str | None, removed_at: str | None, *, is_trusted: bool) -> Row:
    return (
        key.key_id,
        key.fingerprint,
        key.public_key_hex,
        key.signer_id,
        key.signer_type,
        key.valid_from,
        key.valid_until,
        json.dumps(key.event_types),
        int(key.may_revoke_others),
        int(is_trusted),
        since,
        removed_at,
    )


def add_upstream_statements(conn: sqlite3.Connection, store: Store, after: int) -> None:
    """Add the statements of upstreams with a greater id."""
    rows = store.upstream_history.table.rows("WHERE id > ? ORDER BY id", (after,))
    conn.executemany(
        _INSERT["upstream_statements"],
        (
            (row_id, number, upstream, kind, bytes(digest).hex(), read_at)
            for row_id, upstream, number, kind, digest, read_at, _ in rows
        ),
    )
