"""Origin of an analysis copy: the store, and the version of it that the copy has.

The store is recognised by the last arrival and the last change of trust that the copy has: a copy
of another store is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mirror.core.escaping import escape_name
from mirror.core.values import time_text
from mirror.engine.states.root import read_root
from mirror.engine.tables.schema import FORMAT
from mirror.errors import OutputError, SourceError
from mirror.store import Store, StoreVersion

__all__ = [
    "APPLICATION_ID",
    "Origin",
    "changed_since",
    "is_copy",
    "is_of_store",
    "opened_copy",
    "origin_in",
    "read_origin",
    "require_same_store",
]

APPLICATION_ID = 0x70697474
"""`pitt` in ASCII: identifies the SQLite file as such a copy."""

_BUSY_S = 30.0
"""Seconds that a reader waits for another process that writes."""
_ANY = "SELECT count(*) FROM sqlite_schema"
_HEADER_BYTES = 72
"""SQLite file format, section 1.3: the application id is in its bytes 68 to 71."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Rows of the table `about`."""

    root: str
    """Root of all states, hexadecimal."""
    key_set_digest: str
    merge_version: str
    records: int
    events_valid: int
    events_invalid: int
    known_by: str
    """Known time of the last arrival."""
    made_at: str
    """When the copy was made or brought up to date."""
    format: str
    rules: str
    last_arrival: int
    last_trust_change: int
    last_quarantine: int
    last_storage_check: int
    last_upstream_statement: int
    last_acknowledgement: int
    last_paper_text: int
    anchors: str
    """Combined checksum of the results of checking time-stamps, hexadecimal."""
    store: str
    """Checksums of the last rows, which recognise the store."""

    @classmethod
    def of(cls, store: Store) -> Origin:
        """Return the origin of a copy of a store as it is now; call within a snapshot.

        Raises:
            StoreError: `store.behind` if states are out of date.
        """
        root, version, last = read_root(store), store.version(), store.commits.last()
        last_ids = _last_ids(store)
        return cls(
            root=root.root,
            key_set_digest=root.key_set_digest,
            merge_version=root.merge_version,
            records=root.records,
            events_valid=root.events_valid,
            events_invalid=root.events_invalid,
            known_by="" if last is None else last.stored_at,
            made_at=time_text(datetime.now(UTC)),
            format=FORMAT,
            rules=version.rules,
            last_arrival=version.arrival,
            last_trust_change=version.trust,
            last_quarantine=version.quarantine,
            **last_ids,
            anchors=store.anchors.checksum,
            store=_identity(store, version, last_ids),
        )

    @classmethod
    def parse(cls, about: Mapping[str, str]) -> Origin | None:
        """Return the origin in the rows of `about`; None if another version wrote these tables."""
        names = [one.name for one in fields(cls)]
        if about.get("format") != FORMAT or not about.keys() >= set(names):
            return None
        numbers = {one.name for one in fields(cls) if one.type == "int"}
        values: dict[str, Any] = {name: about[name] for name in names}
        return cls(**values | {name: int(about[name]) for name in numbers})

    @property
    def version(self) -> StoreVersion:
        """The version of the store that the copy has."""
        return StoreVersion(
            self.last_arrival, self.last_trust_change, self.last_quarantine, self.rules
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of `about`."""
        return [(name, str(value)) for name, value in asdict(self).items()]

    def is_current(self, now: Origin) -> bool:
        """Whether a copy has all that the store has now."""
        return {**asdict(self), "made_at": ""} == {**asdict(now), "made_at": ""}


_LAST_IDS = {
    "last_storage_check": "storage_check",
    "last_upstream_statement": "upstream_history",
    "last_acknowledgement": "acknowledgement",
    "last_paper_text": "paper_text",
}
"""Members with the last id of what a copy has beside the facts and trust of a version."""


def _last_ids(store: Store) -> dict[str, int]:
    query = "SELECT coalesce(max(id), 0) FROM {}"
    found = {
        name: store.connection.execute(query.format(table)).fetchone()
        for name, table in _LAST_IDS.items()
    }
    return {name: last_id for name, (last_id,) in found.items()}


class StoreChanges(NamedTuple):
    """Changes of a store since a copy of it was made."""

    bundles: int
    """Bundles that brought new facts."""
    is_trust_changed: bool
    """Whether the trusted keys, the rules or the quarantine changed."""
    is_more_known: bool
    """Whether proofs or captures were checked, upstreams read, findings acknowledged, or
    titles kept."""

    @property
    def is_none(self) -> bool:
        """Whether nothing happened."""
        return not any(self)


def changed_since(store: Store, origin: Origin) -> StoreChanges:
    """Return the changes of a store since a copy of it was made; call within a snapshot."""
    now, before = store.version(), origin.version
    known = any(getattr(origin, name) != last for name, last in _last_ids(store).items())
    return StoreChanges(
        now.arrival - before.arrival,
        before.differs_by_more_than_arrivals(now),
        known or store.anchors.checksum != origin.anchors,
    )


def _identity(store: Store, version: StoreVersion, last_ids: Mapping[str, int]) -> str:
    """Return checksums of the last rows that a copy has; zero for one that is missing."""
    query = """
        SELECT lower(hex(coalesce((SELECT checksum FROM arrival WHERE id = ?), x'00'))),
               coalesce((SELECT stored_at FROM arrival_commit WHERE last_arrival_id >= ? AND ? > 0
                         ORDER BY last_arrival_id LIMIT 1), ''),
               lower(hex(coalesce((SELECT checksum FROM trust WHERE id = ?), x'00')))
    """
    arguments = *[version.arrival] * 3, version.trust
    found = [*store.connection.execute(query, arguments).fetchone()]
    query = "SELECT lower(hex(coalesce((SELECT checksum FROM {} WHERE id = ?), x'00')))"
    for name, table in _LAST_IDS.items():
        found += store.connection.execute(query.format(table), (last_ids[name],)).fetchone()
    return " ".join(found)


def is_copy(path: Path) -> bool:
    """Whether a file is an analysis copy."""
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_BYTES)[68:] == APPLICATION_ID.to_bytes(4, "big")
    except OSError:
        return False


def read_origin(path: Path) -> Origin | None:
    """Return the origin of a copy; None if it was made by another version of these tables.

    Raises:
        SourceError: See `opened_copy`.
    """
    with opened_copy(path) as conn:
        return origin_in(conn)


def origin_in(conn: sqlite3.Connection) -> Origin | None:
    """Return the origin of an open copy; see `read_origin`."""
    return Origin.parse(dict(conn.execute("SELECT name, value FROM about")))


@contextmanager
def opened_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy for reading; errors of SQLite within the block become those of the copy.

    Raises:
        SourceError: `tables.damaged`, or `tables.busy` if another process writes for too long.
    """
    try:
        with closing(_connect(path, "ro")) as conn:
            _finish_interrupted(conn, path)
            yield conn
    except sqlite3.Error as error:
        raise _copy_error(path, error) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)


