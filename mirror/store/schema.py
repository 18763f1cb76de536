"""The tables of a store, and which version of them a file has."""

from __future__ import annotations

import re
import sqlite3

from mirror.errors import SchemaVersionError, StoreError

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "MIGRATION_SET",
    "STATEMENTS",
    "absent",
    "applied_version",
    "is_current",
    "is_empty",
    "missing_tables",
    "require_store",
]

APPLICATION_ID = 0x70697468
"""`pith` in ASCII: SQLite's own mark of whose file this is."""

MIGRATION_SET = "mirror"
"""The name under which sqlite-utils keeps which migrations were applied."""

_FACTS = """
CREATE TABLE run (                       -- one source read by one command
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,                -- canonical_sha256, raw
    year TEXT NOT NULL,                  -- of the Pith Number
    suffix TEXT NOT NULL,                -- of the Pith Number: the digest's first 130 bits
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    value BLOB NOT NULL                  -- MessagePack
) STRICT;
CREATE INDEX record_by_suffix ON record (suffix);
CREATE INDEX record_by_source ON record (source_id, version);
CREATE TABLE arrival (                   -- one bundle, and all that was new in it
    id INTEGER PRIMARY KEY,
    record_id INTEGER NOT NULL REFERENCES record,
    run_id INTEGER NOT NULL REFERENCES run,
    member TEXT NOT NULL,                -- its place in the source
    content BLOB NOT NULL,               -- alias claims, receipts and events: see content.py
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX arrival_by_record ON arrival (record_id);
CREATE TABLE trust (                     -- a log: the key set is what it comes to
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- SQLite keeps the last elsewhere: see trust.py
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('add', 'remove')),
    key_id TEXT NOT NULL,                -- of a key; the name of a profile
    value BLOB NOT NULL,                 -- MessagePack, as K3 writes a key, or a profile
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE claim (                     -- what upstream said of a record, each time it changed
    id INTEGER PRIMARY KEY,
    upstream TEXT NOT NULL,              -- who said it: a base URL, or the name of a file or folder
    pith_number TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('state', 'bundle')),
    digest BLOB NOT NULL,                -- sha256(canonical(what was said)), raw
    first_at TEXT NOT NULL,              -- when it was first read
    content BLOB NOT NULL,               -- canonical JSON, compressed
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX claim_by_record ON claim (pith_number, upstream, kind, id);
CREATE TABLE checkpoint (                -- signed notes on the roots of mirrors, ours too
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,                -- the first line of the note: whose tree it is
    size INTEGER NOT NULL,               -- records
    root BLOB NOT NULL,                  -- raw
    key_set_digest BLOB NOT NULL,        -- K3, raw; empty if the note does not say
    at TEXT NOT NULL,                    -- the time that the note states; empty if it does not
    note TEXT NOT NULL,                  -- as it was signed
    read_at TEXT NOT NULL,
    is_own INTEGER NOT NULL,             -- 1 if it was signed here
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoint_by_origin ON checkpoint (origin, id);
CREATE TABLE acknowledgement (           -- a log: which findings are known, who says so, and why
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    name TEXT NOT NULL,                  -- the person
    reason TEXT NOT NULL,
    criteria TEXT NOT NULL,              -- what was chosen, in words
    withdraws INTEGER NOT NULL,          -- the line that holds no more; 0 for an acknowledgement
    items INTEGER NOT NULL,              -- findings that it covers
    items_checksum BLOB NOT NULL,        -- of its rows in `acknowledged`
    checksum BLOB NOT NULL               -- of this line and the one before it
) STRICT;
CREATE TABLE acknowledged (              -- the findings that an acknowledgement covers
    id INTEGER PRIMARY KEY,
    acknowledgement_id INTEGER NOT NULL,
    fact TEXT NOT NULL,                  -- event, receipt, state, damaged; digest
    subject_id INTEGER NOT NULL,         -- of the arrival, the record, the damaged row; 0
    code TEXT NOT NULL,
    first INTEGER NOT NULL,              -- positions among those of the subject
    last INTEGER NOT NULL,
    digest BLOB NOT NULL                 -- of the finding, raw; empty for a range
) STRICT;
CREATE INDEX acknowledged_by_subject ON acknowledged (subject_id, fact, code, first);
CREATE INDEX acknowledged_by_line ON acknowledged (acknowledgement_id);
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
CREATE TABLE fault (                     -- verdicts; what has no row here passed every check of
                                         -- the built-in profile
    arrival_id INTEGER NOT NULL REFERENCES arrival,
    fact TEXT NOT NULL,                  -- receipt or event; reading: under a trusted profile
    code TEXT NOT NULL,                  -- of S2 or E3; the profile's name
    reason TEXT NOT NULL,                -- for a reading, the key that signed, if it passed
    positions TEXT NOT NULL,             -- among those of the arrival, as ranges: 0-99,105
    count INTEGER NOT NULL,              -- how many positions
    PRIMARY KEY (arrival_id, fact, code, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX fault_by_code ON fault (code, arrival_id);
CREATE TABLE named_key (                 -- whose verdicts a change of this key may touch
    key_id TEXT NOT NULL,                -- or another of its names; empty: of any key
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
    outline BLOB NOT NULL,               -- the state less record and payloads, compressed
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE citation (                  -- citations in force, from the work that cites
    name TEXT NOT NULL,                  -- of that work: see core/identifier.py
    record_id INTEGER NOT NULL REFERENCES record, -- the record that is cited
    PRIMARY KEY (name, record_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX citation_by_record ON citation (record_id);
CREATE TABLE stale (                     -- records whose state lags behind their facts
    record_id INTEGER PRIMARY KEY REFERENCES record,
    judge INTEGER NOT NULL               -- 1 if its verdicts must be reached anew, too
) STRICT;
CREATE TABLE tally (                     -- how many of everything, so that nobody has to count
    name TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE remembered (                -- sources that were read to their end before
    key BLOB PRIMARY KEY,                -- of the content, the keys, the limits and the rules
    outcome BLOB NOT NULL,               -- MessagePack
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE fetched (                   -- what was asked of upstreams before: see fetched.py
    upstream TEXT NOT NULL,              -- a base URL
    what TEXT NOT NULL,                  -- a suffix or other name, or a mark
    etag TEXT NOT NULL,                  -- as it was sent
    cursor INTEGER NOT NULL,             -- how far the feed of a mirror was followed
    fetched_at TEXT NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (upstream, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE bag (                       -- bags of which all is in the store
    manifest BLOB PRIMARY KEY,           -- SHA-256 of manifest-sha256.txt, raw
    source TEXT NOT NULL,
    read_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE root (                      -- roots of the states, as they were exported
    digest BLOB PRIMARY KEY,
    last_arrival_id INTEGER NOT NULL,
    manifest BLOB NOT NULL,              -- SHA-256 of the bag's manifest, raw
    holds TEXT NOT NULL,                 -- what was in the bag, in words
    exported_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE branch (                    -- upper nodes of the tree over all states: see tree.py
    depth INTEGER NOT NULL,              -- digits of the prefix
    prefix TEXT NOT NULL,                -- hexadecimal digits that begin canonical_sha256
    size INTEGER NOT NULL,               -- leaves below it
    digest BLOB NOT NULL,                -- raw
    seal BLOB NOT NULL,
    PRIMARY KEY (depth, prefix)
) STRICT, WITHOUT ROWID;
CREATE TABLE to_place (                  -- records whose state the tree may not show yet
    record_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE rules (                     -- under which rules every verdict and state was reached
    version TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE checked (                   -- where a check that ran out of time goes on
    part TEXT PRIMARY KEY,
    last_record_id INTEGER NOT NULL
) STRICT;
CREATE TABLE indexed (                   -- the search index, but for the words: see search.py
    record_id INTEGER PRIMARY KEY,       -- may outlive its record, until the index follows
    state_digest BLOB NOT NULL,          -- of the state that was indexed, raw
    title_digest BLOB NOT NULL,          -- R5, raw
    abstract_digest BLOB NOT NULL,       -- R5, raw
    is_vouched INTEGER NOT NULL,         -- 1 if that state shows a receipt (M8)
    texts BLOB NOT NULL                  -- what the words were taken from, compressed
) STRICT;
CREATE INDEX indexed_by_title ON indexed (title_digest);
CREATE INDEX indexed_by_abstract ON indexed (abstract_digest);
CREATE TABLE to_index (                  -- records whose entry in the index may lag behind
    record_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE index_mark (                -- how far changes were noticed; one row
    last_arrival_id INTEGER NOT NULL,
    last_trust_id INTEGER NOT NULL,
    last_damaged_id INTEGER NOT NULL,
    rules TEXT NOT NULL
) STRICT;
-- The words of `indexed.texts`, by record id. It keeps no texts itself: they would be uncompressed.
CREATE VIRTUAL TABLE full_text USING fts5 (
    names, title, texts, content = '', tokenize = 'unicode61 remove_diacritics 2'
);
"""


