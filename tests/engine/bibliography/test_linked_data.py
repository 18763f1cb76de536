"""JSON-LD, as a processor that is not ours expands it, without fetching anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from pyld import jsonld

from mirror.engine.bibliography.description import AuthorClaim, Description
from mirror.engine.bibliography.linked_data import linked_data
from tests.engine.bibliography.test_citations import BREAKS, NAMES, TEXTS, described

PAGE, CITE_AS = "https://mirror.example/pith/X", "https://pith.science/pith/X"
ORCID = "https://orcid.org/0000-0002-1825-0097"
SCHEMA, PITH = "https://schema.org/", "https://pith.science/terms/"
REGISTRY: dict[str, Any] = {
    "schema": "pith-number/v1.0",
    "canonical_record": {"@id": "javascript:x", "source": {"id": "_:b"}},
    "receipt": None,
    "anchors": [],
    "links": {"html": PAGE},
}
"""Some members of the registry's own JSON."""


def _refuse(url: str, _options: object) -> Any:
    raise AssertionError(f"fetches {url}")


def expanded(document: Any) -> Any:
    """The one node of a document, expanded offline."""
    options = {"documentLoader": _refuse}
    (node,) = jsonld.expand(orjson.loads(orjson.dumps(document)), options)
    return node


def _document(description: Description) -> Any:
    document = linked_data(description, page=PAGE, cite_as=CITE_AS)
    return {**document, **REGISTRY}


def _value(*values: object) -> list[Any]:
    return [{"@value": one} for one in values]


def _json(value: object) -> list[Any]:
    return [{"@type": "@json", "@value": value}]


def _address(*urls: str) -> list[Any]:
    return [{"@id": one} for one in urls]


def _identifier(name: str, value: str) -> Any:
    return {
        "@type": [f"{SCHEMA}PropertyValue"],
        f"{SCHEMA}propertyID": _value(name),
        f"{SCHEMA}value": _value(value),
    }


def _download(url: str) -> dict[str, Any]:
    return {
        "@id": url,
        "@type": [f"{SCHEMA}DataDownload"],
        f"{SCHEMA}url": _address(url),
        f"{SCHEMA}encodingFormat": _value("application/json"),
    }


def test_the_expanded_form_has_exactly_the_intended_terms() -> None:
    """Each with its IRI: those of schema.org, and those of the registry for who says what."""
    claims = tuple(
        AuthorClaim(one, method, "strong", signer)
        for one, method, signer in ((ORCID, "orcid", "a"), (ORCID, "orcid", "b"), (ORCID, "x", "c"))
    )
    about = described("On mirrors", NAMES, claims=claims)
    bundle = f"{PAGE}/bundle.json"
    assert expanded(_document(about)) == {
        "@id": PAGE,
        "@type": [f"{PITH}PithRecord", f"{SCHEMA}ScholarlyArticle"],
        f"{SCHEMA}url": _address(PAGE),
        f"{SCHEMA}identifier": [
            _identifier("Pith Number", about.record.pith_number),
            _identifier("SHA-256", about.record.canonical_sha256),
            _identifier("arXiv", "2401.00001v1"),
            _identifier("DOI", "10.48550/arxiv.2401.00001"),
        ],
        f"{SCHEMA}sameAs": _address(
            CITE_AS,
            "https://arxiv.org/abs/2401.00001v1",
            "https://doi.org/10.48550/arxiv.2401.00001",
        ),
        f"{SCHEMA}dateCreated": [{"@type": f"{SCHEMA}DateTime", "@value": "2024-01-02T03:04:05Z"}],
        f"{SCHEMA}version": _value(1),
        f"{SCHEMA}keywords": _value("cs.DL", "cs.CR", "math.HO"),
        f"{SCHEMA}license": _address("http://creativecommons.org/licenses/by/4.0/"),
        f"{SCHEMA}name": _value("On mirrors"),
        f"{PITH}title_is_proved": _value(True),  # noqa: FBT003
        f"{PITH}title_status": _value("claimed by somebody; it has the digest in the record"),
        f"{SCHEMA}author": [
            *(
                {f"{SCHEMA}name": _value(one), f"{PITH}claimed_by": _value("pith.science")}
                for one in NAMES.split(", ")
            ),
            {
                "@id": ORCID,
                "@type": [f"{SCHEMA}Person"],
                f"{PITH}claimed_by": _value("a", "b"),
            },
        ],
        f"{SCHEMA}creditText": _value(NAMES),
        f"{PITH}authors_status": _value(
            "claimed by pith.science in a graph snapshot of 2026-01-01"
        ),
        f"{SCHEMA}subjectOf": [
            _download(bundle),
            _download(f"{PAGE}/state.json") | {f"{SCHEMA}isBasedOn": _address(bundle)},
        ],
        f"{PITH}schema": _value("pith-number/v1.0"),
        f"{PITH}canonical_record": _json(REGISTRY["canonical_record"]),
        f"{PITH}receipt": _json(None),
        f"{PITH}anchors": _json([]),
        f"{PITH}links": _json({"html": PAGE}),
    }


