"""Keys, profiles and bundles in any order: a store ends as a fresh one with the same does."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.core.events.verdict import ProfileVerdict
from mirror.core.keys import BUILT_IN, KeySet
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest import merge as merge_module
from mirror.engine.ingest.merge import ingest
from mirror.engine.ingest.pipeline import read_batches
from mirror.engine.states import trust
from mirror.engine.states.check import CheckScope, check
from mirror.engine.states.current import current_text
from mirror.engine.states.replay import process_stale
from mirror.engine.states.trust import add_keys, remove_keys, remove_profiles
from mirror.errors import KeySetChangedError
from mirror.store import Facts, Store, open_store
from tests.builders import Object, Signer, created, make_bundle, make_event, to_json, without
from tests.engine.invented_envelopes import (
    ALICE,
    RECORD,
    THREE,
    Said,
    by_fingerprint,
    by_nobody,
    digest,
    flat,
    in_the_signer,
    linked,
    other_names,
    payload_alone,
    without_id,
)
from tests.helpers import keys_of, merged
from tests.profiles import BOB, of_make, profile_of

TWIN = Signer("alice", key_id="a-twin", signer_id="twin")
NAMESAKE = Signer("bob", key_id=ALICE.fingerprint, signer_id="namesake")
NARROW = Signer("alice", key_id="narrow", event_types=("citation_signed",))
SEEDS = int(os.environ.get("MIRROR_CHANGES", "16"))
"""Random sequences of changes; `scripts/test --thorough` tries more."""
SIGNERS = (ALICE, BOB, TWIN, NAMESAKE, NARROW)
REGISTRY_TWIN = replace(BUILT_IN, key_id="a-registry", signer_id="x", may_revoke_others=False)
KEYS = {
    **{signer.key_id: next(iter(_)) for signer in SIGNERS for _ in [
        [key for key in keys_of(signer) if key != BUILT_IN]
    ]},
    REGISTRY_TWIN.key_id: REGISTRY_TWIN,
    BUILT_IN.key_id: BUILT_IN,
}  # fmt: skip
MAKERS = (flat, other_names, by_fingerprint, by_nobody, payload_alone, linked, without_id)
PROFILES = {
    **{make.__name__: profile_of(of_make(make), make.__name__) for make in MAKERS},
    "mapped": profile_of(of_make(flat), "mapped", renamed="record_created"),
    "inside": profile_of(of_make(in_the_signer), "inside", author_claimed="citation_signed"),
}
RECEIVED = Said("renamed", created(RECORD, BOB), "2026-04-01T00:00:00Z", 4)


def by_the_registry() -> Object:
    """An event that names the registry's key by its fingerprint, and is not by it."""
    body = without(by_fingerprint(THREE[0], ALICE), "event_id", "signature")
    body["signer"] = {"fingerprint": BUILT_IN.fingerprint}
    event_id = f"sha256:{digest(body).hex()}"
    return {**body, "event_id": event_id, "signature": ALICE.sign(b"")}


FACTS: list[Any] = [
    *[make(said, signer) for make in (*MAKERS, in_the_signer) for said in THREE[:2]
      for signer in (ALICE, BOB)],
    {**payload_alone(THREE[0], ALICE), "key_id": TWIN.key_id},
    {**payload_alone(THREE[0], ALICE), "key_id": []},
    {**linked(THREE[0], ALICE), "event_id": 1, "key_id": {}},
    without(linked(THREE[1], ALICE), "event_id"),
    flat(RECEIVED, ALICE), by_nobody(RECEIVED, BOB), flat(replace(RECEIVED, number=5), TWIN),
    by_the_registry(),
    make_event(RECORD, ALICE, "author_claimed", THREE[0].payload),
    make_event(RECORD, TWIN, "record_created", created(RECORD, ALICE)),
    without(make_event(RECORD, BOB, "x.y", {}), "event_id"), 7, "junk", [], {},
]  # fmt: skip


