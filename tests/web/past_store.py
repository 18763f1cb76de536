"""A store whose record changed at four known times, by real merges with another clock."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from mirror.core.values import time_text
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.search.metadata_check import keep_metadata
from mirror.engine.states import trust
from mirror.engine.states.current import bundle_text, current_text
from mirror.engine.states.trust import add_keys
from mirror.store import Store, known_time, open_store
from tests.builders import (
    Object,
    Signer,
    author_claim,
    created,
    make_bundle,
    make_event,
    make_record,
    revocation,
    to_json,
)
from tests.helpers import keys_of

REGISTRY, AUTHOR = Signer("registry"), Signer("author")
RECORD, OTHER = make_record(), make_record(arxiv_id="2401.00002")
SUFFIX = make_bundle(RECORD)["pith_number"].rpartition(":")[2]

SECONDS = ("20260601120000", "20260602120000", "20260603000000", "20260604120000")
"""The seconds of the mementos of `RECORD`."""
DATES = ("Mon, 01 Jun 2026 12:00:00 GMT", "Tue, 02 Jun 2026 12:00:00 GMT",
         "Wed, 03 Jun 2026 00:00:00 GMT", "Thu, 04 Jun 2026 12:00:00 GMT")  # fmt: skip
"""The same as HTTP writes them."""


class Known(NamedTuple):
    """The state and the bundle of `RECORD` at the end of a second."""

    state: bytes
    bundle: bytes


@contextmanager
def clock() -> Iterator[Callable[[str], None]]:
    """A function that sets the clock of commits and of changes of trust."""
    with pytest.MonkeyPatch.context() as patch:

        def put(at: str) -> None:
            now = SimpleNamespace(now=lambda _zone: datetime.fromisoformat(at).astimezone(UTC))
            patch.setattr(known_time, "datetime", now)
            patch.setattr(trust, "_now", lambda: time_text(now.now(UTC), microseconds=True))

        yield put


def merge(store: Store, record: Object, *events: object) -> None:
    """Merge a bundle of a record into a store with a file."""
    path = Path(f"{store.path}.bundle.json")
    path.write_bytes(to_json(make_bundle(record, [*events])))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


def keep_title(store: Store) -> None:
    """Keep the title of a record."""
    line = to_json({"id": "2401.00001", "title": "On mirrors"})
    assert [*keep_metadata(store, io.BytesIO(line), "dump.jsonl")]


def make_past(path: Path) -> dict[str, Known]:
    """Make the store at a path; what was known by the end of each of `SECONDS`."""
    first = make_event(RECORD, REGISTRY, "record_created", created(RECORD, REGISTRY))
    claims = [
        make_event(RECORD, AUTHOR, "author_claimed", author_claim(), created_at=f"{day}T00:00:00Z")
        for day in ("2026-05-01", "2026-05-02")
    ]
    back = make_event(RECORD, AUTHOR, "event_revoked", revocation(claims[1]["event_id"]))
    steps: list[tuple[str, Callable[[Store], object]]] = [
        ("2026-05-01T00:00:00Z", lambda store: add_keys(store, keys_of(REGISTRY))),
        ("2026-06-01T12:00:00.500000Z", lambda store: merge(store, RECORD, first)),
        ("2026-06-02T12:00:00.250000Z", lambda store: merge(store, RECORD, claims[0])),
        ("2026-06-02T12:00:00.750000Z", lambda store: merge(store, RECORD, claims[1])),
        ("2026-06-03T00:00:00.000000Z", lambda store: add_keys(store, keys_of(AUTHOR))),
        ("2026-06-03T12:00:00.000000Z", lambda store: merge(store, OTHER)),
        ("2026-06-03T13:00:00.000000Z", keep_title),
        ("2026-06-04T12:00:00.999999Z", lambda store: merge(store, RECORD, back)),
    ]
    known = {}
    with open_store(path) as store, clock() as put:
        for at, step in steps:
            put(at)
            step(store)
            digits = "".join(one for one in at if one.isdigit())[:14]
            if digits in SECONDS:
                known[digits] = Known(current_text(store, 1), bundle_text(store, 1))
    return known
