"""Trusting a profile: what was refused is judged again and merged, and all of it can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.core.keys import KeySet
from mirror.core.profile import Profile
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states import trust
from mirror.engine.states.check import CheckScope, check
from mirror.engine.states.current import current_text
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.replay import process_stale
from mirror.engine.states.root import read_root
from mirror.engine.states.trust import add_keys, remove_keys, remove_profiles
from mirror.errors import FormatError, LookUpError
from mirror.store import Store, open_store
from tests.builders import make_bundle, make_event, to_json
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    Invented,
    by_fingerprint,
    by_nobody,
    flat,
    other_names,
)
from tests.helpers import keys_of, merged
from tests.profiles import BOB, of_make, profile_of

ENVELOPES = pytest.mark.parametrize("invented", INVENTED, ids=[one.name for one in INVENTED])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with open_store(tmp_path / "mirror.db") as opened:
        yield opened


def read(store: Store, *bundles: Any) -> list[Finding]:
    """Merge bundles into a store; what was found."""
    assert store.path is not None
    path, reports = store.path.with_name("bundles.jsonl"), list[Finding]()
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(path)], reports.append))
    return reports


def text_of(store: Store) -> bytes:
    """The state of the one record, which is as stored, and checks out."""
    assert store.path is not None
    assert [] == check(store.path, CheckScope(), lambda _damage: None).damages
    text = current_text(store, 1)
    assert text == store.states.text(1)
    return text


def trusting(store: Store, *profiles: Profile) -> list[Profile]:
    """Trust profiles; those that were not trusted before."""
    return add_keys(store, KeySet((), profiles)).profiles


@ENVELOPES
def test_events_are_valid_while_their_profile_is_trusted(store: Store, invented: Invented) -> None:
    """With the very state that a mirror comes to that trusted the profile from the start."""
    bundle = make_bundle(RECORD, [*invented.events(), "junk", make_event(RECORD, ALICE, "x.y", {})])
    add_keys(store, keys_of(ALICE))
    assert 4 == len(read(store, bundle))
    before, digest = text_of(store), read_root(store).root
    profile = profile_of(invented)
    keys = keys_of(ALICE).with_profiles([profile])
    assert [profile] == trusting(store, profile)
    assert [] == trusting(store, profile)
    assert merged([bundle], keys).text == text_of(store)
    status = store.status()
    assert (4, 1) == (status.events_valid, sum(status.events_invalid.values()))
    assert {"new": 3} == status.events_by_profile
    assert keys.digest == store.trust_log.key_set().digest == read_root(store).key_set_digest
    assert [profile] == remove_profiles(store, ["new"])
    assert (before, digest) == (text_of(store), read_root(store).root)
    assert {} == store.status().events_by_profile


def test_the_order_of_bundles_keys_and_profiles_does_not_matter(tmp_path: Path) -> None:
    """Bundle, keys, profile, and the bundle again with more in it."""
    invented = of_make(other_names)
    one, two, three = invented.events()
    profile = profile_of(invented)
    loose = {**three, "proof": {**three["proof"], "more": 1}}
    forged = {**three, "body": {"changed": 1}}
    bundles = [
        make_bundle(RECORD, [one, forged]),
        make_bundle(RECORD, [two, one, three, 7]),
        make_bundle(RECORD, [loose, two, forged]),
    ]
    keys = keys_of(ALICE).with_profiles([profile])
    expected = merged(bundles, keys).text
    steps: list[Any] = [keys_of(ALICE), KeySet((), [profile]), *bundles]
    for number, order in enumerate(([0, 1, 2, 3, 4], [4, 2, 1, 0, 3], [2, 3, 4, 0, 1])):
        with open_store(tmp_path / f"{number}.db") as store:
            for step in (steps[index] for index in order):
                add_keys(store, step) if isinstance(step, KeySet) else read(store, step)
            assert expected == text_of(store)
            rebuild(store, lambda _records: None)
            assert expected == text_of(store)
            assert {"new": 5} == store.status().events_by_profile


@pytest.mark.parametrize("make", [by_fingerprint, by_nobody, flat], ids=lambda one: one.__name__)
def test_a_key_is_added_and_removed_under_a_profile(store: Store, make: Any) -> None:
    """However the envelope names keys, if it does."""
    invented = of_make(make)
    profile = profile_of(invented)
    bundle = make_bundle(RECORD, [*invented.events(), make(THREE[0], BOB)])
    read(store, bundle)
    trusting(store, profile)
    nobody = text_of(store)
    for signers in ((ALICE,), (ALICE, BOB)):
        add_keys(store, keys_of(*signers))
        assert merged([bundle], keys_of(*signers).with_profiles([profile])).text == text_of(store)
    remove_keys(store, [ALICE.key_id])
    assert merged([bundle], keys_of(BOB).with_profiles([profile])).text == text_of(store)
    remove_keys(store, [BOB.key_id])
    assert nobody == text_of(store)


def test_the_name_of_a_profile_cannot_be_reused_for_another(store: Store) -> None:
    """Verdicts name their profile, so a name stands for one for ever."""
    profile = profile_of(of_make(flat))
    other = replace(profile, types={"a": "citation_signed"})
    trusting(store, profile)
    with pytest.raises(FormatError, match="two different profiles") as caught:
        trusting(store, other)
    assert "profile.conflict" == caught.value.code
    remove_profiles(store, ["new"])
    with pytest.raises(FormatError, match="two different profiles"):
        trusting(store, other)
    assert [profile] == trusting(store, profile)
    assert [("add", "new"), ("remove", "new"), ("add", "new")] == [
        (change.action, change.name) for change in store.trust_log.log()
    ]


def test_a_profile_that_is_not_trusted_cannot_be_removed(store: Store) -> None:
    """Nothing is changed."""
    trusting(store, profile_of(of_make(flat)))
    with pytest.raises(LookUpError) as caught:
        remove_profiles(store, ["new", "other"])
    assert "profile.unknown" == caught.value.code
    assert 1 == len(store.trust_log.key_set().profiles)


def test_an_interrupted_change_is_finished_by_the_next_merge(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiting record is reported as stale, and displayed as it will be."""
    bundle = make_bundle(RECORD, of_make(flat).events())
    add_keys(store, keys_of(ALICE))
    read(store, bundle)
    profile = profile_of(of_make(flat))
    expected = merged([bundle], keys_of(ALICE).with_profiles([profile])).text
    changes: list[Callable[[], object]] = [
        lambda: trusting(store, profile),
        lambda: remove_profiles(store, ["new"]),
    ]
    for change in changes:
        with monkeypatch.context() as patch:
            patch.setattr(trust, "process_stale", lambda _store, progress: progress(1 // 0))
            with pytest.raises(ZeroDivisionError):
                change()
        assert 1 == store.status().stale
        assert expected == current_text(store, 1)
        store.facts.load(1)  # what was judged under a profile that is gone is still read
        process_stale(store)
        assert expected == text_of(store)
        expected = merged([bundle], keys_of(ALICE)).text


def test_a_verdict_that_was_tampered_with_is_found(store: Store) -> None:
    """Who writes into the store that an event passed under some profile is found out."""
    profile = profile_of(of_make(flat))
    add_keys(store, keys_of(ALICE).with_profiles([profile]))
    read(store, make_bundle(RECORD, [*of_make(flat).events(), "junk"]))
    assert store.path is not None
    conn = store.connection
    query = "UPDATE verdict SET key_id = ? WHERE profile != 'mirror-v1' AND positions LIKE '0%'"
    for damage in ("key-bob", ""):
        conn.execute(query, (damage,))
        assert check(store.path, CheckScope(), lambda _damage: None).damages
        conn.execute(query, (ALICE.key_id,))
    assert [] == check(store.path, CheckScope(), lambda _damage: None).damages
    more = "SET positions = positions || ',3', count = count + 1"
    conn.execute(f"UPDATE verdict {more} WHERE profile != 'mirror-v1' AND positions LIKE '0%'")
    assert check(store.path, CheckScope(), lambda _damage: None).damages
