"""One event as a table for a person: its record, status, times, signer and payload."""

from __future__ import annotations

from pathlib import Path

import orjson

from mirror.cli.history_view import MAX_LISTED, arrival_source, first_lines
from mirror.cli.output import echo, print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.core.comparison.diff import truncate
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.profile import is_built_in
from mirror.core.values import Value
from mirror.engine.history.event_lookup import StoredEvent, find_event
from mirror.engine.identifiers import look_up
from mirror.store import open_store

__all__ = ["print_event"]

_MAX_LINE = 200
"""Characters shown of one line of a payload."""


def print_event(db: Path, name: str, record: str, *, as_json: bool) -> None:
    """Print every stored value with an event id.

    Args:
        db: The store.
        name: The id, or its beginning.
        record: An identifier of the record to search; empty for all, which reads every arrival.
        as_json: Print a line of JSON for each.

    Raises:
        LookUpError: `lookup.unknown`, `lookup.ambiguous`
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        record_id = look_up(store.records, record) if record else None
        with show_progress("searched", "arrivals") as progress:
            if record_id is None:
                progress.expect(store.facts.last_arrival())
            found = find_event(store, name, record_id, progress.advance)
    if as_json:
        for one in found:
            print_json(one.to_value())
        return
    for one in found[:MAX_LISTED]:
        print_table(_rows(one))
        echo()
    if (hidden := len(found) - MAX_LISTED) > 0:
        say(f"… and {hidden:,} more values; --json prints all of them")


def _rows(stored: StoredEvent) -> dict[str, str | list[str]]:
    event, summary = stored.event, stored.summary
    rows: dict[str, str | list[str]] = {
        "event": truncate(summary.event_id, _MAX_LINE) or "none",
        "record": stored.pith_number,
        "status": _status(stored),
        "known": stored.known_at or "at no known time",
        "source": f"arrival {arrival_source(stored.arrival, stored.source, stored.member)}",
        "says": summary.statement or "not an event",
        "claimed time": summary.created_at or "none",
        _signer_label(event): f"{summary.signer_id or 'none'}, key {summary.key_id or 'none'}",
        "value digest": event.digest.hex(),
        "payload": _payload(event),
    }
    if not is_built_in(event.profile):
        rows["profile"] = event.profile
    return rows


def _status(stored: StoredEvent) -> str | list[str]:
    if isinstance(stored.event, InvalidEvent):
        return f"refused, {stored.event.code}: {stored.event.reason}; nothing below is verified"
    if not stored.by:
        by_itself = " by its own signer, in this event" if stored.status == "withdrawn" else ""
        return f"{stored.status}{by_itself}"
    return [f"{stored.status} by", *first_lines([f"  event {one}" for one in stored.by])]


def _signer_label(event: Event) -> str:
    return "signer" if isinstance(event, ValidEvent) else "claimed signer"


def _payload(event: Event) -> list[str]:
    """Return the payload of an event in lines; of a value that is no object, the value."""
    value: Value = event.value
    if isinstance(event, ValidEvent):
        value = event.payload
    elif isinstance(value, dict):
        value = value.get("payload")
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return first_lines([truncate(line, _MAX_LINE) for line in text.splitlines()])
