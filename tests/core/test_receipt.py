"""Receipts (S2)."""

from __future__ import annotations

import base64
import hashlib
from itertools import combinations
from typing import Any

import pytest

from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.receipt import key_ids_of_receipt, verify_receipt
from mirror.core.record import parse_record
from tests import oracle
from tests.builders import (
    NOON,
    Object,
    Signer,
    key_set_file,
    make_receipt,
    make_record,
    without,
)
from tests.helpers import keys_of
from tests.shared import lines

ALICE = Signer("alice")
ALICE_IN_MAY = Signer(
    "alice",
    key_id="may",
    valid_from="2026-05-01T00:00:00Z",
    valid_until="2026-06-01T00:00:00Z",
)
CITER = Signer("citer", event_types=("citation_signed",))
CREATOR = Signer("creator", event_types=("graph_snapshot", "record_created"))
CITER_IN_MAY = Signer(
    "citer in may",
    event_types=("citation_signed",),
    valid_from="2026-05-01T00:00:00Z",
    valid_until="2026-06-01T00:00:00Z",
)
SIGNERS = (ALICE, ALICE_IN_MAY, CITER, CREATOR, CITER_IN_MAY)
KEYS = keys_of(*SIGNERS)
ORACLE_KEYS = oracle.load_keys(key_set_file(*SIGNERS))
RECORD = make_record()


def code(receipt: Any, record: Object = RECORD) -> str | None:
    """The code of a receipt, on which the oracle agrees."""
    judged = verify_receipt(receipt, parse_record(record), KEYS)
    assert oracle.receipt_code(receipt, record, ORACLE_KEYS) == judged.code
    assert (judged.code is None) == (judged.reason == "")
    return judged.code


def test_ten_real_receipts() -> None:
    """S2: each is the registry's signature of its own record, and of no other."""
    signed = lines("real/signed_records.jsonl")
    assert len(signed) == 10
    for line in signed:
        record = parse_record(line["canonical_record"])
        receipt = verify_receipt(line["receipt"], record, KeySet())
        assert receipt.code is None
        assert BUILT_IN.key_id == receipt.key_id
        assert code(line["receipt"], make_record()) == "receipt.signature"


def test_a_receipt_that_passes() -> None:
    """S2: its digest is that of its canonical bytes."""
    receipt = make_receipt(RECORD, ALICE)
    judged = verify_receipt(receipt, parse_record(RECORD), KEYS)
    expected = (None, "key-alice", hashlib.sha256(oracle.canonical(receipt)).hexdigest())
    assert expected == (judged.code, judged.key_id, judged.digest.hex())


@pytest.mark.parametrize("signer", [ALICE, CREATOR])
def test_who_may_sign_receipts(signer: Signer) -> None:
    """S2: a key for all types or for `record_created`."""
    assert code(make_receipt(RECORD, signer)) is None


@pytest.mark.parametrize("signed_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.5+00:00"])
def test_signed_at_is_not_signed(signed_at: str) -> None:
    """S2: nor are other members; whoever copies a receipt may write any time there."""
    receipt = make_receipt(RECORD, ALICE)
    assert code({**receipt, "signed_at": signed_at, "builder": {"a": [1.0]}}) is None


NOT_A_STRING: list[Any] = [None, 1, True, [], {}]
SHAPE_FAULTS: dict[str, list[Any]] = {
    "kind": [*NOT_A_STRING, "", "receipt", "pith_receipt "],
    "algorithm": [*NOT_A_STRING, "", "Ed25519", "ed448"],
    "key_id": NOT_A_STRING,
    "signed_at": [*NOT_A_STRING, "", "2026-01-01", "2026-02-29T00:00:00Z", NOON + "\n"],
    "signature_b64": NOT_A_STRING,
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SHAPE_FAULTS.items() for value in values]
)
def test_a_receipt_of_another_shape(name: str, value: Any) -> None:
    """S2 `receipt.shape`."""
    assert code(make_receipt(RECORD, ALICE, **{name: value})) == "receipt.shape"


@pytest.mark.parametrize("name", list(SHAPE_FAULTS))
def test_a_receipt_without_a_member(name: str) -> None:
    """S2 `receipt.shape`."""
    assert code(without(make_receipt(RECORD, ALICE), name)) == "receipt.shape"


@pytest.mark.parametrize("value", [*NOT_A_STRING, "x", 1.0, [{}]])
def test_a_receipt_is_an_object(value: Any) -> None:
    """S2, B3: any JSON value among receipts gets its code."""
    assert code(value) == "receipt.shape"


