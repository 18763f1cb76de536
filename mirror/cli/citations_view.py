"""Citations of a record as a table for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from mirror.cli.output import plural
from mirror.core.comparison.diff import truncate
from mirror.core.values import Object
from mirror.engine.search.citations import (
    CitedWork,
    CitedWorks,
    RecordCitations,
    SnapshotReferences,
)

__all__ = ["citation_rows"]

_MAX_EVENTS = 10
"""Citations of one work that are listed."""
_MAX_VALUE = 200
"""Characters shown of one value."""


def citation_rows(citations: RecordCitations) -> dict[str, list[str]]:
    """Return table rows of the works that cite a record, that it cites, and that it lists."""
    rows = {
        "cited by": [*_lines(citations.cited_by, _citing)],
        "cites": [*_lines(citations.cites, _cited)],
        "lists as references": [*_references(citations.references)],
    }
    return {name: lines for name, lines in rows.items() if lines}


def _lines(works: CitedWorks, describe: Callable[[CitedWork, Object], str]) -> Iterator[str]:
    for work in works.listed:
        for event in work.events[:_MAX_EVENTS]:
            yield _line(work, event, describe)
        if hidden := max(0, len(work.events) - _MAX_EVENTS):
            yield f"… and {plural(hidden, 'more citation')} of the same two works"
    yield from _rest(works)


def _rest(works: CitedWorks) -> Iterator[str]:
    if works.more:
        yield f"… and {plural(works.more, 'more work')}"
    if works.damaged:
        yield f"… and {plural(works.damaged, 'record')} that cannot be read; run `mirror check`"


def _citing(_work: CitedWork, payload: Object) -> str:
    return f"{_value(payload, 'citing')} {payload['relationship']} this record"


def _cited(work: CitedWork, payload: Object) -> str:
    shared = f" (citing {_value(payload, 'citing')}, which names other records here, too)"
    return f"{payload['relationship']} {work.name}{shared if work.is_shared else ''}"


def _line(work: CitedWork, event: Object, describe: Callable[[CitedWork, Object], str]) -> str:
    payload, signer = cast("Object", event["payload"]), cast("Object", event["signer"])
    claim = f", claim “{_value(payload, 'claim_id')}”" if "claim_id" in payload else ""
    asserted_by = f"asserted by {_value(payload, 'asserted_by')} — signed by {signer['signer_id']}"
    return f"{event['created_at']} {describe(work, payload)}{claim}, {asserted_by}"


def _value(payload: Object, name: str) -> str:
    return truncate(cast("str", payload[name]), _MAX_VALUE)


def _references(references: SnapshotReferences) -> Iterator[str]:
    if references.snapshot is None:
        return
    signer = cast("Object", references.snapshot["signer"])["signer_id"]
    yield f"listed by the snapshot's signer, not checked here — signed by {signer}"
    for work in references.works.listed:
        named = " ".join(filter(None, (work.name, work.title)))
        yield truncate(named, _MAX_VALUE) or "without a name"
    yield from _rest(references.works)
