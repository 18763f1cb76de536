"""Signatures and receipts at the edges of S1 and S2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirror.engine.conformance.facts import (
    Paper,
    record_value,
    text_of,
    without,
)
from mirror.engine.conformance.odd_values import (
    ANY,
    NO_BASE64,
    NO_TIMES,
    TIMES,
    WINDOW_TIMES,
    WRONG,
    verify_task,
    with_spare_bits,
)
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import (
    base64_text,
    odd_signatures,
    with_large_s,
)
from mirror.engine.conformance.task import ConformanceTask

__all__ = ["signature_cases"]


def signature_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    paper = Paper(record_value(1))
    yield from _signatures(signers, paper)
    yield from _receipts(signers, paper)


# S1: signatures ------------------------------------------------------------------------------


def _signatures(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    key = signers.author
    for case, signature in odd_signatures(key, paper.digest).items():
        receipt = paper.receipt(key, signature_b64=base64_text(signature))
        bundle = paper.bundle(receipts=[receipt])
        yield verify_task(f"a receipt, its signature: {case}", "S1 S2", bundle, keys=signers.file)
    event = paper.event(key, "note_x")
    message = bytes.fromhex(str(event["event_id"])[7:])
    for case, signature in odd_signatures(key, message).items():
        signed = {"algorithm": "ed25519", "signature_b64": base64_text(signature)}
        bundle = paper.bundle([{**event, "signature": signed}])
        yield verify_task(f"an event, its signature: {case}", "S1 S3", bundle, keys=signers.file)
    mixed = signers.mixed
    keys = text_of({"keys": [mixed.key_value(mixed.mixed_public_key)]})
    for is_valid in (True, False):
        signature = mixed.sign_mixed(paper.digest, is_valid=is_valid)
        odd = [signature, with_large_s(signature)]
        receipts = [paper.receipt(mixed, signature_b64=base64_text(one)) for one in odd]
        which = "the plain equation holds" if is_valid else "only that with the cofactor holds"
        case = f"a receipt by a key of mixed order: {which}"
        yield verify_task(case, "S1", paper.bundle(receipts=receipts), keys=keys)


# S2: receipts --------------------------------------------------------------------------------


def _receipts(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author, guest = signers.author, signers.guest
    good = paper.receipt(author)
    other = Paper(record_value(2)).receipt(author)
    faulty: dict[str, list[Any]] = {
        "a member is missing": [without(good, name) for name in good],
        "a member is wrong": [
            *({**good, name: fault} for name in good for fault in WRONG),
            *({**good, "signed_at": time} for time in NO_TIMES),
        ],
        "no object": [*ANY],
        "base64 that is not strict": [{**good, "signature_b64": text} for text in NO_BASE64],
        "base64 with spare bits or white space": [
            {**good, "signature_b64": with_spare_bits(str(good["signature_b64"]))},
            {**good, "signature_b64": f"{good['signature_b64']}\n"},
            {**good, "signature_b64": str(good["signature_b64"]).rstrip("=")},
            {**good, "signature_b64": str(good["signature_b64"]).replace("/", "_") + "="},
        ],
        "of another record": [{**other}],
        "other members": [{**good, "builder": 1.5, "more": {"deep": [None]}}],
        "another time": [{**good, "signed_at": time} for time in TIMES],
        "an unknown key": [
            paper.receipt(signers.stranger),
            paper.receipt(signers.stranger, signature_b64="x"),
            {**good, "key_id": ""},
            {**good, "key_id": author.signer_value()["public_key_fingerprint"]},
        ],
        "a key that may not sign receipts": [
            paper.receipt(signers.author_next),
            paper.receipt(signers.author_next, signature_b64="AA=="),
        ],
        "the window of the key": [
            paper.receipt(guest, time, **changes)
            for time in WINDOW_TIMES
            for changes in ({}, {"signature_b64": "AA=="})
        ],
    }
    for case, receipts in faulty.items():
        bundle = paper.bundle(receipts=[good, *receipts])
        yield verify_task(f"receipts: {case}", "S2 V6", bundle, keys=signers.file)
