"""The tables, as numbered migrations: each runs once, in a transaction with its own record."""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from mirror.errors import SchemaVersionError, StoreError

__all__ = ["APPLICATION_ID", "absent", "applied_version", "migrate", "require_store"]

APPLICATION_ID = 0x70697468
"""`pith` in ASCII: SQLite's own mark of whose file this is."""

_MIGRATIONS = Migrations("mirror")

_FACTS = """
CREATE TABLE run (                       -- one source read by one command
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE arrival (                   -- one bundle that brought something new
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run,
    member TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,         -- canonical_sha256, raw
    pith_number TEXT NOT NULL,
    suffix TEXT NOT NULL,
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    value BLOB NOT NULL,                 -- MessagePack
    arrival_id INTEGER NOT NULL REFERENCES arrival
) STRICT;
CREATE INDEX record_by_number ON record (pith_number);
CREATE INDEX record_by_suffix ON record (suffix);
CREATE INDEX record_by_source ON record (source_id, version);
CREATE TABLE alias_claim (
    record_id INTEGER NOT NULL REFERENCES record,
    alias_kind TEXT NOT NULL,
    alias_value TEXT NOT NULL,
    created_at TEXT NOT NULL,
    arrival_id INTEGER NOT NULL REFERENCES arrival,
    PRIMARY KEY (record_id, alias_kind, alias_value, created_at)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY,
    record_id INTEGER NOT NULL REFERENCES record,
    digest BLOB NOT NULL,                -- of the value's canonical bytes
    value BLOB NOT NULL,                 -- MessagePack
    arrival_id INTEGER NOT NULL REFERENCES arrival,
    UNIQUE (record_id, digest)
) STRICT;
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    record_id INTEGER NOT NULL REFERENCES record,
    digest BLOB NOT NULL,                -- of the value's canonical bytes
    value BLOB NOT NULL,                 -- MessagePack
    arrival_id INTEGER NOT NULL REFERENCES arrival,
    UNIQUE (record_id, digest)
) STRICT;
CREATE TABLE trust (                     -- a log: the key set is what it comes to
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('add', 'remove')),
    key_id TEXT NOT NULL,
    value BLOB NOT NULL,                 -- MessagePack, as K3 writes a key
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE damaged (                   -- facts that were found broken, and moved aside
    id INTEGER PRIMARY KEY,
    found_at TEXT NOT NULL,
    fact TEXT NOT NULL,                  -- the table it stood in
    pith_number TEXT,                    -- the record that needs a bundle again, if it is known
    why TEXT NOT NULL,
    content BLOB NOT NULL                -- MessagePack of the row as it was
) STRICT;
"""

_DERIVED = """
CREATE TABLE ledger (                    -- what the facts and verdicts of a record add up to
    record_id INTEGER PRIMARY KEY REFERENCES record,
    events INTEGER NOT NULL,
    receipts INTEGER NOT NULL,
    alias_claims INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE event_verdict (
    event_id INTEGER PRIMARY KEY REFERENCES event,
    code TEXT,                           -- of E3; NULL for a valid event
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE receipt_verdict (
    receipt_id INTEGER PRIMARY KEY REFERENCES receipt,
    code TEXT,                           -- of S2; NULL for one that passes
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE named_key (                 -- whose verdicts a change of this key may touch
    key_id TEXT NOT NULL,
    record_id INTEGER NOT NULL REFERENCES record,
    PRIMARY KEY (key_id, record_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    record_id INTEGER PRIMARY KEY REFERENCES record,
    digest BLOB NOT NULL,                -- M12, raw
    core_digest BLOB NOT NULL,           -- M12, raw
    valid_event_count INTEGER NOT NULL,
    invalid_event_count INTEGER NOT NULL,
    equivocation_count INTEGER NOT NULL,
    ledger_seal BLOB NOT NULL,           -- of the facts that it was merged from
    text_digest BLOB NOT NULL,           -- of the text, raw
    text BLOB NOT NULL                   -- M13
) STRICT;
CREATE TABLE stale (                     -- records whose state lags behind their facts
    record_id INTEGER PRIMARY KEY REFERENCES record,
    judge INTEGER NOT NULL               -- 1 if its verdicts must be reached anew, too
) STRICT;
CREATE TABLE checked (                   -- where a check that ran out of time goes on
    part TEXT PRIMARY KEY,
    last_record_id INTEGER NOT NULL
) STRICT;
"""


@_MIGRATIONS()
def m0001_facts_and_derived(db: Database) -> None:
    """Create what there is."""
    for statement in f"{_FACTS}{_DERIVED}".split(";\n"):
        if statement.strip():
            db.conn.execute(statement)


_KNOWN = frozenset({m0001_facts_and_derived.__name__})


def migrate(db: Database) -> None:
    """Bring a store, new or old, to this version's schema, in one transaction.

    Raises:
        SchemaVersionError: If the file is another program's, or a newer version's.
    """
    if not _is_empty(db):
        _require_known(db)
        if not _MIGRATIONS.pending(db):
            return
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(db):  # still, now that nobody else can be making it
            db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _MIGRATIONS.apply(db)
    except BaseException:
        db.conn.rollback()
        raise
    db.conn.commit()


def require_store(db: Database) -> None:
    """Check that a file is a store of just this version's schema, for one who only reads.

    Raises:
        StoreError: `store.absent` if it was cut off as it was made, and nothing is in it.
        SchemaVersionError: `store.foreign`, `store.newer` or `store.older`.
    """
    if _is_empty(db):
        raise absent()
    _require_known(db)
    if _MIGRATIONS.pending(db):
        hint = "run a command that writes, such as `mirror merge`, to bring it up to date"
        raise SchemaVersionError("store.older", "an older mirror wrote this store", hint=hint)


def absent(place: str = "") -> StoreError:
    """Return the error for a store that is not there."""
    hint = "run `mirror merge SOURCE` first, or name the store with --db"
    return StoreError("store.absent", "there is no store", where=place, hint=hint)


def _require_known(db: Database) -> None:
    (found,) = db.conn.execute("PRAGMA application_id").fetchone()
    if found != APPLICATION_ID:
        hint = "name another file with --db; nothing was changed in this one"
        raise SchemaVersionError("store.foreign", "this SQLite file is no store", hint=hint)
    if any(migration.name not in _KNOWN for migration in _MIGRATIONS.applied(db)):
        hint = "use the version of mirror that wrote it, or a later one"
        raise SchemaVersionError("store.newer", "a newer mirror wrote this store", hint=hint)


def applied_version(db: Database) -> int:
    """Return how many migrations the store has seen: the version of its schema."""
    return len(_MIGRATIONS.applied(db))


def _is_empty(db: Database) -> bool:
    (count,) = db.conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0)
