"""Tables of an analysis copy: their columns, keys and indexes, each with its meaning.

The CREATE statements, the data dictionary inside a copy, the columns of the other formats and
`docs/tables.md` all follow from `TABLES`. The tables of event types follow from E4.
"""

from __future__ import annotations

from collections.abc import Iterable

from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    GRAPH_SNAPSHOT,
    INTEGRITY,
    OTHER_EVENTS,
    RECORD_CREATED,
    REVOCATION,
    STORAGE,
    TIME_STAMP,
    EventType,
)
from mirror.engine.tables.column_meanings import payload_meaning
from mirror.engine.tables.table import Column, Table, integer, text

__all__ = [
    "FORMAT",
    "FULL_TEXT",
    "OF_RECORDS",
    "OF_STORE",
    "TABLES",
    "TABLE_OF_TYPE",
    "create_statements",
    "dictionary_rows",
    "index_statements",
    "payload_members",
]

FORMAT = "1"
"""Version of these tables; a copy of another version is replaced."""

FULL_TEXT = "texts_fts"
"""The full-text index over `texts`."""


_RECORD = text(
    "pith_number", "Pith Number of the record (R3)", "records(pith_number)", required=True
)

# Tables with rows of each record ---------------------------------------------------------------

_RECORDS = Table(
    "records",
    "records, one row each",
    (
        text("pith_number", "Pith Number (R3)", required=True),
        text("suffix", "last 26 letters of the Pith Number", required=True),
        integer("year", "year in the Pith Number: of submission", required=True),
        text("source_kind", "kind of the source: arxiv", required=True),
        text("source_id", "id of the source, without its version", required=True),
        integer("source_version", "version of the source", required=True),
        text("arxiv_id", "arXiv id without version; NULL if the source is another"),
        text("canonical_sha256", "digest of the record, hexadecimal (R2)", required=True),
        text("title", "title, if one is known; see title_status"),
        text(
            "title_status", "proved: its digest is the record's (R5); claimed: by a signed snapshot"
        ),
        text("title_source", "source that the title was read from: a file, or an event id"),
        text("primary_category", "primary category", required=True),
        text("categories", "all categories as a JSON array, the primary one first", required=True),
        text("license", "URL or name of the licence", required=True),
        text("submitted_at", "time of submission in the record, UTC", required=True),
        text("receipt_key_id", "key that signed the receipt shown (M8); NULL without one"),
        text("receipt_signed_at", "time in that receipt; no signature covers it"),
        integer("events", "distinct events, valid and invalid", required=True),
        integer("events_valid", "distinct events that passed every check", required=True),
        integer("events_invalid", "distinct events that failed a check", required=True),
        integer("equivocations", "groups of events that contradict each other (M4)", required=True),
        integer("citations_in_force", "citations in force of this record", required=True),
        text("state_digest", "digest of the state, hexadecimal (M12)", required=True),
        text("core_digest", "digest of the core of the state, hexadecimal (M12)", required=True),
        integer("arrivals", "bundles that brought new facts", required=True),
        text("first_known_at", "known time of the first arrival, UTC"),
        text("last_known_at", "known time of the last arrival, UTC"),
    ),
    ("pith_number",),
    (
        ("suffix",),
        ("source_id", "source_version"),
        ("primary_category",),
        ("submitted_at",),
        ("license",),
        ("receipt_key_id",),
    ),
)
_CATEGORIES = Table(
    "record_categories",
    "categories of records",
    (
        _RECORD,
        text("category", "category", required=True),
        integer("is_primary", "1 for the primary category", required=True),
    ),
    ("pith_number", "category"),
    (("category", "is_primary"),),
)
_ALIASES = Table(
    "aliases",
    "names of records (R4), each with the earliest time claimed for it (M7)",
    (
        _RECORD,
        text("kind", "kind of the alias: arxiv, doi, pith_short_8, …", required=True),
        text("value", "alias", required=True),
        text("claimed_at", "earliest claimed time; NULL without one"),
    ),
    ("pith_number", "kind", "value"),
    (("value",),),
)
_ARRIVALS = Table(
    "arrivals",
    "bundles that brought new facts",
    (
        integer("id", "number of the arrival in the store", required=True),
        _RECORD,
        text("source", "source that was read: a path or URL", required=True),
        text("member", "path of the bundle in the source", required=True),
        text("known_at", "time at which this mirror stored it, UTC"),
        integer("events", "new events in it", required=True),
        integer("receipts", "new receipts in it", required=True),
        integer("alias_claims", "new alias claims in it", required=True),
    ),
    ("id",),
    (("pith_number", "source"), ("known_at",), ("source",)),
)
_EVENTS = Table(
    "events",
    "values in the events of bundles, one row each, valid or not",
    (
        integer("id", "arrival × 10,000,000 + position in the arrival", required=True),
        _RECORD,
        integer("arrival", "arrival that brought it", "arrivals(id)", required=True),
        text("source", "source of that arrival", required=True),
        text("digest", "SHA-256 of the canonical value, hexadecimal", required=True),
        text("event_id", "event id (E1), as the value has it"),
        text("event_type", "event type, as the value has it"),
        text("target", "target, as the value has it"),
        text("signer_id", "signer; of an invalid event only a claim"),
        text("signer_type", "type of the signer; of an invalid event only a claim"),
        text("key_id", "key; of an invalid event only a claim"),
        text("profile", "profile under which it was verified", required=True),
        text("claimed_at", "claimed time (created_at), as the signer writes it"),
        text("known_at", "time at which this mirror stored it, UTC"),
        integer("is_valid", "1 if every check of E3 passed", required=True),
        text("code", "code of the check that failed (E3); NULL if none did"),
        text("reason", "reason in words"),
        text(
            "status",
            "in force, superseded, revoked, withdrawn, refused, or repeat: another valid event is "
            "the same signed message (M1)",
            required=True,
        ),
        text("retired_by", "ids of the events that retired it (M11) as a JSON array"),
    ),
    ("id",),
    (
        ("pith_number",),
        ("event_id",),
        ("event_type", "status", "known_at"),
        ("signer_id", "status"),
        ("key_id",),
        ("code",),
        ("claimed_at",),
        ("known_at",),
        ("arrival",),
    ),
)
_REFERENCES = Table(
    "graph_references",
    "references of the last graph snapshot in force; claims of its signer",
    (
        _RECORD,
        integer("position", "position in the list, from 0", required=True),
        integer("event", "row of the snapshot", "graph_snapshots(event)", required=True),
        text("reference_index", "index, as the snapshot has it"),
        text("title", "title of the cited work, as the snapshot has it"),
        text("arxiv_id", "arXiv id of the cited work, as the snapshot has it"),
        text("doi", "DOI of the cited work, as the snapshot has it"),
        text("cited_pith_number", "Pith Number of the cited work, as the snapshot has it"),
        integer("resolved", "1 or 0, as the snapshot has it"),
        text("other", "its other members as a JSON object"),
    ),
    ("pith_number", "position"),
    (("cited_pith_number",), ("arxiv_id",), ("event",)),
)
_CLAIMS = Table(
    "graph_claims",
    "claims of the last graph snapshot in force; claims of its signer",
    (
        _RECORD,
        integer("position", "position in the list, from 0", required=True),
        integer("event", "row of the snapshot", "graph_snapshots(event)", required=True),
        text("claim_id", "id of the claim in the paper"),
        text("kind", "kind of the claim"),
        text("text", "claim in words"),
        text("status", "status, as the snapshot has it"),
        text("other", "its other members as a JSON object"),
    ),
    ("pith_number", "position"),
    (("event",),),
)
_EQUIVOCATIONS = Table(
    "equivocations",
    "groups of different valid events of one signer on one subject at one instant (M4, M9)",
    (
        _RECORD,
        integer("position", "position in the state, from 0", required=True),
        text("event_type", "event type", required=True),
        text("slot_key", "subject of the events (E4) as a JSON array", required=True),
        text("signer_id", "signer", required=True),
        text("signer_type", "type of the signer", required=True),
        text("claimed_at", "claimed time", required=True),
        text("event_ids", "ids of the events as a JSON array", required=True),
    ),
    ("pith_number", "position"),
    (("signer_id",),),
)
_TEXTS = Table(
    "texts",
    "texts of records, for full-text search",
    (
        _RECORD,
        text("kind", "title, abstract, claim, note or reason", required=True),
        integer("event", "event that it is from; NULL for a text that is proved", "events(id)"),
        text("text", "text", required=True),
    ),
    (),
    (("pith_number",), ("event",), ("kind",)),
)

