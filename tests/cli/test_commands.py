"""Commands: summaries, exit codes, options, help, and files that are written whole or not."""

from __future__ import annotations

import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import bagit
import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.store import lock, open_store
from mirror.store import store as store_module
from tests import oracle
from tests.builders import (
    NOON,
    Signer,
    author_claim,
    challenge,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    revocation,
    timestamp,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, SampleStore
from tests.commands import COMMANDS, GROUPS
from tests.helpers import DEMO_RECORDS, PITH_RECORDS, sample_states

PITH = BUNDLES / "pith.tar"
RECEIPTS = sum(one["current"]["receipt"] is not None for one in sample_states("pith"))
INVALID = BUNDLES / "invalid"
DEMO, DEMO_KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"
ALICE = Signer("alice")
LATER = "2026-01-02T12:00:00Z"


# merge and verify ----------------------------------------------------------------------------


def test_the_summary_of_a_merge_has_all_counts(mirror: Mirror) -> None:
    """Bundles, events, receipts, records, what was new, and where it is now."""
    text = mirror("merge", PITH, INVALID / "event.signature.json", "--db", "my.db").stdout.decode()
    assert f"bundles   {PITH_RECORDS + 1} read, 0 refused" in text
    assert "1 invalid (event.signature 1)" in text
    assert f"receipts  {RECEIPTS} verified, 0 refused" in text
    assert f"records   {PITH_RECORDS + 1}, 0 equivocations" in text
    assert f"new       {PITH_RECORDS + 1} records, 1 event, {RECEIPTS} receipts" in text
    assert "store     my.db" in text


def test_a_refused_bundle_does_not_stop_the_others(mirror: Mirror) -> None:
    """The fault is named with its source, and the exit code says that something was left out."""
    ran = mirror("merge", INVALID / "record.digest.json", PITH)
    assert ran.exit_code == 1
    assert "1 refused (record.digest 1)" in ran.stdout.decode()
    assert f"records   {PITH_RECORDS}, " in ran.stdout.decode()
    assert f"record.digest: {INVALID / 'record.digest.json'}:/canonical_sha256" in ran.stderr


def test_a_source_that_cannot_be_read_exits_with_3(mirror: Mirror) -> None:
    """The others are merged all the same."""
    ran = mirror("merge", "absent.json", PITH, "--json")
    assert (3, PITH_RECORDS) == (ran.exit_code, len(ran.lines))
    assert "source.unreadable: absent.json: No such file or directory" in ran.stderr
    assert mirror("verify", "absent.json").exit_code == 3


def test_standard_input_is_a_source(mirror_process: Mirror) -> None:
    """`-` reads a pipe, archives included."""
    ran = mirror_process("merge", "-", "--in-memory", "--json", stdin=PITH.read_bytes())
    assert (BUNDLES / "pith.states.jsonl").read_bytes() == ran.stdout


def test_out_writes_each_state_to_its_folder(mirror: Mirror, tmp_path: Path) -> None:
    """`--out DIR` holds `<suffix>/state.json`, to the byte."""
    ran = mirror("merge", PITH, "--in-memory", "--json", "--out", "states")
    written = sorted(Path("states").rglob("state.json"))
    assert len(written) == PITH_RECORDS
    assert sorted(path.read_bytes() for path in written) == sorted(
        ran.stdout.splitlines(keepends=True)
    )
    suffix = ran.lines[0]["pith_number"][10:]
    assert (tmp_path / "states" / suffix / "state.json").is_file()


def test_in_memory_writes_no_store(mirror: Mirror, tmp_path: Path) -> None:
    """Nothing is left in the folder."""
    mirror("merge", PITH, "--in-memory")
    mirror("verify", PITH)
    assert list(tmp_path.iterdir()) == []


def test_findings_after_the_first_twenty_are_counted(mirror: Mirror, tmp_path: Path) -> None:
    """A person sees the first twenty; `verify --json` names each."""
    path = tmp_path / "junk.bundle.json"
    path.write_bytes(to_json(make_bundle(make_record(), list(range(500)))))
    ran = mirror("merge", path)
    assert ran.stderr.count("event.shape: ") == 20
    assert "480 more findings" in ran.stderr
    assert len(mirror("verify", path, "--json").lines) == 500


def test_an_event_of_the_far_future_is_reported(mirror: Mirror, tmp_path: Path) -> None:
    """It is valid and merged, and the command, which has a clock, says so (B5)."""
    author = Signer("author")
    record = make_record()
    event = make_event(record, author, "author_claimed", author_claim(), "9999-12-31T23:59:59Z")
    path = tmp_path / "future.json"
    path.write_bytes(to_json(make_bundle(record, [event])))
    keys = tmp_path / "keys.json"
    keys.write_bytes(to_json({"keys": [author.key_value()]}))
    ran = mirror("verify", path, "--keys", keys, "--json")
    assert (1, ["event.future"]) == (ran.exit_code, [line["code"] for line in ran.lines])
    state = mirror("merge", path, "--keys", keys, "--json").lines[0]
    assert (1, 0) == (state["valid_event_count"], state["invalid_event_count"])


def test_control_characters_in_names_are_escaped(mirror: Mirror, tmp_path: Path) -> None:
    """Control and bidirectional characters from outside are shown by their code."""
    path = tmp_path / "a\u202eb\x1b[31m.json"
    path.write_bytes(b"[]")
    ran = mirror("verify", path)
    assert "\\u202eb\\x1b[31m" in ran.stderr
    assert "\x1b" not in ran.stderr


# show, status, export ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identifier",
    [
        "pith:2017:7SOLO26TLPZRGSRX2HH227CICV",
        "pith:7SOLO26T",
        "7SOLO26T",
        "7SOLO26TLPZR",
        "7solo26tlpzrgsrx",
        "1705.09786",
        "1705.09786v3",
        "arXiv:1705.09786",
        "10.48550/arxiv.1705.09786",
        "doi:10.48550/arXiv.1705.09786",
        "https://doi.org/10.48550/arXiv.1705.09786",
        "https://arxiv.org/abs/1705.09786v3",
        "https://pith.science/pith/7SOLO26TLPZRGSRX2HH227CICV",
        "fc9cb76bd35bf3134a37d1cfad7c48154932c3bb6a1ea5cfe29d2d97bacadff6",
    ],
)
def test_a_record_is_found_by_every_name(
    identifier: str, sample_store: SampleStore, mirror: Mirror
) -> None:
    """R3's forms, R4's aliases, the hash, and addresses that end in one of them."""
    sample_store(PITH)
    ran = mirror("show", identifier, "--json")
    assert ran.lines[0]["pith_number"] == "pith:2017:7SOLO26TLPZRGSRX2HH227CICV"


