"""Rows of records in the tables of an analysis copy.

Strings are copied and never interpreted. A value of a type that its column does not take is
written as JSON, so that nothing is lost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias, cast

from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    GRAPH_SNAPSHOT,
    OTHER_EVENTS,
    REVOCATION,
    STORAGE,
    TIME_STAMP,
)
from mirror.core.graph_references import REFERENCE_MEMBERS, listed_references
from mirror.core.keys import KeySet
from mirror.core.merge import by_id
from mirror.core.profile import MIRROR_V1, is_built_in
from mirror.core.record import Record
from mirror.core.shape import (
    integer_member,
    list_member,
    object_member,
    objects_in,
    objects_member,
    text_member,
)
from mirror.core.values import Object, Value, canonical
from mirror.engine.tables.citing import citing_columns
from mirror.engine.tables.schema import TABLE_OF_TYPE, payload_members
from mirror.store.arrivals import VerdictRow
from mirror.store.paper_texts import PaperText, PaperTexts
from mirror.store.whole_records import RecordArrival, WholeRecord

__all__ = [
    "EVENTS_PER_ARRIVAL",
    "RecordExtras",
    "Row",
    "Rows",
    "StoredCheck",
    "rows_of",
]

Row: TypeAlias = tuple[str | int | None, ...]
Rows: TypeAlias = dict[str, list[Row]]
"""Rows by table, the columns in the order of `schema.TABLES`."""

EVENTS_PER_ARRIVAL = 10_000_000
"""More than the events that a bundle may have (B4): the id of an event is the number of its
arrival times this, plus its position."""

_GREATEST = 2**63


class StoredCheck(NamedTuple):
    """Last result of checking a time-stamp, or a capture in an archive."""

    status: str
    checked_at: str


class RecordExtras(NamedTuple):
    """Further knowledge of records, beside their facts and states."""

    texts: Mapping[str, PaperTexts]
    """Proved titles and abstracts by Pith Number."""
    checks: Mapping[tuple[str, str], StoredCheck]
    """By Pith Number and event id."""


class _EventFact(NamedTuple):
    """An event of a bundle with its stored verdict."""

    id: int
    arrival: RecordArrival
    digest: bytes
    members: Value
    """Its members by the names of E1; of an invalid event the value, whatever it is."""
    profile: str
    code: str
    """Empty if it is valid."""
    reason: str


def rows_of(records: Iterable[WholeRecord], keys: KeySet, extras: RecordExtras) -> Rows:
    """Return the rows of records.

    Args:
        records: The records.
        keys: All keys and profiles that are or were trusted.
        extras: Proved titles, and results of checks.

    Raises:
        CorruptStoreError: `store.damaged` if a verdict does not fit its event.
    """
    rows: Rows = defaultdict(list)
    for whole in records:
        _add_record(rows, whole, keys, extras)
    return rows


def _add_record(rows: Rows, whole: WholeRecord, keys: KeySet, extras: RecordExtras) -> None:
    title, abstract, _ = extras.texts.get(whole.record.pith_number, PaperTexts())
    number, outline = whole.record.pith_number, whole.outline
    current = object_member(outline, "current")
    events = _events(whole, keys)
    retired = {
        text_member(one, "event_id"): one for one in objects_member(outline, "retired_events")
    }
    repeats = _repeats(whole, keys, events)
    snapshots = objects_in(current["graph_snapshots"])
    last = text_member(snapshots[-1], "event_id") if snapshots else ""
    claimed: tuple[str, str] | None = None
    for event in events:
        status, by = _status(event, retired, repeats)
        rows["events"].append(_event_row(number, event, status, by))
        if event.code or status == "repeat":
            continue
        members = cast("Object", event.members)
        is_last = members["event_id"] == last
        check = extras.checks.get((number, cast("str", members["event_id"])))
        about = _AboutEvent(whole.record, status == "in force", is_last, check)
        _add_of_type(rows, event, members, about)
        if is_last:
            claimed = _add_graph(rows, number, event, members)
    for one in (title, abstract):
        if one is not None:
            rows["texts"].append((number, one.kind, None, one.text))
    rows["records"].append(_record_row(whole, current, title, claimed))
    _add_names(rows, whole, current)


# Events ----------------------------------------------------------------------------------------


def _events(whole: WholeRecord, keys: KeySet) -> list[_EventFact]:
    """Return all values of all arrivals with their verdicts."""
    events: list[_EventFact] = []
    for arrival in whole.arrivals:
        first = arrival.row.id * EVENTS_PER_ARRIVAL
        if arrival.row.has_profile_verdicts:
            verdicts = arrival.row.with_verdicts(arrival.contents, keys).events
            events += [_verified(first + at, arrival, one) for at, one in enumerate(verdicts)]
            continue
        refused = {one.position: one for one in arrival.row.verdict_rows if one.kind == "event"}
        events += [
            _EventFact(first + at, arrival, digest, value, *_verdict(refused.get(at)))
            for at, (digest, value) in enumerate(arrival.contents.events)
        ]
    return events


def _verdict(row: VerdictRow | None) -> tuple[str, str, str]:
    return (MIRROR_V1.name, "", "") if row is None else (row.profile, row.code, row.reason)


def _verified(event_id: int, arrival: RecordArrival, event: Event) -> _EventFact:
    if isinstance(event, InvalidEvent):
        value, digest, code, reason, profile = event
        return _EventFact(event_id, arrival, digest, value, profile, code, reason)
    return _EventFact(
        event_id, arrival, event.digest, cast("Object", event.statement), event.profile, "", ""
    )


def _repeats(whole: WholeRecord, keys: KeySet, events: list[_EventFact]) -> Collection[bytes]:
    """Return the digests of valid events that are the same signed message as another (M1)."""
    names = Counter(text_member(one.members, "event_id") for one in events if not one.code)
    has_profiles = not all(is_built_in(one.profile) for one in events)
    if not has_profiles and all(count == 1 for count in names.values()):
        return ()
    verdicts = [one.row.with_verdicts(one.contents, keys).events for one in whole.arrivals]
    valid = [one for some in verdicts for one in some if isinstance(one, ValidEvent)]
    counted = {one.digest for one in by_id(valid).values()}
    return {one.digest for one in valid} - counted


def _status(
    event: _EventFact, retired: Mapping[str, Object], repeats: Collection[bytes]
) -> tuple[str, str | None]:
    """Return the status of an event, and the ids of the events that retired it."""
    if event.code:
        return "refused", None
    if event.digest in repeats:
        return "repeat", None
    entry = retired.get(text_member(event.members, "event_id"))
    if entry is None:
        return "in force", None
    return text_member(entry, "reason"), _json(entry["by"])


def _event_row(number: str, event: _EventFact, status: str, by: str | None) -> Row:
    members, arrival = event.members, event.arrival
    signer = object_member(members, "signer")
    return (
        event.id,
        number,
        arrival.row.id,
        arrival.source,
        event.digest.hex(),
        text_member(members, "event_id") or None,
        text_member(members, "event_type") or None,
        text_member(members, "target") or None,
        text_member(signer, "signer_id") or None,
        text_member(signer, "signer_type") or None,
        text_member(signer, "key_id") or None,
        event.profile,
        text_member(members, "created_at") or None,
        arrival.stored_at,
        0 if event.code else 1,
        event.code or None,
        event.reason or None,
        status,
        by,
    )


# Tables of types -------------------------------------------------------------------------------

_COLUMNS = {
    name: tuple(member for member, _, _ in payload_members(name, kind))
    for name, kind in EVENT_TYPES.items()
}


class _AboutEvent(NamedTuple):
    """Values for the columns of a type that the event does not have."""

    record: Record
    in_force: bool
    is_last: bool
    """Whether it is the last graph snapshot in force."""
    check: StoredCheck | None


def _add_of_type(rows: Rows, event: _EventFact, members: Object, about: _AboutEvent) -> None:
    number = about.record.pith_number
    name, payload = cast("str", members["event_type"]), cast("Object", members["payload"])
    row: Row = (
        event.id,
        number,
        cast("str", members["event_id"]),
        text_member(members["signer"], "signer_id"),
        cast("str", members["created_at"]),
        event.arrival.stored_at,
        int(about.in_force),
    )
    if name not in EVENT_TYPES:
        rows[OTHER_EVENTS].append((*row, name, _json(payload)))
    else:
        values = [_text(payload.get(member)) for member in _COLUMNS[name]]
        more = _MORE[name](about, payload) if name in _MORE else ()
        rows[TABLE_OF_TYPE[name]].append((*row, *values, *more))
    for kind, text in _notes(name, payload):
        rows["texts"].append((number, kind, event.id, text))


def _notes(name: str, payload: Object) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of what a person wrote in an event."""
    if note := text_member(payload, "note"):
        yield "note", note
    if name == REVOCATION and (reason := text_member(payload, "reason")):
        yield "reason", reason


