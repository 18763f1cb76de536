"""What the page of a record says, section by section, ready to be written down."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

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
from mirror.core.state_view import EventEntry, StateView
from mirror.core.values import Object
from mirror.core.verification_status import ClaimStatus, Level, claim_statuses
from mirror.web.pages.labels import CHECKS, CLAIMS, CODES, EVENT_STATUSES, LEVELS
from mirror.web.pages.record_data import PaperMetadata, RecordDetails

__all__ = [
    "CheckResult",
    "ClaimsView",
    "CompletenessItem",
    "ReceiptView",
    "StatusTag",
    "arxiv_url",
    "checks_of",
    "chips_of",
    "claims_of",
    "facts_of",
    "receipt_of",
    "steps_of",
    "verify_line",
]

MAX_CLAIMS = 100
"""Claims of one kind that a page lists."""
MAX_CATEGORIES = 20


# Chips and steps -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatusTag:
    """A few words on the status of a record."""

    label: str
    tone: str
    """`good`, `unchecked`, `open`, `odd` or `bad`; the label says as much."""
    meaning: str


def chips_of(dossier: RecordDetails) -> list[StatusTag]:
    """Return the status of a record, in short."""
    statuses = claim_statuses(StateView(dossier.state))
    return [
        _receipt_chip(is_verified=dossier.receipt is not None),
        *(_claim_chip(kind, status) for kind, status in statuses.items()),
        *_odd_chips(dossier.state),
    ]


def _receipt_chip(*, is_verified: bool) -> StatusTag:
    """Return what is known of the receipt of a record."""
    if is_verified:
        meaning = "A key that this mirror trusts signed the hash of the record; verified here."
        return StatusTag("receipt: checked here", "good", meaning)
    return StatusTag("receipt: none", "bad", "No key that this mirror trusts signed the record.")


def _odd_chips(state: Object) -> Iterator[StatusTag]:
    if refused := cast("int", state["invalid_event_count"]):
        yield StatusTag(f"{refused:,} refused", "odd", EVENT_STATUSES["refused"])
    if double := cast("int", state["equivocation_count"]):
        yield StatusTag(_counted(double, "equivocation"), "odd", CODES["equivocation"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_TONES = {Level.NONE: "open", Level.CLAIMED: "unchecked", Level.CHECKED: "good"}


def _claim_chip(kind: str, status: ClaimStatus) -> StatusTag:
    name, meaning = CLAIMS[kind]
    short, _ = LEVELS[status.level]
    return StatusTag(f"{name}: {short}", _TONES[status.level], f"{meaning} Here: {status.words}.")


@dataclass(frozen=True, slots=True)
class CompletenessItem:
    """One of the things that make a record complete."""

    name: str
    level: Level
    says: str


def steps_of(dossier: RecordDetails) -> list[CompletenessItem]:
    """Return what makes a record complete, and how much of it is claimed or was checked."""
    cites = dossier.citations.cites
    statuses = {
        CLAIMS[kind][0]: one for kind, one in claim_statuses(StateView(dossier.state)).items()
    }
    statuses["cited by"] = ClaimStatus.of(StateView(dossier.state).citations)
    statuses["cites"] = ClaimStatus.of(
        EventEntry(one) for work in cites.listed for one in work.events
    )
    statuses["replications"] = ClaimStatus.of(StateView(dossier.state).entries("replications"))
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
    """None if nothing signs the time."""
    signature: str
    builder: str


def receipt_of(dossier: RecordDetails, paper: PaperMetadata | None) -> ReceiptView | None:
    """Return the verified receipt, or None if there is none."""
    receipt = dossier.receipt
    if receipt is None:
        return None
    signed_at = receipt["signed_at"]
    key_id = str(receipt["key_id"])
    builder = _builder(dossier, receipt) or (paper.builder if paper else "")
    return ReceiptView(
        key_id=key_id,
        key=dossier.keys.get(key_id),
        signed_at=None if signed_at is None else str(signed_at),
        signature=str(receipt["signature_b64"]),
        builder=builder,
    )


def _builder(dossier: RecordDetails, receipt: Object) -> str:
    """Return the builder that the event with the receipt names, if it names one.

    Only the signed payload of the event that the state took the receipt from counts (M8): anybody
    can repeat a public receipt in an event of their own.
    """
    retired = {one["event_id"] for one in cast("list[Object]", dossier.state["retired_events"])}
    valid = (one for one in dossier.valid_events() if one.event_id not in retired)
    found = [one for one in valid if _is_source(one, receipt)]
    if not found:
        return ""
    first = min(found, key=lambda one: (one.instant, one.event_id))
    held = cast("Object", first.payload["receipt"])
    builder = first.payload.get("builder_version", held.get("builder_version"))
    return builder if isinstance(builder, str) else ""


def _is_source(event: ValidEvent, receipt: Object) -> bool:
    """Whether an event holds just this receipt (S2)."""
    held = event.payload.get("receipt") if event.event_type == RECORD_CREATED else None
    return isinstance(held, dict) and receipt.items() <= held.items()


# Checks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Something that was checked here, and what came of it."""

    outcome: str
    """`passed`, `failed` or `not checked`."""
    what: str
    detail: str = ""
    is_verified: bool = True
    """Whether the detail repeats nothing that failed a check."""


