"""`mirror keys`: trust that comes and goes, without reading a bundle again (K2, K3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.builders import (
    Signer,
    author_claim,
    created,
    key_set_file,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, SampleStore
from tests.shared import shared

REGISTRY = Signer("registry", signer_type="pith_registry", may_revoke_others=True)
AUTHOR = Signer("author")
RECORD = make_record()
BUNDLE = make_bundle(
    RECORD,
    [
        make_event(RECORD, REGISTRY, "record_created", created(RECORD, REGISTRY)),
        make_event(RECORD, AUTHOR, "author_claimed", author_claim()),
        make_event(RECORD, AUTHOR, "record_created", created(RECORD, REGISTRY)),
        {"junk": True},
    ],
    receipts=[make_receipt(RECORD, REGISTRY), make_receipt(RECORD, AUTHOR)],
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The bundle, in a file."""
    path = tmp_path / "bundle.json"
    path.write_bytes(to_json(BUNDLE))
    return path


def _file(tmp_path: Path, *signers: Signer) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set_file(*signers))
    return path


def _expected(*signers: Signer) -> bytes:
    keys = oracle.load_keys(key_set_file(*signers))
    return oracle.state_text(oracle.merge_all([to_json(BUNDLE)], keys)[0])


def _state(mirror: Mirror) -> bytes:
    return mirror("show", oracle.pith_number_of(RECORD), "--json").stdout


def test_added_and_removed_keys_move_the_state_and_back(
    mirror: Mirror, tmp_path: Path, bundle: Path
) -> None:
    """Every change gives the state of the new key set, without the bundle."""
    mirror("merge", bundle)
    bundle.unlink()
    assert _expected() == _state(mirror)
    for trusted in ([REGISTRY], [REGISTRY, AUTHOR]):
        assert mirror("keys", "add", _file(tmp_path, *trusted)).exit_code == 0
        assert _expected(*trusted) == _state(mirror)
    assert mirror("keys", "remove", REGISTRY.key_id).exit_code == 0
    assert _expected(AUTHOR) == _state(mirror)
    assert mirror("keys", "remove", AUTHOR.key_id).exit_code == 0
    assert _expected() == _state(mirror)


def test_a_key_that_is_added_again_has_its_new_rights(
    mirror: Mirror, tmp_path: Path, bundle: Path
) -> None:
    """Removed and added with another role, it signs under the new one only."""
    mirror("merge", bundle, "--keys", _file(tmp_path, AUTHOR))
    mute = Signer("author", event_types=("author_claimed",))
    mirror("keys", "remove", AUTHOR.key_id)
    mirror("keys", "add", _file(tmp_path, mute))
    assert _expected(mute) == _state(mirror)


def test_merge_with_keys_trusts_them_from_then_on(
    mirror: Mirror, tmp_path: Path, bundle: Path
) -> None:
    """`merge --keys` says what is now trusted, and `keys list` shows it."""
    ran = mirror("merge", bundle, "--keys", _file(tmp_path, REGISTRY))
    assert f"now trusted  {REGISTRY.key_id}" in ran.stdout.decode()
    listed = {key["key_id"]: key for key in mirror("keys", "list", "--json").lines}
    assert {"pith-v1-2026-05", REGISTRY.key_id} == set(listed)
    keys = oracle.load_keys(key_set_file(REGISTRY))
    assert mirror("status", "--json").lines[0]["key_set_digest"] == oracle.key_set_digest(keys)


def test_show_with_keys_stores_nothing(mirror: Mirror, tmp_path: Path, bundle: Path) -> None:
    """`show --keys` answers what if, and the store's own state stays."""
    mirror("merge", bundle)
    number = oracle.pith_number_of(RECORD)
    keys = _file(tmp_path, REGISTRY, AUTHOR)
    assert _expected(REGISTRY, AUTHOR) == mirror("show", number, "--keys", keys, "--json").stdout
    assert _expected() == _state(mirror)


