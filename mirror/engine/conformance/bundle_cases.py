"""Bundles at the edges of B1 to B3."""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.shape import object_member
from mirror.engine.conformance.facts import (
    Paper,
    record_value,
    text_of,
    without,
)
from mirror.engine.conformance.odd_values import (
    ANY,
    WRONG,
    verify_task,
)
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import (
    Draft,
)
from mirror.engine.conformance.task import ConformanceTask
from mirror.engine.conformance.text_cases import REFUSED_TEXTS

__all__ = ["bundle_cases"]


def bundle_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    paper = Paper(record_value(1))
    yield from _bundles(signers, paper)


# B1 to B3: bundles ---------------------------------------------------------------------------


def _bundles(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    good = paper.bundle([paper.event(signers.author, "note_x")], claims=[paper.claim()])
    text = text_of(good).removesuffix(b"}")
    for code, texts in REFUSED_TEXTS.items():
        yield verify_task(f"a text that is refused: {code}", "B2 V1", *texts, keys=None)
    for name, value in (("surrogate", b'"\\ud83d"'), ("float", b"1e400"), ("integer", b"1" * 17)):
        case = f"a bundle with a member that JSON does not allow: {name}"
        yield verify_task(case, "B2 V1", text + b',"more":' + value + b"}", keys=None)
    shapes = [
        *(without(good, name) for name in good),
        *({**good, name: value} for name in good for value in ANY),
    ]
    for number, bundle in enumerate(shapes):
        yield verify_task(
            f"the shape of a bundle, number {number}", "B1 B2", bundle, keys=signers.file
        )
    yield verify_task("what is no object", "B1 B2", *map(text_of, ANY), keys=None)
    other = Paper(record_value(2)).record
    refused: dict[str, Draft] = {
        "type": {"bundle_type": "pith_open_graph_state"},
        "version": {"bundle_version": "1.1"},
        "type and version": {"bundle_type": "x", "bundle_version": "x"},
        "digest": {"canonical_sha256": other.canonical_sha256},
        "digest in capitals": {"canonical_sha256": paper.record.canonical_sha256.upper()},
        "digest and number": {"canonical_sha256": "", "pith_number": ""},
        "number": {"pith_number": other.pith_number},
        "year": {"pith_number": paper.record.pith_number.replace("2024", "2025")},
        "version and record": {"bundle_version": "2.0", "canonical_record": {}},
        "record and digest": {"canonical_record": {}, "canonical_sha256": ""},
    }
    for case, changes in refused.items():
        yield verify_task(
            f"a bundle that is refused: {case}", "B2 R2 R3", {**good, **changes}, keys=None
        )
    source = object_member(paper.value, "source")
    reported: list[Draft] = [
        {"short_pith_number": "pith:AAAAAAAA"},
        {"short_pith_number": paper.record.pith_number},
        {"source": {**source, "version": 1.0}},
        {"source": {}, "short_pith_number": ""},
        {"more": [1.5, {"\u00e9": None}]},
    ]
    bundles = [{**good, **changes} for changes in reported]
    yield verify_task("faults that are only reported", "B3", *bundles, keys=signers.file)
    claim = paper.claim()
    claims = [
        *ANY,
        *(without(claim, name) for name in claim),
        *({**claim, name: value} for name in claim for value in WRONG),
        {**claim, "more": 1.5},
        {**claim, "alias_kind": "pith_short_8"},
        *(paper.claim(kind) for kind, _ in paper.record.aliases),
    ]
    yield verify_task("alias claims", "B3", paper.bundle(claims=claims), keys=None)
