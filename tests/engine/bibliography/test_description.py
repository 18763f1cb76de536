"""Descriptions of records: what is proved, what is claimed, and by whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror.core.record import parse_record
from mirror.engine.bibliography.description import Description, arxiv_url, describe
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
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
)
from tests.helpers import keys_of

SIGNER = Signer("registry")
GRAPH = {"paper": {"title": "On mirrors", "authors_text": " Ada, Bo "}}


def _described(folder: Path, bundle: Any) -> Description:
    path = folder / "bundle.json"
    path.write_text(json.dumps(bundle))
    with open_store(folder / "mirror.db") as store:
        add_keys(store, keys_of(SIGNER))
        ingest(store, ReadRequest([str(path)], lambda _report: None))
        return describe(store, 1)


def test_all_that_is_known_is_described_with_its_origin(tmp_path: Path) -> None:
    record = make_record()
    events = [
        make_event(record, SIGNER, "graph_snapshot", snapshot(GRAPH)),
        make_event(record, SIGNER, "author_claimed", author_claim("0000-0002-1825-0097")),
        make_event(record, SIGNER, "author_claimed", author_claim("gone", "withdrawn")),
    ]
    found = _described(tmp_path, make_bundle(record, events, [make_receipt(record, SIGNER)]))
    assert ("On mirrors", True) == (found.name, "it has the digest" in found.title_status)
    assert "Ada, Bo" == found.authors
    assert found.authors_status.startswith(f"claimed by {SIGNER.signer_id} in a graph snapshot of")
    assert ["0000-0002-1825-0097"] == [one.claimant_id for one in found.author_claims]
    assert "https://arxiv.org/abs/2401.00001v1" == found.arxiv_url
    assert "https://doi.org/10.48550/arxiv.2401.00001" == found.doi_url
    assert found.license_url == found.license
    assert SIGNER.key_id in found.verification


def test_a_record_alone_has_no_title_and_no_authors(tmp_path: Path) -> None:
    record = make_record(kind="zenodo", arxiv_id="a b", license="all rights reserved")
    found = _described(tmp_path, make_bundle(record))
    assert ("zenodo:a b v1", "", "", "") == (
        found.name, found.title_status, found.authors, found.authors_status,
    )  # fmt: skip
    assert ("", "", "", "") == (found.doi, found.doi_url, found.arxiv_url, found.license_url)
    assert "no verified receipt from a trusted key" == found.verification
    assert found.year == record["metadata"]["submitted_at"][:4]


def test_claims_of_a_record_with_many_refused_events_are_left_out(tmp_path: Path) -> None:
    record = make_record()
    events = [make_event(record, SIGNER, "graph_snapshot", snapshot(GRAPH)), *range(600)]
    found = _described(tmp_path, make_bundle(record, events, [make_receipt(record, SIGNER)]))
    assert found.is_partial
    assert (None, "", ()) == (found.title, found.authors, found.author_claims)
    assert SIGNER.key_id == found.receipt_key_id


@pytest.mark.parametrize("source_id", ["2401.00001 x", "../../evil?", "ä"])
def test_an_invalid_identifier_gives_no_url(source_id: str) -> None:
    assert not arxiv_url(parse_record(make_record(arxiv_id=source_id)))