def test_a_bundle_never_adds_trust(mirror: Mirror, bundle: Path) -> None:
    """What a bundle says of its signers is not believed."""
    ran = mirror("merge", bundle)
    assert ran.exit_code == 1
    assert [key["key_id"] for key in mirror("keys", "list", "--json").lines] == ["pith-v1-2026-05"]


def test_a_bundle_cannot_bring_a_key(mirror: Mirror, tmp_path: Path) -> None:
    """K2: neither as a key set, nor as a registry publishes keys, nor beside a signature."""
    keys = json.loads(key_set_file(REGISTRY, AUTHOR))
    published = {"key_id": REGISTRY.key_id, "public_key_hex": REGISTRY.public_key.hex()}
    events = [{**event, **published, "public_key": published} for event in BUNDLE["events"]]
    offered = {**BUNDLE, **keys, "public_key": published, "mirrors": [], "events": events}
    (tmp_path / "bundle.json").write_bytes(to_json(offered))
    assert 1 == mirror("merge", tmp_path / "bundle.json").exit_code
    assert ["pith-v1-2026-05"] == [key["key_id"] for key in mirror("keys", "list", "--json").lines]
    (line,) = mirror("status", "--json").lines
    assert (0, 0) == (line["events_valid"], line["receipts_verified"])


FAULTS: dict[str, Any] = {
    "/keys/1/key_id": "",
    "/keys/1/algorithm": "rsa",
    "/keys/1/public_key_hex": "00" * 32,
    "/keys/1/signer_id": "",
    "/keys/1/signer_type": None,
    "/keys/1/valid_from": "yesterday",
    "/keys/1/valid_until": 0,
    "/keys/1/event_types": "*",
    "/keys/1/may_revoke_others": None,
}


@pytest.mark.parametrize("where", FAULTS)
def test_a_key_file_with_one_fault_is_refused(where: str, mirror: Mirror, tmp_path: Path) -> None:
    """The place of the fault is named, and not even the good key is trusted."""
    faulty = {**AUTHOR.key_value(), where.rpartition("/")[2]: FAULTS[where]}
    path = tmp_path / "keys.json"
    path.write_bytes(to_json({"keys": [REGISTRY.key_value(), faulty]}))
    ran = mirror("keys", "add", path)
    assert ran.exit_code == 3
    assert f"keys.shape at {path}: {where}" in ran.stderr
    assert len(mirror("keys", "list", "--json").lines) == 1


def test_two_keys_of_one_id_are_refused(mirror: Mirror, tmp_path: Path) -> None:
    """In one file, against the store, against the built-in key: K2 knows no second opinion."""
    other = Signer("other", key_id=AUTHOR.key_id)
    ran = mirror("keys", "add", _file(tmp_path, AUTHOR, other))
    assert (3, True) == (ran.exit_code, "keys.conflict" in ran.stderr)
    mirror("keys", "add", _file(tmp_path, AUTHOR))
    assert mirror("keys", "add", _file(tmp_path, other)).exit_code == 3
    built_in = Signer("other", key_id="pith-v1-2026-05")
    assert mirror("keys", "add", _file(tmp_path, built_in)).exit_code == 3


def test_a_key_that_is_not_trusted_cannot_be_removed(mirror: Mirror) -> None:
    """It is refused by name, and so is the built-in key if it was removed before."""
    for expected, name in ((1, "nobody"), (0, "pith-v1-2026-05"), (1, "pith-v1-2026-05")):
        ran = mirror("keys", "remove", name)
        assert (expected, expected == 1) == (ran.exit_code, "keys.unknown" in ran.stderr)


REAL = BUNDLES / "invalid" / "bundle.short.json"
"""A record of the registry, with its real receipt."""


def _real_state(keys: list[Any]) -> bytes:
    return oracle.state_text(oracle.merge_all([REAL.read_bytes()], keys)[0])