STATEMENTS = tuple(one for one in f"{_FACTS}{_DERIVED}".split(";\n") if one.strip())
"""Statements that make all tables and indexes."""


def missing_tables(conn: sqlite3.Connection) -> list[str]:
    """Return the names of tables that should be in a store, and are not."""
    there = {row[0] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    wanted = re.findall(r"CREATE (?:VIRTUAL )?TABLE (\w+)", ";".join(STATEMENTS))
    return [name for name in wanted if name not in there]


MIGRATIONS = ("m0001_first_release",)
"""All migrations of this version, in their order (`migrations.py`)."""
_UNRELEASED = frozenset({"m0001_facts_and_derived"})
"""Migrations of versions before the first release, whose tables were others."""


def require_store(conn: sqlite3.Connection) -> None:
    """Check that a file is a store of just this version's schema, for one who only reads.

    Raises:
        StoreError: `store.absent` if it was cut off as it was made, and nothing is in it.
        SchemaVersionError: `store.foreign`, `store.newer` or `store.older`.
    """
    if is_empty(conn):
        raise absent()
    if not is_current(conn):
        hint = "run a command that writes, such as `mirror merge`, to bring it up to date"
        raise SchemaVersionError("store.older", "an older mirror wrote this store", hint=hint)


def absent(place: str = "") -> StoreError:
    """Return the error for a store that is not there."""
    hint = "run `mirror merge SOURCE` first, or name the store with --db"
    return StoreError("store.absent", "there is no store", where=place, hint=hint)


def is_current(conn: sqlite3.Connection) -> bool:
    """Whether a store that is not empty has all migrations of this version.

    Raises:
        SchemaVersionError: If the file is another program's, or another version's.
    """
    (found,) = conn.execute("PRAGMA application_id").fetchone()
    if found != APPLICATION_ID:
        hint = "name another file with --db; nothing was changed in this one"
        raise SchemaVersionError("store.foreign", "this SQLite file is no store", hint=hint)
    applied = _applied(conn)
    if not _UNRELEASED.isdisjoint(applied):
        hint = "build a store again from your bundles; nothing was changed in this one"
        message = "a version of mirror before the first release wrote this store"
        raise SchemaVersionError("store.older", message, hint=hint)
    if not applied <= set(MIGRATIONS):
        hint = "use the version of mirror that wrote it, or a later one"
        raise SchemaVersionError("store.newer", "a newer mirror wrote this store", hint=hint)
    return applied == set(MIGRATIONS)


def applied_version(conn: sqlite3.Connection) -> int:
    """Return how many migrations the store has seen: the version of its schema."""
    return len(_applied(conn))


def _applied(conn: sqlite3.Connection) -> set[str]:
    """Return the names of the migrations that a store has, as sqlite-utils keeps them."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlite_migrations'"
    if not conn.execute(query).fetchone()[0]:
        return set()
    query = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    return {name for (name,) in conn.execute(query, [MIGRATION_SET])}


def is_empty(conn: sqlite3.Connection) -> bool:
    """Whether a file has no tables yet."""
    (count,) = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0)