# A table for each event type -------------------------------------------------------------------

_OF_EVENT = (
    integer("event", "row of the event", "events(id)", required=True),
    _RECORD,
    text("event_id", "event id (E1)", required=True),
    text("signer_id", "signer", required=True),
    text("claimed_at", "claimed time", required=True),
    text("known_at", "time at which this mirror stored it, UTC"),
    integer("in_force", "1 if the state shows it, 0 if it is retired", required=True),
)
_OF_EVENT_INDEXES = (("pith_number",), ("signer_id",), ("claimed_at",))
TABLE_OF_TYPE = {
    name: kind.shown_in or {RECORD_CREATED: "records_created", REVOCATION: "revocations"}[name]
    for name, kind in EVENT_TYPES.items()
}
"""The table with the valid events of each type."""
_NOT_IN_TABLE = {
    (RECORD_CREATED, "canonical_record"),
    (GRAPH_SNAPSHOT, GRAPH_SNAPSHOT),
    (INTEGRITY, "event_type"),
    (TIME_STAMP, "proof_b64"),
}
"""Members of payloads that have no column: the record itself, objects with a table of their own, a
member with one possible value, and proofs."""
_RENAMED = {(REVOCATION, "event_id"): "revoked_event_id"}
_JSON_KINDS = frozenset({"object", "receipt"})
_MORE: dict[str, tuple[Column, ...]] = {
    GRAPH_SNAPSHOT: (
        text("title", "title in the snapshot"),
        text("authors_text", "authors in the snapshot"),
        text("headline", "headline in the snapshot"),
        text("abstract_excerpt", "beginning of the abstract in the snapshot"),
        integer("reference_count", "number of references, as the snapshot has it"),
        integer("claim_count", "number of claims, as the snapshot has it"),
        text("builder_version", "program that made the snapshot"),
        integer("is_last", "1 for the last snapshot in force (M2)", required=True),
    ),
    TIME_STAMP: (
        text("check_status", "result of checking the proof here; NULL if it was not checked"),
        text("checked_at", "time of that check, UTC"),
    ),
    STORAGE: (
        text("check_status", "result of asking the archive; NULL if it was not asked"),
        text("checked_at", "time of that check, UTC"),
    ),
    CITATION: (
        text("citing_pith_number", "citing work as a Pith Number, if it is one or is held here"),
        text("citing_arxiv_id", "citing work as an arXiv id without version, if it is known"),
        text(
            "cited_pith_number",
            "cited work: the record itself",
            "records(pith_number)",
            required=True,
        ),
        text("cited_arxiv_id", "cited work as an arXiv id without version"),
        text("citing_suffix", "suffix, or its beginning, if citing is a Pith Number or a digest"),
        text("citing_source_id", "source id, without version, if citing is one"),
        integer("citing_version", "version of the source, if citing has one"),
    ),
}
_MORE_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    GRAPH_SNAPSHOT: (("is_last", "pith_number"),),
    TIME_STAMP: (("event_id",),),
    STORAGE: (("event_id",),),
    CITATION: (("citing_pith_number",), ("citing_suffix",), ("citing_source_id",)),
    REVOCATION: (("revoked_event_id",),),
}


