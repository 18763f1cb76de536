"""References in graph snapshots, by the names of members that have been seen."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.core.graph_references import cited_name, cited_title, listed_references


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ({"sample": [{"a": 1}, 7, {"b": 2}]}, [{"a": 1}, {"b": 2}]),
        ([{"a": 1}, "x"], [{"a": 1}]),
        ({"sample": 7}, []),
        (None, []),
    ],
)
def test_which_are_listed(references: Any, expected: list[object]) -> None:
    assert list(listed_references(references)) == expected


@pytest.mark.parametrize(
    ("reference", "name", "title"),
    [
        ({"cited_pith_number": None, "pith_number": "P", "title": "T", "raw": "R"}, "P", "T"),
        ({"cited_pith_number": "C", "arxiv_id": "A", "raw": "R"}, "C", "R"),
        ({"arxiv_id": "A", "doi": "D", "cited_title": "T"}, "A", "T"),
        ({"doi": "D", "title": 7}, "D", ""),
        ({}, "", ""),
    ],
)
def test_name_and_title(reference: Any, name: str, title: str) -> None:
    assert (cited_name(reference), cited_title(reference)) == (name, title)
