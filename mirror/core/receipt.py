"""Receipts: signatures over the digest of a record (rule S2).

A receipt signs the raw 32 bytes of `canonical_sha256` and nothing else. Its `signed_at` is not
signed: anybody who copies a receipt may write any time there.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from mirror.core.keys import Key, KeySet
from mirror.core.record import Record
from mirror.core.shape import text_member
from mirror.core.values import Value, canonical, instant, sha256

__all__ = [
    "RECEIPT_SIGNS",
    "Fault",
    "Receipt",
    "check_receipt",
    "check_receipt_shape",
    "key_ids_of_receipt",
    "verify_receipt",
]

RECEIPT_SIGNS = "record_created"
"""The event type that a key must be allowed to sign for its receipts to count (S2)."""


Fault: TypeAlias = tuple[str, str] | None
"""The first code that a receipt or event fails, and why in words; None if it passes."""


class Receipt(NamedTuple):
    """A value of a bundle's `receipts` with its verdict; made by `verify_receipt` only."""

    value: Value
    digest: bytes
    """sha256(canonical(value)), 32 raw bytes."""
    code: str | None
    """None if the receipt passes S2, else the first code that it fails."""
    reason: str
    """Why, as a sentence; empty if it passes."""

    @classmethod
    def of(cls, value: Value, digest: bytes, fault: Fault) -> Receipt:
        """Return a receipt with its verdict: code and reason of the first failed check, or None."""
        code, reason = fault or (None, "")
        return cls(value, digest, code, reason)

    @property
    def key_id(self) -> str:
        """The id of the key that the receipt names; empty if it names none."""
        return text_member(self.value, "key_id")


def verify_receipt(value: Value, record: Record, keys: KeySet) -> Receipt:
    """Return the verdict on one value of `receipts`, whatever its JSON type (S2)."""
    return Receipt.of(value, sha256(canonical(value)), check_receipt(value, record, keys))


def key_ids_of_receipt(value: Value) -> set[str]:
    """Return the ids of the keys that the verdict on a receipt may rest on."""
    key_id = value.get("key_id") if isinstance(value, dict) else None
    return {key_id} if isinstance(key_id, str) else set()


def check_receipt(value: Value, record: Record, keys: KeySet) -> Fault:
    """Return the first code of S2 that `value` fails, with the reason, or None."""
    if (reason := check_receipt_shape(value)) is not None:
        return "receipt.shape", reason
    key_id = text_member(value, "key_id")
    key = keys.get(key_id)
    if key is None:
        return "receipt.key_unknown", f"no trusted key is named {key_id[:128]!r}"
    return _check_signing(value, record, key)


def check_receipt_shape(value: Value) -> str | None:
    """Return why `value` is not formed as a receipt (`receipt.shape` of S2), or None."""
    if not isinstance(value, dict):
        return "a receipt must be an object"
    if value.get("kind") != "pith_receipt":
        return 'its kind must be "pith_receipt"'
    if value.get("algorithm") != "ed25519":
        return 'its algorithm must be "ed25519"'
    for name in ("key_id", "signature_b64"):
        if not isinstance(value.get(name), str):
            return f"its {name} must be a string"
    if instant(value.get("signed_at")) is None:
        return "its signed_at must be a time such as 2026-05-18T00:41:52Z"
    return None


def _check_signing(receipt: Value, record: Record, key: Key) -> Fault:
    if not key.may_sign(RECEIPT_SIGNS):
        return "receipt.role", f"key {key.key_id!r} may not sign {RECEIPT_SIGNS}"
    signed_at = instant(text_member(receipt, "signed_at"))
    if signed_at is None or not key.is_valid_at(signed_at):
        return "receipt.key_window", f"signed_at is outside the window of key {key.key_id!r}"
    if not key.verify(record.digest, text_member(receipt, "signature_b64")):
        return "receipt.signature", f"not a signature of this record by key {key.key_id!r}"
    return None