@pytest.mark.parametrize("form", ["bibtex", "ris", "csl-json"])
def test_a_record_is_printed_as_a_citation(
    form: str, sample_store: SampleStore, mirror: Mirror
) -> None:
    """As the server cites it; several in one file; not together with another form."""
    sample_store(PITH)
    one = mirror("show", "7SOLO26T", "--cite", form).stdout.decode()
    assert one.count("7SOLO26TLPZRGSRX2HH227CICV") > 1
    assert "https://pith.science/pith/7SOLO26TLPZRGSRX2HH227CICV" in one
    several = mirror("show", "--all", "--cite", form).stdout.decode()
    assert one in several
    endings = {"bibtex": "\n}\n", "ris": "ER  - \r\n", "csl-json": "}\n"}
    assert several.count(endings[form]) == PITH_RECORDS
    assert mirror("show", "7SOLO26T", "--cite", form, "--json").exit_code == 2
    assert mirror("show", "sha256:92e1fff3", "--cite", form).exit_code == 2


@pytest.mark.parametrize("identifier", ["7SOLO26", "pith:2018:7SOLO26T", "1705.09786v2", "x", "%"])
def test_an_unknown_name_is_an_error(
    identifier: str, sample_store: SampleStore, mirror: Mirror
) -> None:
    """A near miss is a miss."""
    sample_store(PITH)
    ran = mirror("show", identifier)
    assert (1, True) == (ran.exit_code, "lookup.unknown" in ran.stderr)


