"""Schema of a store, and the check which version of it a file has.

Each migration is fixed: a change of the schema is another one (`SCRIPTS`), and migrations only add
tables, columns and indexes.
"""

from __future__ import annotations

import re
import sqlite3

from mirror.errors import SchemaVersionError, StoreError

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "MIGRATION_SET",
    "SCRIPTS",
    "absent",
    "applied_version",
    "is_current",
    "is_empty",
    "missing_tables",
    "require_store",
    "statements",
    "tables",
]

APPLICATION_ID = 0x70697468
"""`pith` in ASCII: identifies the format of the SQLite file."""

MIGRATION_SET = "mirror"
"""The name under which sqlite-utils records the applied migrations."""

_FACTS_1 = """
CREATE TABLE run (                       -- one source read by one command
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    started_at TEXT NOT NULL,
    checksum BLOB NOT NULL
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
CREATE TABLE arrival (                   -- one bundle: all facts in it that were new
    id INTEGER PRIMARY KEY,
    record_id INTEGER NOT NULL REFERENCES record,
    run_id INTEGER NOT NULL REFERENCES run,
    member TEXT NOT NULL,                -- path of the bundle in the source
    content BLOB NOT NULL,               -- alias claims, receipts, events: see arrival_codec.py
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX arrival_by_record ON arrival (record_id);
CREATE TABLE trust (                     -- log of changes; the key set is computed from it
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- SQLite stores the last id elsewhere: see trust_log.py
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('add', 'remove')),
    name TEXT NOT NULL,                  -- key id, or name of a profile
    value BLOB NOT NULL,                 -- MessagePack of the key (K3) or profile
    checksum BLOB NOT NULL               -- of this line and the one before it
) STRICT;
CREATE TABLE upstream_history (          -- upstream's statements on a record, one for each change
    id INTEGER PRIMARY KEY,
    upstream TEXT NOT NULL,              -- base URL, or name of a file or folder
    pith_number TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('state', 'bundle')),
    digest BLOB NOT NULL,                -- sha256(canonical(statement)), raw
    first_read_at TEXT NOT NULL,
    content BLOB NOT NULL,               -- canonical JSON, compressed
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX upstream_history_by_record ON upstream_history (pith_number, upstream, kind, id);
CREATE TABLE checkpoint (                -- signed notes on the roots of mirrors, this one included
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,                -- first line of the note: names the tree
    size INTEGER NOT NULL,               -- records in the tree
    root BLOB NOT NULL,                  -- raw
    key_set_digest BLOB NOT NULL,        -- K3, raw; empty if the note has none
    at TEXT NOT NULL,                    -- time in the note; empty if it has none
    note TEXT NOT NULL,                  -- the signed note, unchanged
    read_at TEXT NOT NULL,
    is_own INTEGER NOT NULL,             -- 1 if this mirror signed it
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoint_by_origin ON checkpoint (origin, id);
CREATE TABLE acknowledgement (           -- log: which findings a person acknowledged, and why
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    name TEXT NOT NULL,                  -- the person
    reason TEXT NOT NULL,
    criteria TEXT NOT NULL,              -- the choice of findings, in words
    withdraws INTEGER NOT NULL,          -- id of the line that this one withdraws; else 0
    items INTEGER NOT NULL,              -- findings that it covers
    items_checksum BLOB NOT NULL,        -- of its rows in acknowledged_finding
    checksum BLOB NOT NULL               -- of this line and the one before it
) STRICT;
CREATE TABLE acknowledged_finding (      -- findings covered by an acknowledgement
    id INTEGER PRIMARY KEY,
    acknowledgement_id INTEGER NOT NULL,
    kind TEXT NOT NULL,                  -- event, receipt, state, quarantine or digest
    subject_id INTEGER NOT NULL,         -- id of the arrival, record or quarantine row; else 0
    code TEXT NOT NULL,
    first INTEGER NOT NULL,              -- first position in the subject
    last INTEGER NOT NULL,               -- last position
    digest BLOB NOT NULL                 -- of the finding, raw; empty for a range of positions
) STRICT;
CREATE INDEX acknowledged_finding_by_subject
    ON acknowledged_finding (subject_id, kind, code, first);
CREATE INDEX acknowledged_finding_by_line ON acknowledged_finding (acknowledgement_id);
CREATE TABLE quarantine (                -- damaged rows, removed from their tables
    id INTEGER PRIMARY KEY,
    found_at TEXT NOT NULL,
    table_name TEXT NOT NULL,
    pith_number TEXT,                    -- the record that needs a bundle again, if it is known
    reason TEXT NOT NULL,
    content BLOB NOT NULL                -- MessagePack of the row
) STRICT;
"""

