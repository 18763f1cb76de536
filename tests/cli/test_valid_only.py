"""`mirror export --valid-only` and `--keep-invalid`: facts that do not verify can be left out."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.builders import (
    Object,
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror
from tests.cli.test_export import bundles_in, export, root_in
from tests.engine.invented_envelopes import ALICE, THREE, other_names
from tests.engine.invented_envelopes import RECORD as PROFILE_RECORD
from tests.profiles import of_make, profile_of

AUTHOR, STRANGER = Signer("author"), Signer("stranger")
RECORD, OTHER = make_record(), make_record(arxiv_id="2401.00002")
CLAIM = make_event(RECORD, AUTHOR, "author_claimed", author_claim())
REVOKED = make_event(RECORD, AUTHOR, "author_claimed", author_claim("https://orcid.org/other"))
REVOCATION = make_event(RECORD, AUTHOR, "event_revoked", revocation(REVOKED["event_id"]))
SIGNED = [CLAIM, REVOKED, REVOCATION]
RECEIPT = make_receipt(RECORD, AUTHOR)


def junk(record: Object, count: int = 4) -> Object:
    """A bundle in which nothing verifies."""
    events = [
        make_event(record, STRANGER, "author_claimed", author_claim(str(n))) for n in range(count)
    ]
    copies = [{**make_receipt(record, AUTHOR), "n": n} for n in range(count)]
    refused = [make_receipt(record, STRANGER, n=n) for n in range(count)]
    alias = {"alias_kind": "arxiv", "alias_value": record["source"]["id"]}
    times = [{**alias, "created_at": f"203{n}-01-01T00:00:00Z"} for n in range(count)]
    return make_bundle(record, [*events, *range(count)], [*copies, *refused], times)


@pytest.fixture
def store(mirror: Mirror) -> Mirror:
    """`a.db` holds a signed record with junk, and one with junk alone."""
    Path("keys.json").write_bytes(key_set_file(AUTHOR))
    bundles = [make_bundle(RECORD, SIGNED, [RECEIPT], []), junk(RECORD), junk(OTHER)]
    Path("a.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    assert 1 == mirror("merge", "a.jsonl", "--db", "a.db", "--keys", "keys.json").exit_code
    return mirror


def info_of(path: str) -> str:
    """`bag-info.txt` of a bag."""
    with tarfile.open(path) as tar:
        file = tar.extractfile("pith/bag-info.txt")
        assert file is not None
        return file.read().decode()


def manifest_of(path: str) -> str:
    """The SHA-256 of a bag's manifest."""
    with tarfile.open(path) as tar:
        file = tar.extractfile("pith/manifest-sha256.txt")
        assert file is not None
        return hashlib.sha256(file.read()).hexdigest()


def of_record(path: str, record: Object) -> Any:
    """The bundle of a record in a bag."""
    (found,) = [one for one in bundles_in(Path(path)) if one["canonical_record"] == record]
    return found


def core_digests(mirror: Mirror, db: str) -> str:
    """The root over all core digests."""
    return root_in(mirror("export", "root.tar", "--db", db, "--force"))


@pytest.mark.parametrize("packed", [(), ("--packed",)], ids=["plain", "packed"])
def test_a_bag_of_verified_facts_has_the_same_core_digests(
    store: Mirror, packed: tuple[str, ...]
) -> None:
    """Nothing in it fails, and all that a trusted key signed is in it."""
    export(store, "a.db", "valid.tar", "--valid-only", *packed)
    merged = store("merge", "valid.tar", "--db", "b.db", "--keys", "keys.json")
    assert 0 == merged.exit_code
    assert b"3 valid, 0 invalid" in merged.stdout
    assert b"2 verified, 0 refused" in merged.stdout
    assert core_digests(store, "a.db") == core_digests(store, "b.db")
    again = store("export", "again.tar", "--db", "b.db", *packed, "--json")
    assert manifest_of("valid.tar") == json.loads(again.stdout)["manifest_sha256"]
    left = re.findall("Pith-Left-Out: (.*)", info_of("valid.tar"))
    # Of the record's own signature one receipt stays, wherever it stands; of the other's, too.
    assert ["8 alias times, 15 receipts, 16 events"] == left


@pytest.mark.parametrize("keep", [0, 2])
def test_the_same_facts_and_keys_give_the_same_bytes(store: Mirror, keep: int) -> None:
    """In whatever order they came, and whether the key was trusted then or later."""
    first = export(store, "a.db", "first.tar", "--keep-invalid", keep)
    lines = Path("a.jsonl").read_bytes().splitlines()
    for number, line in enumerate(reversed(lines)):
        Path("line.json").write_bytes(line)
        store(
            "merge", "line.json", "--db", "b.db", *(["--keys", "keys.json"] if number == 1 else [])
        )
    assert first == export(store, "b.db", "second.tar", "--keep-invalid", keep)


def test_a_signed_fact_is_in_the_bag_once(store: Mirror) -> None:
    """Events that are valid, one receipt of each signature, no unsigned time (M1, S2)."""
    export(store, "a.db", "valid.tar", "--valid-only")
    bundle = of_record("valid.tar", RECORD)
    assert len(SIGNED) == len(bundle["events"])
    assert all(event in bundle["events"] for event in SIGNED)
    assert [RECEIPT["signature_b64"]] == [one["signature_b64"] for one in bundle["receipts"]]
    assert [] == bundle["source_aliases"]


