"""Verifies one member of a source, for `mirror verify`, `mirror merge` and cluster tasks.

The result follows from the bytes of the member, the context, and the facts that a store holds
already, so any process can compute it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mirror.archive import Bag, Member, ReadLimits
from mirror.core.bundle import (
    Bundle,
    BundleLimits,
    VerifiedBundle,
    future_events,
    parse_bundle,
    verify_bundle,
)
from mirror.core.events.event import ValidEvent
from mirror.core.events.integrity_finding import IntegrityFinding, findings_of, verify_finding
from mirror.core.keys import KeySet
from mirror.core.merge import merge
from mirror.core.values import Value, canonical, decode, hexdigest, nesting
from mirror.engine.findings import Finding, Outcome, VerifiedMember
from mirror.engine.native_engine import Engine
from mirror.errors import FormatError, LimitError
from mirror.store import Store, StoredFacts, StoredRecord, pack_new_facts

__all__ = [
    "Item",
    "SourceBag",
    "SourceMember",
    "VerifyContext",
    "parse_member",
    "process",
    "process_batch",
    "refused_member",
]

MANY_FACTS = 16
"""Stored facts of a record above which Python adds more: it remembers them, and merges a record
once for many bundles. The native engine reads and merges them all for each bundle."""


class SourceMember(NamedTuple):
    """Member of a source that should be a bundle."""

    source: str
    member: Member


class SourceBag(NamedTuple):
    """Bag that a source is; it follows the members of the bag."""

    source: str
    bag: Bag


Item: TypeAlias = SourceMember | SourceBag | Finding
"""Item of a source, in its order; a finding in the place of a member that is refused."""


@dataclass(frozen=True, slots=True)
class VerifyContext:
    """The settings of a run on which verdicts depend."""

    keys: KeySet
    limits: ReadLimits
    now: int
    """The time in microseconds since 1970, for `event.future` (B5)."""
    encodes_facts: bool = False
    """Whether to encode the facts that a store lacks; only bundles are accepted then."""
    merges: bool = False
    """Whether to merge bundles whose record the store lacks; needs `encodes_facts`."""


def process_batch(
    context: VerifyContext, engine: Engine | None, store: Store | None, batch: list[Item]
) -> list[Outcome | SourceBag]:
    """Return the results of several items, in their order; see `process`.

    Args:
        context: The settings of the run.
        engine: The native engine for its keys and limits, which decides what it can.
        store: The store to merge into, within a snapshot; None if it holds nothing.
        batch: The items.
    """
    found = {} if engine is None else _verify_natively(context, engine, store, batch)
    return [
        (found.get(place) or process(item, context, store))
        if isinstance(item, SourceMember)
        else item
        for place, item in enumerate(batch)
    ]


def _verify_natively(
    context: VerifyContext, engine: Engine, store: Store | None, batch: list[Item]
) -> dict[int, VerifiedMember]:
    """Return the results of the members that the native engine passes, by place in the batch."""
    members = [(place, one) for place, one in enumerate(batch) if isinstance(one, SourceMember)]
    bundles = [(item.member.data, item.member.is_packed) for _, item in members]
    passed = engine.verify(bundles, context.now, encode=context.encodes_facts)
    found = {
        place: VerifiedMember(
            item.source, item.member.name, one.pith_number, one.events, one.receipts, [],
            one.new_facts,
        )
        for (place, item), one in zip(members, passed, strict=True)
        if one is not None
    }  # fmt: skip
    return found if store is None else dict(_against_store(found, engine, store))


def _against_store(
    found: dict[int, VerifiedMember], engine: Engine, store: Store
) -> Iterator[tuple[int, VerifiedMember]]:
    """Yield results with what the store lacks, and the states of all facts of their records.

    A record that is stored with many facts, or with some that did not pass, is left out.
    """
    new_facts = {place: one.new_facts for place, one in found.items() if one.new_facts is not None}
    ids = store.stored_records.find([(one.record[2], one.digest) for one in new_facts.values()])
    stored = store.stored_records.rows(list(ids.values()), MANY_FACTS) if ids else {}
    known: list[tuple[int, tuple[StoredRecord, bytes]]] = []
    for place, facts in new_facts.items():
        record_id = ids.get(facts.digest)
        if record_id is None:
            yield place, found[place]
        elif record_id in stored:
            known.append((place, (stored[record_id], facts.content)))
    for (place, _), extended in zip(known, engine.extend([one for _, one in known]), strict=True):
        if extended is not None:
            yield place, found[place]._replace(new_facts=extended)


def process(item: SourceMember, context: VerifyContext, store: Store | None = None) -> Outcome:
    """Parse and verify a member: a bundle, or a document of integrity findings.

    Args:
        item: The member.
        context: The settings of the run.
        store: The store to merge into, within a snapshot; None if it holds nothing.

    Returns:
        The verified member, or the finding that it is refused (V1, B2, B4).
    """
    keys, limits = context.keys, context.limits
    bundle = parse_member(item, limits.for_bundles(keys.profiles))
    if isinstance(bundle, Finding):
        document = None if context.encodes_facts else _verify_document(item, context)
        return document or bundle
    record = bundle.record
    stored = (
        StoredFacts() if store is None else store.facts.stored_facts(record.digest, record.suffix)
    )
    try:
        verified = verify_bundle(bundle, keys, stored.known, _time_limit(limits))
    except LimitError as error:
        return refused_member(item, record.pith_number, error)
    outcome = _verified_member(item, verified, context.now)
    if not context.encodes_facts:
        return outcome
    state = None
    if context.merges and stored.record_id is None:
        claims = verified.alias_claims
        state = merge(verified.record, verified.receipts, claims, verified.events, keys)
    return outcome._replace(new_facts=pack_new_facts(bundle, verified, stored, state, keys))


def parse_member(item: SourceMember, limits: BundleLimits) -> Bundle | Finding:
    """Return the bundle, or the finding that it is refused; its values are freed then."""
    try:
        return parse_bundle(item.member.data, limits, is_packed=item.member.is_packed)
    except FormatError as error:
        return refused_member(item, None, error)


def refused_member(item: SourceMember, number: str | None, error: FormatError) -> Finding:
    """Return the finding that a member is refused; its bytes identify it."""
    name, digest = item.member.name, hexdigest(item.member.data)
    return Finding(item.source, name, number, error.code, error.where, error.message, digest)


def _time_limit(limits: ReadLimits) -> Callable[[], None]:
    """Return a function that raises `limit.time` once a bundle takes longer than allowed (B4)."""
    end = time.monotonic() + limits.bundle_s

    def check_time() -> None:
        if time.monotonic() > end:
            message = f"verifying it takes longer than {limits.bundle_s:g} seconds"
            raise LimitError("limit.time", message)

    return check_time


def _verified_member(item: SourceMember, bundle: VerifiedBundle, now: int) -> VerifiedMember:
    """Return the result of a bundle, with its findings (B3, B5)."""
    source, name, number = item.source, item.member.name, bundle.record.pith_number
    return VerifiedMember(
        source,
        name,
        number,
        sum([isinstance(event, ValidEvent) for event in bundle.events]),
        sum([receipt.code is None for receipt in bundle.receipts]),
        [
            Finding(source, name, number, one.code, one.where, one.message, one.digest.hex())
            for one in (*bundle.findings, *future_events(bundle, now))
        ],
    )


# Documents of integrity findings -------------------------------------------------------------


def _verify_document(item: SourceMember, context: VerifyContext) -> Outcome | None:
    """Return the result of a document of integrity findings (S4); None if it is not one."""
    source, (name, data, is_packed) = item.source, item.member
    try:
        document = None if is_packed else decode(data)
        integrity = [] if _is_bundle(document) else findings_of(document)
        if not integrity:
            return None
        faults = _check_findings(document, integrity, context)
    except LimitError as error:
        return refused_member(item, None, error)
    except FormatError:
        return None
    findings = [Finding(source, name, None, code, where, why) for where, code, why in faults]
    failed = {one.where for one in findings if one.code != "finding.evidence"}
    verified = len(integrity) - len(failed)
    return VerifiedMember(
        source, name, "", 0, 0, findings, documents=1, integrity_verified=verified
    )


def _is_bundle(document: Value) -> bool:
    return isinstance(document, dict) and "bundle_type" in document


def _check_findings(
    document: Value, integrity: list[IntegrityFinding], context: VerifyContext
) -> list[tuple[str, str, str]]:
    """Return JSON Pointer, code and reason of each fault of the findings (S4).

    Raises:
        LimitError: `limit.count`, `limit.time` (B4).
    """
    limits = context.limits
    if len(integrity) > limits.events:
        message = f"{len(integrity)} findings, more than the {limits.events} that are accepted"
        raise LimitError("limit.count", message)
    if nesting(canonical(document)) > limits.depth:
        raise LimitError("limit.count", f"more than {limits.depth} nested arrays and objects")
    check_time, faults = _time_limit(limits), []
    for where, value in integrity:
        check_time()
        faults += [(where, code, why) for code, why in verify_finding(value, context.keys)]
    return faults
