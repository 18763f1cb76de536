"""The committed samples: as the script builds them, true to their sources, and complete."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.builders import EVENT_TARGETS, text_digest
from tests.shared import lines, real_lines, shared

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "bundles"

CODES = [
    "json.syntax",
    "json.duplicate_key",
    "json.number",
    "json.surrogate",
    "json.depth",
    "bundle.shape",
    "bundle.type",
    "bundle.version",
    "record.shape",
    "record.digest",
    "record.number",
    "bundle.short",
    "bundle.source",
    "bundle.alias",
    "receipt.shape",
    "receipt.key_unknown",
    "receipt.role",
    "receipt.key_window",
    "receipt.signature",
    "event.shape",
    "event.id",
    "event.subject",
    "event.time",
    "event.key_unknown",
    "event.key_mismatch",
    "event.key_window",
    "event.signature",
    "event.role",
    "event.payload",
]
"""V1, B2, B3, S2, E3."""

NEEDING_DEMO_KEYS = {
    "receipt.role",
    "receipt.key_window",
    "event.key_window",
    "event.role",
    "event.payload",
}


@cache
def facts() -> list[Any]:
    """The lines of facts/real.jsonl."""
    return [oracle.parse(line) for line in (BUNDLES / "facts/real.jsonl").read_bytes().splitlines()]


def bundles_in(name: str) -> list[Any]:
    """The bundles of a bag, in its order."""
    with tarfile.open(BUNDLES / name) as tar:
        contents = {info.name: tar.extractfile(info) or io.BytesIO() for info in tar}
        return [
            oracle.read_bundle(content.read())
            for path, content in contents.items()
            if path.startswith("pith/data/pith/")
        ]


def expected(sample: str) -> Any:
    """What a sample should give."""
    return json.loads((BUNDLES / f"{sample}.expected.json").read_bytes())


def states(sample: str) -> list[Any]:
    """The states that a sample should give."""
    return [
        oracle.parse(line)
        for line in (BUNDLES / f"{sample}.states.jsonl").read_bytes().splitlines()
    ]


# The script ----------------------------------------------------------------------------------


def make_bundles(root: Path, *arguments: str, hash_seed: str) -> tuple[int, str]:
    """Exit code and output of the script of a working copy."""
    done = subprocess.run(
        [sys.executable, str(root / "scripts/make_bundles"), *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the script needs of this working copy."""
    for folder in ["bundles", "scripts", "tests/oracle"]:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ["tests/__init__.py", "tests/builders.py"]:
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_check_names_every_difference(copy: Path) -> None:
    """`--check` writes nothing and names what differs, is missing and is left over.

    All other samples are as the script builds them; below, with another order of its sets.
    """
    bundles = copy / "bundles"
    (bundles / "demo-keys.json").write_bytes(b"{}")
    (bundles / "pith.tar").unlink()
    (bundles / "invalid/event.gone.json").write_bytes(b"{}")
    before = sorted(bundles.rglob("*"))

    assert make_bundles(copy, "--check", hash_seed="1") == (
        1,
        "demo-keys.json: differs\ninvalid/event.gone.json: left over\npith.tar: missing\n",
    )
    assert sorted(bundles.rglob("*")) == before
    assert (bundles / "demo-keys.json").read_bytes() == b"{}"


def test_rebuilding_from_committed_files_alone(copy: Path) -> None:
    """The facts are enough to build all samples again, and the page and the facts stay.

    The sets have another order than above, and the samples are the same.
    """
    bundles = copy / "bundles"
    for path in bundles.iterdir():
        if path.is_file() and path.name != "README.md":
            path.unlink()
    shutil.rmtree(bundles / "invalid")
    (bundles / "left.over").write_bytes(b"")

    assert make_bundles(copy, hash_seed="2") == (0, "")
    assert list(contents(bundles)) == list(contents(BUNDLES))


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files below a folder, ascending by name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


# The real records ----------------------------------------------------------------------------


def facts_of_seed(page: str) -> Any:
    """The facts on a record page as a person sees it."""
    record = oracle.parse(page.partition("Canonical record JSON\n")[2].encode())
    texts = page.splitlines()
    title = next(text for text in texts if text_digest(text) == title_digest(record))
    return {"canonical_record": record, "title": title}


