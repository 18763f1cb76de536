"""What the JSON answers of the server hold, as JSON Schema (2020-12, as OpenAPI 3.1 has it).

What the data rules fix, such as patterns and the types of events, is taken from the core.
"""

from __future__ import annotations

from mirror.core.event import EVENT_CODES
from mirror.core.event_types import EVENT_TYPES, OTHER_EVENTS, EventType
from mirror.core.merge import MERGE_VERSION
from mirror.core.record import PITH_NUMBER_PATTERN
from mirror.core.values import DIGEST_PATTERN, Object, Value
from mirror.core.verification_status import MAX_SIGNERS
from mirror.engine.citations import MAX_WORKS
from mirror.engine.descent import FEW
from mirror.web.citations import MAX_EVENTS
from mirror.web.operations import MAX_CHANGES
from mirror.web.pages import MAX_HITS
from mirror.web.words import RELATIONSHIPS

__all__ = [
    "ANSWERS",
    "ANY",
    "CLOCK",
    "COUNT",
    "PLACE",
    "RECORDS",
    "TEXT",
    "WORDS",
    "all_of",
    "beginning",
    "is_just",
    "list_of",
    "matching",
    "one_of",
    "see",
    "states",
]


def see(name: str, kind: str = "schemas") -> Object:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _closed(*members: Object, optional: Object | None = None) -> Object:
    """Return the schema of an object with just these members."""
    required = all_of(*members)
    return {
        "type": "object",
        "required": [*required],
        "properties": all_of(required, optional or {}),
        "additionalProperties": False,
    }


def all_of(*objects: Object) -> Object:
    """Return the members of all objects."""
    return {name: value for one in objects for name, value in one.items()}


def each(names: str, schema: Object) -> Object:
    """Return members of one schema; their names stand apart by spaces."""
    return dict.fromkeys(names.split(), schema)


def is_just(value: Value) -> Object:
    """Return the schema of one value."""
    return {"const": value}


def one_of(*values: str) -> Object:
    """Return the schema of one of some strings."""
    return {"enum": [*values]}


def matching(pattern: str) -> Object:
    """Return the schema of a string that is this pattern as a whole."""
    return {"type": "string", "pattern": f"^{pattern}$"}


def beginning(text: str) -> Object:
    """Return the schema of a string that begins so."""
    return {"type": "string", "pattern": f"^{text}"}


def _ending(pattern: str) -> Object:
    """Return the schema of an address, whatever host it begins with."""
    return {"type": "string", "pattern": f"{pattern}$"}


def list_of(items: Value, **limits: Value) -> Object:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **limits}


def _tally(names: Object) -> Object:
    return {"type": "object", "propertyNames": names, "additionalProperties": COUNT}


def _or_null(schema: Object) -> Object:
    return {"anyOf": [schema, {"type": "null"}]}


ANY: Object = {}
_OBJECT: Object = {"type": "object"}
TEXT: Object = {"type": "string"}
_NAME: Object = {"type": "string", "minLength": 1}
COUNT: Object = {"type": "integer", "minimum": 0}
_ORDINAL: Object = {"type": "integer", "minimum": 1}
_FLAG: Object = {"type": "boolean"}
SUFFIX = "[A-Z2-7]{26}"
_DAY, CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"

WORDS: Object = {
    "Digest": matching(DIGEST_PATTERN),
    "EventId": matching(f"sha256:{DIGEST_PATTERN}"),
    "PithNumber": matching(PITH_NUMBER_PATTERN),
    "ShortNumber": matching("pith:[A-Z2-7]{8}"),
    "Time": matching(rf"{_DAY}T{CLOCK}(\.[0-9]{{1,6}})?(Z|\+00:00)"),
}
_DIGEST, _EVENT_ID, _NUMBER, _SHORT, _TIME = map(see, WORDS)
_RECORD: Object = {"canonical_record": see("CanonicalRecord")}
_NUMBERS: Object = {"pith_number": _NUMBER, "short_pith_number": _SHORT}
_STANDING: Object = {
    "source_aliases": list_of(see("Alias"), minItems=3, maxItems=6),
    "receipt": _or_null(see("Receipt")),
}


