"""What docs/tree.md shows is so: its code runs, its examples come out, and ours says the same."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mirror.core.transparency import merkle
from mirror.core.values import encode
from mirror.engine.states.root import read_root
from mirror.engine.transparency.inclusion_proof import make_proof, parse_proof
from mirror.engine.transparency.tree_nodes import MAX_LEAVES, node_page, parse_node_page
from mirror.store import open_store
from tests.cli.conftest import BUNDLES
from tests.helpers import ids_in, state_leaves
from tests.synthetic import fill, make_leaves
from tests.web.conftest import make_store

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "tree.md").read_text()


def blocks(language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


EXAMPLES, PROOF, TOLD = map(json.loads, blocks("json"))


@pytest.fixture(scope="module")
def shown() -> dict[str, Callable[..., Any]]:
    """What the code of the page defines."""
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, names)  # noqa: S102 - it is our own page
    return names


def test_the_examples_have_their_roots(shown: dict[str, Callable[..., Any]]) -> None:
    """By the code of the page, and by ours."""
    assert len(EXAMPLES) >= 4
    for example in EXAMPLES:
        leaves = [(bytes.fromhex(one), bytes.fromhex(core)) for one, core in example["leaves"]]
        assert example["root"] == shown["root"](leaves).hex() == merkle.root(leaves).hex()


def test_any_leaves_have_the_root_of_the_page(shown: dict[str, Callable[..., Any]]) -> None:
    """Many, few, crowded."""
    for count in range(0, 200, 13):
        leaves = make_leaves(count, count)
        assert shown["root"](leaves) == merkle.root(leaves)
    crowded = [(bytes([one // 2]) * 31 + bytes([one]), bytes([one]) * 32) for one in range(20)]
    assert shown["root"](crowded) == merkle.root(crowded)


def test_the_proof_holds(shown: dict[str, Callable[..., Any]]) -> None:
    """For its root, by the code of the page and by ours; changed, for none."""
    root = PROOF["root"]
    assert EXAMPLES[-1]["root"] == root
    assert [PROOF["canonical_sha256"], PROOF["core_digest"]] == EXAMPLES[-1]["leaves"][0]
    assert shown["holds"](PROOF, root)
    assert parse_proof(encode(PROOF)).leads_to(bytes.fromhex(root))
    leaves = [(bytes.fromhex(one), bytes.fromhex(core)) for one, core in EXAMPLES[-1]["leaves"]]
    steps = merkle.path(leaves, leaves[0][0], 0)
    assert steps == parse_proof(encode(PROOF)).steps
    changes: list[dict[str, Any]] = [
        {"core_digest": "0" * 64},
        {"path": PROOF["path"][1:]},
        {"path": []},
    ]
    for change in changes:
        assert not shown["holds"]({**PROOF, **change}, root)
        assert not parse_proof(encode({**PROOF, **change})).leads_to(bytes.fromhex(root))


def test_the_proofs_of_a_store_hold_by_the_page(
    shown: dict[str, Callable[..., Any]], tmp_path: Path
) -> None:
    """With just the members that the page names."""
    path = make_store(tmp_path / "mirror.db", BUNDLES / "demo.tar", BUNDLES / "pith.tar",
                      keys=BUNDLES / "demo-keys.json")  # fmt: skip
    with open_store(path, read_only=True) as store:
        root = read_root(store).root
        leaves = state_leaves(store)
        assert root == shown["root"](leaves).hex()
        for record_id in ids_in(store):
            proof = make_proof(store, record_id)
            assert list(PROOF) == list(proof)
            assert all(f"| `{name}` |" in PAGE for name in proof)
            assert shown["holds"](proof, root)
            stranger = f"{random.Random(record_id).getrandbits(256):064x}"
            assert not shown["holds"]({**proof, "canonical_sha256": stranger}, root)
            assert not shown["holds"]({**proof, "core_digest": stranger}, root)


def test_the_example_page_is_a_page_of_a_store() -> None:
    """It can be read, follows from its leaves, and a store of the example tells just this."""
    told, about = parse_node_page(encode(TOLD), TOLD["prefix"])
    assert EXAMPLES[-1]["root"] == about["root"]
    assert told.node.digest.hex() == PROOF["path"][1]["b"]
    leaves = [(bytes.fromhex(one), bytes.fromhex(core)) for one, core in EXAMPLES[-1]["leaves"]]
    with open_store(None) as store:
        fill(store, leaves)
        assert json.dumps(TOLD) == json.dumps(node_page(store, TOLD["prefix"]))


def test_the_members_of_an_answer_are_those_of_the_page() -> None:
    """With nodes and with leaves, at just the size that it names."""
    assert f"more than {MAX_LEAVES} leaves" in PAGE
    for count, name in ((MAX_LEAVES, "leaves"), (MAX_LEAVES + 1, "nodes")):
        with open_store(None) as store:
            fill(store, make_leaves(count))
            said = cast("dict[str, Any]", node_page(store, ""))
        assert ["prefix", "size", "digest", name, "about"] == list(said)
        names = {*said, *said[name][0], *said["about"]}
        assert all(f"`{one}`" in PAGE for one in names)