def _snapshot_columns(about: _AboutEvent, payload: Object) -> Row:
    graph = object_member(payload, GRAPH_SNAPSHOT)
    paper = object_member(graph, "paper")
    return (
        *(_text(paper.get(name)) for name in ("title", "authors_text", "headline")),
        _text(paper.get("abstract_excerpt")),
        _integer(object_member(graph, "references").get("count")),
        _integer(object_member(graph, "claims").get("count")),
        _text(graph.get("builder_version")),
        int(about.is_last),
    )


def _citation_columns(about: _AboutEvent, payload: Object) -> Row:
    number, arxiv_id, *others = citing_columns(cast("str", payload["citing"]))
    record = about.record
    return number, arxiv_id, record.pith_number, _arxiv_id(record), *others


def _check_columns(about: _AboutEvent, _payload: Object) -> Row:
    return about.check or (None, None)


_MORE: dict[str, Callable[[_AboutEvent, Object], Row]] = {
    GRAPH_SNAPSHOT: _snapshot_columns,
    CITATION: _citation_columns,
    TIME_STAMP: _check_columns,
    STORAGE: _check_columns,
}
"""Further columns of a type."""


# The last graph snapshot -----------------------------------------------------------------------

_CLAIM = ("claim_id", "kind", "text", "status")


