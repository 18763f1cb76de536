"""Worlds built step by step: bundles of a few records, and changes of trust in between."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from mirror.core.values import time_text
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys, remove_keys, remove_profiles
from mirror.store import Store
from tests.builders import (
    Object,
    Signer,
    author_claim,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    sign_event_again,
    to_json,
)
from tests.engine.invented_envelopes import ALICE, INVENTED
from tests.helpers import keys_of
from tests.profiles import profile_of

REGISTRY, AUTHOR = Signer("registry"), Signer("author")
PROFILE = profile_of(INVENTED[0])
RECORD = make_record()


def merge(store: Store, *events: Any, record: Object = RECORD, **members: Any) -> None:
    """Merge one bundle."""
    assert store.path is not None
    path = store.path.with_name("bundle.json")
    path.write_bytes(to_json(make_bundle(record, events, **members)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


def claim(day: int, *, status: str = "claimed", record: Object = RECORD) -> Object:
    """A claim of one slot."""
    at = f"2026-06-{day:02}T12:00:00Z"
    return make_event(record, AUTHOR, "author_claimed", author_claim(status=status), at)


def now() -> str:
    """The time, as a store writes it."""
    return time_text(datetime.now(UTC), microseconds=True)


def step(store: Store, random: Random, events: dict[int, list[Any]]) -> None:
    """Merge some events of one record, or change trust."""
    choice = random.random()
    if choice < 0.25:
        if store.trust_log.key_set().get(AUTHOR.key_id) is None:
            add_keys(store, keys_of(AUTHOR))
        else:
            remove_keys(store, [AUTHOR.key_id])
    elif choice < 0.35:
        if store.trust_log.key_set().profile(PROFILE.name) is None:
            add_keys(store, keys_of(ALICE).with_profiles([PROFILE]))
        else:
            remove_profiles(store, [PROFILE.name])
    else:
        number = random.choice([*events])
        record = make_record(arxiv_id=f"2401.{number:05}")
        some = random.sample(events[number], random.randint(0, 3))
        receipts = [make_receipt(record, random.choice([REGISTRY, AUTHOR]))]
        merge(store, *some, record=record, receipts=receipts)


def events_of(number: int) -> list[Any]:
    """Events of one record: some retire others, one is refused, one is signed twice."""
    record = make_record(arxiv_id=f"2401.{number:05}")
    claims = [claim(day, record=record) for day in (1, 2, 3)]
    back = make_event(record, AUTHOR, "event_revoked", revocation(claims[1]["event_id"]))
    first = make_event(record, REGISTRY, "record_created", created(record, REGISTRY))
    withdrawn = claim(4, status="withdrawn", record=record)
    foreign = INVENTED[0].events() if record == RECORD else []
    again = sign_event_again(claims[0], AUTHOR)
    return [first, *claims, withdrawn, back, again, "junk", *foreign]
