"""`mirror root` and `mirror prove` on the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mirror.core.keys import parse_key_set
from mirror.core.transparency import merkle
from mirror.store import open_store
from tests.cli.conftest import BUNDLES, Mirror, Ran
from tests.helpers import state_leaves
from tests.web.conftest import make_store

DEMO, KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"

NUMBER = "pith:2026:JCCOAP2XTU5776A7WX6DYB7J3E"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bundles."""
    return make_store(tmp_path_factory.mktemp("demo") / "mirror.db", DEMO, keys=KEYS)


@pytest.fixture
def demo(mirror: Mirror, made: Path) -> Mirror:
    """`mirror(...)` where `mirror.db` is a copy of it."""
    shutil.copy(made, "mirror.db")
    return mirror


def root_of(mirror: Mirror) -> Any:
    """What `mirror root --json` says."""
    ran = mirror("root", "--json")
    assert (0, "") == (ran.exit_code, ran.stderr)
    (said,) = ran.lines
    return said


def rows(ran: Ran) -> dict[str, str]:
    """The table on stdout."""
    lines = [re.split("  +", line, maxsplit=1) for line in ran.stdout.decode().splitlines()]
    return {name: value for name, value in lines}  # noqa: C416 - the pairs are checked


# The root ------------------------------------------------------------------------------------


def test_root_prints_the_key_set_and_the_merge_version(demo: Mirror) -> None:
    """K3: the key set and the merge version beside it; for people and for programs."""
    said = root_of(demo)
    with open_store(Path("mirror.db"), read_only=True) as store:
        assert {
            "root": merkle.root(state_leaves(store)).hex(),
            "key_set_digest": store.trust_log.key_set().digest,
            "merge_version": "pith-open-graph-merge-v1",
            "records": 8,
            "events_valid": store.status().events_valid,
            "events_invalid": 0,
        } == said
    shown = rows(demo("root"))
    assert {name.replace("_", " "): str(value) for name, value in said.items()} == shown


def test_the_root_is_that_of_an_export(demo: Mirror) -> None:
    """Which prints it, too."""
    assert f"root of the states: {root_of(demo)['root']}" in demo("export", "out.tar").stderr


def test_the_root_follows_facts_and_keys(demo: Mirror) -> None:
    """Other keys, other states, another root; and the same again with the same keys."""
    before = root_of(demo)
    key_ids = [key.key_id for key in parse_key_set(KEYS.read_bytes())][:-1]
    assert 0 == demo("keys", "remove", *key_ids).exit_code
    other = root_of(demo)
    assert before["key_set_digest"] != other["key_set_digest"]
    assert before["root"] != other["root"]
    assert other["events_invalid"] > 0
    demo("keys", "add", KEYS)
    assert before == root_of(demo)
    demo("merge", BUNDLES / "pith.tar")
    more = root_of(demo)
    assert before["root"] != more["root"]
    assert before["key_set_digest"] == more["key_set_digest"]
    assert more["records"] > before["records"]


def test_an_empty_store_has_a_root(mirror: Mirror) -> None:
    """Of nothing."""
    with open_store(Path("mirror.db")):
        pass
    said = root_of(mirror)
    assert ("0" * 64, 0) == (said["root"], said["records"])


def test_stale_states_are_merged_before_a_root_is_printed(demo: Mirror) -> None:
    """States that were not merged, and a tree that was not made."""
    before = root_of(demo)
    with open_store(Path("mirror.db")) as store, store.transaction():
        store.state_tree.clear()
        store.states.mark_all_for_verdicts()
    assert before == root_of(demo)
    with open_store(Path("mirror.db")) as store:
        assert 0 == store.state_tree.lag()


def test_a_missing_store_is_an_error(mirror: Mirror) -> None:
    """Nor is one made."""
    ran = mirror("root")
    assert (4, b"") == (ran.exit_code, ran.stdout)
    assert "store.absent" in ran.stderr
    assert not Path("mirror.db").exists()


def test_a_damaged_store_has_no_root(demo: Mirror) -> None:
    """It names what to do, which then helps."""
    before = root_of(demo)
    with open_store(Path("mirror.db")) as store:
        store.connection.execute("UPDATE tree_node SET size = 9 WHERE depth = 0")
    ran = demo("root")
    assert (4, b"") == (ran.exit_code, ran.stdout)
    assert "error: store.damaged at root of the tree: " in ran.stderr
    assert "hint: run `mirror check`" in ran.stderr
    assert 1 == demo("check", "--repair").exit_code
    assert before == root_of(demo)


# Proofs --------------------------------------------------------------------------------------


def prove(mirror: Mirror, name: str = NUMBER, out: str = "proof.json") -> Any:
    """Write a proof to a file; what it says."""
    ran = mirror("prove", name)
    assert (0, "") == (ran.exit_code, ran.stderr)
    Path(out).write_bytes(ran.stdout)
    return json.loads(ran.stdout)


def test_a_proof_is_printed_by_any_name_of_its_record(demo: Mirror) -> None:
    """The same to the byte; indented, for people may read it."""
    proof = prove(demo)
    assert NUMBER == proof["pith_number"]
    assert root_of(demo)["root"] == proof["root"]
    expected = Path("proof.json").read_bytes()
    assert expected.startswith(b'{\n  "proof_type": "pith_mirror_inclusion_proof",\n')
    assert expected.endswith(b"}\n")
    for name in ("JCCOAP2X", NUMBER.lower(), proof["canonical_sha256"]):
        assert expected == demo("prove", name).stdout
    (line,) = demo("prove", NUMBER, "--json").lines
    assert json.loads(expected) == line
    assert 0 == demo("prove", NUMBER, "--out", "written.json").exit_code
    assert expected == Path("written.json").read_bytes()


