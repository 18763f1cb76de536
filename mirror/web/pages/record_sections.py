"""The sections of a record page as values for its template."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from mirror.core.events.event import ValidEvent
from mirror.core.events.summary import EventSummary, entry_summary
from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    GRAPH_SNAPSHOT,
    LIST_NAMES,
    RECORD_CREATED,
    STATUS_LISTS,
    list_label,
)
from mirror.core.keys import Key
from mirror.core.record import Record
from mirror.core.shape import object_member
from mirror.core.state_view import EventEntry, StateView
from mirror.core.values import Object
from mirror.core.verification_status import ClaimStatus, Level, claim_statuses
from mirror.engine.bibliography.claimed_paper import ClaimedPaper
from mirror.engine.titles import RecordTitle
from mirror.web.pages.labels import CHECKS, CLAIMS, CODES, EVENT_STATUSES, LEVELS
from mirror.web.pages.record_data import RecordDetails

__all__ = [
    "CheckResult",
    "ClaimsView",
    "CompletenessItem",
    "ReceiptView",
    "StatusTag",
    "categories_of",
    "checks_of",
    "claims_of",
    "completeness_of",
    "facts_of",
    "receipt_of",
    "status_tags_of",
    "verify_command",
]

MAX_CLAIMS = 100
"""Claims of one kind that a page lists."""
MAX_CATEGORIES = 20


# Status --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatusTag:
    """A short label on the status of a record."""

    label: str
    tone: str
    """Class for the style sheet: `good`, `unchecked`, `open`, `odd` or `bad`."""
    meaning: str


def status_tags_of(details: RecordDetails) -> list[StatusTag]:
    """Return the status of a record: its receipt, claims, refused events and equivocations."""
    statuses = claim_statuses(details.state, details.checked.counts)
    return [
        _receipt_tag(is_verified=details.state.receipt is not None),
        *(_claim_tag(kind, status) for kind, status in statuses.items()),
        *_count_tags(details.state),
    ]


def _receipt_tag(*, is_verified: bool) -> StatusTag:
    """Return the tag of a receipt."""
    if is_verified:
        meaning = "A trusted key signed the hash of the record; verified here."
        return StatusTag("receipt: checked here", "good", meaning)
    return StatusTag("receipt: none", "bad", "No trusted key signed the record.")


def _count_tags(state: StateView) -> Iterator[StatusTag]:
    if refused := state.count("invalid_event_count"):
        yield StatusTag(f"{refused:,} refused", "odd", EVENT_STATUSES["refused"])
    if double := state.count("equivocation_count"):
        yield StatusTag(_counted(double, "equivocation"), "odd", CODES["equivocation"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_TONES = {Level.NONE: "open", Level.CLAIMED: "unchecked", Level.CHECKED: "good"}


def _claim_tag(kind: str, status: ClaimStatus) -> StatusTag:
    name, meaning = CLAIMS[kind]
    short, _ = LEVELS[status.level]
    return StatusTag(f"{name}: {short}", _TONES[status.level], f"{meaning} Here: {status.words}.")


@dataclass(frozen=True, slots=True)
class CompletenessItem:
    """A part of a complete record."""

    name: str
    level: Level
    words: str


def completeness_of(details: RecordDetails) -> list[CompletenessItem]:
    """Return the parts of a complete record, and whether each is claimed or was checked."""
    state = details.state
    found = claim_statuses(state, details.checked.counts)
    statuses = {CLAIMS[kind][0]: one for kind, one in found.items()}
    statuses["cited by"] = ClaimStatus.of(state.citations)
    if not details.is_past:
        cites = details.citations.cites.listed
        statuses["cites"] = ClaimStatus.of(EventEntry(one) for work in cites for one in work.events)
    statuses["replications"] = ClaimStatus.of(state.entries("replications"))
    return [
        CompletenessItem(name.capitalize(), one.level, one.words) for name, one in statuses.items()
    ]


# Receipt -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptView:
    """The verified receipt of a record."""

    key_id: str
    key: Key | None
    signed_at: str | None
    """The signed time; None if the time is not signed."""
    signature: str
    builder: str


def receipt_of(details: RecordDetails, paper: ClaimedPaper | None) -> ReceiptView | None:
    """Return the verified receipt, or None if there is none."""
    receipt = details.state.receipt
    if receipt is None:
        return None
    signed_at = receipt["signed_at"]
    key_id = str(receipt["key_id"])
    builder = _builder(details, receipt) or (paper.builder if paper else "")
    return ReceiptView(
        key_id=key_id,
        key=details.keys.get(key_id),
        signed_at=None if signed_at is None else str(signed_at),
        signature=str(receipt["signature_b64"]),
        builder=builder,
    )


def _builder(details: RecordDetails, receipt: Object) -> str:
    """Return the builder named by the event that contains the receipt; empty if there is none.

    Only the event counts that the state took the receipt from (M8): anybody can repeat a public
    receipt in another event.
    """
    retired = {one.event_id for one in details.state.retired_events}
    valid = (one for one in details.valid_events() if one.event_id not in retired)
    found = [one for one in valid if _is_source(one, receipt)]
    if not found:
        return ""
    first = min(found, key=lambda one: (one.instant, one.event_id))
    contained = object_member(first.payload, "receipt")
    builder = first.payload.get("builder_version", contained.get("builder_version"))
    return builder if isinstance(builder, str) else ""


def _is_source(event: ValidEvent, receipt: Object) -> bool:
    """Return True if an event contains this receipt (S2)."""
    contained = object_member(event.payload, "receipt")
    return event.event_type == RECORD_CREATED and receipt.items() <= contained.items()


# Checks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check and its result."""

    outcome: str
    """`passed`, `failed` or `not checked`."""
    what: str
    detail: str = ""
    is_verified: bool = True
    """False if the detail repeats words that failed a check."""


