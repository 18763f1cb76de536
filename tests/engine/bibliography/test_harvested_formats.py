"""Dublin Core and DataCite: what is known is there, once, and what is not is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from lxml import etree

from mirror.engine.bibliography.datacite import KERNEL, UNAVAILABLE, datacite
from mirror.engine.bibliography.description import Description, describe
from mirror.engine.bibliography.dublin_core import dublin_core
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.search.metadata_check import keep_metadata
from mirror.engine.states.trust import add_keys
from mirror.store import open_store
from tests.builders import (
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    snapshot,
    to_json,
)
from tests.helpers import keys_of

SIGNER = Signer("registry")
URL = "https://mirror.example/pith/X"
DC = "{http://purl.org/dc/elements/1.1/}"
NAME = f"{{{KERNEL}}}"
GRAPH = {"paper": {"title": "On <mirrors> & \x01", "authors_text": "Ada, Bo"}}


def _described(folder: Path, bundle: Any, kept: dict[str, str] | None = None) -> Description:
    path = folder / "bundle.json"
    path.write_text(json.dumps(bundle))
    with open_store(folder / "mirror.db") as store:
        add_keys(store, keys_of(SIGNER))
        ingest(store, ReadRequest([str(path)], lambda _report: None))
        if kept:
            assert [*keep_metadata(store, io.BytesIO(to_json(kept)), "dump.jsonl")]
        return describe(store, 1)


def _texts(xml: str, prefix: str, name: str) -> list[str]:
    return [one.text or "" for one in etree.fromstring(xml).iter(prefix + name)]


def test_a_record_with_claims(tmp_path: Path) -> None:
    record = make_record()
    events = [
        make_event(record, SIGNER, "graph_snapshot", snapshot(GRAPH)),
        make_event(record, SIGNER, "author_claimed", author_claim("0000-0002-1825-0097")),
    ]
    found = _described(tmp_path, make_bundle(record, events, [make_receipt(record, SIGNER)]))
    core, kernel = dublin_core(found, URL), datacite(found, URL)
    for xml, prefix, title, creator in (
        (core, DC, "title", "creator"), (kernel, NAME, "title", "creatorName"),
    ):  # fmt: skip
        assert _texts(xml, prefix, title) == ["On <mirrors> & <U+0001>"]
        assert _texts(xml, prefix, creator) == ["Ada, Bo"]
        said = _texts(xml, prefix, "description")
        assert said[0].startswith("Record: receipt verified")
        assert said[1].startswith("Title: claimed by registry in a graph snapshot of")
        assert said[2].startswith("Authors: claimed by registry")
        assert "not checked" in said[2]
        assert said[3].startswith("Author claim: 0000-0002-1825-0097")
        assert len(said) == 4
    assert _texts(core, DC, "subject") == ["cs.DL", "cs.CR", "math.HO"]
    assert _texts(core, DC, "identifier") == [
        found.record.pith_number,
        URL,
        "https://arxiv.org/abs/2401.00001v1",
        "https://doi.org/10.48550/arxiv.2401.00001",
        f"sha256:{found.record.canonical_sha256}",
    ]
    assert _texts(kernel, NAME, "relatedIdentifier")[:3] == [
        "arXiv:2401.00001v1", "arXiv:2401.00001", "10.48550/arxiv.2401.00001",
    ]  # fmt: skip
    rights = etree.fromstring(kernel).find(f".//{NAME}rights")
    assert rights is not None
    assert rights.get("rightsURI") == rights.text == found.license


def test_a_record_with_proved_texts(tmp_path: Path) -> None:
    abstract = "What a mirror shows is the other way round."
    kept = {"id": "2401.00001", "title": "On mirrors", "abstract": abstract}
    found = _described(tmp_path, make_bundle(make_record()), kept)
    for xml, prefix in ((dublin_core(found, URL), DC), (datacite(found, URL), NAME)):
        assert _texts(xml, prefix, "title") == ["On mirrors"]
        said = _texts(xml, prefix, "description")
        assert said[0] == abstract
        assert said[1] == "Record: no verified receipt from a trusted key."
        assert said[2].startswith("Title: proved by its digest, read from dump.jsonl on ")
        assert said[3:] == ["Abstract: proved by its digest."]


def test_a_record_without_claims_and_texts(tmp_path: Path) -> None:
    """Not from arXiv, with a licence that is no URL: nothing is made up."""
    record = make_record(kind="zenodo", arxiv_id="a b", license=" all rights reserved ")
    found = _described(tmp_path, make_bundle(record))
    core, kernel = dublin_core(found, URL), datacite(found, URL)
    assert [_texts(core, DC, name) for name in ("title", "creator", "type")] == [[], [], []]
    assert _texts(core, DC, "source") == ["zenodo:a b v1"]
    names = ("title", "creatorName", "publisher", "resourceType")
    assert [_texts(kernel, NAME, name) for name in names] == [[UNAVAILABLE]] * 4
    (rights,) = etree.fromstring(kernel).iter(f"{NAME}rights")
    assert (rights.get("rightsURI"), rights.text) == (None, " all rights reserved ")
    assert "not known here" in _texts(kernel, NAME, "description")[1]


def test_omitted_claims_are_announced(tmp_path: Path) -> None:
    record = make_record(license="")
    events = [make_event(record, SIGNER, "graph_snapshot", snapshot(GRAPH)), *range(600)]
    found = _described(tmp_path, make_bundle(record, events))
    assert "Claims are left out" in _texts(dublin_core(found, URL), DC, "description")[-1]
    assert _texts(datacite(found, URL), NAME, "rights") == []
