"""Steps of a record's history, and changes of its state, as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mirror.cli.output import plural
from mirror.core.comparison.changes import StateChange
from mirror.core.rules import RULES
from mirror.engine.history.steps import (
    ArrivalStep,
    EventStep,
    HistoryStep,
    ReceiptStep,
    StatementStep,
    TrustStep,
)

__all__ = ["MAX_LISTED", "arrival_source", "change_lines", "first_lines", "rules_row", "step_rows"]

MAX_LISTED = 50
"""Lines of one kind that a table shows; the rest are counted."""

_COUNTS = frozenset({
    "event_count", "valid_event_count", "invalid_event_count", "equivocation_count",
})  # fmt: skip
_DID = {"add": "trusted", "remove": "no longer trusted"}


def step_rows(step: HistoryStep) -> dict[str, str | list[str]]:
    """Return names and values for a table; the strings are not escaped."""
    rows: dict[str, str | list[str]] = {"known": step.known_at or "at no known time"}
    if isinstance(step, ArrivalStep):
        rows |= _arrival_rows(step)
    elif isinstance(step, TrustStep):
        rows |= _trust_rows(step)
    else:
        rows |= _statement_rows(step)
    rows["key set"] = step.key_set_digest
    rows["state before"] = step.state_before or "none"
    rows["state after"] = step.state_after or "none"
    return {**rows, **rules_row(step.rules)}


def arrival_source(arrival: int, source: str, member: str) -> str:
    """Return an arrival and where it came from, in words; a file has no members."""
    return f"{arrival} from {source}{f', {member}' if member else ''}"


def rules_row(rules: str) -> dict[str, str | list[str]]:
    """Return the row that says which rules were used, if those of then were others."""
    if rules in {"", RULES}:
        return {}
    return {"rules": f"those of today, {RULES}; at that time they were {rules}"}


def _arrival_rows(step: ArrivalStep) -> dict[str, str | list[str]]:
    own = {event.summary.event_id for event in step.events if event.status != "refused"}
    others = [one for one in step.changes if not _is_of(one, own)]
    rows: dict[str, str | list[str]] = {
        "arrival": arrival_source(step.arrival, step.source, step.member),
        "events": first_lines([line for one in step.events for line in _event_lines(one)]),
        "receipts": first_lines([_receipt_line(one) for one in step.receipts]),
        "aliases": f"{plural(len(step.alias_claims), 'claimed time')}" * bool(step.alias_claims),
        "changes": change_lines(others),
    }
    return {name: value for name, value in rows.items() if value}


def _is_of(change: StateChange, own: set[str]) -> bool:
    """Whether the events of an arrival, or its counts, say what a change says."""
    return change.event_id in own or change.member in _COUNTS or change.member == "invalid_events"


def _trust_rows(step: TrustStep) -> dict[str, str | list[str]]:
    lines = [
        f"{_DID[one.action]}: {'profile' if one.is_profile else 'key'} {one.name}"
        for one in step.trust
    ]
    return {"trust": lines, "changes": change_lines(step.changes) or ["none in this record"]}


def _statement_rows(step: StatementStep) -> dict[str, str | list[str]]:
    return {
        "upstream": f"{step.upstream} stated a {step.kind}",
        "sha256": step.digest,
        "took back": first_lines(step.took_back) or "nothing",
    }


# Events and receipts -------------------------------------------------------------------------


def _event_lines(event: EventStep) -> Iterator[str]:
    if event.status == "refused":
        yield f"refused, {event.code}: {event.reason}"
        if event.summary.event_type:
            yield f"  not verified: {event.summary.claimed_description}"
        yield f"  value with the digest {event.digest}"
        return
    yield f"{event.status}{_by(event.by)}: {event.summary.description}"
    yield f"  event {event.summary.event_id}"
    for one in event.effects[:MAX_LISTED]:
        yield f"  {one.reason} event {one.event_id}"


def _by(ids: Sequence[str]) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
    return f" by event {ids[0]}{more}"


def _receipt_line(receipt: ReceiptStep) -> str:
    verdict = f"refused, {receipt.code}: {receipt.reason}" if receipt.code else "verified"
    key, claimed = receipt.key_id or "none", receipt.claimed_at or "none"
    return f"{verdict}: key {key}, claimed time {claimed}"


# Changes -------------------------------------------------------------------------------------


def change_lines(changes: Iterable[StateChange]) -> list[str]:
    """Return the changes of a state, each in one line."""
    return first_lines([
        f"{one.kind} {one.member}: {one.words}"
        + (f" (event {one.event_id})" if one.event_id and one.event_id not in one.words else "")
        for one in changes
    ])  # fmt: skip


def first_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that a table shows of a list."""
    hidden = len(lines) - MAX_LISTED
    more = [f"… and {hidden:,} more lines; --json prints all of them"] if hidden > 0 else []
    return [*lines[:MAX_LISTED], *more]