_DERIVED_1 = """
CREATE TABLE record_totals (             -- counts and checksum of a record's facts and verdicts
    record_id INTEGER PRIMARY KEY REFERENCES record,
    events INTEGER NOT NULL,
    receipts INTEGER NOT NULL,
    alias_claims INTEGER NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE verdict (                   -- verdicts (S2, E3); a fact without one passed every check
                                         -- of the built-in profile
    arrival_id INTEGER NOT NULL REFERENCES arrival,
    kind TEXT NOT NULL,                  -- receipt or event
    profile TEXT NOT NULL,               -- name of the event's profile; empty for a receipt
    key_id TEXT NOT NULL,                -- the key that signed an event that passed; else empty
    code TEXT NOT NULL,                  -- of S2 or E3; empty if the event passed
    reason TEXT NOT NULL,                -- of the code; empty if the event passed
    positions TEXT NOT NULL,             -- in the arrival's list of that kind, as ranges: 0-99,105
    count INTEGER NOT NULL,              -- number of positions
    PRIMARY KEY (arrival_id, kind, profile, key_id, code, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_by_code ON verdict (code, arrival_id);
CREATE TABLE key_dependency (            -- records whose verdicts may depend on a key
    key_id TEXT NOT NULL,                -- or another name of the key; empty for any key
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
    totals_checksum BLOB NOT NULL,       -- record_totals.checksum when the state was merged
    outline BLOB NOT NULL,               -- the state without record and payloads, compressed
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE citation (                  -- citations in force
    citing_name TEXT NOT NULL,           -- name of the citing work: see core/identifier.py
    record_id INTEGER NOT NULL REFERENCES record, -- the cited record
    PRIMARY KEY (citing_name, record_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX citation_by_record ON citation (record_id);
CREATE TABLE stale (                     -- records whose state is older than their facts
    record_id INTEGER PRIMARY KEY REFERENCES record,
    needs_verdicts INTEGER NOT NULL      -- 1 if its verdicts are stale, too
) STRICT;
CREATE TABLE counter (                   -- counts of the whole store
    name TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE source_cache (              -- results of sources that were read completely
    key BLOB PRIMARY KEY,                -- digest of content, keys, limits and rules
    result BLOB NOT NULL,                -- MessagePack
    checksum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_state (                -- ETags, feed positions and pending records of upstreams
    upstream TEXT NOT NULL,              -- base URL
    name TEXT NOT NULL,                  -- suffix or other name, or a mark: see sync_state.py
    etag TEXT NOT NULL,                  -- unchanged
    cursor INTEGER NOT NULL,             -- position in the feed of a mirror
    fetched_at TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (upstream, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE merged_bag (                -- bags that were merged completely
    manifest_digest BLOB PRIMARY KEY,    -- SHA-256 of manifest-sha256.txt, raw
    source TEXT NOT NULL,
    read_at TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE exported_bag (              -- exports of the whole store, by the root of the states
    root BLOB PRIMARY KEY,               -- raw
    last_arrival_id INTEGER NOT NULL,
    manifest_digest BLOB NOT NULL,       -- SHA-256 of manifest-sha256.txt, raw
    description TEXT NOT NULL,           -- content of the bag, in words
    exported_at TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tree_node (                 -- upper nodes of the Merkle tree: see state_tree.py
    depth INTEGER NOT NULL,              -- digits of the prefix
    prefix TEXT NOT NULL,                -- hexadecimal digits that begin canonical_sha256
    size INTEGER NOT NULL,               -- leaves below it
    digest BLOB NOT NULL,                -- raw
    checksum BLOB NOT NULL,
    PRIMARY KEY (depth, prefix)
) STRICT, WITHOUT ROWID;
CREATE TABLE tree_queue (                -- records whose leaf in the tree may be out of date
    record_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE rules (                     -- version of the rules of all verdicts and states; one row
    version TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE check_progress (            -- where the next `mirror check --time-limit` resumes
    part TEXT PRIMARY KEY,
    last_record_id INTEGER NOT NULL
) STRICT;
CREATE TABLE index_entry (               -- search index, without its words: see search_index.py
    record_id INTEGER PRIMARY KEY,       -- may outlive its record until the index is updated
    state_digest BLOB NOT NULL,          -- of the indexed state, raw
    title_digest BLOB NOT NULL,          -- R5, raw
    abstract_digest BLOB NOT NULL,       -- R5, raw
    has_verified_receipt INTEGER NOT NULL, -- 1 if that state shows a receipt (M8)
    texts BLOB NOT NULL                  -- the indexed texts, compressed
) STRICT;
CREATE INDEX index_entry_by_title ON index_entry (title_digest);
CREATE INDEX index_entry_by_abstract ON index_entry (abstract_digest);
CREATE TABLE index_queue (               -- records whose index entry may be out of date
    record_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE index_version (             -- version of the store that index_queue includes; one row
    last_arrival_id INTEGER NOT NULL,
    last_trust_id INTEGER NOT NULL,
    last_quarantine_id INTEGER NOT NULL,
    rules TEXT NOT NULL
) STRICT;
-- The words of index_entry.texts, by record id; without the texts, which are stored compressed.
CREATE VIRTUAL TABLE full_text USING fts5 (
    names, title, texts, content = '', tokenize = 'unicode61 remove_diacritics 2'
);
"""