def test_a_proof_is_checked_without_a_store(demo: Mirror) -> None:
    """By its own root, which is pointed out, or by one that a person gives."""
    root = prove(demo)["root"]
    Path("mirror.db").unlink()
    ran = demo("prove", "--check", "proof.json")
    assert 0 == ran.exit_code
    shown = rows(ran)
    assert (NUMBER, root) == (shown["record"], shown["is in the tree of"])
    assert "key set (claimed)" in shown
    assert "merge version (claimed)" in shown
    assert "this root is from the proof itself" in ran.stderr
    for text in (root, root.upper(), f" {root}\n"):
        ran = demo("prove", "--check", "proof.json", "--root", text)
        assert (0, "") == (ran.exit_code, ran.stderr)
    assert not Path("mirror.db").exists()


def test_a_proof_is_read_from_standard_input(demo: Mirror) -> None:
    """As `-`."""
    root = prove(demo)["root"]
    data = Path("proof.json").read_bytes()
    ran = demo("prove", "--check", "-", "--root", root, "--json", stdin=data)
    assert [{"pith_number": NUMBER, "root": root, "holds": True}] == ran.lines
    assert (0, "") == (ran.exit_code, ran.stderr)
    assert 3 == demo("prove", "--check", "-", stdin=b"").exit_code


def test_a_proof_does_not_hold_for_another_root(demo: Mirror) -> None:
    """That of the store after a merge; the old root is as good as ever."""
    old = prove(demo)["root"]
    demo("merge", BUNDLES / "pith.tar")
    new = root_of(demo)["root"]
    ran = demo("prove", "--check", "proof.json", "--root", new)
    assert (1, b"") == (ran.exit_code, ran.stdout)
    assert f"no: this does not show that {NUMBER} is in the tree of {new}" in ran.stderr
    ran = demo("prove", "--check", "proof.json", "--root", new, "--json")
    assert (1, False) == (ran.exit_code, ran.lines[0]["holds"])
    assert 0 == demo("prove", "--check", "proof.json", "--root", old).exit_code
    assert new == prove(demo)["root"]
    assert 0 == demo("prove", "--check", "proof.json", "--root", new).exit_code


TAMPERED: dict[str, tuple[Any, int]] = {
    "proof_type": ("another", 3),
    "proof_version": ("2.0", 3),
    "pith_number": ("pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA", 3),
    "canonical_sha256": ("0" * 64, 3),
    "core_digest": ("0" * 64, 1),
    "merge_version": (1, 3),
    "key_set_digest": ("", 3),
    "root": ("0" * 64, 1),
    "path": ([], 1),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_proof_that_was_tampered_with_fails(demo: Mirror, name: str) -> None:
    """Refused where it cannot be read, and no proof where it can."""
    proof = prove(demo)
    assert set(TAMPERED) == set(proof)
    value, code = TAMPERED[name]
    Path("proof.json").write_text(json.dumps({**proof, name: value}))
    ran = demo("prove", "--check", "proof.json")
    assert (code, b"") == (ran.exit_code, ran.stdout)
    wanted = "error: proof.shape at /" if code == 3 else "no: this does not show"
    assert ran.stderr.startswith(wanted)


def test_texts_of_a_proof_are_escaped_on_the_terminal(demo: Mirror) -> None:
    """Whatever is in the one member that may be any string."""
    proof = prove(demo)
    evil = "\x1b[2J\u202e\nrecord  pith:2026:AAAA"
    Path("proof.json").write_text(json.dumps({**proof, "merge_version": evil}))
    ran = demo("prove", "--check", "proof.json")
    assert 0 == ran.exit_code
    assert all(line.isprintable() for line in ran.stdout.decode().splitlines())
    assert 5 == len(ran.stdout.splitlines())


@pytest.mark.parametrize("text", ["", "0", "0" * 63, "0" * 65, "g" * 64, "é" * 64])
def test_a_root_is_64_hexadecimal_digits(demo: Mirror, text: str) -> None:
    """Anything else is no root, and not taken for one that does not fit."""
    prove(demo)
    ran = demo("prove", "--check", "proof.json", "--root", text)
    assert 2 == ran.exit_code
    assert "64 hexadecimal digits" in ran.stderr


SENSELESS = [
    (),
    (NUMBER, "--check", "proof.json"),
    ("--root", "0" * 64),
    (NUMBER, "--root", "0" * 64),
]


@pytest.mark.parametrize("arguments", SENSELESS)
def test_invalid_arguments_are_a_usage_error(demo: Mirror, arguments: tuple[str, ...]) -> None:
    """Neither to prove nor to check, both, or a root where there is nothing to check."""
    prove(demo)
    ran = demo("prove", *arguments)
    assert (2, b"") == (ran.exit_code, ran.stdout)


def test_a_proof_of_what_is_missing_is_an_error(demo: Mirror) -> None:
    """A record, a store, a file."""
    ran = demo("prove", "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert (1, b"") == (ran.exit_code, ran.stdout)
    assert "lookup.unknown" in ran.stderr
    assert 4 == demo("prove", NUMBER, "--db", "other.db").exit_code
    ran = demo("prove", "--check", "other.json")
    assert 3 == ran.exit_code
    assert "source.unreadable" in ran.stderr
