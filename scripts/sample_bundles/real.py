"""The facts about real records, and the bundles around them."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from sample_bundles.expected import Sample
from sample_bundles.files import BUNDLES, bag, path_in_bag
from tests import oracle
from tests.builders import Object, make_bundle

_FACTS: Final = BUNDLES / "facts" / "real.jsonl"

_DESCRIPTION: Final = (
    "{} real records of pith.science: canonical records, registry receipts and alias times as the "
    "registry published them. No events."
)


_MORE_TITLES: Final = {
    "2304.01373": (
        "Pythia: A Suite for Analyzing Large Language Models Across Training and Scaling"
    ),
    "2310.01089": "GraphText: Graph Reasoning in Text Space",
}
"""Titles that the registry's pages did not show; the digests in the records prove them (R5)."""


@cache
def facts() -> list[Object]:
    """Return what is known of each record, ascending by canonical_sha256."""
    return [oracle.parse(line) for line in _FACTS.read_bytes().splitlines()]


def fact_of(arxiv_id: str) -> Object:
    """Return what is known of the record with this arXiv id: a sample stays one of that record."""
    (found,) = [one for one in facts() if one["canonical_record"]["source"]["id"] == arxiv_id]
    return found


def real_bundle(fact: Object) -> Object:
    """Return a bundle of nothing but facts: no event of these records could be collected."""
    return make_bundle(
        fact["canonical_record"],
        receipts=fact.get("receipts"),
        alias_claims=fact.get("source_aliases", []),
    )


def real_sample() -> Sample:
    """Return the bag of all real records, each bundle as a mirror composes it (B6)."""
    bundles = [real_bundle(fact) for fact in facts()]
    members = {path_in_bag(bundle["pith_number"]): oracle.compose([bundle]) for bundle in bundles}
    description = _DESCRIPTION.format(len(members))
    return Sample("pith.tar", bag(members, description), members, needs_demo_keys=False)


def real_titles() -> dict[str, bytes]:
    """Return the file of known titles, a line of arXiv id and title each, ascending by id."""
    known = {
        fact["canonical_record"]["source"]["id"]: fact["title"]
        for fact in facts()
        if "title" in fact
    }
    titles = sorted({**known, **_MORE_TITLES}.items())
    text = [json.dumps({"id": one, "title": title}) + "\n" for one, title in titles]
    return {"titles.jsonl": "".join(text).encode()}