@pytest.mark.parametrize("key_id", ["", "key-nobody", "KEY-ALICE", "key-alice ", "alice"])
def test_a_receipt_by_an_unknown_key(key_id: str) -> None:
    """S2 `receipt.key_unknown`."""
    assert code(make_receipt(RECORD, ALICE, key_id=key_id)) == "receipt.key_unknown"


def test_a_receipt_by_a_key_without_the_role() -> None:
    """S2 `receipt.role`."""
    assert code(make_receipt(RECORD, CITER)) == "receipt.role"


@pytest.mark.parametrize(
    ("signed_at", "expected"),
    [
        ("2026-04-30T23:59:59.999999Z", "receipt.key_window"),
        ("2026-05-01T00:00:00+00:00", None),
        ("2026-05-31T23:59:59.999999Z", None),
        ("2026-06-01T00:00:00Z", "receipt.key_window"),
    ],
)
def test_a_receipt_outside_the_window(signed_at: str, expected: str | None) -> None:
    """S2 `receipt.key_window`: at `signed_at`, from inclusive, until exclusive."""
    assert expected == code(make_receipt(RECORD, ALICE_IN_MAY, signed_at))


GOOD = ALICE.sign(bytes.fromhex(oracle.record_digest(RECORD)))


@pytest.mark.parametrize(
    "signature_b64",
    [
        "",
        "x",
        GOOD + "\n",
        " " + GOOD,
        GOOD.rstrip("="),
        GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "==",
        GOOD.replace("+", "-").replace("/", "_") + "-",
        ALICE.sign(oracle.record_digest(RECORD).encode()),
        ALICE.sign(b""),
        Signer("mallory").sign(bytes.fromhex(oracle.record_digest(RECORD))),
        base64.b64encode(oracle.signature_with_large_s(base64.b64decode(GOOD))).decode(),
        base64.b64encode(base64.b64decode(GOOD)[:63]).decode(),
    ],
)
def test_a_receipt_with_another_signature(signature_b64: str) -> None:
    """S2 `receipt.signature`: strict base64 of a signature over the raw 32 bytes."""
    receipt = make_receipt(RECORD, ALICE, signature_b64=signature_b64)
    assert code(receipt) == "receipt.signature"


def test_two_signatures_of_one_record_both_pass() -> None:
    """S1, S2: who holds the key can make as many as they like."""
    other = ALICE.sign_with_nonce(bytes.fromhex(oracle.record_digest(RECORD)), 5)
    assert other != GOOD
    assert code(make_receipt(RECORD, ALICE, signature_b64=other)) is None


RECEIPT_CODES = (
    "receipt.shape",
    "receipt.key_unknown",
    "receipt.role",
    "receipt.key_window",
    "receipt.signature",
)


def faulty(codes: tuple[str, ...]) -> Object:
    """A receipt that fails each of `codes` (and, by an unknown key, what needs one)."""
    signers = {(): ALICE, ("role",): CITER, ("key_window",): ALICE_IN_MAY}
    needed = tuple(name for name in ("role", "key_window") if f"receipt.{name}" in codes)
    receipt = make_receipt(RECORD, signers.get(needed, CITER_IN_MAY))
    if "receipt.shape" in codes:
        receipt["kind"] = "receipt"
    if "receipt.key_unknown" in codes:
        receipt["key_id"] = "key-nobody"
    if "receipt.signature" in codes:
        receipt["signature_b64"] = ALICE.sign(b"something else")
    return receipt


@pytest.mark.parametrize("codes", [*combinations(RECEIPT_CODES, 2), RECEIPT_CODES])
def test_the_first_code_that_applies_is_given(codes: tuple[str, ...]) -> None:
    """S2: in the order that the rule names them."""
    assert codes[0] == code(faulty(codes))


@pytest.mark.parametrize("expected", RECEIPT_CODES)
def test_each_code_alone(expected: str) -> None:
    """S2: one fault, one code."""
    assert expected == code(faulty((expected,)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (make_receipt(RECORD, ALICE), {"key-alice"}),
        ({"key_id": ""}, {""}),
        ({"key_id": 1}, set()),
        ({}, set()),
        (["key-alice"], set()),
        (None, set()),
    ],
)
def test_the_keys_that_a_verdict_may_depend_on(value: Any, expected: set[str]) -> None:
    """S2: one key or none."""
    assert expected == key_ids_of_receipt(value)