_FACTS_2 = """
CREATE TABLE arrival_commit (            -- transactions that added arrivals
    id INTEGER PRIMARY KEY,
    last_arrival_id INTEGER NOT NULL,    -- its arrivals follow the last one before
    stored_at TEXT NOT NULL,             -- with microseconds; never before the last one
    rules TEXT NOT NULL,                 -- version of the rules at that time; empty if not known
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX arrival_commit_by_arrival ON arrival_commit (last_arrival_id);
CREATE INDEX arrival_commit_by_time ON arrival_commit (stored_at);
CREATE TABLE storage_check (             -- answers of archives, one for each check of a capture
    id INTEGER PRIMARY KEY,
    pith_number TEXT NOT NULL,
    event_id TEXT NOT NULL,              -- of the storage attestation
    url TEXT NOT NULL,                   -- of the capture, as the event gives it
    at TEXT NOT NULL,                    -- with microseconds
    status TEXT NOT NULL,
    code TEXT NOT NULL,                  -- reason; empty if the capture is there
    http_status INTEGER NOT NULL,        -- 0 without a response
    memento_datetime TEXT NOT NULL,      -- as it was received; empty if there was none
    redirected_to TEXT NOT NULL,         -- URL after redirects; empty without one
    message TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX storage_check_by_event ON storage_check (pith_number, event_id);
CREATE TABLE block_header (              -- Bitcoin block headers that the operator gave
    id INTEGER PRIMARY KEY,              -- height
    header BLOB NOT NULL,                -- 80 bytes
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE timestamp_authority (       -- log of changes: whose time-stamp tokens are trusted
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- SQLite stores the last id elsewhere, as for trust
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('add', 'remove')),
    name TEXT NOT NULL,
    certificates BLOB NOT NULL,          -- PEM
    checksum BLOB NOT NULL               -- of this line and the one before it
) STRICT;
CREATE TABLE checkpoint_proof (          -- OpenTimestamps proofs; the last of a checkpoint counts
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,                -- SHA-256 of the signed note, raw
    at TEXT NOT NULL,
    calendars TEXT NOT NULL,             -- addresses that the operator named, separated by spaces
    proof BLOB NOT NULL,                 -- a detached time-stamp file
    checksum BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoint_proof_by_digest ON checkpoint_proof (digest, id);
"""