def payload_members(name: str, kind: EventType) -> list[tuple[str, str, bool]]:
    """Return member, column, and whether it is JSON, of the payload members with a column."""
    members = [*kind.members.items(), *((one, None) for one in kind.optional)]
    return [
        (member, _RENAMED.get((name, member), member), bool(check and check.kind in _JSON_KINDS))
        for member, check in members
        if (name, member) not in _NOT_IN_TABLE
    ]


def _table_of(name: str, kind: EventType) -> Table:
    columns = [
        text(column, _meaning(name, member, kind) + (" as JSON" if is_json else ""))
        for member, column, is_json in payload_members(name, kind)
    ]
    return Table(
        TABLE_OF_TYPE[name],
        f"valid events of the type {name}: {kind.plural}",
        (*_OF_EVENT, *columns, *_MORE.get(name, ())),
        ("event",),
        (*_OF_EVENT_INDEXES, *_MORE_INDEXES.get(name, ())),
    )


def _meaning(name: str, member: str, kind: EventType) -> str:
    return payload_meaning(name, member, kind.members.get(member))


_OTHER = Table(
    OTHER_EVENTS,
    "valid events of types that E4 does not name",
    (
        *_OF_EVENT,
        text("event_type", "event type", required=True),
        text("payload", "payload as JSON", required=True),
    ),
    ("event",),
    (*_OF_EVENT_INDEXES, ("event_type",)),
)