def title_digest(record: Any) -> Any:
    """What the title of a record hashes to (R5)."""
    return record["metadata"]["title_canon_sha256"]


def _named(line: Any, *members: str) -> Any:
    return {name: line[name] for name in ("canonical_record", *members)}


def test_facts_equal_their_sources() -> None:
    """facts/real.jsonl says what the collected pages say, and nothing more."""
    collected = [
        *(
            {**_named(line, "title"), "receipts": [line["receipt"]]}
            for line in lines("real/signed_records.jsonl")
        ),
        *(
            _named(line, "source_aliases")
            for line in [*real_lines("bundle_heads"), *lines("real/state_heads_2.jsonl")]
        ),
        *(_named(line, "title") for line in lines("real/tex_titles.jsonl")),
        *(facts_of_seed(path.read_text()) for path in shared("real/seeds").glob("*.txt")),
    ]
    collected.sort(key=lambda fact: oracle.record_digest(fact["canonical_record"]))
    assert facts() == collected


def test_facts_are_sorted_and_receipts_verify() -> None:
    """Distinct records in order, receipts that verify, aliases of the record; no other text."""
    read = facts()
    digests = [oracle.record_digest(fact["canonical_record"]) for fact in read]
    assert digests == sorted(set(digests))
    assert all(oracle.record_shape_ok(fact["canonical_record"]) for fact in read)
    members = ("canonical_record", "title", "receipts", "source_aliases")
    assert set(members) == {name for fact in read for name in fact}
    for fact in read:
        assert [name for name in members if name in fact] == list(fact)
        if "title" in fact:
            assert text_digest(fact["title"]) == title_digest(fact["canonical_record"])
        if "source_aliases" in fact:
            named = [(one["alias_kind"], one["alias_value"]) for one in fact["source_aliases"]]
            assert oracle.aliases_of(fact["canonical_record"]) == named
    codes = {
        oracle.receipt_code(receipt, fact["canonical_record"], oracle.builtin_keys())
        for fact in read
        for receipt in fact.get("receipts", [])
    }
    assert codes == {None}


def test_real_bag() -> None:
    """pith.tar holds the facts and no event; nothing is found in it."""
    bundles = bundles_in("pith.tar")
    assert len(bundles) == len(facts())
    assert all(bundle["events"] == [] for bundle in bundles)
    by_digest = {bundle["canonical_sha256"]: bundle for bundle in bundles}
    for fact in facts():
        bundle = by_digest[oracle.record_digest(fact["canonical_record"])]
        assert bundle["canonical_record"] == fact["canonical_record"]
        assert bundle.get("receipts") == fact.get("receipts")
        assert bundle["source_aliases"] == fact.get("source_aliases", [])
    assert expected("pith") == {"exit_code": 0, "findings": [], "keys": None}
    with_receipt = sum("receipts" in fact for fact in facts())
    assert sum(state["current"]["receipt"] is not None for state in states("pith")) == with_receipt


def test_titles_have_the_digests_in_their_records() -> None:
    """titles.jsonl has every title of the facts, and those of all records with a receipt (R5)."""
    titles = {
        line["id"]: line["title"]
        for line in map(oracle.parse, (BUNDLES / "titles.jsonl").read_bytes().splitlines())
    }
    records = {fact["canonical_record"]["source"]["id"]: fact for fact in facts()}
    for arxiv_id, title in titles.items():
        assert text_digest(title) == title_digest(records[arxiv_id]["canonical_record"])
        assert title == records[arxiv_id].get("title", title)
    assert {one for one, fact in records.items() if {"title", "receipts"} & {*fact}} <= {*titles}


def _core_digest(state: Any) -> str:
    """M12, from a state."""
    names = ("pith_number", "merge_version", "valid_event_count", "equivocation_count",
             "equivocations", "retired_events")  # fmt: skip
    current = {name: one for name, one in state["current"].items() if name != "source_aliases"}
    record, receipt = current["canonical_record"], current["receipt"]
    core = {name: state[name] for name in names} | {
        "canonical_sha256": oracle.record_digest(record),
        "current": {**current, "receipt": receipt and receipt["signed_at"] and receipt["key_id"]},
    }
    return hashlib.sha256(oracle.canonical(core)).hexdigest()