@contextmanager
def new_store() -> Iterator[Store]:
    """An empty store."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder, "mirror.db")) as store:
        yield store


def read(store: Store, *events: Any) -> None:
    """Merge a bundle."""
    assert store.path is not None
    path = store.path.with_name("bundle.json")
    path.write_bytes(to_json(make_bundle(RECORD, events)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


def damages(store: Store) -> list[str]:
    """What is not as it would be if it were reached anew."""
    assert store.path is not None
    return [one.reason for one in check(store.path, CheckScope(), lambda _damage: None).damages]


def steps(chance: random.Random) -> Iterator[tuple[list[int], list[str], list[str]]]:
    """Facts that come, and keys and profiles that come if they are not there, and else go."""
    facts, keys, profiles = range(len(FACTS)), sorted(KEYS), sorted(PROFILES)
    yield chance.sample(facts, 12), [], chance.sample(profiles, 6)
    for _ in range(10):
        kind = chance.randrange(8)
        yield (
            chance.sample(facts, chance.randrange(1, 8)) if kind < 2 else [],
            chance.sample(keys, chance.randrange(1, 3)) if kind > 2 else [],
            chance.sample(profiles, chance.randrange(1, 4)) if kind in {2, 3} else [],
        )


def toggle(store: Store, key_ids: list[str], names: list[str]) -> None:
    """Trust what is not trusted, and trust the rest no longer."""
    now = store.trust_log.key_set()
    gone = [one for one in key_ids if now.get(one)], [one for one in names if now.profile(one)]
    if gone[0]:
        remove_keys(store, gone[0])
    if gone[1]:
        remove_profiles(store, gone[1])
    keys = [KEYS[one] for one in key_ids if one not in gone[0]]
    add_keys(store, KeySet(keys, [PROFILES[one] for one in names if one not in gone[1]]))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_sequence_of_changes_ends_in_the_state_of_a_new_store(seed: int) -> None:
    """Some of them cut off before the verdicts were reached anew."""
    chance, seen = random.Random(seed), set[int]()
    with new_store() as store, new_store() as fresh:
        for facts, key_ids, names in steps(chance):
            with pytest.MonkeyPatch.context() as patch:
                if chance.random() < 0.3:
                    patch.setattr(trust, "process_stale", lambda _store, **_: None)
                toggle(store, key_ids, names)
                if facts:
                    seen |= {*facts}
                    read(store, *[FACTS[index] for index in facts])
            if seen:
                bundle = make_bundle(RECORD, [FACTS[index] for index in seen])
                assert merged([bundle], store.trust_log.key_set()).text == current_text(store, 1)
        process_stale(store)
        assert [] == damages(store)
        add_keys(fresh, store.trust_log.key_set())
        if not store.trust_log.key_set().has_built_in:
            remove_keys(fresh, [BUILT_IN.key_id])
        assert store.trust_log.key_set().digest == fresh.trust_log.key_set().digest
        read(fresh, *(FACTS[index] for index in sorted(seen, reverse=True)))
        assert store.states.text(1) == fresh.states.text(1)
        assert store.status().events_by_profile == fresh.status().events_by_profile


def test_events_that_name_a_second_key_id_of_the_registry_are_verified_again(
    tmp_path: Path,
) -> None:
    """What names the registry's key is in no index, since that never changes."""
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, KeySet((), [PROFILES["by_fingerprint"]]))
        read(store, by_the_registry())
        add_keys(store, [REGISTRY_TWIN])
        assert [] == damages(store)
        remove_keys(store, [REGISTRY_TWIN.key_id])
        assert [] == damages(store)


@pytest.mark.parametrize(("first", "second"), [(ALICE, TWIN), (TWIN, ALICE)])
def test_events_signed_with_another_id_of_a_changed_key_are_verified_again(
    tmp_path: Path, first: Signer, second: Signer
) -> None:
    """One public key has two ids, and the signature does not cover the id that the event names."""
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(first, second).with_profiles([PROFILES["payload_alone"]]))
        read(store, *[payload_alone(said, ALICE) for said in THREE])
        remove_keys(store, [first.key_id])
        assert [] == damages(store)
        add_keys(store, keys_of(first))
        assert [] == damages(store)


def test_an_event_whose_key_is_not_a_text_is_merged(tmp_path: Path) -> None:
    """A bundle that anybody can make up does not end the run."""
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, keys_of(ALICE).with_profiles([PROFILES["flat"]]))
        names: list[Any] = [[], {}, [[]]]
        read(store, *[{**flat(THREE[0], ALICE), "key_id": name} for name in names])
        assert 3 == sum(store.status().events_invalid.values())


def test_a_profile_that_is_added_during_a_merge_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict under a profile that this run does not know is no end without a word."""
    profile = PROFILES["flat"]
    with open_store(tmp_path / "mirror.db") as store, open_store(tmp_path / "mirror.db") as other:
        add_keys(store, keys_of(ALICE))
        read(store, flat(THREE[0], ALICE))
        stored_facts, verdicts = Facts.stored_facts, list[object]()

        def changing(*args: Any) -> Any:
            add_keys(other, KeySet((), [profile]))
            return read_batches(*args)

        def recording(*args: Any) -> Any:
            found = stored_facts(*args)
            verdicts.extend(found.known.events.values())
            return found

        monkeypatch.setattr(merge_module, "read_batches", changing)
        monkeypatch.setattr(Facts, "stored_facts", recording)
        with pytest.raises(KeySetChangedError):
            read(store, flat(THREE[0], ALICE), flat(THREE[1], ALICE))
        assert any(isinstance(one, ProfileVerdict) for one in verdicts)