def test_the_built_in_key_is_removed_and_added_again(mirror: Mirror, tmp_path: Path) -> None:
    """K2, K3, M8: what it signed counts no longer, and then again; no bundle is read."""
    number = json.loads(REAL.read_bytes())["pith_number"]
    built_in = oracle.builtin_keys()
    mirror("merge", REAL)
    digest = mirror("status", "--json").lines[0]["key_set_digest"]
    assert oracle.key_set_digest(built_in) == digest
    assert mirror("keys", "remove", "pith-v1-2026-05").exit_code == 0
    assert _real_state([]) == mirror("show", number, "--json").stdout != _real_state(built_in)
    assert mirror("status", "--json").lines[0]["receipts_refused"] == {"receipt.key_unknown": 1}
    assert mirror("status", "--json").lines[0]["key_set_digest"] == oracle.key_set_digest([])
    assert mirror("keys", "list", "--json").lines == []
    listed = mirror("keys", "list")
    assert f"key set {oracle.key_set_digest([])}\n" in listed.stdout.decode()
    assert "`mirror keys add --built-in` trusts it again" in listed.stderr
    mirror("merge", REAL, "--keys", _file(tmp_path, AUTHOR))  # a file does not bring it back
    assert [AUTHOR.key_id] == [key["key_id"] for key in mirror("keys", "list", "--json").lines]
    assert mirror("verify", REAL).stdout.decode().count("receipt.key_unknown 1") == 1
    mirror("keys", "remove", AUTHOR.key_id)
    added = mirror("keys", "add", "--built-in")
    assert (0, True) == (added.exit_code, "now trusted in" in added.stderr)
    assert _real_state(built_in) == mirror("show", number, "--json").stdout
    assert digest == mirror("status", "--json").lines[0]["key_set_digest"]
    assert "trusted already" in mirror("keys", "add", "--built-in").stderr
    assert mirror("keys", "add").exit_code == 2
    assert mirror("check").exit_code == 0


def test_a_file_that_names_the_built_in_key_adds_it_again(mirror: Mirror, tmp_path: Path) -> None:
    """As K3 writes it; another key of its name is refused, though it is not trusted."""
    mirror("keys", "remove", "pith-v1-2026-05")
    path = tmp_path / "keys.json"
    path.write_bytes(key_set_file(Signer("other", key_id="pith-v1-2026-05")))
    assert mirror("keys", "add", path).exit_code == 3
    path.write_bytes(to_json({"keys": oracle.builtin_keys()}))
    assert mirror("keys", "add", path).exit_code == 0
    assert ["pith-v1-2026-05"] == [key["key_id"] for key in mirror("keys", "list", "--json").lines]


def _manifest(signer: Signer, **members: Any) -> bytes:
    key = {"key_id": "new-key", "algorithm": "ed25519", "public_key_hex": signer.public_key.hex(),
           "may_revoke_others": True, **members}  # fmt: skip
    return to_json({"mirrors": [{"base_url": "https://registry.example", "public_key": key}]})


def test_an_import_takes_the_host_and_never_grants_revoking(mirror: Mirror, tmp_path: Path) -> None:
    """Whatever the manifest says, `may_revoke_others` stays false (K2)."""
    path = tmp_path / "pith-mirrors.json"
    path.write_bytes(_manifest(AUTHOR))
    assert mirror("keys", "import", path).exit_code == 0
    imported = mirror("keys", "list", "--json").lines[0]
    assert imported["key_id"] == "new-key"
    assert imported["signer_id"] == "registry.example"
    assert imported["may_revoke_others"] is False


def test_a_signing_key_document_is_imported_with_what_a_person_says(
    mirror: Mirror, tmp_path: Path
) -> None:
    """`pith-signing-key.json` is the key itself; its signer is the person's to say."""
    path = tmp_path / "pith-signing-key.json"
    key = json.loads(_manifest(AUTHOR))["mirrors"][0]["public_key"]
    path.write_bytes(to_json(key))
    assert mirror("keys", "import", path).exit_code == 3
    said = ("--signer-id", "them", "--signer-type", "library", "--event-type", "citation_signed")
    ran = mirror("keys", "import", path, *said, "--valid-from", "2026-01-01T00:00:00Z")
    assert ran.exit_code == 0
    imported = mirror("keys", "list", "--json").lines[0]
    assert ("them", "library") == (imported["signer_id"], imported["signer_type"])
    assert imported["event_types"] == ["citation_signed"]


