"""`mirror keys trust-authority` and `distrust-authority`, as people run them."""

from __future__ import annotations

import base64
from pathlib import Path

from mirror.core.values import canonical, sha256
from tests.builders import Signer, key_set_file, make_bundle, make_event, make_record, to_json
from tests.cli.conftest import Mirror
from tests.engine.anchors.time_stamp_authority import TimeStampAuthority

TSA = TimeStampAuthority()
"""Its certificates are random in a few bytes (ECDSA), so they are made once."""


def _file(folder: Path, pem: bytes = TSA.pem(with_signer=True)) -> str:
    path = folder / "tsa.pem"
    path.write_bytes(pem)
    return str(path)


def test_an_authority_is_trusted_listed_and_removed(mirror: Mirror, tmp_path: Path) -> None:
    """The key set digest is the same all the time."""
    digest = mirror("keys", "list").stdout.splitlines()[-1]
    done = mirror("keys", "trust-authority", _file(tmp_path), "--name", "tsa")
    assert (0, True) == (done.exit_code, "now trusted" in done.stderr)
    listed = mirror("keys", "list").stdout.splitlines()
    assert [b"time-stamp authority  tsa"] == [one for one in listed if one.endswith(b" tsa")]
    assert listed[-1] == digest
    assert mirror("keys", "distrust-authority", "tsa").exit_code == 0
    assert b"time-stamp authority" not in mirror("keys", "list").stdout


def test_an_authority_as_json(mirror: Mirror, tmp_path: Path) -> None:
    """The answer to the change, and the line of the list."""
    (added,) = mirror("keys", "trust-authority", _file(tmp_path), "--json").lines
    assert added.pop("new") is True
    assert mirror("keys", "list", "--json").lines[1:] == [added]
    assert ("rfc3161", "tsa.example root") == (added["authority_type"], added["name"])
    assert [one["role"] for one in added["certificates"]] == ["root", "signer"]
    (again,) = mirror("keys", "trust-authority", _file(tmp_path), "--json").lines
    assert again == {**added, "new": False}
    removed = mirror("keys", "distrust-authority", "tsa.example root", "--json").lines
    assert removed == [{"removed": ["tsa.example root"]}]


def test_a_refused_file_is_named_and_stores_nothing(mirror: Mirror, tmp_path: Path) -> None:
    """The file and the fault in it are in the message."""
    place = tmp_path / "tsa.pem"
    for pem in (b"", TSA.pem()[:-40]):
        done = mirror("keys", "trust-authority", _file(tmp_path, pem))
        assert (3, True) == (done.exit_code, f"authority.shape at {place}:" in done.stderr)
    assert not (tmp_path / "mirror.db").exists()
    mirror("keys", "trust-authority", _file(tmp_path), "--name", "tsa")
    unknown = mirror("keys", "distrust-authority", "tsa", "none")
    assert (1, True) == (unknown.exit_code, "authority.unknown" in unknown.stderr)
    assert len(mirror("keys", "list", "--json").lines) == 2


def test_a_token_counts_while_its_authority_is_trusted(mirror: Mirror, tmp_path: Path) -> None:
    """The result follows the trust; the root of all states does not."""
    record = make_record()
    token = base64.b64encode(TSA.token(canonical(record))).decode()
    digest = sha256(canonical(record)).hex()
    payload = {"method": "rfc3161", "digest": digest, "proof_b64": token}
    signer = Signer("author")
    event = make_event(record, signer, "timestamp_anchored", payload)
    (tmp_path / "keys.json").write_bytes(key_set_file(signer))
    assert mirror("keys", "add", "keys.json").exit_code == 0
    mirror("merge", "-", stdin=to_json(make_bundle(record, [event])))
    seen, roots = [], set()
    for change in (
        ("list",),
        ("trust-authority", _file(tmp_path), "--name", "tsa"),
        ("distrust-authority", "tsa"),
    ):
        assert mirror("keys", *change).exit_code == 0
        (found,) = mirror("anchors", "--json").lines
        seen.append((found["status"], found["at"]))
        roots.add(mirror("root").stdout)
    unknown = ("authority_unknown", None)
    assert [unknown, ("anchored", "2026-06-01T12:00:00Z"), unknown] == seen
    assert len(roots) == 1