def _alias(created_at: Object) -> Object:
    short = (f"pith_short_{length}" for length in (12, 16, 8))
    kind = one_of("arxiv", "arxiv_version", "doi", *short)
    return _closed({"alias_kind": kind, "alias_value": _NAME, "created_at": created_at})


RECORDS: Object = {
    "CanonicalRecord": _closed(
        {"metadata": see("Metadata"), "schema_version": is_just("1.0"), "source": see("Source")}
    ),
    "Source": _closed({"id": _NAME, "kind": _NAME, "version": _ORDINAL}),
    "Metadata": _closed(
        each("abstract_canon_sha256 title_canon_sha256", _DIGEST),
        {"cross_cats_sorted": list_of(TEXT, uniqueItems=True), "license": TEXT},
        {"primary_cat": _NAME, "submitted_at": _TIME},
    ),
    "Alias": _alias(_or_null(_TIME)),
    "Receipt": _closed(
        {"algorithm": is_just("ed25519"), "key_id": _NAME, "kind": is_just("pith_receipt")},
        {"signature_b64": matching("[A-Za-z0-9+/]{86}=="), "signed_at": _or_null(_TIME)},
    ),
    "Bundle": _closed(
        {"bundle_type": is_just("pith_open_graph_bundle"), "bundle_version": is_just("1.0")},
        {**_NUMBERS, **_RECORD, "canonical_sha256": _DIGEST, "source": see("Source")},
        {"source_aliases": list_of(_alias(_TIME), uniqueItems=True)},
        {"events": list_of(ANY)},  # what is invalid is kept as it came, and so are receipts
        optional={"receipts": list_of(ANY, minItems=1)},
    ),
}


# States (M6 to M11): their lists follow from the table of event types ------------------------

_OBJECTS = frozenset({"graph_snapshot", "evidence"})
"""Members of payloads that are objects; all others that E4 names are strings."""
_SIGNED: Object = {"event_id": _EVENT_ID, "created_at": _TIME, "signer": see("Signer")}


def _entry(kind: EventType) -> Object:
    """Return an event as the list of its type has it."""
    held = {name: _OBJECT if name in _OBJECTS else TEXT for name in kind.members}
    free = dict.fromkeys(kind.optional, TEXT)
    payload: Object = {"type": "object", "required": [*held], "properties": {**held, **free}}
    return _closed(_SIGNED, {"target": is_just(kind.target), "payload": payload})


_OTHER_ENTRY = _closed(
    _SIGNED,
    {"event_type": matching("[a-z0-9._]{1,64}")},
    {"target": {**_NAME, "maxLength": 128}, "payload": _OBJECT},
)
_EVENT_CODE = one_of(*EVENT_CODES)
_PROFILE = matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EVENT_IDS = list_of(_EVENT_ID, uniqueItems=True)
_EQUIVOCATION = _closed(
    {"event_type": one_of(*EVENT_TYPES), "slot_key": list_of({"type": ["string", "null"]})},
    {"signer_id": _NAME, "signer_type": _NAME, "created_at": _TIME},
    {"event_ids": _EVENT_IDS | {"minItems": 2}},
)
_RETIRED = _closed(
    {"event_id": _EVENT_ID, "reason": one_of("revoked", "superseded", "withdrawn")},
    {"by": _EVENT_IDS},
)


def states() -> Object:
    """Return the schemas of a state and of what is in it."""
    kinds = [kind for kind in EVENT_TYPES.values() if kind.shown_in is not None]
    lists = {str(kind.shown_in): list_of(_entry(kind)) for kind in kinds}
    others: Object = {OTHER_EVENTS: list_of(_OTHER_ENTRY)}
    state = _closed(
        {"state_type": is_just("pith_open_graph_state"), "state_version": is_just("1.0")},
        {"pith_number": _NUMBER, "merge_version": is_just(MERGE_VERSION)},
        each("event_count valid_event_count invalid_event_count equivocation_count", COUNT),
        {"current": _closed(_RECORD, _STANDING, {**lists}, others)},
        {"equivocations": list_of(_EQUIVOCATION), "retired_events": list_of(_RETIRED)},
        {"invalid_events": list_of(_closed({"digest": _DIGEST, "code": _EVENT_CODE}))},
    )
    fingerprint = matching("[0-9a-f]{32}")
    names = each("key_id signer_id signer_type", _NAME)
    return {"Signer": _closed({**names, "public_key_fingerprint": fingerprint}), "State": state}