_DERIVED_2 = """
CREATE TABLE anchor (                    -- last result for each time-stamp in force
    record_id INTEGER NOT NULL REFERENCES record,
    event_id TEXT NOT NULL,
    method TEXT NOT NULL,
    status TEXT NOT NULL,
    result BLOB NOT NULL,                -- MessagePack
    checked_at TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (record_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX anchor_by_status ON anchor (status);
CREATE TABLE anchor_queue (              -- records whose anchors may be out of date
    record_id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE anchor_version (            -- version of the store that anchor_queue includes; one row
    last_arrival_id INTEGER NOT NULL,
    last_trust_id INTEGER NOT NULL,
    last_quarantine_id INTEGER NOT NULL,
    rules TEXT NOT NULL,
    checks TEXT NOT NULL,                -- version of the checks of proofs
    combined BLOB NOT NULL               -- combined checksum of all rows of anchor
) STRICT;
"""

_FACTS_3 = """
CREATE TABLE paper_text (                -- titles and abstracts with the digest in their record
    id INTEGER PRIMARY KEY,
    pith_number TEXT NOT NULL,
    kind TEXT NOT NULL,                  -- title or abstract
    text TEXT NOT NULL,
    source TEXT NOT NULL,                -- name of the dump of metadata
    read_at TEXT NOT NULL,               -- known time, with microseconds
    checksum BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX paper_text_by_record ON paper_text (pith_number, kind);
"""

_DERIVED_3 = """
-- The greatest id in paper_text that an index entry of the record includes; 0 without one.
ALTER TABLE index_entry ADD COLUMN last_paper_text_id INTEGER NOT NULL DEFAULT 0;
-- The greatest id in paper_text that index_queue includes.
ALTER TABLE index_version ADD COLUMN last_paper_text_id INTEGER NOT NULL DEFAULT 0;
"""

SCRIPTS = {
    "m0001_initial_schema": (_FACTS_1, _DERIVED_1),
    "m0002_evidence_in_time": (_FACTS_2, _DERIVED_2),
    "m0003_paper_texts": (_FACTS_3, _DERIVED_3),
}
"""SQL of each migration, in their order (`migrations.py`): for facts, and for derived data."""

MIGRATIONS = tuple(SCRIPTS)
"""The names of all migrations of this version, in their order."""


def statements(migration: str) -> list[str]:
    """Return the statements of a migration."""
    return [one for one in "".join(SCRIPTS[migration]).split(";\n") if one.strip()]


def tables(script: str) -> list[str]:
    """Return the names of the tables that SQL makes."""
    return re.findall(r"CREATE (?:VIRTUAL )?TABLE (\w+)", script)


def missing_tables(conn: sqlite3.Connection) -> list[str]:
    """Return the names of missing tables."""
    there = {row[0] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    wanted = [name for scripts in SCRIPTS.values() for name in tables("".join(scripts))]
    return [name for name in wanted if name not in there]


_UNRELEASED = frozenset({"m0001_facts_and_derived", "m0001_first_release"})
"""First migrations of unreleased versions, which made other tables."""


def require_store(conn: sqlite3.Connection) -> None:
    """Check that a file is a store with the schema of this version, for reading.

    Raises:
        StoreError: `store.absent` if it is empty because its creation was interrupted.
        SchemaVersionError: `store.foreign`, `store.newer` or `store.older`.
    """
    if is_empty(conn):
        raise absent()
    if not is_current(conn):
        hint = "run a command that writes, such as `mirror merge`, to bring it up to date"
        raise SchemaVersionError("store.older", "an older mirror wrote this store", hint=hint)


def absent(place: str = "") -> StoreError:
    """Return the error for a missing store."""
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
        raise SchemaVersionError("store.foreign", "this SQLite file is not a store", hint=hint)
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
    """Return the number of applied migrations: the version of the schema."""
    return len(_applied(conn))


def _applied(conn: sqlite3.Connection) -> set[str]:
    """Return the names of the applied migrations, as sqlite-utils records them."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlite_migrations'"
    if not conn.execute(query).fetchone()[0]:
        return set()
    query = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    return {name for (name,) in conn.execute(query, [MIGRATION_SET])}


def is_empty(conn: sqlite3.Connection) -> bool:
    """Whether a file has no tables yet."""
    (count,) = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0)
