"""From a bundle that is refused to one that is merged, as a person goes; and integrity findings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirror.core.keys import parse_key_set
from mirror.web import ServerSettings
from tests import oracle
from tests.builders import Signer, author_claim, key_set_file, make_bundle, to_json, without
from tests.cli.conftest import Mirror
from tests.core.events.test_integrity_finding import finding
from tests.engine.invented_envelopes import (
    ALICE,
    RECORD,
    THREE,
    Said,
    digest,
    other_names,
    without_id,
)
from tests.shared import lines, shared
from tests.web.conftest import served

NUMBER = oracle.pith_number_of(RECORD)
BUNDLE = make_bundle(RECORD, [other_names(said, ALICE) for said in THREE])


@pytest.fixture
def there(mirror: Mirror, tmp_path: Path) -> Path:
    """A bundle in an envelope of its own, in a store where every event of it was refused."""
    (tmp_path / "keys.json").write_bytes(key_set_file(ALICE))
    (tmp_path / "bundle.json").write_bytes(to_json(BUNDLE))
    ran = mirror("merge", "bundle.json", "--keys", "keys.json")
    assert (1, 3) == (ran.exit_code, ran.stderr.count("event.shape: bundle.json:/events/"))
    return tmp_path


def test_trusting_a_profile_makes_refused_events_valid(there: Path, mirror: Mirror) -> None:
    """And one takes it back."""
    before = mirror("show", NUMBER, "--json").stdout
    assert 0 == mirror("probe", "bundle.json", "--save", "p.json", "--name", "new-v1").exit_code
    ran = mirror("keys", "trust-profile", "p.json")
    assert (0, b"") == (ran.exit_code, ran.stdout)
    assert ran.stderr == (
        "now trusted in mirror.db: the profile new-v1\n"
        "not protected by its signatures, so never shown: /proof except the signature\n"
    )
    state = mirror("show", NUMBER, "--json").lines[0]
    assert (3, 3, 0) == tuple(
        state[name] for name in ("event_count", "valid_event_count", "invalid_event_count")
    )
    (claim,) = state["current"]["author_claims"]
    assert {
        "event_id": f"sha256:{other_names(THREE[0], ALICE)['hash']}",
        "target": "record",
        "created_at": THREE[0].created_at,
        "signer": ALICE.signer_value(),
        "payload": author_claim(),
    } == claim
    ran = mirror("verify", "bundle.json")
    assert (0, True) == (ran.exit_code, b"3 valid, 0 invalid" in ran.stdout)
    assert b"3 as new-v1" in mirror("status").stdout
    assert {"new-v1": 3} == mirror("status", "--json").lines[0]["events_by_profile"]
    assert 0 == mirror("check").exit_code
    assert 0 == mirror("merge", "bundle.json").exit_code
    bundle = mirror("show", NUMBER, "--bundle").stdout
    events = sorted(json.loads(bundle)["events"], key=lambda one: str(one["hash"]))
    assert sorted(BUNDLE["events"], key=lambda one: str(one["hash"])) == events
    assert (
        "nothing to do: all of these are trusted already\n"
        == mirror("keys", "trust-profile", "p.json").stderr
    )
    again = {**json.loads((there / "p.json").read_bytes()), "name": "new-v2"}
    (there / "p2.json").write_bytes(to_json(again))
    ran = mirror("keys", "trust-profile", "p2.json", "--map", "a.b=citation_signed")
    assert (0, True) == (ran.exit_code, "\nwarning: new-v1 reads the same events" in ran.stderr)
    assert 0 == mirror("keys", "distrust-profile", "new-v2").exit_code
    ran = mirror("keys", "distrust-profile", "new-v1")
    assert (0, True) == (ran.exit_code, "\nno longer trusted in mirror.db: new-v1\n" in ran.stderr)
    assert "without new-v1, these become invalid: 3 events (author_claimed 1, " in ran.stderr
    assert "valid events: 3 before, 0 now\n" in ran.stderr
    assert before == mirror("show", NUMBER, "--json").stdout


def test_a_key_set_file_may_have_profiles(there: Path, mirror: Mirror) -> None:
    """So does the digest of the set, which names what a state rests on (K3)."""
    mirror("probe", "bundle.json", "--save", "p.json", "--name", "new-v1")
    profile = json.loads((there / "p.json").read_bytes())
    both = to_json({"keys": [ALICE.key_value()], "profiles": [profile]})
    (there / "both.json").write_bytes(both)
    ran = mirror("verify", "bundle.json", "--keys", "both.json")
    assert (0, True) == (ran.exit_code, b"3 valid" in ran.stdout)
    ran = mirror("merge", "bundle.json", "--in-memory", "--keys", "both.json", "--json")
    assert (0, 3) == (ran.exit_code, ran.lines[0]["valid_event_count"])
    assert "trusted for this run  key-alice, new-v1" in ran.stderr
    shown = mirror("show", NUMBER, "--json", "--keys", "both.json")
    assert ran.stdout == shown.stdout
    plain = mirror("keys", "list").stdout.decode().splitlines()[-1]
    ran = mirror("keys", "add", "both.json")
    assert (0, 1) == (ran.exit_code, ran.stderr.count("now trusted"))
    listed = mirror("keys", "list").stdout.decode()
    digest_of_both = parse_key_set(both).digest
    assert [plain != f"key set {digest_of_both}", f"key set {digest_of_both}"] == [
        True,
        listed.splitlines()[-1],
    ]
    for line in ("profile        new-v1", "signed         the event less /hash, /proof"):
        assert line in listed
    assert profile == mirror("keys", "list", "--json").lines[-1]
    assert mirror("show", NUMBER, "--json").stdout == shown.stdout
    exported = mirror("root", "--json").lines[0]
    assert (digest_of_both, 3) == (exported["key_set_digest"], exported["events_valid"])


def test_a_type_has_a_meaning_only_when_a_person_gives_it(there: Path, mirror: Mirror) -> None:
    """What `mirror probe` proposes has no effect until then."""

    def made(said: Said) -> Any:
        return without_id(Said("claim by author", *said_rest(said)), ALICE)

    def said_rest(said: Said) -> tuple[Any, ...]:
        return author_claim(), said.created_at, said.number

    events = [made(said) for said in THREE]
    (there / "typed.json").write_bytes(to_json(make_bundle(RECORD, events)))
    profile = {
        "profile_type": "pith_event_profile",
        "profile_version": "1.0",
        "name": "typed",
        "places": {
            "type": "/event_type",
            "subject": "/subject_pith_number",
            "time": "/created_at",
            "payload": "/payload",
            "key": "/key_id",
        },
        "id": None,
        "signature": {
            "at": "/signature",
            "spelling": {"prefix": "", "encoding": "base64"},
            "form": "digest",
            "signs": {"of": "event", "less": ["/signature"], "only": None, "wrapped": False},
            "digest_at": None,
        },
    }
    (there / "p.json").write_bytes(to_json(profile))
    for wrong in ("author_claimed", "=author_claimed", "a=b", "author_claimed=citation_signed"):
        ran = mirror("keys", "trust-profile", "p.json", "--map", wrong)
        assert (2, True) == (ran.exit_code, "--map" in ran.stderr)
    means = "claim by author=author_claimed"
    assert 0 == mirror("keys", "trust-profile", "p.json", "--map", means).exit_code
    assert b"claim by author is author_claimed" in mirror("keys", "list").stdout
    ran = mirror("merge", "typed.json", "--json")
    assert 0 == ran.exit_code
    state = ran.lines[0]
    assert (1, 2) == (len(state["current"]["author_claims"]), len(state["retired_events"]))


def test_a_profile_with_unsigned_members_is_refused(there: Path, mirror: Mirror) -> None:
    """With what is wrong, and where it stands; nothing is changed."""
    mirror("probe", "bundle.json", "--save", "p.json")
    profile = json.loads((there / "p.json").read_bytes())
    profile["signature"]["signs"]["less"].append("/body/note")
    (there / "bad.json").write_bytes(to_json(profile))
    before = mirror("status", "--json").stdout
    ran = mirror("keys", "trust-profile", "bad.json")
    assert 3 == ran.exit_code
    assert ran.stderr == (
        "error: profile.unsafe at bad.json: the signature does not cover the payload of an event, "
        "/body\nhint: what is not signed, anybody could change: "
        "a profile must cover all that it reads\n"
    )
    (there / "keys2.json").write_bytes(to_json({"keys": [], "profiles": [profile]}))
    ran = mirror("keys", "add", "keys2.json")
    assert (3, True) == (ran.exit_code, "keys2.json: /profiles/0" in ran.stderr)
    ran = mirror("keys", "distrust-profile", "p")
    assert (1, True) == (ran.exit_code, "profile.unknown" in ran.stderr)
    assert before == mirror("status", "--json").stdout


def test_pages_show_events_and_their_profile(there: Path, mirror: Mirror) -> None:
    """And under which profile, which the page on trust explains."""
    mirror("probe", "bundle.json", "--save", "p.json", "--name", "new-v1")
    mirror("keys", "trust-profile", "p.json")
    with served(ServerSettings(store=there / "mirror.db")) as url:
        page, trust = (
            re.sub(r"<[^>]+>|[^ -~]", "", httpx.get(f"{url}/{path}").text)
            for path in (f"pith/{NUMBER[-26:]}", "trust")
        )
        health = httpx.get(f"{url}/health").json()
    assert 3 == page.count("verified under the profile new-v1")
    assert 3 == page.count("signed by alice, key key-alice")
    assert "the event less /hash, /proof" in trust
    assert {"new-v1": 3} == health["counts"]["events_by_profile"]


def test_probing_again_counts_events_of_trusted_profiles(there: Path, mirror: Mirror) -> None:
    """There is nothing left to be explained."""
    mirror("probe", "bundle.json", "--save", "p.json", "--name", "new-v1")
    mirror("keys", "trust-profile", "p.json")
    ran = mirror("probe", "bundle.json")
    assert 0 == ran.exit_code
    assert ran.stdout.startswith(b"examined 3 events\nvalid under trusted new-v1: 3\nall 3 ids")


# Integrity findings (S4) ---------------------------------------------------------------------


def test_real_integrity_findings(mirror: Mirror) -> None:
    """As the registry signed them, one a line: with their payload, and as a digest alone."""
    path = shared("real/integrity_events.jsonl")
    count = len(lines("real/integrity_events.jsonl"))
    ran = mirror("verify", path)
    assert (0, "nothing wrong was found\n") == (ran.exit_code, ran.stderr)
    assert (
        f"integrity   {count} documents of findings\n"
        f"            {count} findings verified: the payload has the digest that is signed\n"
        "            0 reported\n"
        "not signed  event_id, created_at, and all other members beside a payload\n"
    ) in ran.stdout.decode()
    path = shared("real/integrity_signatures.jsonl")
    count = len(lines("real/integrity_signatures.jsonl"))
    ran = mirror("verify", path, "--json")
    assert 1 == ran.exit_code
    assert ["finding.unbound"] * count == [one["code"] for one in ran.lines]
    assert f"{count} reported (finding.unbound {count})\n" in ran.stderr
    assert "0 findings verified" in ran.stderr


def test_evidence_that_does_not_match_leaves_a_finding_valid(
    mirror: Mirror, tmp_path: Path
) -> None:
    """It is reported; the finding is as well signed as before."""
    (tmp_path / "keys.json").write_bytes(key_set_file(ALICE))
    payload = {"evidence": 1, "evidence_hash": "0" * 64}
    (tmp_path / "integrity.json").write_bytes(to_json([finding(payload=payload), finding()]))
    ran = mirror("verify", "integrity.json", "--keys", "keys.json")
    assert (1, True) == (
        ran.exit_code,
        ran.stderr.startswith("finding.evidence: integrity.json:/0"),
    )
    assert "2 findings verified" in ran.stdout.decode()
    assert "1 reported (finding.evidence 1)\n" in ran.stdout.decode()


def test_a_document_of_findings(mirror: Mirror, tmp_path: Path) -> None:
    """Each that is wrong is named; the run says so at its end."""
    (tmp_path / "keys.json").write_bytes(key_set_file(ALICE))
    listed = [finding(), finding(payload_sha256="0" * 64), without(finding(), "created_at")]
    for indent in (None, 2):
        document = json.dumps({"arxiv_id": "2401.00001", "findings": listed}, indent=indent)
        (tmp_path / "integrity.json").write_text(document)
        ran = mirror("verify", "integrity.json", "--keys", "keys.json", "--json")
        assert 1 == ran.exit_code
        assert [("finding.payload", "/findings/1"), ("finding.shape", "/findings/2")] == [
            (one["code"], one["where"]) for one in ran.lines
        ]
        assert "integrity   1 document of findings\n" in ran.stderr
        assert "1 finding verified: the payload has the digest that is signed\n" in ran.stderr
    ran = mirror("verify", "integrity.json")
    assert (1, 3) == (ran.exit_code, ran.stderr.count("integrity.json:/findings/"))
    ran = mirror("merge", "integrity.json", "--keys", "keys.json")
    assert (1, True) == (ran.exit_code, ran.stderr.startswith("bundle.shape: integrity.json:"))


def test_findings_have_the_limits_of_bundles(mirror: Mirror, tmp_path: Path) -> None:
    """B4: so many of them, so deep, for so long."""
    (tmp_path / "integrity.json").write_bytes(to_json([finding(), finding(more=[[[1]]])]))
    for name, value, expected in (
        ("--max-events", "1", "limit.count"),
        ("--max-depth", "3", "limit.count"),
        ("--max-seconds", "0.000001", "limit.time"),
    ):
        ran = mirror("verify", "integrity.json", name, value)
        assert (1, True) == (ran.exit_code, ran.stderr.startswith(f"{expected}: integrity.json"))


def test_another_document_is_refused_as_a_bundle(mirror: Mirror, tmp_path: Path) -> None:
    """Nothing else becomes a document of findings."""
    for number, value in enumerate(([], {}, {"findings": []}, {"bundle_type": 1, "x": finding()})):
        (tmp_path / f"{number}.json").write_bytes(to_json(value))
        assert "bundle.shape" == mirror("verify", f"{number}.json", "--json").lines[0]["code"]


def test_a_finding_of_another_signer(mirror: Mirror, tmp_path: Path) -> None:
    """Only trusted keys count."""
    (tmp_path / "integrity.json").write_bytes(to_json(finding(Signer("bob"))))
    ran = mirror("verify", "integrity.json")
    assert (1, True) == (
        ran.exit_code,
        ran.stderr.startswith("finding.key_unknown: integrity.json"),
    )
    assert digest({}) != bytes(32)