def _keys(value: Any) -> Iterator[str]:
    """The members of all nodes, but of JSON literals and values."""
    if isinstance(value, list):
        for one in value:
            yield from _keys(one)
    elif isinstance(value, dict) and "@value" not in value:
        for name, inner in value.items():
            yield name
            yield from _keys(inner)


def _iris(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _iris(one)
    elif isinstance(value, dict) and value.get("@type") != "@json":
        yield from ([value["@id"]] if "@id" in value else [])
        yield from (one for name, one in value.items() if name == "@type" and isinstance(one, str))
        for inner in value.values():
            yield from _iris(inner)


@given(TEXTS, TEXTS, TEXTS)
@example(BREAKS, "_:b, @id", "https://x.example/>é")
def test_no_term_is_lost_and_no_text_becomes_an_address(
    title: str, authors: str, other: str
) -> None:
    """Term by term, for any text: as many members as before, each with an IRI of its own."""
    claims = (AuthorClaim(other, "orcid", other, other), AuthorClaim(ORCID, "orcid", other, other))
    record: dict[str, Any] = {"primary_cat": other, "arxiv_id": other} if other else {}
    about = described(title, authors, other, claims, license=other, **record)
    document = _document(about)
    node = expanded(document)
    literals = {"canonical_record", "links", "@context"}
    plain = {name: value for name, value in document.items() if name not in literals}
    expected = sorted([*_keys(plain), "canonical_record", "links"])
    short = [re.sub(rf"^(?:{SCHEMA}|{PITH})", "", name) for name in _keys(node)]
    addresses = ("url", "sameAs", "isBasedOn", "license")
    inner = sum(len(list(_as_list(one))) for one in _named(node, addresses))
    for _ in range(inner):
        short.remove("@id")
    assert expected == sorted(short)
    assert all(re.fullmatch(r"https://[!-;=?-~]+", one) for one in _iris(node))
    assert ("license" in document) == bool(about.license_url)


def _as_list(value: Any) -> Iterator[Any]:
    yield from value


def _named(value: Any, names: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _named(one, names)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name.removeprefix(SCHEMA) in names:
                yield inner
            yield from _named(inner, names)


@pytest.mark.parametrize(
    ("license_text", "is_url"),
    [
        ("http://creativecommons.org/licenses/by/4.0/", True),
        ("https://x.example:80/a%20b?c=d#e", True),
        ("https://x.example/%2", False),
        ("https://x.example/a b", False),
        ("https://x.example/#a#b", False),
        ("https://user@x.example/", False),
        ("https:///x", False),
        ("https://x.example/\n", False),
        (f"https://x.example/{'a' * 500}", False),
        ("CC BY 4.0", False),
        ("", False),
    ],
)
def test_a_licence_is_an_address_only_if_it_is_one(license_text: str, is_url: bool) -> None:  # noqa: FBT001
    about = described(license=license_text)
    assert (license_text if is_url else "") == about.license_url
    assert is_url == (f"{SCHEMA}license" in expanded(_document(about)))