def _root(leaves: list[tuple[bytes, bytes]]) -> str:
    """By the text of the page itself, which an implementer would run."""
    page = (ROOT / "docs" / "protocol.md").read_text()
    (snippet,) = re.findall(r"```python\n(from hashlib.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - the page is a part of the project
    return str(names["root"](leaves).hex())


def test_check_values_of_the_protocol_page() -> None:
    """The digests that the page prints are those of the samples, and so are its roots."""
    page = (ROOT / "docs" / "protocol.md").read_text().partition("## 10 Check values")[2]
    leaves = {}
    for name in ("demo", "pith"):
        cores = [(one, _core_digest(one)) for one in states(name)]
        leaves[name] = [
            (bytes.fromhex(oracle.record_digest(one["current"]["canonical_record"])),
             bytes.fromhex(core)) for one, core in cores
        ]  # fmt: skip
        if name == "demo":
            printed = [value for one, core in cores for value in (oracle.state_digest(one), core)]
            assert sorted(printed) == sorted(
                re.findall(r"^\|.*\| `(\w{64})` \|$", page, re.MULTILINE)
            )
    roots = [leaves["demo"], leaves["pith"], [*leaves["demo"], *leaves["pith"]]]
    assert [_root(one) for one in roots] == re.findall(r"`(\w{64})`", page.partition("The root")[2])


# The made-up records -------------------------------------------------------------------------


def test_demo_bag() -> None:
    """demo.tar is valid under its keys and has every type of E4, and more than one unknown."""
    assert expected("demo") == {"exit_code": 0, "findings": [], "keys": "demo-keys.json"}
    bundles = bundles_in("demo.tar")
    types = {event["event_type"] for bundle in bundles for event in bundle["events"]}
    assert set(EVENT_TARGETS) < types
    assert len(types - set(EVENT_TARGETS)) >= 2
    merged = states("demo")
    assert len(bundles) == len(merged) + 1
    assert sum(state["equivocation_count"] for state in merged) == 2
    assert sum(state["invalid_event_count"] for state in merged) == 0
    reasons = {entry["reason"] for state in merged for entry in state["retired_events"]}
    assert reasons == {"revoked", "superseded", "withdrawn"}
    lists = {name for state in merged for name, value in state["current"].items() if value != []}
    assert lists == set(merged[0]["current"])


def test_private_keys_are_those_of_the_key_set() -> None:
    """demo-private-keys.json has the seed of every demo key, and says what they are."""
    keys = json.loads((BUNDLES / "demo-keys.json").read_bytes())["keys"]
    private = json.loads((BUNDLES / "demo-private-keys.json").read_bytes())
    assert "Never trust" in private["warning"]
    seeds = {item["key_id"]: bytes.fromhex(item["seed_hex"]) for item in private["seeds"]}
    for key in keys:
        assert oracle.public_key(seeds[key["key_id"]]).hex() == key["public_key_hex"]


# The invalid ones ----------------------------------------------------------------------------


def test_every_code_has_its_sample() -> None:
    """One sample, with both its results, for each code."""
    names = {path.name for path in (BUNDLES / "invalid").iterdir()}
    endings = ("json", "expected.json", "states.jsonl")
    assert names == {f"{code}.{ending}" for code in CODES for ending in endings}


@pytest.mark.parametrize("code", CODES)
def test_invalid_sample(code: str) -> None:
    """The sample is wrong in that one way, under the keys it names."""
    result = expected(f"invalid/{code}")
    assert result["exit_code"] == 1
    assert [finding["code"] for finding in result["findings"]] == [code]
    needed = "demo-keys.json" if code in NEEDING_DEMO_KEYS else None
    assert result["keys"] == needed
    refused = result["findings"][0]["pith_number"] is None
    assert len(states(f"invalid/{code}")) == (0 if refused else 1)


@pytest.mark.parametrize("code", [code for code in CODES if not code.startswith("json.")])
def test_place_of_finding(code: str) -> None:
    """`where` is a JSON Pointer to something that is there."""
    pointer = expected(f"invalid/{code}")["findings"][0]["where"]
    value = json.loads((BUNDLES / f"invalid/{code}.json").read_bytes())
    for token in pointer.split("/")[1:]:
        value = value[int(token)] if isinstance(value, list) else value[token]
