"""Reads bundles from sources, in batches for `worker`; and `mirror verify`.

    read -> verify and encode (`worker`) [-> write (`merge`)]

One process reads, in order. Batches are verified on every core, and the results come back in the
order in which the members were read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial

from mirror.archive import Bag, Member, RefusedMember, open_source
from mirror.core.bundle import Bundle
from mirror.core.keys import KeySet
from mirror.engine.batching import batched
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest.worker import (
    Item,
    SourceBag,
    SourceMember,
    VerifyContext,
    parse_member,
    process_batch,
)
from mirror.engine.native_engine import engine_for
from mirror.engine.thread_pool import map_in_order
from mirror.errors import SourceError

__all__ = [
    "FEW_BATCHES",
    "in_batches",
    "read",
    "read_batches",
    "read_bundles",
    "source_item",
    "unreadable",
    "verify",
]

BATCH_BUNDLES = 64
"""Bundles that are verified together; fewer if they are large."""
BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of bundles that are verified together."""
FEW_BATCHES = 12
"""Batches up to which no other process is started."""


def read(request: ReadRequest, sources: Iterable[tuple[str, str]] | None = None) -> Iterator[Item]:
    """Yield every member of the sources in its order, or why it is refused.

    A source that cannot be read does not stop the others.

    Args:
        request: The sources, limits and progress.
        sources: Path and name of the sources to read; None for all of the request.
    """
    for path, name in request.sources() if sources is None else sources:
        try:
            with open_source(path, request.limits) as source:
                for item in source.items():
                    yield source_item(name, item)
                    request.progress(source)
        except SourceError as error:
            yield unreadable(name, error)


def source_item(source: str, item: Member | RefusedMember | Bag) -> Item:
    """Return a member or bag with the name of its source, or the finding that it is refused."""
    if isinstance(item, Member):
        return SourceMember(source, item)
    if isinstance(item, Bag):
        return SourceBag(source, item)
    return Finding(source, item.name, None, item.code, "", item.message)


def unreadable(source: str, error: SourceError) -> Finding:
    """Return the finding that a source cannot be read."""
    return Finding(source, "", None, error.code, "", f"{error.message}; {error.hint}")


def read_batches(
    request: ReadRequest, sources: Iterable[tuple[str, str]] | None = None
) -> Iterator[list[Item]]:
    """Yield what `read` yields, in batches for one task each."""
    return in_batches(read(request, sources))


def in_batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield items in batches for one task each."""
    return batched(items, BATCH_BUNDLES, _size_of, BATCH_BYTES)


def _size_of(item: Item) -> int:
    return len(item.member.data) if isinstance(item, SourceMember) else 0


def read_bundles(request: ReadRequest) -> Iterator[tuple[SourceMember, Bundle] | Finding]:
    """Yield every bundle of the sources, not verified, or why it is refused (V1, B2, B4, C5)."""
    limits = request.limits.for_bundles(None)
    for item in read(request):
        if isinstance(item, Finding):
            yield item
        elif isinstance(item, SourceMember):
            bundle = parse_member(item, limits)
            yield bundle if isinstance(bundle, Finding) else (item, bundle)


def verify(request: ReadRequest, keys: KeySet) -> Summary:
    """Verify sources and store nothing (`mirror verify`)."""
    summary = Summary()
    context = VerifyContext(keys, request.limits, time.time_ns() // 1000)
    engine = engine_for(keys, request.limits.for_bundles(keys.profiles))
    work = partial(process_batch, context, engine, None)
    for outcomes in map_in_order(read_batches(request), work, few=FEW_BATCHES):
        for outcome in outcomes:
            if not isinstance(outcome, SourceBag):
                summary.record(outcome, request)
    return summary
