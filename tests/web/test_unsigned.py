"""What no verified signature covers is marked as such on every page, or is not shown."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx
import pytest

from mirror.engine.search.index import update_index
from mirror.store import open_store
from mirror.web.pages.labels import CODES
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    Object,
    Signer,
    created,
    key_set_file,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    revocation,
    sign_event,
    snapshot,
    to_json,
)
from tests.shared import shared
from tests.web.conftest import Serve, make_store
from tests.web.markup import Page

MARK = "zzinvalidzz"
"""Stands in every field of what fails a check, and of what is never signed."""
DAY = "1987-06-05"
"""The same for times."""
OWN = "zzunsignedzz"
"""Stands in every field of a record that nobody signed."""

ALICE = Signer("alice")
STRANGER = Signer("stranger", key_id=MARK, signer_id=MARK, signer_type=MARK)
SIGNED = make_record()
UNSIGNED = make_record(license=OWN, primary_cat=OWN, cross_cats=(OWN,), version=2)
ALONE = make_record(arxiv_id=OWN, license=OWN, primary_cat=OWN)
SUFFIX, UNSIGNED_SUFFIX, ALONE_SUFFIX = (
    oracle.pith_number_of(one)[-26:] for one in (SIGNED, UNSIGNED, ALONE)
)


def marked(value: Any) -> Any:
    """A copy of a value in which every string is the mark, but for what a type requires."""
    if isinstance(value, dict):
        return {name: marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [marked(item) for item in value]
    return MARK if isinstance(value, str) else value


def refused_events(record: Object) -> list[Any]:
    """Events that fail, one after another, each check; the mark is wherever it can be."""
    paper = {"title": MARK, "authors_text": MARK, "abstract_excerpt": MARK}
    references = {"count": 1, "sample": [{"title": MARK, "doi": MARK}]}
    graph = snapshot({"paper": paper, "builder_version": MARK, "references": references})
    spoof = created(record, ALICE, builder_version=MARK)
    payloads = {name: marked(payload_of(name, record, ALICE)) for name in EVENT_TARGETS}
    payloads["replication_recorded"]["url"] = f"https://{MARK}.example/"
    payloads |= {"graph_snapshot": graph, "record_created": spoof, MARK: {MARK: MARK}}
    events: list[Any] = [MARK, [MARK], {MARK: MARK}, {"event_type": MARK, "signer": MARK}]
    for name, payload in payloads.items():
        by_stranger = make_event(record, STRANGER, name, payload, f"{DAY}T00:00:00Z")
        by_nobody = make_event(record, ALICE, name, payload, f"{DAY}T00:00:00Z")
        forged = {**by_nobody, "signature": by_stranger["signature"]}
        events += [by_stranger, forged, {**by_nobody, "event_id": MARK}]
    plain = make_event(record, ALICE, "graph_snapshot", graph)
    renamed = {**plain, "signer": {**ALICE.signer_value(), "signer_id": MARK}}
    elsewhere = {**plain, "subject_pith_number": "pith:1987:" + "A" * 26}
    return [
        *events,
        make_event(record, ALICE, "graph_snapshot", graph, created_at=MARK),
        sign_event(renamed, ALICE),
        sign_event(elsewhere, ALICE),
        make_event(record, ALICE, "storage_attested", {"archive": MARK, "url": MARK}),
    ]


def bundle_of(record: Object, events: list[Any], receipts: list[Any]) -> bytes:
    """A bundle with these, and the mark in what bundles hold beside them."""
    claims = make_claims(record, f"{DAY}T00:00:00Z")
    return to_json(make_bundle(record, events, receipts, claims, note=MARK, builder_version=MARK))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """A mirror of a signed and two unsigned records, each amid all that is refused."""
    folder = tmp_path_factory.mktemp("unsigned")
    genuine = make_event(SIGNED, ALICE, "record_created", created(SIGNED, ALICE))
    revoked = make_event(
        SIGNED, ALICE, "record_created", created(SIGNED, ALICE, builder_version=MARK),
        "2020-01-01T00:00:00Z",
    )  # fmt: skip
    revokes = make_event(SIGNED, ALICE, "event_revoked", revocation(revoked["event_id"]))
    titled = make_event(SIGNED, ALICE, "graph_snapshot", snapshot({"paper": {"title": "On it"}}))
    valid = {SUFFIX: [genuine, revokes, titled], UNSIGNED_SUFFIX: [], ALONE_SUFFIX: []}
    paths = []
    for record in (SIGNED, UNSIGNED, ALONE):
        suffix = oracle.pith_number_of(record)[-26:]
        receipt = make_receipt(record, ALICE, f"{DAY}T00:00:00Z", builder_version=MARK)
        refused = [MARK, make_receipt(record, STRANGER), {**receipt, "key_id": MARK},
                   {**receipt, "signature_b64": MARK}, {**receipt, "signed_at": MARK}]  # fmt: skip
        receipts = [*refused, *([receipt] if valid[suffix] else [])]
        paths.append(folder / f"{suffix}.json")
        paths[-1].write_bytes(
            bundle_of(record, [*refused_events(record), *valid[suffix]], receipts)
        )
    paths.append(folder / "revoked.json")
    paths[-1].write_bytes(to_json(make_bundle(SIGNED, [revoked])))
    (folder / "keys.json").write_bytes(key_set_file(ALICE))
    store = make_store(folder / "mirror.db", *paths, keys=folder / "keys.json")
    with open_store(store) as opened:
        update_index(opened)
    return serve(store)


PAGES = (
    "/", "/trust", "/findings", "/find?q=mirrors", "/find?q=2401.00001", "/arxiv/2401.00001",
    "/find?q=cc", "/find?q=zzunsign*",
    *(f"/pith/{suffix}" for suffix in (SUFFIX, UNSIGNED_SUFFIX, ALONE_SUFFIX)),
    *(f"/findings?code={code}" for code in CODES),
    *(f"/pith/{suffix}/badge.svg" for suffix in (SUFFIX, UNSIGNED_SUFFIX, ALONE_SUFFIX)),
)  # fmt: skip


@cache
def page_at(url: str) -> Page:
    """A page, as a browser asks for it."""
    return Page(httpx.get(url, headers={"Accept": "text/html"}, timeout=30).text)


@pytest.mark.parametrize("path", PAGES)
def test_unverified_values_are_marked_on_every_page(path: str, site: str) -> None:
    """In no title, tag, badge or address, not beside the receipt, and within what says so."""
    page = page_at(site + path)
    assert not any(MARK in one for one in page.values("href"))
    for value, within in page.places:
        if MARK in value or DAY in value:
            assert "unverified" in within, (value, within)
            assert not within & {"title", "h1", "tag", "tags", "verdict", "steps"}, value


@pytest.mark.parametrize("path", PAGES)
def test_unsigned_records_are_marked_on_every_page(path: str, site: str) -> None:
    """Its own words stand within what says so; a title of a page says it itself."""
    for value, within in page_at(site + path).places:
        if OWN in value:
            said = "no verified receipt" in value if "title" in within else "unsigned" in within
            assert said, (value, within)
            assert not within & {"tag", "tags", "steps"}, value


@pytest.mark.parametrize("suffix", [SUFFIX, UNSIGNED_SUFFIX, ALONE_SUFFIX])
def test_the_marks_are_text(suffix: str, site: str) -> None:
    """Every refused event says that it is not verified, and every unsigned record that it is so."""
    page = page_at(f"{site}/pith/{suffix}")
    rows = [one for one in page.all("tr") if "unverified" in one.attributes.get("class", "")]
    assert len(rows) == len(refused_events(SIGNED))
    words = " ".join(text for text, within in page.places if "unverified" in within)
    assert words.count("not verified") >= len(rows) + 5  # and the receipts
    assert words.count(MARK) > len(rows)
    is_unsigned = any("unsigned" in one.attributes.get("class", "") for one in page.all("article"))
    assert is_unsigned is (suffix != SUFFIX)
    assert ("No verified receipt from a trusted key" in page.text) is is_unsigned


def test_a_copied_receipt_gives_no_builder(serve: Serve, tmp_path: Any) -> None:
    """The real receipt of a real record, in somebody else's event with a builder of their own."""
    folder = shared("faults/attack/builder-spoof")
    store = make_store(tmp_path / "mirror.db", folder / "real.json", folder / "spoof.json")
    suffix = json.loads((folder / "real.json").read_text())["pith_number"][-26:]
    page = page_at(f"{serve(store)}/pith/{suffix}")
    assert "Buildernot given" in page.text  # the term and its description
    shown = [within for value, within in page.places if "ATTACKER" in value]
    assert all("unverified" in within for within in shown)