# Other answers -------------------------------------------------------------------------------

PLACE = f"/pith/{SUFFIX}"
_CLAIM_KINDS = (
    "externally_anchored storage_verified author_attested references_resolved formal_links_present"
)
_SIGNERS = list_of(_NAME, uniqueItems=True, maxItems=MAX_SIGNERS)
_CLAIMS = _closed(each("claimed checked", COUNT), {"by": _SIGNERS})
_CITATION = _closed(
    _SIGNED,
    {"citing": TEXT, "relationship": one_of(*RELATIONSHIPS), "asserted_by": TEXT},
    optional={"claim_id": TEXT},
)
_CITED: Object = {
    "event_count": _ORDINAL,
    "events": list_of(_CITATION, minItems=1, maxItems=MAX_EVENTS),
}
_NUMBER_OR_NULL = _or_null(_NUMBER)


def _works(*members: Object) -> Object:
    """Return the members of a bounded list of works, and of its counts."""
    works = list_of(_closed(*members), maxItems=MAX_WORKS)
    return {**each("count damaged", COUNT), "works": works}


_CITATIONS = _closed(
    {"cited_by": _closed(_works({"citing": TEXT, "pith_number": _NUMBER_OR_NULL}, _CITED))},
    {"cites": _closed(_works({"pith_number": _NUMBER, "is_shared": _FLAG}, _CITED))},
    {
        "references": _closed(
            _works({**each("name title", TEXT), "pith_number": _NUMBER_OR_NULL}),
            {"snapshot": _or_null(_EVENT_ID), "listed_by": _or_null(see("Signer"))},
            {"is_checked": is_just(value=False)},
        )
    },
)
_DESCRIBED: Object = {
    **_NUMBERS,
    **_RECORD,
    **_STANDING,
    "canonical_sha256": _DIGEST,
    "schema": is_just("pith-number/v1.0"),
    "verification_status": _closed(
        {"content_addressed": is_just(value=True)},
        each("pith_receipt author_attested externally_anchored storage_verified", _FLAG),
        each("graph_snapshot references_resolved formal_links_present", _FLAG),
        each("weak_author_claims strong_author_claims", COUNT),
        each("citation_signatures replication_records", COUNT),
        {"claims": _closed(each(_CLAIM_KINDS, _CLAIMS))},
    ),
    "citations": see("Citations"),
    "links": _closed(
        {"html": _ending(PLACE), "badge": _ending(rf"{PLACE}/badge\.svg")},
        {"bundle": _ending(rf"{PLACE}/bundle\.json"), "state": _ending(rf"{PLACE}/state\.json")},
    ),
}
_MIRROR: Object = {
    **each("name base_url", TEXT),
    "mirror_type": one_of("http", "https"),
    "bundle_pattern": _ending(r"/pith/\{suffix\}/bundle\.json"),
    "state_pattern": _ending(r"/pith/\{suffix\}/state\.json"),
    "well_known_pattern": _ending(r"/\.well-known/pith/\{suffix\}/bundle\.json"),
}
_MIRRORS: list[Value] = [
    _closed(_MIRROR, {"status": is_just("mirror"), "source": TEXT}),
    _closed(_MIRROR, {"status": is_just("primary")}, optional={"public_key": see("PublicKey")}),
]
_FAULT: Object = {
    "type": matching(r"/codes#[a-z]+\.[a-z_]+"),
    "title": _NAME,
    "detail": _NAME,
    "status": {"type": "integer", "minimum": 300, "maximum": 599},
    "code": matching(r"[a-z]+\.[a-z_]+"),
}
_CHOICE = _closed({"pith_number": _NUMBER, "href": matching(PLACE)})
_HIT = _closed(
    {"pith_number": _NUMBER, "arxiv_id": _or_null(_NAME), "version": _ORDINAL},
    {"receipt_verified": _FLAG, "title": TEXT, "excerpt": TEXT, **each("cited_by cites", COUNT)},
    {"matched_by": one_of("id", "title hash", "text")},
)
_CHANGE = _closed({"change": _ORDINAL, "pith_number": _NUMBER, "at": _TIME})
_NODE: Object = {"size": COUNT, "digest": _DIGEST}
_LEAF = _closed({"canonical_sha256": _DIGEST, "core_digest": _DIGEST, "pith_number": _NUMBER})
ANSWERS: Object = {
    "Citations": _CITATIONS,
    "Record": _closed(_DESCRIBED),
    "LinkedData": _closed(
        {"@context": {"type": "object", "additionalProperties": {"type": ["string", "object"]}}},
        {"@id": _ending(PLACE), "@type": is_just(["PithRecord", "schema:ScholarlyArticle"])},
        {"identifier": _NUMBER, "dateCreated": _TIME},
        {"sameAs": list_of(beginning("https://"), maxItems=2)},
        _DESCRIBED,
    ),
    "Found": _closed(
        {"query": TEXT, "start": COUNT, "next": _or_null(_ORDINAL), "has_more": _FLAG},
        {"unindexed": COUNT, "hits": list_of(_HIT, maxItems=MAX_HITS)},
    ),
    "PublicKey": _closed(
        {"key_id": _NAME, "algorithm": is_just("ed25519"), "format": is_just("raw"), "notes": TEXT},
        {"public_key_b64": matching("[A-Za-z0-9+/]{43}=")},
        {"public_key_hex": matching("[0-9a-f]{64}"), "rotates_at": {"type": "null"}},
        {"fingerprint_sha256_b32_first128bits": matching(SUFFIX)},
        {"fingerprint_sha256_hex": matching("[0-9a-f]{32}")},
        {"url": _ending(r"/pith-signing-key\.json")},
    ),
    "Manifest": _closed(
        {"manifest_type": is_just("pith_mirror_manifest"), "manifest_version": is_just("1.0")},
        {"generated_at": _or_null(_TIME), "merge_version": is_just(MERGE_VERSION), "notes": TEXT},
        {"mirrors": list_of(items=False, prefixItems=_MIRRORS, minItems=2)},
    ),
    "Health": _closed(
        {"status": is_just("ok"), "store_version": _ORDINAL, "key_set_digest": _DIGEST},
        {"last_ingest_at": _or_null(_TIME), "counts": see("Counts")},
    ),
    "Counts": _closed(
        each("records alias_claims receipts_verified events_valid equivocations stale", COUNT),
        {"receipts_refused": _tally(matching(r"receipt\.[a-z_]+"))},
        {"events_invalid": _tally(_EVENT_CODE), "events_by_profile": _tally(_PROFILE)},
    ),
    "Changes": _closed(
        {"since": COUNT, "next": COUNT, "more": _FLAG},
        {"changes": list_of(_CHANGE, maxItems=MAX_CHANGES)},
    ),
    "TreeNode": _closed(
        {"prefix": matching("[0-9a-f]{0,62}"), **_NODE, "about": see("About")},
        optional={
            "nodes": list_of(
                _closed({"prefix": matching("[0-9a-f]{2,64}"), **_NODE}), maxItems=256
            ),
            "leaves": list_of(_LEAF, maxItems=FEW),
        },
    ),
    "About": _closed(
        {"root": _DIGEST, "key_set_digest": _DIGEST, "merge_version": is_just(MERGE_VERSION)},
        each("records events_valid events_invalid", COUNT),
    ),
    "Problem": _closed(_FAULT, optional={"hint": _NAME}),
    "Choices": _closed(_FAULT, {"choices": list_of(_CHOICE, minItems=2, maxItems=50)}),
    "Description": {
        "type": "object",
        "properties": {"openapi": is_just("3.1.0"), **each("info paths components", _OBJECT)},
        "required": ["openapi", "info", "paths", "components"],
    },
}