def _add_graph(
    rows: Rows, number: str, event: _EventFact, members: Object
) -> tuple[str, str] | None:
    """Add references and claims of the last snapshot; return its title and its id."""
    graph = object_member(members["payload"], GRAPH_SNAPSHOT)
    for position, one in enumerate(listed_references(graph.get("references"))):
        members_read = [*map(partial(_member_read, one), REFERENCE_MEMBERS.values())]
        texts = [_text(one.get(name)) for name in members_read]
        index, resolved = _text(one.get("index")), _integer(one.get("resolved"))
        other = _others(one, (*members_read, "index", "resolved"))
        rows["graph_references"].append(
            (number, position, event.id, index, *texts, resolved, other)
        )
    for position, one in enumerate(objects_member(object_member(graph, "claims"), "items")):
        texts = [_text(one.get(name)) for name in _CLAIM]
        rows["graph_claims"].append((number, position, event.id, *texts, _others(one, _CLAIM)))
        if text := text_member(one, "text"):
            rows["texts"].append((number, "claim", event.id, text))
    title = text_member(object_member(graph, "paper"), "title")
    if not title:
        return None
    rows["texts"].append((number, "title", event.id, title))
    return title, cast("str", members["event_id"])


def _member_read(reference: Object, names: tuple[str, ...]) -> str:
    """Return the first of some members that a reference has."""
    return next((one for one in names if reference.get(one) is not None), names[0])


def _others(value: Object, names: tuple[str, ...]) -> str | None:
    others = {name: one for name, one in value.items() if name not in names}
    return _json(others) if others else None


# The record ------------------------------------------------------------------------------------


def _record_row(
    whole: WholeRecord,
    current: Object,
    title: PaperText | None,
    claimed: tuple[str, str] | None,
) -> Row:
    record, outline = whole.record, whole.outline
    metadata, source, receipt = record.metadata, record.source, current["receipt"]
    titled: Row = (None, None, None)
    if title is not None:
        titled = title.text, "proved", title.source
    elif claimed is not None:
        titled = claimed[0], "claimed", claimed[1]
    known = [one.stored_at for one in whole.arrivals]
    return (
        record.pith_number,
        record.suffix,
        int(record.pith_number[5:9]),
        source["kind"],
        source["id"],
        _integer(source["version"]),
        _arxiv_id(record),
        record.canonical_sha256,
        *titled,
        metadata["primary_cat"],
        _json([*record.categories]),
        metadata["license"],
        metadata["submitted_at"],
        text_member(receipt, "key_id") or None,
        text_member(receipt, "signed_at") or None,
        integer_member(outline, "event_count"),
        integer_member(outline, "valid_event_count"),
        integer_member(outline, "invalid_event_count"),
        integer_member(outline, "equivocation_count"),
        len(list_member(current, "citations")),
        whole.state_digest.hex(),
        whole.core_digest.hex(),
        len(known),
        known[0] if known else None,
        known[-1] if known else None,
    )


def _add_names(rows: Rows, whole: WholeRecord, current: Object) -> None:
    """Add categories, aliases, arrivals and equivocations of a record."""
    record = whole.record
    number, primary = record.pith_number, record.metadata["primary_cat"]
    rows["record_categories"] += [
        (number, one, int(one == primary)) for one in sorted({*record.categories})
    ]
    rows["aliases"] += [
        (number, text_member(one, "alias_kind"), text_member(one, "alias_value"),
         text_member(one, "created_at") or None)
        for one in objects_in(current["source_aliases"])
    ]  # fmt: skip
    for arrival in whole.arrivals:
        claims, receipts, events, _ = arrival.contents
        counts = len(events), len(receipts), len(claims)
        row = arrival.row
        rows["arrivals"].append(
            (row.id, number, arrival.source, row.member, arrival.stored_at, *counts)
        )
    for position, one in enumerate(objects_member(whole.outline, "equivocations")):
        names = ("signer_id", "signer_type", "created_at")
        texts = [text_member(one, name) for name in names]
        kind, slot, ids = (
            text_member(one, "event_type"),
            _json(one["slot_key"]),
            _json(one["event_ids"]),
        )
        rows["equivocations"].append((number, position, kind, slot, *texts, ids))


# Values ----------------------------------------------------------------------------------------


def _arxiv_id(record: Record) -> str | None:
    return record.source["id"] if record.source["kind"] == "arxiv" else None


def _json(value: Value) -> str:
    return canonical(value).decode()


def _text(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _json(value)


def _integer(value: Value) -> int | None:
    """Return an integer or a boolean that SQLite can hold; else None."""
    return int(value) if isinstance(value, int) and -_GREATEST <= value < _GREATEST else None
