"""`/mirror/tree/`: the tree over all states, told node by node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirror.engine.states.root import read_root
from mirror.store import open_store
from mirror.web import ServerSettings
from tests.helpers import state_leaves
from tests.synthetic import fill, make_leaves
from tests.web.conftest import BUNDLES, make_store, served

ROOT = "/mirror/tree/"

DIGITS = "0123456789abcdef"

LEAVES = make_leaves(3000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 3,000 made-up states."""
    path = tmp_path_factory.mktemp("tree") / "mirror.db"
    with open_store(path) as store:
        fill(store, LEAVES)
    return path


@pytest.fixture(scope="module")
def big(store: Path) -> Iterator[httpx.Client]:
    """A client of it, served."""
    with served(ServerSettings(store=store)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bundles."""
    path = tmp_path_factory.mktemp("demo") / "mirror.db"
    return make_store(path, BUNDLES / "demo.tar", keys=BUNDLES / "demo-keys.json")


@pytest.fixture(scope="module")
def small(demo: Path) -> Iterator[httpx.Client]:
    """A client of it, served."""
    with served(ServerSettings(store=demo)) as url, httpx.Client(base_url=url) as client:
        yield client


def get(client: httpx.Client, path: str) -> Any:
    """What is told, which must be JSON."""
    answer = client.get(path)
    assert 200 == answer.status_code
    assert "application/json" == answer.headers["content-type"]
    assert "*" == answer.headers["access-control-allow-origin"]
    return answer.json()


def hashed(*parts: str) -> str:
    """The digest of parts in hexadecimal, one behind the other."""
    return hashlib.sha256(bytes.fromhex("".join(parts))).hexdigest()


def joined(nodes: list[tuple[int, str]]) -> tuple[int, str]:
    """Size and digest of the node of sixteen children, as docs/tree.md says."""
    size = sum(one for one, _ in nodes)
    if size <= 1:
        return max(nodes)
    return size, hashed("01", *[digest for _, digest in nodes])


EMPTY = (0, "0" * 64)


def computed(leaves: list[tuple[str, str]], level: int) -> tuple[int, str]:
    """Size and digest of the subtree of leaves that agree in so many digits."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return 1, hashed("00", *leaves[0])
    return joined([
        computed([leaf for leaf in leaves if leaf[0][level] == digit], level + 1)
        for digit in DIGITS
    ])  # fmt: skip


def test_few_records_are_served_as_leaves(small: httpx.Client, demo: Path) -> None:
    """All leaves come, ascending, with their Pith Numbers, and the root of the tree."""
    said = get(small, ROOT)
    assert ["prefix", "size", "digest", "leaves", "about"] == list(said)
    leaves = [(leaf["canonical_sha256"], leaf["core_digest"]) for leaf in said["leaves"]]
    assert sorted(leaves) == leaves
    assert ("", *computed(leaves, 0)) == (said["prefix"], said["size"], said["digest"])
    with open_store(demo, read_only=True) as store:
        expected = {(one.hex(), core.hex()) for one, core in state_leaves(store)}
        about = read_root(store)
    assert expected == set(leaves)
    for leaf in said["leaves"]:
        assert ["canonical_sha256", "core_digest", "pith_number"] == list(leaf)
        state = get(small, f"/pith/{leaf['pith_number'][-26:]}/state.json")
        assert leaf["pith_number"] == state["pith_number"]
    assert said["about"] == {
        "root": about.root,
        "key_set_digest": about.key_set_digest,
        "merge_version": about.merge_version,
        "records": about.records,
        "events_valid": about.events_valid,
        "events_invalid": about.events_invalid,
    }
    assert about.root == said["digest"]


def test_many_records_are_served_as_nodes(big: httpx.Client) -> None:
    """The grandchildren that are not empty, ascending, 256 at most."""
    said = get(big, ROOT)
    assert ["prefix", "size", "digest", "nodes", "about"] == list(said)
    names = [node["prefix"] for node in said["nodes"]]
    assert sorted({record.hex()[:2] for record, _ in LEAVES}) == names
    by_name = {node["prefix"]: (node["size"], node["digest"]) for node in said["nodes"]}
    children = [joined([by_name.get(one + other, EMPTY) for other in DIGITS]) for one in DIGITS]
    assert joined(children) == (said["size"], said["digest"])
    assert (3000, 3000) == (said["size"], said["about"]["records"])
    assert said["digest"] == said["about"]["root"]
    name = names[7]
    below = get(big, f"{ROOT}{name}")
    assert by_name[name] == (below["size"], below["digest"])
    leaves = [(leaf["canonical_sha256"], leaf["core_digest"]) for leaf in below["leaves"]]
    here = [(one.hex(), core.hex()) for one, core in LEAVES if one.hex()[:2] == name]
    assert sorted(here) == leaves
    assert by_name[name] == computed(leaves, 2)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 10, 26, 33, 34, 35, 61, 62])
