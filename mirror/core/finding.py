"""Integrity findings as the registry publishes them, apart from any bundle (rule S4).

A finding is an event of the profile `integrity-v1`: of all that it says, the signature covers the
digest `payload_sha256` alone, and nothing shows what that is of. So a finding that passes proves
that the registry signed this digest. Whatever else stands beside it, the paper and the time
included, is the word of whoever published the document, and no state is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from mirror.core.envelope import INTEGRITY_V1, at, escaped
from mirror.core.event import MAX_EVENT_BYTES, is_event_type
from mirror.core.keys import KeySet
from mirror.core.proof import claim_of, is_signed_by, keys_of
from mirror.core.receipt import Verdict
from mirror.core.values import Object, Value, canonical, instant, is_digest

__all__ = ["Finding", "findings_of", "judge_finding"]

_TYPE = "pith.integrity.v1"
_SIGNED = ("payload_sha256", "signature_b64")


class Finding(NamedTuple):
    """A value that stands where a finding should."""

    where: str
    """A JSON Pointer into the document."""
    value: Value


def findings_of(document: Value) -> list[Finding]:
    """Return the findings in a document: itself, or what it lists, however far down.

    Where there is one, whatever bears a digest or a signature should be one, and so should all
    items of its list. What stands within a finding is one if it bears both.
    """
    found = list(_walk(document, "", within=False))
    return found if any(_is_one(one.value) for one in found) else []


def _walk(document: Value, where: str, *, within: bool) -> Iterator[Finding]:
    if isinstance(document, dict):
        if is_finding := _is_like_one(document, within=within):
            yield Finding(where, document)
        for name, member in document.items():
            place = f"{where}/{escaped(name)}"
            yield from _walk(member, place, within=within or is_finding)
    elif isinstance(document, list):
        is_listing = any(_is_like_one(item, within=within) for item in document)
        for index, item in enumerate(document):
            if is_listing and not _is_like_one(item, within=within):
                yield Finding(f"{where}/{index}", item)
            else:
                yield from _walk(item, f"{where}/{index}", within=within)


def _is_like_one(value: Value, *, within: bool) -> bool:
    held = sum(name in value for name in _SIGNED) if isinstance(value, dict) else 0
    return held == len(_SIGNED) or (not within and (held > 0 or _has_type(value)))


def _is_one(value: Value) -> bool:
    return _has_type(value) or _is_like_one(value, within=True)


def _has_type(value: Value) -> bool:
    return isinstance(value, dict) and value.get("event_type") == _TYPE


def judge_finding(value: Value, keys: KeySet) -> Verdict:
    """Return code and reason of the first check of E3 that a finding fails, or None (S4)."""
    reason = _fault_of_shape(value)
    if reason is not None:
        return "event.shape", reason
    finding = cast("Object", value)
    claimed = instant(finding["created_at"])
    if claimed is None:  # V5
        return "event.time", "created_at is not a time such as 2026-05-19T23:17:27.287442+00:00"
    named = keys_of(finding, INTEGRITY_V1, keys)
    if not named:  # K2
        text = cast("str", finding["signing_key_id"])[:128]
        return "event.key_unknown", f"no trusted key is named {text!r}"
    claim = claim_of(finding, INTEGRITY_V1)
    in_time = [key for key in named if key.is_valid_at(claimed)]
    signed = [key for key in in_time if is_signed_by(key, claim)]
    if not in_time:
        return "event.key_window", f"created_at is outside the window of key {named[0].key_id!r}"
    if not signed:  # S1
        return "event.signature", f"no signature of payload_sha256 by key {named[0].key_id!r}"
    event_type = cast("str", finding["event_type"])
    if not any(key.may_sign(event_type) for key in signed):
        return "event.role", f"key {signed[0].key_id!r} may not sign {event_type}"
    return None


def _fault_of_shape(value: Value) -> str | None:
    if not isinstance(value, dict):
        return "a finding must be an object"
    if not is_event_type(value.get("event_type")):
        return "event_type must be 1 to 64 of a-z, 0-9, dot and underscore"
    if not is_digest(value.get("payload_sha256")):
        return "payload_sha256 must be 64 lowercase hexadecimal digits"
    for place in ("/created_at", "/signing_key_id", INTEGRITY_V1.signature.at):
        if not isinstance(at(value, place), str):
            return f"{place} must be a string"
    size = len(canonical(value))
    if size > MAX_EVENT_BYTES:
        return f"its canonical bytes are {size}, more than {MAX_EVENT_BYTES}"
    return None
