"""Bundles: from untrusted bytes to verified facts (rules B1 to B5).

`parse_bundle` returns a `Bundle`: its record hashes to the digest that it prints, and nothing else
in it is verified. `verify_bundle` verifies every receipt and event and returns a `VerifiedBundle`,
the only source of facts for a merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from mirror.core.events.event import EncodedEvent, Event, InvalidEvent, ValidEvent
from mirror.core.events.verdict import EventVerdict, is_envelope, restore_event, verify_event
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import decode_packed
from mirror.core.profile import Profile, is_built_in
from mirror.core.receipt import Fault, Receipt, check_receipt, check_receipt_shape
from mirror.core.record import Record, parse_record
from mirror.core.shape import list_member
from mirror.core.values import (
    MAX_DEPTH,
    Object,
    Value,
    canonical,
    decode,
    equal,
    instant,
    nesting,
    sha256,
)
from mirror.errors import FormatError, LimitError

__all__ = [
    "AliasClaim",
    "Bundle",
    "BundleFinding",
    "BundleLimits",
    "StoredVerdicts",
    "VerifiedBundle",
    "future_events",
    "parse_bundle",
    "verify_bundle",
]

BUNDLE_TYPE = "pith_open_graph_bundle"
BUNDLE_VERSION = "1.0"

_DAY = 24 * 60 * 60 * 1_000_000

_MOST_LONGER = 6
"""Canonical bytes of a value for each byte of its text at most: of a control character, packed."""


@dataclass(frozen=True, slots=True)
class BundleFinding:
    """A fault in a bundle: one that is only reported (B3), or the one that refuses it (B2)."""

    code: str
    where: str  # a JSON Pointer into the bundle
    message: str
    digest: bytes = b""  # of the event or receipt that it is about, raw


class AliasClaim(NamedTuple):
    """An alias of the record, and the time that a bundle claims for it (R4, B3); unsigned (M7)."""

    alias_kind: str
    alias_value: str
    created_at: str

    def to_value(self) -> Object:
        """Return the claim as bundles print it; other members of an item are not merged."""
        return {
            "alias_kind": self.alias_kind,
            "alias_value": self.alias_value,
            "created_at": self.created_at,
        }


_ALIAS_MEMBERS = AliasClaim._fields


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that B2 accepts; its receipts and events are not verified. By `parse_bundle`."""

    record: Record
    alias_claims: tuple[AliasClaim, ...]
    receipts: tuple[Value, ...]
    events: tuple[EncodedEvent, ...]
    findings: tuple[BundleFinding, ...]
    """`bundle.short`, `bundle.source` and `bundle.alias` (B3)."""


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle with the verdicts on its receipts and events, in their order. By `verify_bundle`."""

    record: Record
    alias_claims: tuple[AliasClaim, ...]
    receipts: tuple[Receipt, ...]
    events: tuple[Event, ...]
    findings: tuple[BundleFinding, ...]
    """All findings of B3."""


# B1, B2: what refuses a bundle ---------------------------------------------------------------

_MEMBERS: dict[str, tuple[type, str]] = {
    "bundle_type": (str, "a string"),
    "bundle_version": (str, "a string"),
    "pith_number": (str, "a string"),
    "short_pith_number": (str, "a string"),
    "canonical_record": (dict, "an object"),
    "canonical_sha256": (str, "a string"),
    "source": (dict, "an object"),
    "source_aliases": (list, "a list"),
    "events": (list, "a list"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLimits:
    """The sizes and counts that a mirror accepts in one bundle (B4); None is no limit."""

    items: int | None = None
    """Events, receipts, or aliases."""
    depth: int = MAX_DEPTH
    """Nested arrays and objects."""
    invalid: int | None = None
    """Items that fail by their shape, in a list of which most fail so."""
    record_bytes: int | None = None
    """Canonical bytes of the record."""
    receipt_bytes: int | None = None
    """Canonical bytes of an item of `receipts`."""
    profiles: Sequence[Profile] = ()
    """The trusted profiles: an event may have the shape of any of them."""


UNLIMITED = BundleLimits()


def parse_bundle(
    data: bytes, limits: BundleLimits = UNLIMITED, *, is_packed: bool = False
) -> Bundle:
    """Read one bundle (B1) and check its record.

    Args:
        data: The text, or the MessagePack of a packed bag.
        limits: The limits of this mirror (B4).
        is_packed: Whether `data` is MessagePack (C4).

    Raises:
        FormatError: The first code of B2 that applies: one of V1, `bundle.shape`, `bundle.type`,
            `bundle.version`, `record.shape`, `record.digest`, `record.number`.
        LimitError: `limit.count`, `limit.size`
    """
    value = decode_packed(data) if is_packed else decode(data)
    if limits.depth < MAX_DEPTH and nesting(canonical(value)) > limits.depth:
        raise LimitError("limit.count", f"more than {limits.depth} nested arrays and objects")
    members = _require_shape(value)
    _require_count(members, limits.items)
    _require_kind(members)
    record = _require_record(members)
    _require_small_record(record, limits.record_bytes)
    if limits.receipt_bytes is not None and len(data) * _MOST_LONGER > limits.receipt_bytes:
        _require_small_receipts(members, limits.receipt_bytes)
    if limits.invalid is not None:
        _require_few_invalid(members, record, limits.invalid, limits.profiles)
    claims, faulty = _read_alias_claims(members, record)
    return Bundle(
        record=record,
        alias_claims=tuple(claims),
        receipts=tuple(list_member(members, "receipts")),
        events=tuple([EncodedEvent.of(one) for one in list_member(members, "events")]),
        findings=(*_read_headers(members, record), *faulty),
    )


def _require_shape(value: Value) -> Object:  # B1
    if not isinstance(value, dict):
        raise FormatError("bundle.shape", "a bundle must be an object")
    for name, (kind, expected) in _MEMBERS.items():
        if name not in value:
            raise FormatError("bundle.shape", f"the member {name} is missing")
        if not isinstance(value[name], kind):
            raise FormatError("bundle.shape", f"must be {expected}", where=f"/{name}")
    if not isinstance(value.get("receipts", []), list):
        raise FormatError("bundle.shape", "must be a list, or absent", where="/receipts")
    return value


def _require_count(bundle: Object, max_items: int | None) -> None:  # B4
    for name in ("events", "receipts", "source_aliases"):
        count = len(list_member(bundle, name))
        if max_items is not None and count > max_items:
            message = f"{count} items, more than the {max_items} that are accepted"
            raise LimitError("limit.count", message, where=f"/{name}")


def _require_small_record(record: Record, record_bytes: int | None) -> None:  # B4
    """Refuse a record whose names and labels would be too large for the indexes."""
    size = len(record.encoded)
    if record_bytes is not None and size > record_bytes:
        message = f"its canonical bytes are {size}, more than the {record_bytes} accepted"
        raise LimitError("limit.size", message, where="/canonical_record")


def _require_small_receipts(bundle: Object, receipt_bytes: int) -> None:  # B4
    """Refuse receipts that would make the composed bundle of the record too large for others."""
    for index, item in enumerate(list_member(bundle, "receipts")):
        size = len(canonical(item))
        if size > receipt_bytes:
            message = f"its canonical bytes are {size}, more than the {receipt_bytes} accepted"
            raise LimitError("limit.size", message, where=f"/receipts/{index}")


def _require_few_invalid(  # B4
    bundle: Object, record: Record, max_invalid: int, profiles: Sequence[Profile]
) -> None:
    """Refuse a bundle that is mostly values that nobody can have signed, before they are stored."""
    has_shape: dict[str, Callable[[Value], bool]] = {
        "events": lambda item: is_envelope(item, profiles),
        "receipts": lambda item: check_receipt_shape(item) is None,
        "source_aliases": lambda item: isinstance(_read_alias(item, record), AliasClaim),
    }
    for name, fits in has_shape.items():
        items = list_member(bundle, name)
        if len(items) <= max_invalid:
            continue
        count = sum(not fits(item) for item in items)
        if count > max(max_invalid, len(items) // 2):
            message = (
                f"{count} of {len(items)} items fail by their shape, "
                f"more than the {max_invalid} that are accepted"
            )
            raise LimitError("limit.count", message, where=f"/{name}")


def _require_kind(bundle: Object) -> None:
    if bundle["bundle_type"] != BUNDLE_TYPE:
        raise FormatError("bundle.type", f'must be "{BUNDLE_TYPE}"', where="/bundle_type")
    if bundle["bundle_version"] != BUNDLE_VERSION:
        raise FormatError("bundle.version", f'must be "{BUNDLE_VERSION}"', where="/bundle_version")


def _require_record(bundle: Object) -> Record:
    record = parse_record(bundle["canonical_record"], "/canonical_record")  # R1
    if bundle["canonical_sha256"] != record.canonical_sha256:  # R2
        message = f"the record hashes to {record.canonical_sha256}"
        raise FormatError("record.digest", message, where="/canonical_sha256")
    if bundle["pith_number"] != record.pith_number:  # R3
        message = f"the record's Pith Number is {record.pith_number}"
        raise FormatError("record.number", message, where="/pith_number")
    return record


# B3: what is only reported -------------------------------------------------------------------


def _read_headers(bundle: Object, record: Record) -> Iterable[BundleFinding]:
    if bundle["short_pith_number"] != record.short_pith_number:  # R3
        message = f"the short form is {record.short_pith_number}"
        yield BundleFinding("bundle.short", "/short_pith_number", message)
    if not equal(bundle["source"], record.value["source"]):
        yield BundleFinding("bundle.source", "/source", "differs from the record's own source")


def _read_alias_claims(
    bundle: Object, record: Record
) -> tuple[list[AliasClaim], list[BundleFinding]]:
    claims: list[AliasClaim] = []
    findings: list[BundleFinding] = []
    for index, item in enumerate(list_member(bundle, "source_aliases")):
        read = _read_alias(item, record)
        if isinstance(read, AliasClaim):
            claims.append(read)
        else:
            findings.append(BundleFinding("bundle.alias", f"/source_aliases/{index}", read))
    return claims, findings


_alias_members = itemgetter(*_ALIAS_MEMBERS)


def _read_alias(item: Value, record: Record) -> AliasClaim | str:
    """Return an alias claim, or the reason why an item is not one."""
    members: Any = item
    try:
        kind, alias, created_at = _alias_members(members)
    except (TypeError, KeyError):
        return f"must be an object with the strings {', '.join(_ALIAS_MEMBERS)}"
    if not (isinstance(kind, str) and isinstance(alias, str) and isinstance(created_at, str)):
        return f"must be an object with the strings {', '.join(_ALIAS_MEMBERS)}"
    if (kind, alias) not in record.aliases:  # R4
        return "is not an alias of this record"
    if instant(created_at) is None:
        return "its created_at is not a time such as 2026-05-18T00:41:52Z"
    return AliasClaim(kind, alias, created_at)


# Verification --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredVerdicts:
    """Stored verdicts on values of the same record under the same keys."""

    receipts: Mapping[bytes, Fault] = field(default_factory=dict)
    """By digest of the value."""
    events: Mapping[bytes, EventVerdict] = field(default_factory=dict)
    """By digest of the value."""


def verify_bundle(
    bundle: Bundle,
    keys: KeySet,
    known: StoredVerdicts | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> VerifiedBundle:
    """Verify every receipt (S2) and event (E3) of a bundle.

    Args:
        bundle: A bundle from `parse_bundle`.
        keys: The trusted keys.
        known: Stored verdicts, so that nothing is verified twice.
        go_on: Called before each verdict; an exception from it ends the work (B4).
    """
    known = known or StoredVerdicts()
    receipts = _verify_receipts(bundle, keys, known.receipts, go_on)
    events = _verify_events(bundle, keys, known.events, go_on)
    findings = (*bundle.findings, *_faults("receipts", receipts), *_faults("events", events))
    return VerifiedBundle(bundle.record, bundle.alias_claims, receipts, events, findings)


def _verify_receipts(
    bundle: Bundle, keys: KeySet, known: Mapping[bytes, Fault], go_on: Callable[[], None]
) -> tuple[Receipt, ...]:
    receipts = []
    for value in bundle.receipts:
        go_on()
        digest = sha256(canonical(value))
        is_known = digest in known
        fault = known[digest] if is_known else check_receipt(value, bundle.record, keys)
        receipts.append(Receipt.of(value, digest, fault))
    return tuple(receipts)


def _verify_events(
    bundle: Bundle, keys: KeySet, known: Mapping[bytes, EventVerdict], go_on: Callable[[], None]
) -> tuple[Event, ...]:
    """Return the verdict on each item; equal items are verified once (M1)."""
    verdicts: dict[bytes, Event] = {}
    for raw in bundle.events:
        if raw.digest not in verdicts:
            go_on()
            verdicts[raw.digest] = _verify_event(raw, bundle.record, keys, known)
    return tuple([verdicts[raw.digest] for raw in bundle.events])


def _verify_event(
    raw: EncodedEvent, record: Record, keys: KeySet, known: Mapping[bytes, EventVerdict]
) -> Event:
    if raw.digest in known:
        with suppress(KeyError):  # its key or profile is no longer trusted
            return restore_event(raw, known[raw.digest], keys)
    return verify_event(raw, record, keys)


def _faults(member: str, verified: Iterable[Receipt | Event]) -> Iterable[BundleFinding]:
    for index, item in enumerate(verified):
        if not isinstance(item, ValidEvent) and item.code is not None:
            yield BundleFinding(item.code, f"/{member}/{index}", _reason(item), item.digest)


def _reason(item: Receipt | InvalidEvent) -> str:
    if isinstance(item, InvalidEvent) and not is_built_in(item.profile):
        return f"{item.reason} (read as the profile {item.profile} says)"
    return item.reason


def future_events(bundle: VerifiedBundle, now: int) -> Iterable[BundleFinding]:
    """Report valid events dated more than a day after `now` (microseconds since 1970; B5).

    The merge knows nothing of it: such an event keeps its slot until it is revoked.
    """
    for index, event in enumerate(bundle.events):
        if isinstance(event, ValidEvent) and event.instant > now + _DAY:
            message = f"valid, but dated {event.statement['created_at']}, more than a day ahead"
            yield BundleFinding("event.future", f"/events/{index}", message, event.digest)
