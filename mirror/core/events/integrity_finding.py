"""Integrity findings as the registry publishes them, apart from any bundle (rule S4).

A finding prints the digest of its payload, and the signature is over that digest. So a finding
with its payload proves that the registry signed the payload. One without proves only that the
registry signed a digest. The members beside the payload, including `event_id` and `created_at`, are
never signed: anybody who publishes the document can change them. A finding does not name a record
by its Pith Number, so no state is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, TypeAlias

from mirror.core.events.checks import (
    CheckTable,
    check_key_known,
    check_key_window,
    check_members,
    check_role,
    check_signature,
    check_size,
    run_checks,
)
from mirror.core.events.event import MemberRule, is_event_type
from mirror.core.events.profiled_event import ProfiledEvent
from mirror.core.events.types import INTEGRITY
from mirror.core.json_pointer import get_pointer, has_pointer, join_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import INTEGRITY_V1
from mirror.core.receipt import Fault
from mirror.core.shape import object_member
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
    """A value in the place of a finding."""

    where: str
    """A JSON Pointer into the document; long member names are cut."""
    value: Value


def findings_of(document: Value) -> list[IntegrityFinding]:
    """Return the findings in a document, at any depth; the document itself may be one.

    If there is one, every object with a digest or a signature counts as a finding, and so do all
    items of a list that holds one. Within a finding, an object needs both to count.
    """
    found = [
        IntegrityFinding(_pointer(path), value) for path, value in _walk(document, (), within=False)
    ]
    return found if any(_is_one(one.value) for one in found) else []


_Path: TypeAlias = tuple[str | int, ...]
"""Names and positions from the document to a value."""


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
    """Return a JSON Pointer in which long names are cut."""
    return "".join(join_pointer("", str(one)[:_NAME_CHARACTERS]) for one in path)


def _is_like_one(value: Value, *, within: bool) -> bool:
    held = sum(name in value for name in _SIGNED) if isinstance(value, dict) else 0
    return held == len(_SIGNED) or (not within and (held > 0 or _has_type(value)))


def _is_one(value: Value) -> bool:
    return _has_type(value) or _is_like_one(value, within=True)


def _has_type(value: Value) -> bool:
    return isinstance(value, dict) and value.get("event_type") == INTEGRITY


# The checks ----------------------------------------------------------------------------------

_MEMBERS: tuple[MemberRule, ...] = (
    ("/event_type", is_event_type, "1 to 64 of a-z, 0-9, dot and underscore"),
    ("/payload_sha256", is_digest, "64 lowercase hexadecimal digits"),
    ("/signature_b64", lambda value: isinstance(value, str), "a string"),
    ("/signing_key_id", lambda value: isinstance(value, str), "a string"),
    ("/event_id", is_integer, "an integer"),
    (
        "/created_at",
        lambda value: instant(value) is not None,
        "a time such as 2026-05-19T23:17:27.287442+00:00",
    ),
)
"""The members beside the payload."""

_PAYLOAD: MemberRule = "/payload", lambda value: isinstance(value, dict), "an object, or absent"


def _check_shape(value: Value) -> str | None:
    members = (*_MEMBERS, _PAYLOAD) if has_pointer(value, "/payload") else _MEMBERS
    return check_members(value, members, names_missing=False) or check_size(canonical(value))


def _check_payload(finding: ProfiledEvent) -> str | None:
    if "payload" not in finding.event:
        return None
    found = hexdigest(canonical_ascii(finding.event["payload"]))  # V7, with no wrapper
    if found == finding.event["payload_sha256"]:
        return None
    return f"payload_sha256 is not the digest of the payload, {found}"


class _ProfiledFinding(ProfiledEvent):
    @cached_property
    def event_type(self) -> str:
        """The type that is signed; the one beside it if there is no payload."""
        signed = get_pointer(self.event, "/payload/event_type")
        return signed if isinstance(signed, str) else str(self.value("type"))


_CHECKS: CheckTable[_ProfiledFinding] = CheckTable(
    of_event=(
        ("finding.payload", _check_payload),
        ("finding.key_unknown", check_key_known),
    ),
    of_key=(
        ("finding.key_unknown", check_role),
        ("finding.key_unknown", check_key_window),
        ("finding.signature", check_signature),
    ),
)
"""The checks of S4 on a finding of the right shape."""


def verify_finding(value: Value, keys: KeySet) -> list[tuple[str, str]]:
    """Return code and reason of every fault of a finding (S4).

    Returns:
        Nothing, if a trusted key signed the digest of the payload. Else the first of
        `finding.shape`, `finding.payload`, `finding.key_unknown` and `finding.signature` that
        fails, or `finding.unbound` if only a digest is signed; and `finding.evidence`, which takes
        nothing away, beside it or alone.
    """
    if not isinstance(value, dict):
        return [("finding.shape", "a finding must be an object")]
    if (reason := _check_shape(value)) is not None:
        return [("finding.shape", reason)]
    _, fault = run_checks(_ProfiledFinding(value, INTEGRITY_V1, keys), _CHECKS)
    first = fault or _unbound(value)
    return [one for one in (first, _check_evidence(value)) if one is not None]


def _unbound(finding: Object) -> Fault:
    if "payload" in finding:
        return None
    return "finding.unbound", "only its digest is signed: it has no payload"


def _check_evidence(finding: Object) -> Fault:
    payload = object_member(finding, "payload")
    if not payload.keys() & {"evidence", "evidence_hash"}:
        return None
    hashed: Object = {"d": payload.get("detector"), "e": payload.get("evidence")}
    found = hexdigest(canonical_ascii(hashed))
    if found == payload.get("evidence_hash"):
        return None
    return "finding.evidence", f"evidence_hash is not the digest of detector and evidence, {found}"
