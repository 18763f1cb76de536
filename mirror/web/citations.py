"""The citations of a record in JSON, beside its state: who cites it, what it cites, what it lists.

Lists are bounded: `count` says how many works there are, `event_count` how many citations.
"""

from __future__ import annotations

from collections.abc import Callable

from mirror.core.state_view import EventEntry
from mirror.core.values import Object, Value
from mirror.engine.search.citations import (
    CitedWork,
    CitedWorks,
    RecordCitations,
    SnapshotReferences,
)
from mirror.errors import CorruptStoreError
from mirror.store import Records

__all__ = ["MAX_EVENTS", "citations_value"]

MAX_EVENTS = 10
"""Citations listed for one work; `event_count` counts all."""
_MEMBERS = ("citing", "relationship", "asserted_by", "claim_id")
"""The members of a citation (E4), without its status, which is `asserted` while in force."""


def citations_value(citations: RecordCitations, records: Records) -> Object:
    """Return the citations of a record in both directions as JSON."""
    return {
        "cited_by": _works(citations.cited_by, lambda one: _citing(one, records)),
        "cites": _works(citations.cites, _cited),
        "references": _references(citations.references, records),
    }


def _works(works: CitedWorks, describe: Callable[[CitedWork], Object]) -> Object:
    listed: list[Value] = [describe(one) for one in works.listed]
    return {"count": works.count, "damaged": works.damaged, "works": listed}


def _citing(work: CitedWork, records: Records) -> Object:
    return {"citing": work.name, "pith_number": _number(work, records), **_events(work)}


def _cited(work: CitedWork) -> Object:
    return {"pith_number": work.name, "is_shared": work.is_shared, **_events(work)}


def _events(work: CitedWork) -> Object:
    events: list[Value] = [_event(one) for one in work.events[:MAX_EVENTS]]
    return {"event_count": len(work.events), "events": events}


def _event(event: Object) -> Object:
    """Return the known members of a citation; others could have a meaning in JSON-LD."""
    payload = EventEntry(event).payload
    members = {name: payload[name] for name in _MEMBERS if name in payload}
    return {name: event[name] for name in ("event_id", "created_at", "signer")} | members


def _references(references: SnapshotReferences, records: Records) -> Object:
    """Return the references that a snapshot lists, which are not checked."""
    snapshot = references.snapshot or {}

    def describe(work: CitedWork) -> Object:
        number = _number(work, records)
        return {"name": work.name, "title": work.title, "pith_number": number}

    return {
        **_works(references.works, describe),
        "snapshot": snapshot.get("event_id"),
        "listed_by": snapshot.get("signer"),
        "is_checked": False,
    }


def _number(work: CitedWork, records: Records) -> Value:
    """Return the Pith Number of the one record that the store has of a work, or None."""
    try:
        return None if work.record_id is None else records.get(work.record_id).pith_number
    except CorruptStoreError:
        return None
