"""What the page of a record says, section by section, ready to be written down."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from mirror.core.keys import Key
from mirror.core.record import Record
from mirror.core.values import Object, Value
from mirror.engine.standing import verification_status
from mirror.web.dossier import Dossier, Paper
from mirror.web.words import TELLING

__all__ = [
    "Check",
    "Chip",
    "Claims",
    "ReceiptView",
    "Step",
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
class Chip:
    """A word on how a record stands."""

    label: str
    tone: str
    """`good`, `open`, `odd` or `bad`; the label says as much."""


def chips_of(dossier: Dossier) -> list[Chip]:
    """Return how a record stands, in short."""
    status = verification_status(dossier.state)
    chips = [
        _chip(status["pith_receipt"], "receipt verified", "no verified receipt", "bad"),
        _chip(status["author_attested"], "author attested", "not attested"),
        _chip(status["externally_anchored"], "anchored", "not anchored"),
        _chip(status["storage_verified"], "stored", "not stored"),
        _chip(status["references_resolved"], "refs resolved", "refs pending"),
    ]
    if status["formal_links_present"]:
        chips.append(Chip("formal links", "good"))
    odd = {
        "refused": dossier.state["invalid_event_count"],
        "equivocation": dossier.state["equivocation_count"],
    }
    return chips + [Chip(f"{count} {name}", "odd") for name, count in odd.items() if count]


def _chip(is_so: Value, yes: str, no: str, tone: str = "open") -> Chip:
    return Chip(yes, "good") if is_so else Chip(no, tone)


@dataclass(frozen=True, slots=True)
class Step:
    """One of the things that make a record complete."""

    name: str
    is_done: bool
    says: str


def steps_of(dossier: Dossier) -> list[Step]:
    """Return what makes a record complete, and how far it is."""
    current = dossier.current
    bitcoin = _saying(current["timestamps"], "method", {"opentimestamps"})
    archived = _saying(current["storage_attestations"], "archive", _INTERNET_ARCHIVE)
    return [
        _step("Bitcoin timestamp", bitcoin, len(current["timestamps"]), "timestamp"),
        _step("Internet Archive", archived, len(current["storage_attestations"]), "copy"),
        *(
            _step(name, len(current[key]), len(current[key]), noun)
            for name, key, noun in (
                ("Author claim", "author_claims", "claim"),
                ("Citations", "citations", "signed citation"),
                ("Replications", "replications", "record"),
            )
        ),
    ]


_INTERNET_ARCHIVE = {"web.archive.org", "archive.org", "Internet Archive"}


def _saying(events: list[Object], name: str, values: set[str]) -> int:
    payloads = [cast("Object", event["payload"]) for event in events]
    return sum(payload[name] in values for payload in payloads)


def _step(name: str, count: int, of: int, noun: str) -> Step:
    """Return a step that `count` events take; the rest of `of` are of another kind."""
    said = [_counted(count, noun) if count else "open"]
    if of > count:
        said.append(_counted(of - count, f"other {noun}"))
    return Step(name, is_done=count > 0, says=" · ".join(said))


def _counted(count: int, noun: str) -> str:
    plural = noun.removesuffix("y") + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


# Receipt -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptView:
    """The receipt that vouches for a record."""

    key_id: str
    key: Key | None
    signed_at: str | None
    """None if nothing signs the time."""
    signature: str
    builder: str


def receipt_of(dossier: Dossier, paper: Paper | None) -> ReceiptView | None:
    """Return the receipt, or None if nobody vouches for the record."""
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


def _builder(dossier: Dossier, receipt: Object) -> str:
    """Return the builder that the event with the receipt names, if it names one."""
    for arrival in dossier.arrivals:
        for _, value in arrival.contents.events:
            payload = value.get("payload") if isinstance(value, dict) else None
            held = payload.get("receipt") if isinstance(payload, dict) else None
            if isinstance(held, dict) and held.get("signature_b64") == receipt["signature_b64"]:
                found = cast("Object", payload).get("builder_version", held.get("builder_version"))
                return found if isinstance(found, str) else ""
    return ""


# Checks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was checked here, and what came of it."""

    outcome: str
    """`passed`, `failed` or `not checked`."""
    what: str
    detail: str = ""