OF_RECORDS = (
    _RECORDS,
    _CATEGORIES,
    _ALIASES,
    _ARRIVALS,
    _EVENTS,
    *(_table_of(name, kind) for name, kind in EVENT_TYPES.items()),
    _OTHER,
    _REFERENCES,
    _CLAIMS,
    _EQUIVOCATIONS,
    _TEXTS,
)
"""Tables whose rows belong to records, each with a column `pith_number`."""

# Tables of the whole store ---------------------------------------------------------------------

_FINDINGS = Table(
    "findings",
    "facts in the store that failed a check, equivocations, and damaged rows",
    (
        text("code", "code", required=True),
        text("pith_number", "record, if it is known"),
        integer("count", "number of facts with this code in the arrival", required=True),
        integer("acknowledged", "how many of them are acknowledged", required=True),
        text("reason", "reason of the first of them, in words", required=True),
        text("source", "source of the arrival; NULL if it is not of one arrival"),
        text("member", "path of the bundle in the source"),
        text("read_at", "time at which reading the source began, UTC"),
    ),
    (),
    (("code",), ("pith_number",), ("source",)),
)
_KEYS = Table(
    "keys",
    "keys that are or were trusted (K1, K2)",
    (
        text("key_id", "id of the key", required=True),
        text("fingerprint", "fingerprint of the public key (K1)", required=True),
        text("public_key_hex", "public key, hexadecimal", required=True),
        text("signer_id", "signer that it belongs to", required=True),
        text("signer_type", "type of the signer", required=True),
        text("valid_from", "first instant at which it may sign"),
        text("valid_until", "last instant at which it may sign"),
        text("event_types", "event types that it may sign as a JSON array", required=True),
        integer("may_revoke_others", "1 if it may revoke events of other signers", required=True),
        integer("is_trusted", "1 if it is trusted now", required=True),
        text("trusted_since", "time of the last addition; NULL for the built-in key"),
        text("removed_at", "time of the removal, if it is not trusted now"),
    ),
    ("key_id",),
)
_UPSTREAM = Table(
    "upstream_statements",
    "statements of upstreams on records, one for each change",
    (
        integer("id", "number of the statement in the store", required=True),
        text(
            "pith_number", "record, as upstream names it; it need not be held here", required=True
        ),
        text("upstream", "URL, or name of a file or folder", required=True),
        text("kind", "state or bundle", required=True),
        text("digest", "SHA-256 of the canonical statement, hexadecimal", required=True),
        text("first_read_at", "time at which it was first read, UTC", required=True),
    ),
    ("id",),
    (("pith_number",),),
)
OF_STORE = (_FINDINGS, _KEYS, _UPSTREAM)
"""Tables of the whole store."""

_ABOUT = Table(
    "about",
    "origin of this copy: root, key set, times",
    (text("name", "name", required=True), text("value", "value", required=True)),
    ("name",),
)
_DICTIONARY = Table(
    "dictionary",
    "meaning of each table and column",
    (
        text("table_name", "table", required=True),
        text("column_name", "column; empty for the table itself", required=True),
        text("type", "type in SQLite", required=True),
        text("refers_to", "table and column that it refers to", required=True),
        text("meaning", "meaning", required=True),
    ),
    ("table_name", "column_name"),
)

TABLES = (*OF_RECORDS, *OF_STORE, _ABOUT, _DICTIONARY)
"""All tables, in an order in which each refers to earlier ones."""


def create_statements(tables: Iterable[Table] = TABLES) -> list[str]:
    """Return the CREATE TABLE statements."""
    return [one.create for one in tables]


def index_statements() -> list[str]:
    """Return the statements that make the indexes; after loading, that is faster."""
    statements = [
        f"CREATE INDEX {table.name}_by_{'_'.join(columns)} ON {table.name} ({', '.join(columns)})"
        for table in TABLES
        for columns in table.indexes
    ]
    full_text = (
        f"CREATE VIRTUAL TABLE {FULL_TEXT} USING fts5("
        # Datasette and sqlite-utils recognise the name of the table in double quotes only.
        "text, content=\"texts\", content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )
    return [*statements, full_text]


def dictionary_rows() -> list[tuple[str, str, str, str, str]]:
    """Return the rows of the data dictionary."""
    rows = []
    for table in TABLES:
        rows.append((table.name, "", "", "", table.meaning))
        rows += [
            (table.name, one.name, one.type, one.references, one.meaning)
            for one in table.all_columns
        ]
    return rows