def _finish_interrupted(conn: sqlite3.Connection, path: Path) -> None:
    """Let SQLite roll back what a killed process began, which a reader may not do."""
    try:
        conn.execute(_ANY).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        with closing(_connect(path, "rw")) as writing:
            writing.execute(_ANY).fetchone()


def _copy_error(path: Path, error: sqlite3.Error) -> SourceError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        message, hint = "another process writes to this copy", "run the command again"
        return SourceError("tables.busy", message, where=escape_name(str(path)), hint=hint)
    return damaged_copy(path, str(error))


def damaged_copy(path: Path, reason: str) -> SourceError:
    """Return the error of a copy that SQLite cannot read."""
    message = f"it cannot be read: {reason}"
    hint = "delete it, and run the command again: that makes a new one"
    return SourceError("tables.damaged", message, where=escape_name(str(path)), hint=hint)


def is_of_store(store: Store, origin: Origin) -> bool:
    """Whether a copy is of this store; call within a snapshot."""
    last_ids = {name: getattr(origin, name) for name in _LAST_IDS}
    return _identity(store, origin.version, last_ids) == origin.store


def require_same_store(store: Store, origin: Origin, path: Path) -> None:
    """Check that a copy is of this store; call within a snapshot.

    Raises:
        OutputError: `output.refused` if it is not.
    """
    if not is_of_store(store, origin):
        message = "it is the copy of another store, or of a later version of this one"
        hint = "name another file, or delete this one; nothing was changed in it"
        raise OutputError("output.refused", message, where=str(path), hint=hint)
