"""`mirror sync`: bundles of a registry, or of another mirror, into the store.

Nobody is trusted: what comes is taken in as a file is, and merged only as far as it verifies. What
was fetched stays fetched: a run that ends early, however, is gone on with by the next one.
"""

from __future__ import annotations

from typing import NamedTuple

from mirror.core.values import Value, decode, is_integer
from mirror.engine.sync.feed import read_page
from mirror.engine.sync.mirror import fetch_full_bag, follow_feed
from mirror.engine.sync.registry import fetch_all
from mirror.engine.sync.report import SyncOptions, SyncSummary
from mirror.engine.sync.requests import request_all, requests_for
from mirror.engine.sync.session import TIMEOUT_CODES, TOLERATED_CODES, SyncSession
from mirror.errors import FormatError, LookUpError, UpstreamError
from mirror.net import Client, MirrorClient, parse_url
from mirror.store import Store

__all__ = ["MIRROR", "REGISTRY", "ServerKind", "identify", "sync"]

REGISTRY, MIRROR = "registry", "mirror"


class ServerKind(NamedTuple):
    """What an upstream is found to be."""

    kind: str
    """`registry` or `mirror`."""
    records: int | None = None
    """How many records it says that it has."""


def identify(client: Client, url: str) -> ServerKind:
    """Find out what an address is that of, by asking it.

    Args:
        client: How to ask.
        url: Without a slash at its end.

    Raises:
        UpstreamError: If it cannot be reached.
    """
    remote = MirrorClient(client, url)
    try:
        health = remote.get_health()
        records = None if health is None else _records(decode(health))
    except FormatError:
        return ServerKind(REGISTRY)
    except UpstreamError as error:
        # A registry need not know this path, and may answer it with anything.
        if error.code not in TOLERATED_CODES - TIMEOUT_CODES:
            raise
        return ServerKind(REGISTRY)
    if records is None or not _has_feed(remote):
        return ServerKind(REGISTRY)
    return ServerKind(MIRROR, records)


def _has_feed(remote: MirrorClient) -> bool:
    try:
        read_page(remote, 0, 1)
    except UpstreamError as error:
        if error.code not in {"upstream.feed", "upstream.type"}:
            raise
        return False
    return True


def _records(health: Value) -> int | None:
    """Return how many records a mirror says that it has; None if it is no mirror that speaks."""
    counts = health.get("counts") if isinstance(health, dict) else None
    records = counts.get("records") if isinstance(counts, dict) else None
    return records if is_integer(records) and records >= 0 else None


def sync(store: Store, errand: SyncOptions, upstream: ServerKind, client: Client) -> SyncSummary:
    """Fetch bundles, and merge what verifies.

    Args:
        store: Where to.
        errand: What to fetch.
        upstream: What its address is that of.
        client: How to ask.

    Returns:
        What came of it; `stopped` says why it was given up, if it was.

    Raises:
        LookUpError: `sync.nothing` if there is nothing to ask for.
        UpstreamError: `upstream.url` if the address is none, or holds a password;
            `upstream.feed` if the whole of a registry is asked for.
        StoreError: As `ingest`.
    """
    parse_url(errand.url)
    run = SyncSession(store, MirrorClient(client, errand.url), errand, SyncSummary(upstream.kind))
    try:
        _fetch(run, upstream)
    except UpstreamError as error:
        run.tally.stopped = error
    finally:
        run.tally.requests = client.requests
    return run.tally


def _fetch(run: SyncSession, upstream: ServerKind) -> None:
    errand = run.errand
    if errand.whole:
        errand.expect(upstream.records)
        fetch_full_bag(run)
    elif upstream.kind == MIRROR and not errand.names:
        is_new = errand.fresh or run.store.sync_state.position(errand.url) is None
        errand.expect(upstream.records if is_new else None)
        follow_feed(run)
    else:
        _ask(run)


def _ask(run: SyncSession) -> None:
    """Ask for single bundles: of the ids that were named, or of all records of the store."""
    store, errand = run.store, run.errand
    if not errand.names:
        if not (count := store.records.count()):
            hint = "name ids, or a file of ids with --ids; or take the records of a mirror first"
            message = "the store holds no record that a registry could be asked for"
            raise LookUpError("sync.nothing", message, hint=hint)
        errand.expect(count)
        fetch_all(run, request_all(store))
        return
    fetched = store.sync_state
    requests = list(
        requests_for(
            store, errand.names, lambda name: fetched.answered(errand.url, name) is not None
        )
    )
    errand.expect(len(requests))
    fetch_all(run, requests)
