"""Upstreams that a sync meets: a registry that is made up, and stores to be served as mirrors.

As a program, it kills syncs at random moments, and looks at the store after each:

    python -m tests.engine.sync.sync_servers FOLDER KILLS SEED COMMAND...
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest import pipeline
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.root import read_root, update_root
from mirror.engine.states.trust import add_keys
from mirror.engine.sync import mirror, registry
from mirror.engine.sync.report import SyncOptions, SyncResult
from mirror.engine.sync.report import SyncSummary as SyncTally
from mirror.engine.sync.sync import ServerKind, identify, sync
from mirror.net import Client, ClientConfig
from mirror.store import open_store
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.helpers import keys_of
from tests.net.server import Exchange, Handler, Site, message

AUTHOR = Signer("author")
QUICK = ClientConfig(
    requests_per_second=0,
    retries=0,
    backoff_seconds=0.001,
    connect_seconds=2,
    read_seconds=1,
    response_seconds=2,
    allow_private=True,
)
"""For servers on this machine."""


def make_one(number: int, claims: int = 1) -> Object:
    """A bundle of the record of a number, with so many valid events."""
    record = make_record(arxiv_id=f"2401.{number:05}")
    events = [
        make_event(record, AUTHOR, "author_claimed", author_claim(), f"2026-01-{day:02}T12:00:00Z")
        for day in range(1, claims + 1)
    ]
    return make_bundle(record, events)


def suffix_of(bundle: Object) -> str:
    """The suffix of a bundle's record."""
    return oracle.pith_number_of(bundle["canonical_record"])[-26:]


# Stores --------------------------------------------------------------------------------------


def fill(path: Path, bundles: Iterable[Object]) -> Path:
    """Merge bundles into a store that trusts the author; its path."""
    source = path.with_suffix(".jsonl")
    source.write_bytes(b"".join(to_json(bundle) + b"\n" for bundle in bundles))
    with open_store(path) as store:
        add_keys(store, keys_of(AUTHOR))
        if source.stat().st_size:
            ingest(store, ReadRequest([str(source)], lambda _report: None))
    return path


def root_of(path: Path) -> str:
    """The root of all states of a store."""
    with open_store(path) as store:
        update_root(store)
        with store.snapshot():
            return read_root(store).root


@dataclass
class Synced:
    """What a sync came to."""

    tally: SyncTally
    results: list[SyncResult] = field(default_factory=list)
    reports: list[Finding] = field(default_factory=list)

    @property
    def statuses(self) -> dict[str, str]:
        """Statuses by what was asked for."""
        return {result.asked: result.status for result in self.results}

    @property
    def codes(self) -> list[str]:
        """The codes of results and findings, each once."""
        codes = [result.code for result in self.results] + [one.code for one in self.reports]
        return sorted({code for code in codes if code})


def run_sync(
    path: Path, url: str, *names: str, kind: str = "", polite: ClientConfig = QUICK, **more: Any
) -> Synced:
    """Sync a store that trusts the author."""
    results: list[SyncResult] = []
    reports: list[Finding] = []
    with Client(polite) as client, open_store(path) as store:
        add_keys(store, keys_of(AUTHOR))
        upstream = ServerKind(kind) if kind else identify(client, url)
        errand = SyncOptions(
            url=url, names=names, on_finding=reports.append, on_result=results.append, **more
        )
        return Synced(sync(store, errand, upstream, client), results, reports)


# A registry ----------------------------------------------------------------------------------


class Registry:
    """Serves bundles on the registry's path, with ETags, by suffix and by arXiv id."""

    def __init__(self, site: Site, bundles: Iterable[Object] = ()) -> None:
        self.site = site
        self.bodies: dict[str, bytes] = {}
        for bundle in bundles:
            self.put(bundle)

    @property
    def url(self) -> str:
        """Its address."""
        return self.site.url("")

    def put(self, bundle: Object) -> str:
        """Serve a bundle by its names; its suffix."""
        source = bundle["source"]
        suffix = suffix_of(bundle)
        for name in (suffix, source["id"], f"{source['id']}v{source['version']}"):
            self.answer(name, to_json(bundle))
        return suffix

    def answer(self, name: str, body: bytes) -> None:
        """Serve a body by a name."""
        self.bodies[name] = body
        self.site.at(f"/pith/{name}/bundle.json", lambda exchange: self._send(exchange, name))

    def _send(self, exchange: Exchange, name: str) -> None:
        body = self.bodies[name]
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if exchange.headers.get("if-none-match") == etag:
            exchange.send(message(b"", status="304 Not Modified", etag=etag, content_length=""))
        else:
            exchange.send(message(body, etag=etag))

    def asked(self) -> list[str]:
        """The names that were asked for since the last time."""
        paths = [path for path in self.site.paths if path.startswith("/pith/")]
        self.site.requests.clear()
        return [path.split("/")[2] for path in paths]


def breaking_after(requests: int, site: Site, handler: Handler) -> None:
    """From so many requests on, answer whatever is asked so."""

    class _Routes(dict[str, Handler]):
        def get(self, key: str, default: Any = None) -> Any:
            return handler if len(site.requests) > requests else super().get(key, default)

    site.routes = _Routes(site.routes)


# Kills ---------------------------------------------------------------------------------------


def kill_syncs(
    folder: Path, kills: int, order: random.Random, command: Sequence[str]
) -> dict[str, Any]:
    """Kill so many syncs into `mirror.db` in a folder, each in a child of its own; the tally."""
    # Only here: to import it makes all batches small, which must not happen to other tests.
    from tests.crash.crash_runner import Tally, _in_child, _look

    os.chdir(folder)
    pipeline.BATCH_BUNDLES = 64  # or a merge would start processes
    mirror.TAR_RECORDS, registry.BATCH = 9, 5  # kills fall between them, too
    tally, db, before = Tally(), fill(Path("mirror.db"), []), set[str]()
    started = time.monotonic()
    _in_child([*command, "--db", "undisturbed.db"], None)
    duration = time.monotonic() - started
    while tally.kills < kills:
        if _in_child([*command, "--db", str(db)], order.uniform(0, duration)):
            tally.kills += 1
            before = _look(db, before, tally, "sync")
            continue
        tally.undisturbed += 1
        for path in folder.glob("mirror.db*"):  # all is there: begin again with nothing
            path.unlink()
        before = set()
        fill(db, [])
    _in_child([*command, "--db", str(db)], None)
    return tally.__dict__


if __name__ == "__main__":
    folder, kills, seed, *command = sys.argv[1:]
    result = kill_syncs(Path(folder), int(kills), random.Random(int(seed)), command)
    print(json.dumps(result))  # noqa: T201