@pytest.mark.parametrize("name", ["fingerprint_sha256_hex", "public_key_b64"])
def test_an_import_that_contradicts_itself_is_refused(
    name: str, mirror: Mirror, tmp_path: Path
) -> None:
    """The two forms of its one key differ."""
    path = tmp_path / "pith-mirrors.json"
    path.write_bytes(_manifest(AUTHOR, **{name: "something else"}))
    ran = mirror("keys", "import", path)
    assert (3, True) == (ran.exit_code, f"/mirrors/0/public_key/{name}" in ran.stderr)


@pytest.mark.parametrize("text", [b"[]", b"{}", b'{"mirrors":[1]}', b'{"mirrors":{}}', b"nonsense"])
def test_an_import_of_something_else_is_refused(
    text: bytes, mirror: Mirror, tmp_path: Path
) -> None:
    """A document without a key says so."""
    path = tmp_path / "document.json"
    path.write_bytes(text)
    assert mirror("keys", "import", path).exit_code == 3


def test_the_real_manifest_names_the_built_in_key(mirror: Mirror) -> None:
    """Importing what pith.science publishes changes nothing: that key is built in."""
    ran = mirror("keys", "import", shared("real/pith-mirrors.json"))
    assert (0, True) == (ran.exit_code, "trusted already" in ran.stderr)
    assert mirror("keys", "list", "--json").lines[0]["may_revoke_others"] is True
    mirror("keys", "remove", "pith-v1-2026-05")
    ran = mirror("keys", "import", shared("real/pith-mirrors.json"))
    assert (0, True) == (ran.exit_code, "now trusted" in ran.stderr)
    assert mirror("keys", "list", "--json").lines[0]["may_revoke_others"] is True


# What a change means, said before and after ---------------------------------------------------


def test_a_removal_says_what_becomes_invalid(mirror: Mirror, tmp_path: Path, bundle: Path) -> None:
    """Before it is made, and as it comes out; `--dry-run` changes nothing."""
    mirror("merge", bundle, "--keys", _file(tmp_path, REGISTRY, AUTHOR))
    state, status = _state(mirror), mirror("status", "--json").lines[0]
    ran = mirror("keys", "remove", REGISTRY.key_id, "--dry-run")
    becomes = "these become invalid: 2 events (record_created 2) and 1 receipt, of 1 record\n"
    assert (0, b"") == (ran.exit_code, ran.stdout)
    assert not Path("other.db").exists()
    assert 1 == mirror("keys", "remove", "nobody", "--dry-run", "--db", "other.db").exit_code
    assert not Path("other.db").exists()
    assert f"without {REGISTRY.key_id}, {becomes}nothing was changed\n" == ran.stderr
    assert (state, status) == (_state(mirror), mirror("status", "--json").lines[0])
    (told,) = mirror("keys", "remove", REGISTRY.key_id, "--dry-run", "--json").lines
    assert told["events_valid"]["before"] == told["events_valid"]["after"]
    (line,) = mirror("keys", "remove", REGISTRY.key_id, "--json").lines
    assert {"events": {"record_created": 2}, "receipts": 1, "records": 1} == line["becomes_invalid"]
    assert told["becomes_invalid"] == line["becomes_invalid"]
    for name, lost in ("events_valid", 2), ("receipts_verified", 1):
        assert line[name]["before"] - line[name]["after"] == lost
    assert mirror("status", "--json").lines[0]["key_set_digest"] == line["key_set_digest"]
    ran = mirror("keys", "remove", AUTHOR.key_id)
    assert "valid events: 1 before, 0 now\n" in ran.stderr
    assert "verified receipts: 1 before, 0 now\n" in ran.stderr


