"""Citations over HTTP: on pages, in JSON and in JSON-LD, from both ends, and fresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirror.core.record import Record
from tests.builders import (
    Signer,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    revocation,
    snapshot,
    to_json,
)
from tests.web.conftest import Serve, run_mirror
from tests.web.markup import Page

ALICE = Signer("alice")
CITING, CITED = make_record(arxiv_id="2401.00001"), make_record(arxiv_id="2401.00002")
GRAPH = {"paper": {"title": "The citing work"}, "references": {"sample": [{"raw": "A book"}]}}
ODD: Any = {"claim_id": "<b>", "@context": "https://evil.example", "x": 1.5}
EVENT = make_event(CITED, ALICE, "citation_signed", citation("arXiv:2401.00001v1", **ODD))
NUMBERS = {"citing": Record(CITING).pith_number, "cited": Record(CITED).pith_number}
HTML, LINKED = {"Accept": "text/html"}, {"Accept": "application/ld+json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a store of two records is, with no citation."""
    folder = tmp_path_factory.mktemp("citations")
    (folder / "keys.json").write_bytes(key_set_file(ALICE))
    assert run_mirror("keys", "add", folder / "keys.json", "--db", folder / "mirror.db") == 0
    listed = make_event(CITING, ALICE, "graph_snapshot", snapshot(GRAPH))
    merge(folder, make_bundle(CITING, [listed]), make_bundle(CITED))
    return folder


def merge(folder: Path, *bundles: Any) -> None:
    """Merge into the store that is served."""
    (folder / "new.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    assert run_mirror("merge", folder / "new.jsonl", "--db", folder / "mirror.db") == 0


@pytest.fixture(scope="module")
def client(folder: Path, serve: Serve) -> Iterator[httpx.Client]:
    """A client of its server."""
    with httpx.Client(base_url=serve(folder / "mirror.db")) as opened:
        yield opened


def forms(client: httpx.Client, which: str) -> list[httpx.Response]:
    """The three forms of a record that show its citations."""
    path = f"/pith/{NUMBERS[which][10:]}"
    forms = [client.get(f"{path}.json"), client.get(path, headers=LINKED)]
    return [*forms, client.get(path, headers=HTML)]


def test_an_event_of_another_record_changes_the_citations_of_a_record(
    client: httpx.Client, folder: Path
) -> None:
    """At once, in every form, with another entity tag; and back when it is revoked."""
    before = forms(client, "citing")
    state = client.get(f"/pith/{NUMBERS['citing'][10:]}/state.json").headers["etag"]
    assert [{"count": 0, "damaged": 0, "works": []}] * 2 == [
        one.json()["citations"]["cites"] for one in before[:2]
    ]
    merge(folder, make_bundle(CITED, [EVENT]))
    after = forms(client, "citing")
    for old, new in zip(before, after, strict=True):
        assert old.headers["etag"] != new.headers["etag"]
        assert "last-modified" not in new.headers  # nobody could say when it changed
        known = dict(old.request.headers) | {"If-None-Match": old.headers["etag"]}
        assert client.get(old.url, headers=known).status_code == 200
    assert state == client.get(f"/pith/{NUMBERS['citing'][10:]}/state.json").headers["etag"]

    said = {name: EVENT[name] for name in ("event_id", "created_at", "signer")}
    said |= {name: EVENT["payload"][name] for name in ("citing", "relationship", "asserted_by")}
    events = {"event_count": 1, "events": [said | {"claim_id": "<b>"}]}
    cited = {"pith_number": NUMBERS["cited"], "is_shared": False, **events}
    citing = {"citing": "arXiv:2401.00001v1", "pith_number": NUMBERS["citing"], **events}
    book = {"name": "", "title": "A book", "pith_number": None}
    for one, other in zip(after[:2], forms(client, "cited"), strict=False):
        assert one.json()["citations"]["cites"] == {"count": 1, "damaged": 0, "works": [cited]}
        assert one.json()["citations"]["references"]["works"] == [book]
        assert other.json()["citations"]["cited_by"]["works"] == [citing]
        assert "evil.example" not in one.text + other.text

    page = Page(after[2].text)
    assert page.values("href").count(f"/pith/{NUMBERS['cited'][10:]}") == 2
    text = " ".join(page.text.split())
    assert "this work supports it · asserted by https://orcid.org" in text
    assert "Listed by the snapshot’s signer, alice; not checked here." in text
    assert "Cites claimed by alice, not checked here" in text
    text = " ".join(Page(forms(client, "cited")[2].text).text.split())
    assert "The citing work" in text
    assert "supports this work · asserted by https://orcid.org" in text
    assert "Cited by claimed by alice, not checked here" in text

    revoked = make_event(CITED, ALICE, "event_revoked", revocation(EVENT["event_id"]))
    merge(folder, make_bundle(CITED, [revoked]))
    assert [one.headers["etag"] for one in before] == [
        one.headers["etag"] for one in forms(client, "citing")
    ]