def test_a_name_of_several_records_lists_them(mirror: Mirror, tmp_path: Path) -> None:
    """Two versions share an arXiv id; the one with its version names one (R4)."""
    records = [make_record(version=version) for version in range(1, 13)]
    path = tmp_path / "versions.jsonl"
    path.write_bytes(b"\n".join(to_json(make_bundle(record)) for record in records))
    mirror("merge", path)
    ran = mirror("show", "2401.00001")
    assert (1, True) == (ran.exit_code, "lookup.ambiguous" in ran.stderr)
    assert ran.stderr.count("pith:2024:") == 10
    assert "and 2 more" in ran.stderr
    assert mirror("show", "2401.00001v2", "--json").lines[0]["pith_number"] == (
        oracle.pith_number_of(records[1])
    )


def test_show_marks_a_record_that_no_trusted_key_signed(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """Without a receipt or a valid `record_created`, no trusted key vouches for a record."""
    sample_store(PITH)
    assert "no trusted key signed" in mirror("show", "1705.09786").stdout.decode()
    assert "signed with key pith-v1-2026-05" in mirror("show", "1611.08522").stdout.decode()


def test_show_prints_everything_of_the_demo_records(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """Every event type, what is retired and why, and both equivocations have a line."""
    sample_store(BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    states = mirror("merge", BUNDLES / "demo.tar", "--json").lines
    shown = "".join(mirror("show", one["pith_number"]).stdout.decode() for one in states)
    headings = ["graph snapshots", "timestamps", "stored copies", "author claims", "cited by",
                "cites", "lists as references",
                "replications", "integrity findings", "challenges", "other events", "retired",
                "equivocations", "superseded by", "revoked by", "withdrawn"]  # fmt: skip
    assert [heading for heading in headings if heading not in shown] == []


def test_show_lists_citations_in_both_directions(sample_store: SampleStore, mirror: Mirror) -> None:
    """The event is on the cited record (E4); both records show it."""
    sample_store(BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    cited, citing = "pith:2025:EJWVFYLWUGLCRHA7VSWSMMIDNO", "pith:2025:NQGOSQWC4PW6CNZIBD63YZNTZT"
    who = "asserted by https://orcid.org/0000-0002-1825-0097 — signed by author.example"
    shown = mirror("show", cited).stdout.decode()
    assert f"2026-02-15T00:00:00Z {citing} replaces this record, {who}" in shown
    shown = mirror("show", citing).stdout.decode()
    assert f"2026-02-15T00:00:00Z replaces {cited}, {who}" in shown
    assert f"{citing} replaces" not in shown
    assert (
        "lists as references  listed by the snapshot's signer, not checked here — signed by reg"
        in shown
    )


def test_show_prints_the_payload_of_a_retired_claim(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """Without the claimant, who is not the object of the claim."""
    sample_store(BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json")
    author = "https://orcid.org/0000-0002-1825-0097"
    shown = mirror("show", "JCCOAP2XTU5776A7WX6DYB7J3E").stdout.decode()
    citing = "pith:2026:RFAEN2TOWSST6DWHW3QJNPG45P"
    claim = f"{citing} extends this record (claim “théorème-2”) (asserted by {author})"
    assert f"citation_signed: {claim} (withdrawn) — signed by" in shown
    assert f"citation_signed: {claim} — signed by" in shown
    assert "event_revoked: revokes sha256:" in shown
    shown = mirror("show", "EI5HAOZQ").stdout.decode()
    assert f"figure Lemma 2 lacks a case. (asserted by {author}) (withdrawn) — signed by" in shown


def test_show_limits_the_list_of_citations(mirror: Mirror, tmp_path: Path) -> None:
    """Many of one work, of many works; one that another record shares; one that is damaged."""
    alice = Signer("alice")
    one, other = (make_record(arxiv_id="2401.00001", version=version) for version in (1, 2))
    claims = [citation("2401.00001", claim_id=str(number)) for number in range(12)]
    works = [citation(f"2402.{number:05}") for number in range(62)]
    target = make_record(arxiv_id="2401.00002")
    events = [make_event(target, alice, "citation_signed", one) for one in (*claims, *works)]
    bundles = [make_bundle(one), make_bundle(other), make_bundle(target, events)]
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    (tmp_path / "keys.json").write_bytes(key_set_file(alice))
    mirror("merge", "b.jsonl", "--keys", "keys.json")
    mirror("keys", "add", "keys.json")
    shown = mirror("show", "2401.00002").stdout.decode()
    assert "2401.00001 supports this record, claim “" in shown
    assert "… and 2 more citations of the same two works\n" in shown
    assert "… and 3 more works\n" in shown
    shown = mirror("show", "2401.00001v1").stdout.decode()
    assert "(citing 2401.00001, which names other records here, too), claim “" in shown
    with closing(sqlite3.connect(tmp_path / "mirror.db", isolation_level=None)) as conn:
        conn.execute("UPDATE state SET outline = x'00' WHERE record_id = 3")
    ran = mirror("show", "2401.00001v1")
    assert (1, True) == (ran.exit_code, b"and 1 record that cannot be read" in ran.stdout)


def shown(mirror: Mirror, tmp_path: Path, events: list[Any], *arguments: object) -> str:
    """What `show` prints of a record with these events; Alice is trusted."""
    path, keys = tmp_path / "bundle.json", tmp_path / "keys.json"
    path.write_bytes(to_json(make_bundle(make_record(), events)))
    keys.write_bytes(to_json({"keys": [ALICE.key_value()]}))
    mirror("keys", "add", keys)
    mirror("merge", path)
    return mirror("show", "2401.00001", *arguments).stdout.decode()


def test_show_distinguishes_claims_from_checks(mirror: Mirror, tmp_path: Path) -> None:
    """None, claimed by somebody, and what was checked are three different things."""
    record = make_record()
    payloads = {"timestamp_anchored": timestamp(record), "author_claimed": author_claim()}
    events = [make_event(record, ALICE, name, payload) for name, payload in payloads.items()]
    lines = shown(mirror, tmp_path, events).splitlines()
    assert "timestamps         claimed by alice, not checked here" in lines
    assert "stored copies      none" in lines
    assert "author claims      claimed by alice, not checked here" in lines
    assert f"{'':19}{NOON} opentimestamps — signed by alice" in lines


def test_show_describes_what_is_retired(mirror: Mirror, tmp_path: Path) -> None:
    """Type, time, signer and payload of an event, and of those that retired it."""
    record = make_record()
    event = make_event(record, ALICE, "challenge_filed", challenge(note="It is wrong."))
    revocations = [
        make_event(record, ALICE, "event_revoked", revocation(event["event_id"], f"reason {n}"))
        for n in range(5)
    ]
    text = shown(mirror, tmp_path, [event, *revocations])
    assert f"retired            {NOON} challenge_filed: claim It is wrong." in text
    assert text.count(f"revoked by {NOON} event_revoked: revokes {event['event_id']}: reason ") == 3
    assert "and 2 more" in text
    again = make_event(record, ALICE, "challenge_filed", challenge(status="withdrawn"), LATER)
    text = shown(mirror, tmp_path, [event, *revocations, again])
    assert f"{LATER} challenge_filed: claim Lemma 2 lacks a case." in text
    assert "withdrawn by its own signer, in this event" in text


def test_show_describes_what_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    """Code and reason, and each line of it is marked as not verified (M10)."""
    event = make_event(make_record(), Signer("eve"), "challenge_filed", challenge(note="Trust me."))
    text = shown(mirror, tmp_path, [event, 7, {"event_type": "x.y"}])
    assert "event.key_unknown: no trusted key is named 'key-eve'" in text
    face = f"{NOON} challenge_filed: claim Trust me. (asserted by https://orcid.org/0000-0002-1825-0097)"
    assert f"not verified: {face} — claims to be signed by eve" in text
    assert "not verified: 7\n" in text
    assert "not verified: no time x.y: nothing\n" in text
    trusting = tmp_path / "eve.json"
    trusting.write_bytes(to_json({"keys": [Signer("eve").key_value()]}))
    text = mirror("show", "2401.00001", "--keys", trusting).stdout.decode()
    assert f"challenges         {NOON} claim Trust me." in text
    assert text.count("not verified") == 2


def test_show_counts_what_it_does_not_list(mirror: Mirror, tmp_path: Path) -> None:
    """Of many events fifty are described, of long ones the beginning."""
    record = make_record()
    challenges = [challenge(f"c{n}", note="n" * 5000) for n in range(60)]
    events = [make_event(record, ALICE, "challenge_filed", one) for one in challenges]
    text = shown(mirror, tmp_path, [*events, *range(70)])
    assert text.count("claim nnn") == 50
    assert "… and 10 more; --json prints all of them" in text
    assert text.count("not verified") == 50
    assert "… and 20 more; --json prints all of them" in text
    assert max(map(len, text.splitlines())) < 500


def test_a_composed_bundle_merges_to_the_same_state(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """`show --bundle` is what a mirror serves (B6)."""
    sample_store(PITH)
    bundle = mirror("show", "1611.08522", "--bundle").stdout
    state = mirror("merge", "-", "--in-memory", "--json", stdin=bundle).stdout
    assert mirror("show", "1611.08522", "--json").stdout == state


def test_an_export_is_a_valid_bag(
    sample_store: SampleStore, mirror: Mirror, tmp_path: Path
) -> None:
    """The Library of Congress's own tool validates what `export` writes."""
    sample_store(BUNDLES / "demo.tar", PITH, "--keys", BUNDLES / "demo-keys.json")
    ran = mirror("export", "out.tar")
    assert (0, True) == (
        ran.exit_code,
        f"out.tar: {PITH_RECORDS + DEMO_RECORDS} records" in ran.stderr,
    )
    with tarfile.open("out.tar") as tar:
        names = tar.getnames()
        tar.extractall(tmp_path / "out", filter="data")
    assert names == sorted(names)
    bag = bagit.Bag(str(tmp_path / "out" / "pith"))
    assert bag.validate()
    assert bag.info["Payload-Oxum"].endswith(f".{PITH_RECORDS + DEMO_RECORDS}")


def test_an_export_of_some_records_has_no_others(sample_store: SampleStore, mirror: Mirror) -> None:
    """Each once, by any name."""
    sample_store(PITH)
    mirror("export", "two.tar", "1705.09786", "XAVCN2MA", "1611.08522")
    assert mirror("merge", "two.tar", "--in-memory").stdout.startswith(b"bundles   2 read, 0")
    assert mirror("export", "none.tar", "nobody").exit_code == 1
    assert not Path("none.tar").exists()


def test_an_export_that_cannot_be_written_is_an_error(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """No folder is made for it, and nothing half is left."""
    sample_store(PITH)
    ran = mirror("export", "absent/out.tar")
    assert (3, True) == (ran.exit_code, "output.failed at absent/out.tar" in ran.stderr)


def test_status_counts_what_is_there(mirror: Mirror) -> None:
    """For people and as JSON."""
    mirror("merge", PITH, INVALID / "receipt.signature.json", INVALID / "event.id.json")
    status = mirror("status", "--json").lines[0]
    assert status["records"] == PITH_RECORDS + 1
    assert status["receipts_verified"] == 10
    assert status["receipts_refused"] == {"receipt.signature": 1}
    assert status["events_invalid"] == {"event.id": 1}
    assert status["stale"] == 0
    text = mirror("status").stdout.decode()
    assert "10 verified, refused: receipt.signature 1" in text
    assert status["key_set_digest"] in text


# The store -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["show", "x"], ["status"], ["export", "out.tar"]])
def test_reading_without_a_store_is_an_error(command: list[str], mirror: Mirror) -> None:
    """No empty store is made by looking."""
    ran = mirror(*command)
    assert (4, True) == (ran.exit_code, "store.absent at mirror.db" in ran.stderr)
    assert not Path("mirror.db").exists()


def test_a_file_that_is_no_store_is_refused(mirror: Mirror) -> None:
    """It is refused, and not changed."""
    Path("mirror.db").write_bytes(b"my diary, which is not SQLite at all")
    for command in (["merge", PITH], ["status"], ["keys", "list"]):
        assert mirror(*command).exit_code == 4
    assert Path("mirror.db").read_bytes() == b"my diary, which is not SQLite at all"


# Options, help -------------------------------------------------------------------------------


def test_options_come_from_the_environment(mirror_process: Mirror, tmp_path: Path) -> None:
    """Each option has a variable `MIRROR_…`."""
    env = {**os.environ, "MIRROR_DB": "other.db", "MIRROR_KEYS": str(BUNDLES / "demo-keys.json")}
    ran = mirror_process("merge", BUNDLES / "demo.tar", env=env)
    assert ran.exit_code == 0
    assert (tmp_path / "other.db").is_file()


def test_progress_is_silent_in_a_pipe(mirror_process: Mirror) -> None:
    """Only results are printed there."""
    ran = mirror_process("verify", PITH)
    assert ran.stderr == "nothing wrong was found\n"
    assert len(ran.stdout.splitlines()) == 3


@pytest.mark.parametrize("name", [name for name in [*COMMANDS, *GROUPS] if name])
def test_every_command_has_help_with_an_example(name: str) -> None:
    """Help says what it does, with an example."""
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output or "Commands:" in result.output


def test_usage_errors_exit_with_2(mirror: Mirror) -> None:
    """A word that is no command, an option that is none, an argument that is missing."""
    for words in (["nonsense"], ["merge"], ["merge", PITH, "--nonsense"], ["show"]):
        assert mirror(*words).exit_code == 2


def test_a_store_may_be_named_before_the_command(mirror: Mirror) -> None:
    """`mirror --db FILE …` is `mirror … --db FILE`, also before a group; two are one too many."""
    assert 0 == mirror("--db", "other.db", "merge", DEMO, "--keys", DEMO_KEYS).exit_code
    assert not Path("mirror.db").exists()
    expected = mirror("keys", "list", "--db", "other.db").stdout
    assert expected == mirror("--db", "other.db", "keys", "list").stdout
    assert expected == mirror("--db", "other.db", "keys", "list", "--db", "other.db").stdout
    assert 2 == mirror("--db", "other.db", "status", "--db", "mirror.db").exit_code


def test_an_option_before_the_command_overrides_the_environment(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what is typed after it does."""
    mirror("--db", "other.db", "merge", DEMO, "--keys", DEMO_KEYS)
    monkeypatch.setenv("MIRROR_DB", "nowhere.db")
    assert 4 == mirror("status").exit_code
    assert 0 == mirror("--db", "other.db", "status").exit_code
    assert 0 == mirror("status", "--db", "other.db").exit_code


def test_waiting_for_a_locked_store_is_reported(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second, on standard error; here sooner, and for less than half a minute."""
    monkeypatch.setattr(lock, "QUIET_MS", 1)
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.05)
    mirror("merge", DEMO)
    with open_store(tmp_path / "mirror.db") as store, store.transaction():
        ran = mirror("rebuild")
    assert (4, True) == (ran.exit_code, "which writes to mirror.db; up to 0 s\n" in ran.stderr)
    assert ran.stderr.startswith("waiting for ")