def test_a_removal_without_effect_on_facts_says_so(mirror: Mirror, tmp_path: Path) -> None:
    """For a key that signed nothing; a key that is not trusted is an error."""
    mirror("keys", "add", _file(tmp_path, AUTHOR))
    ran = mirror("keys", "remove", AUTHOR.key_id, "--dry-run")
    assert "nothing that is valid now becomes invalid" in ran.stderr
    ran = mirror("keys", "remove", "nobody", "--dry-run")
    assert (1, True) == (ran.exit_code, "keys.unknown" in ran.stderr)


DOUBTS: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"event_types": ["citation_sined"]}, "; is citation_signed meant?"),
    "no type": ({"event_types": []}, "may sign nothing"),
    "over": ({"valid_until": "2020-01-01T00:00:00Z"}, "was valid until 2020-01-01T00:00:00Z"),
    "not yet": ({"valid_from": "9999-01-01T00:00:00Z"}, "is valid only from 9999-01-01T00:00:00Z"),
    "never": (
        {"valid_from": "2021-01-01T00:00:00Z", "valid_until": "2020-01-01T00:00:00Z"},
        "is never valid",
    ),
    "two names": (
        {"public_key_hex": REGISTRY.public_key.hex()},
        "key-author and key-registry are one public key under two names",
    ),
}


@pytest.mark.parametrize(("members", "doubt"), DOUBTS.values(), ids=DOUBTS)
def test_unusual_keys_give_a_warning(
    mirror: Mirror, tmp_path: Path, bundle: Path, members: dict[str, Any], doubt: str
) -> None:
    """Once for each, by every command that takes a key file; the file is taken all the same."""
    path = tmp_path / "odd.json"
    path.write_bytes(to_json({"keys": [AUTHOR.key_value(**members), REGISTRY.key_value()]}))
    for command in (["verify", bundle], ["merge", bundle, "--in-memory"]):
        ran = mirror(*command, "--keys", path)
        assert (1, doubt) == (ran.stderr.count("warning: "), doubt if doubt in ran.stderr else "")
    ran = mirror("keys", "add", path, "--json")
    (line,) = ran.lines
    assert (0, 1, 1) == (ran.exit_code, ran.stderr.count("warning: "), len(line["warnings"]))
    assert doubt in line["warnings"][0]
    assert [AUTHOR.key_id, REGISTRY.key_id] == [one["key_id"] for one in line["added"]]


def test_a_key_that_is_trusted_under_another_name_gives_a_warning(
    mirror: Mirror, tmp_path: Path
) -> None:
    """The other stands in the store, not in the file."""
    mirror("keys", "add", _file(tmp_path, REGISTRY))
    path = tmp_path / "odd.json"
    path.write_bytes(to_json({"keys": [REGISTRY.key_value(key_id="again")]}))
    ran = mirror("keys", "add", path)
    assert (0, True) == (ran.exit_code, "one public key under two names" in ran.stderr)


def test_each_change_is_a_line_of_json(mirror: Mirror, tmp_path: Path) -> None:
    """On standard output, and nothing else there."""
    (line,) = mirror("keys", "new", "mirror.key", "--name", "x.example/y", "--json").lines
    assert ("mirror.key", "x.example/y") == (line["file"], line["name"])
    path = tmp_path / "pith-mirrors.json"
    path.write_bytes(_manifest(AUTHOR))
    (line,) = mirror("keys", "import", path, "--json").lines
    assert ["new-key"] == [one["key_id"] for one in line["added"]]
    (line,) = mirror("rebuild", "--json").lines
    assert {"rebuilt": 0, "damaged": 0} == line


def test_removing_the_built_in_key_names_what_becomes_invalid(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """Its receipts are counted, and are verified again when it is added again."""
    sample_store(BUNDLES / "pith.tar")
    (line,) = mirror("keys", "remove", "pith-v1-2026-05", "--json").lines
    receipts = line["receipts_verified"]
    assert line["becomes_invalid"]["receipts"] == receipts["before"] - receipts["after"] > 0
    (line,) = mirror("keys", "add", "--built-in", "--json").lines
    assert ["pith-v1-2026-05"] == [one["key_id"] for one in line["added"]]
