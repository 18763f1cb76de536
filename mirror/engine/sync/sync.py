"""Syncs a store with a registry or with another mirror.

No server is trusted: fetched bundles are verified and merged as files are. The next sync resumes
an interrupted one.
"""

from __future__ import annotations

from typing import NamedTuple

from mirror.core.shape import integer_member, object_member
from mirror.core.values import Value, decode
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
    """The kind of an upstream."""

    kind: str
    """`registry` or `mirror`."""
    records: int | None = None
    """The number of its records, according to itself; None if it does not report one."""


def identify(client: Client, url: str) -> ServerKind:
    """Request the kind of the server at an address.

    Args:
        client: The HTTP client.
        url: The address, without a slash at its end.

    Raises:
        UpstreamError: If it cannot be reached.
    """
    remote = MirrorClient(client, url)
    try:
        health = remote.get_health()
        records = None if health is None else _record_count(decode(health))
    except FormatError:
        return ServerKind(REGISTRY)
    except UpstreamError as error:
        # A registry need not have this path, so any response is possible.
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


def _record_count(health: Value) -> int | None:
    """Return the number of records in a mirror's health document; None if it is not one."""
    records = integer_member(object_member(health, "counts"), "records")
    return records if records is not None and records >= 0 else None


def sync(store: Store, options: SyncOptions, upstream: ServerKind, client: Client) -> SyncSummary:
    """Fetch bundles, and merge those that are valid.

    Args:
        store: The store to merge them into.
        options: What to fetch.
        upstream: The kind of the server.
        client: The HTTP client.

    Returns:
        The counts of the results; `stopped` is the error that ended the sync early, if one did.

    Raises:
        LookUpError: `sync.nothing` if there is nothing to request.
        UpstreamError: `upstream.url` if the address is invalid or contains a password.
        StoreError: As `ingest`.
    """
    parse_url(options.url)
    remote = MirrorClient(client, options.url)
    session = SyncSession(store, remote, options, SyncSummary(upstream.kind))
    try:
        _fetch(session, upstream)
    except UpstreamError as error:
        session.summary.stopped = error
    finally:
        session.summary.requests = client.requests
    return session.summary


def _fetch(session: SyncSession, upstream: ServerKind) -> None:
    options = session.options
    if options.full:
        options.expect(upstream.records)
        fetch_full_bag(session)
    elif upstream.kind == MIRROR and not options.names:
        position = session.store.sync_state.position(options.url)
        is_new = options.ignore_cache or position is None
        options.expect(upstream.records if is_new else None)
        follow_feed(session)
    else:
        _fetch_singly(session)


def _fetch_singly(session: SyncSession) -> None:
    """Fetch single bundles: of the given identifiers, or of all records of the store."""
    store, options = session.store, session.options
    if not options.names:
        if not (count := store.records.count()):
            hint = "name ids, or a file of ids with --ids; or sync with a mirror first"
            message = "the store has no record to request from a registry"
            raise LookUpError("sync.nothing", message, hint=hint)
        options.expect(count)
        fetch_all(session, request_all(store))
        return
    sync_state = store.sync_state
    requests = list(
        requests_for(
            store,
            options.names,
            lambda name: sync_state.answered(options.url, name) is not None,
        )
    )
    options.expect(len(requests))
    fetch_all(session, requests)
