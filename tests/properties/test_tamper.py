"""Tampering: no change of a byte is both accepted and makes a difference (B2, B3, E3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror.core.bundle import StoredVerdicts, VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.merge import merge_bundles
from mirror.errors import FormatError
from tests.builders import (
    Signer,
    author_claim,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.helpers import composed_of, keys_of

RECORD = make_record(cross_cats=["cs.CR"], license="")
ALICE = Signer("alice")
KEYS = keys_of(ALICE)
EVENTS = (
    make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE)),
    make_event(RECORD, ALICE, "author_claimed", author_claim(weight=1.5)),
)

SIGNED = to_json(make_bundle(RECORD, EVENTS, alias_claims=[]))
"""Everything in it is signed, hashed or checked."""

WITH_CLAIMS = to_json(make_bundle(RECORD, EVENTS[1:], [make_receipt(RECORD, ALICE, note="n")]))
"""With alias times and the time of a receipt, which nothing signs (M7, S2)."""

Mutation = Callable[[bytes, int], bytes]


def _replaced(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


MUTATIONS: dict[str, Mutation] = {
    "xor 1": lambda data, at: _replaced(data, at, data[at] ^ 1),
    "xor 0x80": lambda data, at: _replaced(data, at, data[at] ^ 0x80),
    "xor 0x20": lambda data, at: _replaced(data, at, data[at] ^ 0x20),
    "a digit": lambda data, at: _replaced(data, at, ord("7" if data[at] != ord("7") else "0")),
    "deleted": lambda data, at: data[:at] + data[at + 1 :],
    "doubled": lambda data, at: data[: at + 1] + data[at:],
    "space before": lambda data, at: data[:at] + b" " + data[at:],
}


def accepted(data: bytes, known: StoredVerdicts | None = None) -> VerifiedBundle | None:
    """The bundle if it is read without any finding."""
    try:
        bundle = verify_bundle(parse_bundle(data), KEYS, known)
    except FormatError:
        return None
    return None if bundle.findings else bundle


def verdicts_of(bundle: VerifiedBundle) -> StoredVerdicts:
    """The verdicts on what is in a bundle without findings: what did not change has them again."""
    return StoredVerdicts(
        {one.digest: None for one in bundle.receipts}, {one.digest: None for one in bundle.events}
    )


@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=list(MUTATIONS))
def test_a_tampered_bundle_is_refused_reported_or_the_same(mutate: Mutation) -> None:
    """B2, B3, E3: never accepted without a finding and different."""
    original = accepted(SIGNED)
    assert original is not None
    expected = composed_of([original]), merge_bundles([original], KEYS).text
    known = verdicts_of(original)
    for at in range(len(SIGNED)):
        bundle = accepted(mutate(SIGNED, at), known)
        if bundle is not None:
            assert expected == (composed_of([bundle]), merge_bundles([bundle], KEYS).text), at


@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=list(MUTATIONS))
def test_what_is_not_signed_never_moves_the_core_digest(mutate: Mutation) -> None:
    """M12: a tampered time of an alias or receipt may be accepted, and nothing rests on it."""
    original = accepted(WITH_CLAIMS)
    assert original is not None
    expected = merge_bundles([original], KEYS).core_digest
    known = verdicts_of(original)
    for at in range(len(WITH_CLAIMS)):
        bundle = accepted(mutate(WITH_CLAIMS, at), known)
        if bundle is not None:
            assert expected == merge_bundles([bundle], KEYS).core_digest, at


@pytest.mark.parametrize("data", [SIGNED, WITH_CLAIMS], ids=["signed", "with claims"])
def test_a_truncated_bundle_is_refused(data: bytes) -> None:
    """V1, B2: at whatever byte it ends."""
    for end in range(len(data)):
        with pytest.raises(FormatError, match=r"json\.syntax"):
            parse_bundle(data[:end])
