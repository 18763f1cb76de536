"""Composed bundles: the bundles that a mirror serves and exports (rules B6, C2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from mirror.core.bundle import BUNDLE_TYPE, BUNDLE_VERSION, AliasClaim
from mirror.core.events.event import Event
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.values import Object, Value, canonical, dump_fragments, instant, raw_fragment

__all__ = ["compose", "compose_members", "event_order"]

MEMBER_BYTES = 8 * 1024 * 1024
"""The most bytes of one member of a bag (C2)."""
MEMBER_EVENTS = 50_000
"""The most items of `events` in one member (C2)."""
MEMBER_VALUES = 1_000_000
"""The most values in one member, by `_count_values`: half of what a mirror accepts (B4)."""


def compose(
    record: Record,
    alias_claims: Iterable[AliasClaim],
    receipts: Iterable[Receipt],
    events: Iterable[Event],
) -> bytes:
    """Return the composed bundle of a record: one line of JSON with an LF at its end (B6).

    Each fact must be given once. Verdicts and the order of arrival do not change the result.
    """
    lists: _Lists = {}
    for name, encoded in _in_order(alias_claims, receipts, events):
        lists.setdefault(name, []).append(raw_fragment(encoded))
    return _bundle_of(record, lists)


def compose_members(
    record: Record,
    alias_claims: Iterable[AliasClaim],
    receipts: Iterable[Receipt],
    events: Iterable[Event],
) -> Iterator[bytes]:
    """Yield the composed bundle as the members of a bag: one, or several if it is large (C2).

    Each member is a whole bundle. Alias claims and receipts are in the first, unless they alone
    are too large for it; the events follow in their order. A member exceeds its limits only if a
    single value does.
    """
    member = _ComposedBundle(record)
    for name, encoded in _in_order(alias_claims, receipts, events):
        if not member.has_room(name, encoded):
            yield member.text()
            member = _ComposedBundle(record)
        member.add(name, encoded)
    yield member.text()


_Lists: TypeAlias = dict[str, list[Value]]
"""Those of `source_aliases`, `events` and `receipts` that are not empty."""


class _ComposedBundle:
    """A composed bundle to which values are added."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lists: _Lists = {}
        self._size = len(_bundle_of(record, {}))
        self._values = 0

    def has_room(self, name: str, encoded: bytes) -> bool:
        """Whether one more value fits; the first one always does."""
        if not self._lists:
            return True
        return (
            self._size + self._growth(name, encoded) <= MEMBER_BYTES
            and self._values + _count_values(encoded) <= MEMBER_VALUES
            and not (name == "events" and len(self._lists.get(name, ())) == MEMBER_EVENTS)
        )

    def add(self, name: str, encoded: bytes) -> None:
        """Add a value."""
        self._size += self._growth(name, encoded)
        self._values += _count_values(encoded)
        self._lists.setdefault(name, []).append(raw_fragment(encoded))

    def _growth(self, name: str, encoded: bytes) -> int:
        if name in self._lists:
            return len(b",") + len(encoded)
        return len(encoded) + (len(b',"receipts":[]') if name == "receipts" else 0)

    def text(self) -> bytes:
        """Return the bundle, one line of JSON."""
        return _bundle_of(self._record, self._lists)


def _count_values(encoded: bytes) -> int:
    """Return an upper bound of the number of values in a text."""
    return 1 + encoded.count(b",") + encoded.count(b"[") + encoded.count(b"{")


def _in_order(
    alias_claims: Iterable[AliasClaim], receipts: Iterable[Receipt], events: Iterable[Event]
) -> Iterator[tuple[str, bytes]]:
    """Yield the list of each fact and its canonical bytes, in the order of B6."""
    for claim in sorted(canonical(one.to_value()) for one in alias_claims):
        yield "source_aliases", claim
    for receipt in sorted(canonical(one.value) for one in receipts):
        yield "receipts", receipt
    for event in sorted(events, key=event_order):
        yield "events", canonical(event.value)


def _bundle_of(record: Record, lists: _Lists) -> bytes:
    """Return a bundle of these facts; without receipts it has no member `receipts`."""
    bundle: Object = {
        "bundle_type": BUNDLE_TYPE,
        "bundle_version": BUNDLE_VERSION,
        "pith_number": record.pith_number,
        "short_pith_number": record.short_pith_number,
        "canonical_record": raw_fragment(record.encoded),
        "canonical_sha256": record.canonical_sha256,
        "source": raw_fragment(canonical(record.value["source"])),
        "source_aliases": lists.get("source_aliases", []),
        "events": lists.get("events", []),
    }
    if receipts := lists.get("receipts"):
        bundle["receipts"] = receipts
    return dump_fragments(bundle) + b"\n"


def event_order(event: Event) -> tuple[bool, int, bytes]:
    """Return the sort key of B6: instant, events without a time last; then digest of the value."""
    at = instant(event.value.get("created_at") if isinstance(event.value, dict) else None)
    return at is None, at or 0, event.digest