def checks_of(details: RecordDetails, title: RecordTitle | None) -> list[CheckResult]:
    """Return the checks of a record and their results."""
    digest = details.record.canonical_sha256
    return [
        CheckResult("passed", "The canonical record hashes to its canonical hash", digest),
        CheckResult(
            "passed", "The Pith Number and the aliases follow from that hash and the record"
        ),
        *_receipt_checks(details),
        _event_check(details.state),
        _title_check(title),
        *_claim_checks(details),
    ]


def _receipt_checks(details: RecordDetails) -> Iterator[CheckResult]:
    if details.state.receipt is None:
        yield CheckResult("failed", "No receipt from a trusted key")
    else:
        key_id = str(details.state.receipt["key_id"])
        yield CheckResult(
            "passed", "The receipt's Ed25519 signature is over that hash", f"key {key_id}"
        )
    for code, reason in details.refused[:10]:
        yield CheckResult("failed", f"A receipt was refused: {code}", reason, is_verified=False)


def _event_check(state: StateView) -> CheckResult:
    valid, invalid = state.count("valid_event_count"), state.count("invalid_event_count")
    if not valid and not invalid:
        return CheckResult("not checked", "No event came with the record")
    what = f"{valid:,} of {state.count('event_count'):,} events passed all {len(CHECKS)} checks"
    return CheckResult("failed" if invalid else "passed", what, ", ".join(CHECKS.values()))


_UNCHECKED = {
    "externally_anchored": "proofs of timestamps",
    "storage_verified": "copies at archives",
    "author_attested": "authors",
    "references_resolved": "references",
}
"""Kinds of claims, as the page names them where none of the record was checked."""


def _claim_checks(details: RecordDetails) -> Iterator[CheckResult]:
    """Yield the kinds of claims of which this mirror checked some, and name the others."""
    unchecked = dict(_UNCHECKED)
    for flag, name in STATUS_LISTS.items():
        entries = details.state.entries(name)
        decided = details.checked.results.keys() - details.checked.undecided
        tried = sum(one.event_id in decided for one in entries)
        if tried:
            del unchecked[flag]
            good = details.checked.counts.get(flag, 0)
            what = f"{good:,} of {tried:,} claims were found to be so: {CLAIMS[flag][0]}"
            yield CheckResult("passed" if good == tried else "failed", what)
    names = ", ".join(unchecked.values())
    why = "This mirror verifies who signed such a claim, not whether the claim is true."
    if details.is_past:
        why = "The page of today has the results of this mirror's own checks of claims, if any."
    yield CheckResult("not checked", f"{names[0].upper()}{names[1:]}", why)


def _title_check(title: RecordTitle | None) -> CheckResult:
    if title is None:
        return CheckResult(
            "not checked", "No title came with the record", "the record has only its hash"
        )
    if title.is_proved:
        return CheckResult("passed", "The title shown has the hash in the record", title.origin)
    return CheckResult("failed", "The title shown does not have the hash in the record")


# Claims in force -----------------------------------------------------------------------------

_FLAG_OF = {name: flag for flag, name in STATUS_LISTS.items()}
_ELSEWHERE = {EVENT_TYPES[name].shown_in for name in (CITATION, GRAPH_SNAPSHOT)}
"""Lists of `current` with sections of their own."""


@dataclass(frozen=True, slots=True)
class ClaimsView:
    """The claims of one kind that are in force."""

    heading: str
    status: str
    """The claimants, and whether their claims were checked; empty if there is no flag."""
    rows: list[EventSummary]
    more: int


def claims_of(details: RecordDetails) -> list[ClaimsView]:
    """Return the claims in force, without citations and snapshots."""
    state = details.state
    statuses = claim_statuses(state, details.checked.counts)
    return [
        ClaimsView(
            list_label(name).capitalize(),
            statuses[_FLAG_OF[name]].words if name in _FLAG_OF else "",
            [entry_summary(one.value, name) for one in entries[:MAX_CLAIMS]],
            max(0, len(entries) - MAX_CLAIMS),
        )
        for name in LIST_NAMES
        if name not in _ELSEWHERE and (entries := state.entries(name))
    ]


# The record ----------------------------------------------------------------------------------


def facts_of(record: Record) -> dict[str, str]:
    """Return the metadata of the canonical record, as text."""
    return {
        "kind": record.source["kind"],
        "id": record.source["id"],
        "version": str(record.source["version"]),
        "date": record.metadata["submitted_at"][:10],
        "license": record.metadata["license"],
    }


def categories_of(record: Record) -> dict[str, object]:
    """Return the categories that a page lists, and whether there are more."""
    listed = record.categories[: MAX_CATEGORIES + 1]
    return {"categories": listed, "more_categories": len(record.categories) > len(listed)}


_SCRIPT = (
    "import sys,json,hashlib; b=json.dumps(json.loads(sys.stdin.read()), sort_keys=True, "
    "separators=(',',':'), ensure_ascii=False).encode(); print(hashlib.sha256(b).hexdigest())"
)


def verify_command(base_url: str, record: Record) -> str:
    """Return a shell command that verifies the Pith Number."""
    url = shlex.quote(f"{base_url}/pith/{record.suffix}")
    return (
        f"curl -sH 'Accept: application/ld+json' {url} \\\n"
        "  | jq -c '.canonical_record' \\\n"
        f'  | python3 -c "{_SCRIPT}"\n'
        f"# expect: {record.canonical_sha256}"
    )