def checks_of(dossier: Dossier, paper: Paper | None) -> list[Check]:
    """Return what was checked of a record, and what came of it."""
    digest = dossier.record.canonical_sha256
    return [
        Check("passed", "The canonical record hashes to its canonical hash", digest),
        Check("passed", "The Pith Number and the aliases follow from that hash and the record"),
        *_receipt_checks(dossier),
        _event_check(dossier.state),
        _title_check(paper),
        Check("not checked", "Proofs of timestamps, copies at archives, and what claims are about",
              "A trusted key signed that they are so; this mirror does not follow them."),
    ]  # fmt: skip


def _receipt_checks(dossier: Dossier) -> Iterator[Check]:
    if dossier.receipt is None:
        yield Check("failed", "No receipt by a trusted key vouches for the record")
    else:
        key_id = str(dossier.receipt["key_id"])
        yield Check("passed", "The receipt's Ed25519 signature is over that hash", f"key {key_id}")
    for code, reason in dossier.refused[:10]:
        yield Check("failed", f"A receipt was refused: {code}", reason)


def _event_check(state: Object) -> Check:
    valid, invalid = state["valid_event_count"], state["invalid_event_count"]
    if not valid and not invalid:
        return Check("not checked", "No event came with the record")
    what = f"{valid:,} of {state['event_count']:,} events passed all ten checks"
    return Check(
        "failed" if invalid else "passed",
        what,
        "form, id, subject, time, key, window, signature, role, content",
    )


def _title_check(paper: Paper | None) -> Check:
    if paper is None:
        return Check("not checked", "No title came with the record", "it holds only its hash")
    if paper.is_title_confirmed:
        return Check("passed", "The title shown has the hash that the record holds")
    return Check("failed", "The title shown does not have the hash that the record holds")


# Claims in force -----------------------------------------------------------------------------

_HEADINGS = {
    "timestamps": "Timestamps",
    "storage_attestations": "Copies",
    "author_claims": "Author claims",
    "replications": "Replications",
    "integrity_findings": "Integrity findings",
    "challenges": "Challenges",
    "other_events": "Other events",
}

_TYPE_OF = {
    "timestamps": "timestamp_anchored",
    "storage_attestations": "storage_attested",
    "author_claims": "author_claimed",
    "replications": "replication_recorded",
    "integrity_findings": "pith.integrity.v1",
    "challenges": "challenge_filed",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one kind that are in force."""

    heading: str
    rows: list[tuple[str, str, list[tuple[str, str]]]]
    """When, who signed, and names and values of what is said."""
    more: int


def claims_of(dossier: Dossier) -> list[Claims]:
    """Return the claims in force, citations and snapshots aside."""
    current = dossier.current
    return [
        Claims(
            heading,
            [_claim(event, TELLING.get(_TYPE_OF.get(name, ""), ())) for event in
             current[name][:MAX_CLAIMS]],
            max(0, len(current[name]) - MAX_CLAIMS),
        )
        for name, heading in _HEADINGS.items()
        if current[name]
    ]  # fmt: skip


def _claim(event: Object, telling: tuple[str, ...]) -> tuple[str, str, list[tuple[str, str]]]:
    payload = cast("Object", event["payload"])
    names = telling or tuple(payload)[:4]
    kind = [("type", str(event["event_type"]))] if "event_type" in event else []
    says = [
        (name, str(payload[name]))
        for name in names
        if isinstance(payload.get(name), str | int | float)
        and name != "status"
        and payload[name] != ""
    ]
    signer = cast("Object", event["signer"])
    return str(event["created_at"]), str(signer["signer_id"]), kind + says


# What the record itself says -----------------------------------------------------------------


def facts_of(record: Record) -> dict[str, str]:
    """Return what the record says of its paper."""
    metadata = cast("Object", record.value["metadata"])
    cross = cast("list[str]", metadata["cross_cats_sorted"])
    categories = [str(metadata["primary_cat"]), *cross[:MAX_CATEGORIES]]
    return {
        "kind": str(record.source["kind"]),
        "id": str(record.source["id"]),
        "version": str(record.source["version"]),
        "date": str(metadata["submitted_at"])[:10],
        "categories": " · ".join(categories) + (" …" if len(cross) > MAX_CATEGORIES else ""),
        "license": str(metadata["license"]),
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