@pytest.mark.parametrize("keep", [1, 3, 100])
def test_keep_invalid_limits_the_invalid_facts_of_each_kind(store: Mirror, keep: int) -> None:
    """The first in B6's order, of each kind; the bag says how many, and under which keys."""
    export(store, "a.db", "all.tar")
    everything = of_record("all.tar", RECORD)
    export(store, "a.db", "some.tar", "--keep-invalid", keep)
    some = of_record("some.tar", RECORD)
    unsigned = [one for one in everything["events"] if one not in SIGNED]
    assert unsigned[:keep] == [one for one in some["events"] if one not in SIGNED]
    assert everything["source_aliases"][:keep] == some["source_aliases"]
    assert min(9, keep + 1) == len(some["receipts"])
    digest = json.loads(store("status", "--db", "a.db", "--json").stdout)["key_set_digest"]
    info = info_of("some.tar")
    assert f"Pith-Keep-Invalid: {keep}\n" in info
    assert f"Pith-Key-Set-SHA256: {digest}\n" in info


def test_omitted_facts_are_counted(store: Mirror) -> None:
    """In text and in JSON; a whole bag has no such count."""
    said = store("export", "b.tar", "--db", "a.db", "--valid-only")
    assert "left out, not verified: 8 alias times, 15 receipts, 16 events" in said.stderr
    value = json.loads(store("export", "c.tar", "--db", "a.db", "--valid-only", "--json").stdout)
    assert {"alias_claims": 8, "receipts": 15, "events": 16} == value["left_out"]
    value = json.loads(store("export", "d.tar", "--db", "a.db", "--json").stdout)
    assert value["left_out"] is None
    assert "Pith-Left-Out" not in info_of("d.tar")


def test_a_bag_of_valid_facts_is_no_base_by_its_root(store: Mirror) -> None:
    """An increment on the root would rest on a bag that lacks facts."""
    said = store("export", "valid.tar", "--db", "a.db", "--valid-only")
    root = root_in(said)
    assert "export.root_unknown" in store("export", "b.tar", "--db", "a.db", "--since", root).stderr


@pytest.mark.parametrize("by_root", [False, True])
def test_an_increment_holds_what_of_the_selection_is_new(store: Mirror, *, by_root: bool) -> None:
    """A record that only got junk is not in it; a new record is, even if it has nothing else."""
    base = root_in(store("export", "base.tar", "--db", "a.db")) if by_root else "base.tar"
    if not by_root:
        export(store, "a.db", "base.tar", "--valid-only")
    new = make_event(RECORD, AUTHOR, "author_claimed", author_claim("https://orcid.org/new"))
    third = make_record(arxiv_id="2401.00003")
    bundles = [make_bundle(RECORD, [new, 1234]), make_bundle(OTHER, [1234]), junk(third)]
    Path("new.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    store("merge", "new.jsonl", "--db", "a.db")
    export(store, "a.db", "new.tar", "--since", base, "--valid-only")
    assert {"2401.00001", "2401.00003"} == {
        one["source"]["id"] for one in bundles_in(Path("new.tar"))
    }
    assert [new] == of_record("new.tar", RECORD)["events"]
    assert [] == of_record("new.tar", third)["events"]


def test_verdicts_are_those_of_the_keys_that_are_trusted_now(store: Mirror) -> None:
    """A key that was removed has signed nothing that stays."""
    assert 0 == store("keys", "remove", AUTHOR.key_id, "--db", "a.db").exit_code
    export(store, "a.db", "valid.tar", "--valid-only")
    assert [] == of_record("valid.tar", RECORD)["events"]
    assert "receipts" not in of_record("valid.tar", RECORD)


def test_valid_only_and_keep_invalid_contradict_each_other(store: Mirror) -> None:
    """Usage, not a guess."""
    ran = store("export", "b.tar", "--db", "a.db", "--valid-only", "--keep-invalid", "3")
    assert 2 == ran.exit_code
    assert not Path("b.tar").exists()


@pytest.mark.parametrize("sample", ["demo.tar", "pith.tar"])
def test_real_bags_keep_their_core_digests(mirror: Mirror, sample: str) -> None:
    """Whatever is in them: equivocations, revocations, values that fail."""
    keys = ("--keys", BUNDLES / "demo-keys.json")
    mirror("merge", BUNDLES / sample, "--db", "a.db", *keys)
    export(mirror, "a.db", "valid.tar", "--valid-only")
    assert 0 == mirror("merge", "valid.tar", "--db", "b.db", *keys).exit_code
    assert core_digests(mirror, "a.db") == core_digests(mirror, "b.db")


def test_copies_of_an_event_that_differ_in_what_is_not_signed_are_left_out(mirror: Mirror) -> None:
    """Under a trusted profile they are one event (M1); anybody can make them."""
    Path("keys.json").write_bytes(key_set_file(ALICE))
    Path("profile.json").write_bytes(to_json(profile_of(of_make(other_names)).to_value()))
    events = [other_names(said, ALICE) for said in THREE]
    copies = [
        {**one, "proof": {**one["proof"], "alg": f"copy {n}"}} for one in events for n in (1, 2)
    ]
    Path("a.json").write_bytes(to_json(make_bundle(PROFILE_RECORD, [*copies, *events], None, [])))
    assert 1 == mirror("merge", "a.json", "--db", "a.db", "--keys", "keys.json").exit_code
    assert 0 == mirror("keys", "trust-profile", "profile.json", "--db", "a.db").exit_code
    export(mirror, "a.db", "valid.tar", "--valid-only")
    assert 3 == len(of_record("valid.tar", PROFILE_RECORD)["events"])
    export(mirror, "a.db", "some.tar", "--keep-invalid", 4)
    assert 7 == len(of_record("some.tar", PROFILE_RECORD)["events"])