def checks_of(dossier: RecordDetails, paper: PaperMetadata | None) -> list[CheckResult]:
    """Return what was checked of a record, and what came of it."""
    digest = dossier.record.canonical_sha256
    return [
        CheckResult("passed", "The canonical record hashes to its canonical hash", digest),
        CheckResult(
            "passed", "The Pith Number and the aliases follow from that hash and the record"
        ),
        *_receipt_checks(dossier),
        _event_check(dossier.state),
        _title_check(paper),
        CheckResult("not checked", "Proofs of timestamps, copies at archives, authors, references",
              "This mirror verifies who signed such a claim, and does not check what it says."),
    ]  # fmt: skip


def _receipt_checks(dossier: RecordDetails) -> Iterator[CheckResult]:
    if dossier.receipt is None:
        yield CheckResult("failed", "No receipt from a trusted key")
    else:
        key_id = str(dossier.receipt["key_id"])
        yield CheckResult(
            "passed", "The receipt's Ed25519 signature is over that hash", f"key {key_id}"
        )
    for code, reason in dossier.refused[:10]:
        yield CheckResult("failed", f"A receipt was refused: {code}", reason, is_verified=False)


def _event_check(state: Object) -> CheckResult:
    valid, invalid = state["valid_event_count"], state["invalid_event_count"]
    if not valid and not invalid:
        return CheckResult("not checked", "No event came with the record")
    what = f"{valid:,} of {state['event_count']:,} events passed all {len(CHECKS)} checks"
    return CheckResult("failed" if invalid else "passed", what, ", ".join(CHECKS.values()))


def _title_check(paper: PaperMetadata | None) -> CheckResult:
    if paper is None:
        return CheckResult("not checked", "No title came with the record", "it holds only its hash")
    if paper.is_title_confirmed:
        return CheckResult("passed", "The title shown has the hash that the record holds")
    return CheckResult("failed", "The title shown does not have the hash that the record holds")


# Claims in force -----------------------------------------------------------------------------

_FLAG_OF = {name: flag for flag, name in STATUS_LISTS.items()}
_ELSEWHERE = {EVENT_TYPES[name].shown_in for name in (CITATION, GRAPH_SNAPSHOT)}
"""Lists of `current` that have sections of their own."""


@dataclass(frozen=True, slots=True)
class ClaimsView:
    """The claims of one kind that are in force."""

    heading: str
    status: str
    """The claimants, and whether it was checked here; empty if there is no check."""
    rows: list[EventSummary]
    more: int


def claims_of(dossier: RecordDetails) -> list[ClaimsView]:
    """Return the claims in force, citations and snapshots aside."""
    current, statuses = dossier.current, claim_statuses(StateView(dossier.state))
    return [
        ClaimsView(
            list_label(name).capitalize(),
            statuses[_FLAG_OF[name]].words if name in _FLAG_OF else "",
            [entry_summary(event, name) for event in current[name][:MAX_CLAIMS]],
            max(0, len(current[name]) - MAX_CLAIMS),
        )
        for name in LIST_NAMES
        if name not in _ELSEWHERE and current[name]
    ]


# What the record itself says -----------------------------------------------------------------


def facts_of(record: Record) -> dict[str, str]:
    """Return what the record says of its paper."""
    categories = record.categories[: MAX_CATEGORIES + 1]
    return {
        "kind": record.source["kind"],
        "id": record.source["id"],
        "version": str(record.source["version"]),
        "date": record.metadata["submitted_at"][:10],
        "categories": " · ".join(categories) + (" …" if categories < record.categories else ""),
        "license": record.metadata["license"],
    }


_ARXIV_ID = re.compile(r"[A-Za-z0-9.\-/]{1,60}")


def arxiv_url(record: Record) -> str:
    """Return where the paper is at arXiv; empty if the record is none of arXiv's."""
    source = f"{record.source['id']}v{record.source['version']}"
    is_arxiv = record.source["kind"] == "arxiv" and _ARXIV_ID.fullmatch(source)
    return f"https://arxiv.org/abs/{source}" if is_arxiv else ""


_SCRIPT = (
    "import sys,json,hashlib; b=json.dumps(json.loads(sys.stdin.read()), sort_keys=True, "
    "separators=(',',':'), ensure_ascii=False).encode(); print(hashlib.sha256(b).hexdigest())"
)


def verify_line(base_url: str, record: Record) -> str:
    """Return the command that anybody can verify the Pith Number with."""
    url = shlex.quote(f"{base_url}/pith/{record.suffix}")
    return (
        f"curl -sH 'Accept: application/ld+json' {url} \\\n"
        "  | jq -c '.canonical_record' \\\n"
        f'  | python3 -c "{_SCRIPT}"\n'
        f"# expect: {record.canonical_sha256}"
    )