def test_nodes_are_served_at_any_depth(big: httpx.Client, depth: int) -> None:
    """Its digest follows from its leaves; an empty node has one, too."""
    record, core = LEAVES[0]
    prefix = record.hex()[:depth]
    said = get(big, f"{ROOT}{prefix}")
    leaves = [(one.hex(), its_core.hex()) for one, its_core in LEAVES
              if one.hex().startswith(prefix)]  # fmt: skip
    assert (prefix, *computed(leaves, depth)) == (said["prefix"], said["size"], said["digest"])
    assert ("nodes" in said) == (len(leaves) > 64)
    if depth > 10:
        assert hashed("00", record.hex(), core.hex()) == said["digest"]
    nobody = prefix[:-1] + ("0" if prefix[-1] != "0" else "1")
    if depth > 10:
        said = get(big, f"{ROOT}{nobody}")
        assert (0, "0" * 64, []) == (said["size"], said["digest"], said["leaves"])


def test_the_etag_changes_with_the_node(big: httpx.Client) -> None:
    """A request with the ETag gets 304, and another node has another ETag."""
    answer = big.get(f"{ROOT}ab")
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "public, no-cache"
    again = big.get(f"{ROOT}ab", headers={"If-None-Match": tag})
    assert (304, b"") == (again.status_code, again.content)
    assert tag == again.headers["etag"]
    other = big.get(f"{ROOT}ac", headers={"If-None-Match": tag})
    assert 200 == other.status_code
    assert tag != other.headers["etag"]


def test_responses_are_compressed(big: httpx.Client) -> None:
    """Gzip has the same content in fewer bytes."""
    plain = big.get(ROOT, headers={"Accept-Encoding": "identity"})
    packed = big.get(ROOT, headers={"Accept-Encoding": "gzip"})
    assert "gzip" == packed.headers["content-encoding"]
    assert plain.content == packed.content
    assert int(packed.headers["content-length"]) < len(plain.content)


def test_head_is_answered_without_a_body(big: httpx.Client) -> None:
    """The status is that of GET."""
    answer = big.head(f"{ROOT}ab")
    assert (200, b"") == (answer.status_code, answer.content)


NO_PREFIXES = ["g", "AB", "aB", "0" * 63, "0" * 64, "0" * 5000, "%20", "%00", "%D9%A3", "0x1", "-1",
               "a.b"]  # fmt: skip


@pytest.mark.parametrize("prefix", NO_PREFIXES)
def test_an_invalid_prefix_is_refused(big: httpx.Client, prefix: str) -> None:
    """The status is 400, and the body a problem document."""
    answer = big.get(f"{ROOT}{prefix}")
    assert 400 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    said = answer.json()
    assert ("request.prefix", 400) == (said["code"], said["status"])
    assert "62 hexadecimal digits" in said["detail"]
    assert "no-store" == answer.headers["cache-control"]


ELSEWHERE = [
    "/mirror/tree",
    *(f"{ROOT}{one}" for one in ("ab/cd", "ab/", "a%2fb", "a%0a", "..%2f")),
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_other_paths_are_not_found(big: httpx.Client, path: str) -> None:
    """A node has one address."""
    assert big.get(path).status_code in {307, 404}


def test_a_stale_tree_is_unavailable(tmp_path: Path) -> None:
    """The status is 503 until the tree is brought up to date."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        fill(store, LEAVES[:100])
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as client:
        before = get(client, ROOT)
        with open_store(path) as store:
            for lag in (store.state_tree.clear, lambda: store.state_tree.enqueue([1])):
                with store.transaction():
                    lag()
                for prefix in ("", "ab"):
                    answer = client.get(f"{ROOT}{prefix}")
                    assert 503 == answer.status_code
                    assert "application/problem+json" == answer.headers["content-type"]
                    assert "store.behind" == answer.json()["code"]
                    assert "etag" not in answer.headers
                with store.transaction():
                    store.state_tree.update()
                assert before == get(client, ROOT)


def test_a_changed_tree_is_served_again(tmp_path: Path) -> None:
    """The earlier ETag does not match any more."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        fill(store, LEAVES[:100])
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as client:
        before = client.get(ROOT)
        with open_store(path) as store:
            fill(store, LEAVES[100:101])
        after = client.get(ROOT, headers={"If-None-Match": before.headers["etag"]})
        assert 200 == after.status_code
        assert (100, 101) == (before.json()["size"], after.json()["size"])


def test_a_damaged_tree_is_not_served(tmp_path: Path) -> None:
    """The status is 503, and the body has no details of the damage."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        fill(store, LEAVES[:100])
        store.connection.execute("UPDATE tree_node SET digest = zeroblob(32) WHERE depth = 2")
    with served(ServerSettings(store=path)) as url, httpx.Client(base_url=url) as client:
        answer = client.get(ROOT)
    assert (503, "store.damaged") == (answer.status_code, answer.json()["code"])
    assert str(tmp_path) not in answer.text
