"""Events at the edges of E1 to E4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirror.core.events.event import MAX_EVENT_BYTES
from mirror.core.events.types import EVENT_TYPES
from mirror.core.shape import object_member
from mirror.engine.conformance.facts import (
    NOON,
    Paper,
    record_value,
    sign,
    text_of,
    without,
)
from mirror.engine.conformance.odd_values import (
    ANY,
    NO_BASE64,
    WINDOW_TIMES,
    verify_task,
    with_spare_bits,
)
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import (
    Draft,
    SigningKey,
    base64_text,
    odd_signatures,
)
from mirror.engine.conformance.task import ConformanceTask

__all__ = ["event_cases"]


def event_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    paper = Paper(record_value(1))
    yield from _envelopes(signers, paper)
    yield from _verdicts(signers, paper)
    yield from _payloads(signers, paper)


# E1: envelopes -------------------------------------------------------------------------------


def _envelopes(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author = signers.author
    good = paper.event(author, "note_x")
    signer = author.signer_value()
    odd: dict[str, list[Any]] = {
        "a member is missing": [
            *(without(good, name) for name in good),
            *(sign(without(good, name), author) for name in good),
        ],
        "a member has another type": [
            sign({**good, name: value}, author)
            for name in good
            for value in ANY
            if name not in {"event_id", "signature"}
        ],
        "id or signature has another type": [
            {**good, name: value} for name in ("event_id", "signature") for value in ANY
        ],
        "no object": [*ANY],
        "the pattern of the type": [
            paper.event(author, one)
            for one in ("a", "a" * 64, "a" * 65, "A", "a-b", "a b", "a\n", "0._", "\u00e9")
        ],
        "the length of the target": [
            paper.event(author, "note_x", target=one)
            for one in ("t" * 128, "t" * 129, "\U0001f600" * 128, "\u00e9" * 129, "\n")
        ],
        "the pattern of the id": [
            {**good, "event_id": one}
            for one in (
                str(good["event_id"]).upper(),
                f"{good['event_id']}\n",
                str(good["event_id"])[7:],
            )
        ],
        "the depth of the payload": [
            paper.event(author, "note_x", {"deep": _nested(depth)}) for depth in (30, 31, 32, 50)
        ],
        "the signer": [
            *(sign({**good, "signer": without(signer, name)}, author) for name in signer),
            *(sign({**good, "signer": {**signer, name: ""}}, author) for name in signer),
            *(sign({**good, "signer": {**signer, name: 1}}, author) for name in signer),
            sign({**good, "signer": {**signer, "more": [1.0, None]}}, author),
        ],
        "other members": [
            paper.event(author, "note_x", **{"more": {"\u00e9": -0.0}, "": 1}),
            {**good, "more": 1},
        ],
        "floats and odd text, signed": [
            paper.event(author, "note_x", {"floats": [1e16, 1e-5, -0.0, 5e-324, 1e22, 0.1, 1e15]}),
            paper.event(author, "note_x", {"\uff5e": 1, "\U0001f600": 2, "\x7f": "\u2028/\\\x00"}),
        ],
    }
    for case, events in odd.items():
        bundle = paper.bundle([good, *events])
        yield verify_task(f"envelopes: {case}", "E1 E2", bundle, keys=signers.file)
    sizes = [_sized(paper, author, MAX_EVENT_BYTES + more) for more in (0, 1)]
    for event in sizes:
        bundle = paper.bundle([event])
        yield verify_task("envelopes: the size of an event", "E1", bundle, keys=signers.file)


def _nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth - 1):
        found = [found]
    return found


def _sized(paper: Paper, key: SigningKey, size_bytes: int) -> Draft:
    """Return an event of this size, with fewer letters than bytes."""
    rest = size_bytes - len(text_of(paper.event(key, "note_x", {"a": ""})))
    return paper.event(key, "note_x", {"a": "\u00e9" * (rest // 2) + "x" * (rest % 2)})


# E3: verdicts --------------------------------------------------------------------------------


def _verdicts(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author, guest, other = signers.author, signers.guest, Paper(record_value(2))
    good = paper.event(author, "note_x")
    wrong = paper.event(signers.stranger, "note_x", signer=author.signer_value())
    elsewhere = other.event(author, "note_x")
    mixed = {**author.signer_value(), "signer_id": "registry"}
    events: dict[str, list[Any]] = {
        "the id": [
            {**good, "payload": {"n": 2}},
            {**good, "event_id": elsewhere["event_id"]},
            {**good, "payload": {"n": 1.0}},
            sign({**good, "payload": {"n": 1.0}}, author),
        ],
        "the subject": [
            elsewhere,
            {**elsewhere, "event_id": good["event_id"]},
            paper.event(author, "note_x", created_at="no",
            subject_pith_number="pith:1999:" + "A" * 26),
        ],
        "the time": [
            paper.event(author, "note_x", created_at="yesterday"),
            paper.event(signers.stranger, "note_x", created_at=""),
        ],
        "an unknown key": [
            paper.event(signers.stranger, "note_x"),
            {**paper.event(signers.stranger, "note_x"), "signature": {}},
        ],
        "another signer": [
            paper.event(author, "note_x", signer=mixed),
            paper.event(author, "note_x", signer={**mixed, "signer_type": "pith_registry"}),
            paper.event(
                author, "note_x", signer={**author.signer_value(),
                "public_key_fingerprint": "f" * 32}
            ),
            {**paper.event(guest, "note_x", signer={**guest.signer_value(), "signer_id": "x"})},
        ],
        "the window of the key": [
            *(paper.event(guest, "note_x", created_at=time) for time in WINDOW_TIMES),
            {**paper.event(guest, "note_x"), "signature": {}},
        ],
        "the signature": [
            wrong,
            *({**good, "signature": one} for one in _faulty_signatures(good)),
            {**good, "signature": paper.event(author, "note_y")["signature"]},
        ],
        "the role": [
            paper.event(signers.author_next, "storage_attested"),
            paper.event(signers.author_next, "storage_attested", {}),
            {**paper.event(signers.author_next, "storage_attested"), "signature": {}},
            paper.event(signers.author_next, "note_x"),
        ],
    }  # fmt: skip
    for case, items in events.items():
        bundle = paper.bundle([good, *items])
        yield verify_task(f"verdicts: {case}", "E2 E3", bundle, keys=signers.file)
        yield verify_task(f"verdicts without trusted keys: {case}", "E3 K2", bundle, keys=None)


def _faulty_signatures(event: Draft) -> list[Any]:
    signature = object_member(event, "signature")
    text = str(signature["signature_b64"])
    return [
        {},
        {**signature, "more": 1},
        {**signature, "algorithm": "Ed25519"},
        without(signature, "algorithm"),
        *({**signature, "signature_b64": one} for one in (*NO_BASE64, None, 1)),
        {**signature, "signature_b64": with_spare_bits(text)},
        {**signature, "signature_b64": f"{text}\n"},
    ]


# E4: payloads --------------------------------------------------------------------------------


def _payloads(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    registry = signers.registry
    for event_type in (*EVENT_TYPES, "note_x"):
        good = paper.payload(event_type, registry)
        payloads = [
            good,
            {},
            {**good, "more": None},
            *(without(good, name) for name in good),
            *({**good, name: value} for name in good for value in (None, 1, "", "other", NOON)),
            *({**good, **changes} for changes in _CHANGES.get(event_type, ())),
        ]
        events = [
            *(paper.event(registry, event_type, one) for one in payloads),
            *(paper.event(registry, event_type, target=one) for one in ("record", "other")),
        ]
        bundle = paper.bundle(events)
        yield verify_task(f"payloads of {event_type}", "E4", bundle, keys=signers.file)
    yield verify_task(
        "receipts within record_created", "E4 S2", _creations(signers, paper), keys=signers.file
    )


_OPTIONAL: tuple[Any, ...] = ("", "c", None, 1, [])
"""Values of a member that is a string or absent."""

_CHANGES: dict[str, tuple[Draft, ...]] = {
    "timestamp_anchored": (
        *({"method": one} for one in ("rfc3161", "OTHER")),
        *({"proof_b64": one} for one in NO_BASE64),
        *({"calendar": one} for one in _OPTIONAL),
    ),
    "author_claimed": (
        *({"method": one} for one in ("apple", "x", "email", "key", "Key")),
        *({"strength": one} for one in ("weak", "medium")),
        *({"status": one} for one in ("withdrawn", "asserted")),
    ),
    "citation_signed": (
        *({"relationship": one} for one in ("refutes", "extends", "uses_method", "depends_on")),
        *({"relationship": one} for one in ("replaces", "compares", "cites", "likes")),
        *({"claim_id": one} for one in _OPTIONAL),
        *({"status": one} for one in ("withdrawn", "claimed")),
    ),
    "replication_recorded": (
        *({"kind": one} for one in ("falsification", "formal_bridge", "proof")),
        *({"claim_id": one} for one in _OPTIONAL),
    ),
    "pith.integrity.v1": (
        *({"detector_version": one} for one in ("1.0", "1.0.0\n", "01.2.3", "1.0.0.0",
        "\u0661.0.0")),
        *({"verdict_class": one} for one in ("incontrovertible", "threshold_with_margin")),
        *({"verdict_class": one} for one in ("rescinded", "none")),
        *({"severity": one} for one in ("critical", "informational", "high")),
        *({"evidence_hash": one} for one in ("E" * 64, "e" * 63)),
        *({"evidence": one} for one in ANY),
    ),
    "challenge_filed": (
        *({"about": one} for one in ("reference", "attribution", "data_point", "figure", "text")),
        *({"status": one} for one in ("withdrawn", "closed")),
    ),
    "event_revoked": tuple(
        {"event_id": one} for one in (f"sha256:{'A' * 64}", f"sha256:{'a' * 63}", "a" * 64)
    ),
}  # fmt: skip


def _creations(signers: Signers, paper: Paper) -> Draft:
    """Return a bundle of `record_created` whose receipts or records are odd."""
    registry, author = signers.registry, signers.author
    signature = odd_signatures(author, paper.digest)["R is the neutral element, of small order"]
    receipts: list[Any] = [
        paper.receipt(author),
        paper.receipt(author, more=1),
        paper.receipt(signers.stranger),
        paper.receipt(signers.author_next),
        paper.receipt(signers.guest),
        paper.receipt(signers.guest, WINDOW_TIMES[1]),
        paper.receipt(author, signature_b64=base64_text(signature)),
        Paper(record_value(2)).receipt(author),
        [],
    ]
    source = object_member(paper.value, "source")
    changes: list[Draft] = [
        *({"receipt": one} for one in receipts),
        {"canonical_record": record_value(2)},
        {"canonical_record": {**paper.value, "source": {**source, "version": 1.0}}},
        {"canonical_sha256": paper.record.canonical_sha256.upper()},
    ]
    payloads = [{**paper.payload("record_created", registry), **one} for one in changes]
    return paper.bundle([paper.event(registry, "record_created", one) for one in payloads])
