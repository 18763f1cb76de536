"""Times, records and key sets at the edges of V5, R1 to R4 and K1 to K3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirror.core.shape import object_member
from mirror.engine.conformance.facts import (
    NOON,
    Paper,
    record_value,
    text_of,
    without,
)
from mirror.engine.conformance.odd_values import (
    ANY,
    NO_TIMES,
    TIMES,
    verify_task,
)
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import (
    Draft,
)
from mirror.engine.conformance.task import ConformanceTask
from mirror.engine.conformance.text_cases import REFUSED_TEXTS

__all__ = ["record_cases"]


def record_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    paper = Paper(record_value(1))
    yield from _times(signers, paper)
    yield from _records(paper)
    yield from _keys(signers)


# V5: times -----------------------------------------------------------------------------------


def _times(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    for name, times in (("times", TIMES), ("what is no time", NO_TIMES)):
        claims = [paper.claim(created_at=time) for time in times]
        events = [paper.event(signers.author, "note_x", created_at=time) for time in times]
        bundle = paper.bundle(events, claims=claims)
        yield verify_task(f"{name}, in events and alias claims", "V5", bundle, keys=signers.file)


# R1 to R4: records ---------------------------------------------------------------------------


def _records(paper: Paper) -> Iterator[ConformanceTask]:
    for case, value in _faulty_records(paper.value):
        bundle = paper.bundle(canonical_record=value)
        yield verify_task(f"a record that is refused: {case}", "R1 B2", bundle, keys=None)
    for number, changes in enumerate(_odd_metadata(), 10):
        odd = Paper(record_value(number, **changes))
        yield verify_task("a record with odd text", "R1 R2 R3", odd.bundle(), keys=None)
    sources: list[Draft] = [
        {"id": "hep-th/9801199", "kind": "arxiv", "version": 2**53 - 1},
        {"id": "10.1/\u00e9\U0001f600", "kind": "doi", "version": 7},
        {"id": 'a"b\\/', "kind": "arXiv", "version": 1},
    ]
    for source in sources:
        odd = Paper({**record_value(20), "source": source})
        claims = [odd.claim(kind, value=value) for kind, value in odd.record.aliases]
        wrong = [{**one, "alias_value": f"{one['alias_value']}x"} for one in claims]
        others = [odd.claim("arxiv", value=source["id"]), odd.claim("doi", value=source["id"])]
        bundle = odd.bundle(claims=[*claims, *wrong, *others])
        yield verify_task("aliases of a record, and others", "R4 B3", bundle, keys=None)


def _faulty_records(value: Draft) -> Iterator[tuple[str, Any]]:
    metadata, source = object_member(value, "metadata"), object_member(value, "source")
    for name in value:
        yield f"without {name}", without(value, name)
    yield "with another member", {**value, "more": 1}
    for version in ("1", "1.1", 1.0):
        yield "another schema version", {**value, "schema_version": version}
    for name in metadata:
        yield f"metadata without {name}", {**value, "metadata": without(metadata, name)}
    yield "metadata with another member", {**value, "metadata": {**metadata, "more": 1}}
    for name, faults in _FAULTY_METADATA.items():
        for fault in faults:
            yield f"{name} is wrong", {**value, "metadata": {**metadata, name: fault}}
    yield "source with another member", {**value, "source": {**source, "more": 1}}
    for name, faults in _FAULTY_SOURCE.items():
        yield f"source without {name}", {**value, "source": without(source, name)}
        for fault in faults:
            yield f"{name} of the source is wrong", {**value, "source": {**source, name: fault}}


_FAULTY_METADATA: dict[str, tuple[Any, ...]] = {
    "abstract_canon_sha256": ("e" * 63, "E" * 64, "e" * 64 + "\n", None),
    "title_canon_sha256": ("e" * 65, "g" * 64, 1),
    "cross_cats_sorted": (["b", "a"], ["a", "a"], [1], "a", ["\U00010000", "\uffff"], None),
    "license": (None, 1),
    "primary_cat": ("", None),
    "submitted_at": NO_TIMES[:3],
}
_FAULTY_SOURCE: dict[str, tuple[Any, ...]] = {
    "id": ("", None, 1),
    "kind": ("", None),
    "version": (0, -1, 1.0, True, "1", None),
}


def _odd_metadata() -> list[Draft]:
    return [
        {"license": "", "primary_cat": "\x00\x7f\u2028\U0001f600", "cross_cats_sorted": []},
        {"cross_cats_sorted": ["", "A", "a", "\uffff", "\U00010000"]},
        {"submitted_at": "0001-01-01T00:00:00.5+00:00"},
        {"submitted_at": "9999-12-31T23:59:59.999999Z", "license": '"\\/\n'},
    ]


# K1 to K3: keys ------------------------------------------------------------------------------


def _keys(signers: Signers) -> Iterator[ConformanceTask]:
    def root(case: str, rules: str, keys: Any) -> ConformanceTask:
        text = keys if isinstance(keys, bytes) or keys is None else text_of(keys)
        return ConformanceTask(kind="root", case=case, rules=tuple(rules.split()), keys=text)

    good = signers.author.key_value()
    yield root("the built-in key alone", "K2 K3", None)
    yield root("a key set of several keys", "K3", signers.file)
    for case, key in _odd_keys(good):
        yield root(f"a key set: {case}", "K2 K3", {"keys": [key]})
    for case, key in _faulty_keys(good):
        yield root(f"a key set that is refused: {case}", "K2", {"keys": [key]})
    for number, y in enumerate(_no_keys()):
        key = {**good, "public_key_hex": y.hex()}
        yield root(f"a public key that S1 refuses, number {number}", "K2 S1", {"keys": [key]})
    mixed = signers.mixed.key_value(signers.mixed.mixed_public_key)
    yield root("a public key of mixed order, which S1 accepts", "K2 S1", {"keys": [mixed]})
    other = {**good, "signer_id": "other"}
    built_in = {**good, "key_id": "pith-v1-2026-05"}
    for case, keys in (
        ("the same key twice", [good, good]),
        ("the same key, with the default written out", [good, {**good,
        "may_revoke_others": False}]),
        ("two keys of one name", [good, other]),
        ("two spellings of one time", [{**good, "valid_from": NOON},
                                       {**good, "valid_from": NOON.replace("Z", "+00:00")}]),
        ("event types in another order", [{**good, "event_types": ["a", "b"]},
                                          {**good, "event_types": ["b", "a"]}]),
        ("another key with the name of the built-in one", [built_in]),
        ("no key", []),
    ):  # fmt: skip
        yield root(f"a key set file: {case}", "K2 K3", {"keys": keys})
    for value in (*ANY, {"keys": {}}, {"keys": [None]}, {"keys": [[]]}):
        yield root("a key set file of another form", "K2", value)
    for code, texts in REFUSED_TEXTS.items():
        yield root(f"a key set file that is refused: {code}", "K2 V1", texts[0])


def _odd_keys(good: Draft) -> Iterator[tuple[str, Draft]]:
    yield "with another member", {**good, "more": [1.0]}
    yield "an empty list of types", {**good, "event_types": []}
    yield "an empty window", {**good, "valid_from": NOON, "valid_until": NOON}
    yield "a name that is not ASCII", {**good, "key_id": "\u00e9\U0001f600", "signer_id": "\x7f"}
    for value in (True, False):
        yield "the right to revoke", {**good, "may_revoke_others": value}


def _faulty_keys(good: Draft) -> Iterator[tuple[str, Draft]]:
    for name in good:
        if name != "may_revoke_others":
            yield f"without {name}", without(good, name)
    wrong: dict[str, tuple[Any, ...]] = {
        "key_id": ("", None, 1),
        "algorithm": ("Ed25519", None),
        "public_key_hex": (str(good["public_key_hex"]).upper(), "00", None),
        "signer_id": ("", 1),
        "signer_type": ("", None),
        "valid_from": ("", NO_TIMES[0], 1),
        "valid_until": (NO_TIMES[4], False),
        "event_types": ("*", None, [1], {}),
        "may_revoke_others": (None, 1, "true"),
    }
    for name, faults in wrong.items():
        for fault in faults:
            yield f"{name} is wrong", {**good, name: fault}


def _no_keys() -> list[bytes]:
    """Return encodings that are no public keys: of small order, not canonical, not on the curve."""
    p = 2**255 - 19
    y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
    small = [0, 1, p - 1, y8, p - y8]
    not_canonical = [p, p + 1, p + 3, p + 18]
    off_the_curve = [2, 7]
    numbers = [*small, *(y | 1 << 255 for y in small), *not_canonical, *off_the_curve]
    return [y.to_bytes(32, "little") for y in numbers]
