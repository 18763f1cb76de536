"""Integrity findings as the registry publishes them, apart from any bundle (rule S4).

A finding prints the digest of its payload, and the signature is over that digest. So a finding
with its payload proves that the registry signed these words. One without proves that the registry
signed a digest, and nothing ties that to words. What stands beside the payload, `event_id` and
`created_at` included, is signed in neither case: it is the word of whoever published the document.
No state is made of a finding, which names no record by its Pith Number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, cast

from mirror.core.events.event import MAX_EVENT_BYTES, is_event_type
from mirror.core.events.signatures import claim_of, is_signed_by, keys_of
from mirror.core.events.types import INTEGRITY
from mirror.core.json_pointer import escape_token, get_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import INTEGRITY_V1
from mirror.core.receipt import Fault
from mirror.core.values import (
    Object,
    Value,
    canonical,
    canonical_ascii,
    hexdigest,
    instant,
    is_digest,
    is_integer,
)

__all__ = ["IntegrityFinding", "findings_of", "verify_finding"]

_NAME_CHARACTERS = 128
_SIGNED = ("payload_sha256", "signature_b64")


class IntegrityFinding(NamedTuple):
    """A value that stands where a finding should."""

    where: str
    """A JSON Pointer into the document; of a long member name only the beginning stands in it."""
    value: Value


def findings_of(document: Value) -> list[IntegrityFinding]:
    """Return the findings in a document: itself, or what it lists, however far down.

    Where there is one, whatever bears a digest or a signature should be one, and so should all
    items of its list. What stands within a finding is one if it bears both.
    """
    found = [
        IntegrityFinding(_pointer(path), value) for path, value in _walk(document, (), within=False)
    ]
    return found if any(_is_one(one.value) for one in found) else []


_Path: TypeAlias = tuple[str | int, ...]
"""Names and positions from the document to a value; at most as many as it may nest."""


def _walk(document: Value, path: _Path, *, within: bool) -> Iterator[tuple[_Path, Value]]:
    if isinstance(document, dict):
        if is_finding := _is_like_one(document, within=within):
            yield path, document
        for name, member in document.items():
            yield from _walk(member, (*path, name), within=within or is_finding)
    elif isinstance(document, list):
        is_listing = any(_is_like_one(item, within=within) for item in document)
        for index, item in enumerate(document):
            if is_listing and not _is_like_one(item, within=within):
                yield (*path, index), item
            else:
                yield from _walk(item, (*path, index), within=within)


def _pointer(path: _Path) -> str:
    """Return a JSON Pointer; it is short, however long the names of members are."""
    return "".join(f"/{escape_token(str(one)[:_NAME_CHARACTERS])}" for one in path)


def _is_like_one(value: Value, *, within: bool) -> bool:
    held = sum(name in value for name in _SIGNED) if isinstance(value, dict) else 0
    return held == len(_SIGNED) or (not within and (held > 0 or _has_type(value)))


def _is_one(value: Value) -> bool:
    return _has_type(value) or _is_like_one(value, within=True)


def _has_type(value: Value) -> bool:
    return isinstance(value, dict) and value.get("event_type") == INTEGRITY


def verify_finding(value: Value, keys: KeySet) -> list[tuple[str, str]]:
    """Return code and reason of all that is to be said of a finding (S4).

    Returns:
        Nothing, if a trusted key signed the digest of the payload. Else the first of
        `finding.shape`, `finding.payload`, `finding.key_unknown` and `finding.signature` that
        fails, or `finding.unbound` if only a digest is signed; and `finding.evidence`, which takes
        nothing away, beside it or alone.
    """
    reason = _check_shape(value)
    if reason is not None:
        return [("finding.shape", reason)]
    finding = cast("Object", value)
    first = _check_payload(finding) or _check_signature(finding, keys) or _unbound(finding)
    return [one for one in (first, _check_evidence(finding)) if one is not None]


def _check_payload(finding: Object) -> Fault:
    if "payload" not in finding:
        return None
    found = hexdigest(canonical_ascii(finding["payload"]))  # V7, with no wrapper
    if found == finding["payload_sha256"]:
        return None
    return "finding.payload", f"payload_sha256 is not the digest of the payload, {found}"


def _check_signature(finding: Object, keys: KeySet) -> Fault:
    named = keys_of(finding, INTEGRITY_V1, keys)
    name = cast("str", finding["signing_key_id"])[:128]
    if not named:  # K2
        return "finding.key_unknown", f"no trusted key is named {name!r}"
    event_type, claimed = _type_of(finding), cast("int", instant(finding["created_at"]))
    able = [key for key in named if key.may_sign(event_type) and key.is_valid_at(claimed)]
    if not able:
        reason = f"key {name!r} is not trusted for {event_type} at the time in created_at"
        return "finding.key_unknown", reason
    claim = claim_of(finding, INTEGRITY_V1)
    if not any(is_signed_by(key, claim) for key in able):  # S1
        return "finding.signature", f"not a signature of payload_sha256 by key {name!r}"
    return None


def _type_of(finding: Object) -> str:
    """Return the type that is signed, or the one beside it where none is."""
    signed = get_pointer(finding, "/payload/event_type")
    return signed if isinstance(signed, str) else cast("str", finding["event_type"])


def _unbound(finding: Object) -> Fault:
    if "payload" in finding:
        return None
    reason = "its digest is signed, and no payload is there: nothing ties it to any words"
    return "finding.unbound", reason


def _check_evidence(finding: Object) -> Fault:
    payload = cast("Object", finding.get("payload", {}))
    if not payload.keys() & {"evidence", "evidence_hash"}:
        return None
    hashed: Object = {"d": payload.get("detector"), "e": payload.get("evidence")}
    found = hexdigest(canonical_ascii(hashed))
    if found == payload.get("evidence_hash"):
        return None
    return "finding.evidence", f"evidence_hash is not the digest of detector and evidence, {found}"


def _check_shape(value: Value) -> str | None:
    if not isinstance(value, dict):
        return "a finding must be an object"
    for name, (fits, expected) in _MEMBERS.items():
        if not fits(value.get(name)):
            return f"{name} must be {expected}"
    if not isinstance(value.get("payload", {}), dict):
        return "payload must be an object, or absent"
    size = len(canonical(value))
    if size > MAX_EVENT_BYTES:
        return f"its canonical bytes are {size}, more than {MAX_EVENT_BYTES}"
    return None


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


_MEMBERS: dict[str, tuple[Callable[[Value], bool], str]] = {
    "event_type": (is_event_type, "1 to 64 of a-z, 0-9, dot and underscore"),
    "payload_sha256": (is_digest, "64 lowercase hexadecimal digits"),
    "signature_b64": (_is_text, "a string"),
    "signing_key_id": (_is_text, "a string"),
    "event_id": (is_integer, "an integer"),
    "created_at": (
        lambda value: instant(value) is not None,
        "a time such as 2026-05-19T23:17:27.287442+00:00",
    ),
}
"""The members that must stand beside the payload, and their types."""
