"""Bundles and key sets at the edges of the rules on records, keys, signatures and events.

Each is verified; those that can be merged are merged, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirror.core.events.types import EVENT_TYPES
from mirror.core.shape import object_member
from mirror.engine.conformance.cast import Signers
from mirror.engine.conformance.facts import (
    NOON,
    Paper,
    record_value,
    sign,
    text_of,
    without,
)
from mirror.engine.conformance.signing import (
    Draft,
    SigningKey,
    base64_text,
    odd_signatures,
    with_large_s,
)
from mirror.engine.conformance.task import ConformanceTask
from mirror.engine.conformance.text_cases import REFUSED_TEXTS

__all__ = ["bundle_cases"]

TIMES = (
    "2026-05-18T00:41:52Z", "2026-05-18T00:41:52+00:00", "2026-05-18T00:41:52.5Z",
    "2026-05-18T00:41:52.123456+00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
)  # fmt: skip
NO_TIMES = (
    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-05-18T24:00:00Z", "2026-05-18T00:41:60Z",
    "2026-05-18 00:41:52Z", "2026-05-18T00:41:52z", "2026-05-18t00:41:52Z", "2026-05-18T00:41:52",
    "2026-05-18T00:41:52+01:00", "2026-05-18T00:41:52-00:00", "0000-01-01T00:00:00Z",
    "2026-05-18T00:41:52.Z", "2026-05-18T00:41:52.1234567Z", "2026-05-18T00:41:52Z\n",
    " 2026-05-18T00:41:52Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z",
    "2026-05-18T00:60:00Z", "12026-05-18T00:41:52Z", "2026-05-18T00:41:52,5Z",
    "2026-5-18T00:41:52Z",
    "2026-05-18T00:41:5\u0662Z", "2026-05-18", "", "2026-05-18T00:41:52+0000",
    "2026-05-00T00:00:00Z",
)  # fmt: skip
NO_BASE64 = (
    "AB==", "AA=", "_w==", "", "AA==\n", "AA", "A===", "AAA", "AA==AA==", " AA==", "AAAB=", "A",
    "AA-=", "====", "AAF=", "AAAA=", "\u00c4A==",
)  # fmt: skip
_ANY: tuple[Any, ...] = (None, True, 0, 1.0, "", [], {})
"""A value of each type."""
_WRONG: tuple[Any, ...] = (None, 1, "", "x", [])


def bundle_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    paper = Paper(record_value(1))
    yield from _times(signers, paper)
    yield from _records(paper)
    yield from _keys(signers)
    yield from _signatures(signers, paper)
    yield from _receipts(signers, paper)
    yield from _envelopes(signers, paper)
    yield from _verdicts(signers, paper)
    yield from _payloads(signers, paper)
    yield from _bundles(signers, paper)


def _verify(case: str, rules: str, *bundles: Draft | bytes, keys: bytes | None) -> ConformanceTask:
    texts = tuple(one if isinstance(one, bytes) else text_of(one) for one in bundles)
    return ConformanceTask(
        kind="verify", case=case, rules=tuple(rules.split()), bundles=texts, keys=keys
    )


# V5: times ------------------------------------------------------------------------------------


def _times(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    for name, times in (("times", TIMES), ("what is no time", NO_TIMES)):
        claims = [paper.claim(created_at=time) for time in times]
        events = [paper.event(signers.author, "note.x", created_at=time) for time in times]
        bundle = paper.bundle(events, claims=claims)
        yield _verify(f"{name}, in events and alias claims", "V5", bundle, keys=signers.file)


# R1 to R4: records ----------------------------------------------------------------------------


def _records(paper: Paper) -> Iterator[ConformanceTask]:
    for case, value in _faulty_records(paper.value):
        bundle = paper.bundle(canonical_record=value)
        yield _verify(f"a record that is refused: {case}", "R1 B2", bundle, keys=None)
    for number, changes in enumerate(_odd_metadata(), 10):
        odd = Paper(record_value(number, **changes))
        yield _verify("a record with odd text", "R1 R2 R3", odd.bundle(), keys=None)
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
        yield _verify("aliases of a record, and others", "R4 B3", bundle, keys=None)


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


# K1 to K3: keys -------------------------------------------------------------------------------


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
    for value in (*_ANY, {"keys": {}}, {"keys": [None]}, {"keys": [[]]}):
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


# S1: signatures -------------------------------------------------------------------------------


def _signatures(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    key = signers.author
    for case, signature in odd_signatures(key, paper.digest).items():
        receipt = paper.receipt(key, signature_b64=base64_text(signature))
        bundle = paper.bundle(receipts=[receipt])
        yield _verify(f"a receipt, its signature: {case}", "S1 S2", bundle, keys=signers.file)
    event = paper.event(key, "note.x")
    message = bytes.fromhex(str(event["event_id"])[7:])
    for case, signature in odd_signatures(key, message).items():
        signed = {"algorithm": "ed25519", "signature_b64": base64_text(signature)}
        bundle = paper.bundle([{**event, "signature": signed}])
        yield _verify(f"an event, its signature: {case}", "S1 S3", bundle, keys=signers.file)
    mixed = signers.mixed
    keys = text_of({"keys": [mixed.key_value(mixed.mixed_public_key)]})
    for is_valid in (True, False):
        signature = mixed.sign_mixed(paper.digest, is_valid=is_valid)
        odd = [signature, with_large_s(signature)]
        receipts = [paper.receipt(mixed, signature_b64=base64_text(one)) for one in odd]
        which = "the plain equation holds" if is_valid else "only that with the cofactor holds"
        case = f"a receipt by a key of mixed order: {which}"
        yield _verify(case, "S1", paper.bundle(receipts=receipts), keys=keys)


# S2: receipts ---------------------------------------------------------------------------------


def _receipts(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author, guest = signers.author, signers.guest
    good = paper.receipt(author)
    other = Paper(record_value(2)).receipt(author)
    faulty: dict[str, list[Any]] = {
        "a member is missing": [without(good, name) for name in good],
        "a member is wrong": [
            *({**good, name: fault} for name in good for fault in _WRONG),
            *({**good, "signed_at": time} for time in NO_TIMES),
        ],
        "no object": [*_ANY],
        "base64 that is not strict": [{**good, "signature_b64": text} for text in NO_BASE64],
        "base64 with spare bits or white space": [
            {**good, "signature_b64": _with_spare_bits(str(good["signature_b64"]))},
            {**good, "signature_b64": f"{good['signature_b64']}\n"},
            {**good, "signature_b64": str(good["signature_b64"]).rstrip("=")},
            {**good, "signature_b64": str(good["signature_b64"]).replace("/", "_") + "="},
        ],
        "of another record": [{**other}],
        "other members": [{**good, "builder": 1.5, "more": {"deep": [None]}}],
        "another time": [{**good, "signed_at": time} for time in TIMES],
        "an unknown key": [
            paper.receipt(signers.stranger),
            paper.receipt(signers.stranger, signature_b64="x"),
            {**good, "key_id": ""},
            {**good, "key_id": author.signer_value()["public_key_fingerprint"]},
        ],
        "a key that may not sign receipts": [
            paper.receipt(signers.author_next),
            paper.receipt(signers.author_next, signature_b64="AA=="),
        ],
        "the window of the key": [
            paper.receipt(guest, time, **changes)
            for time in WINDOW_TIMES
            for changes in ({}, {"signature_b64": "AA=="})
        ],
    }
    for case, receipts in faulty.items():
        bundle = paper.bundle(receipts=[good, *receipts])
        yield _verify(f"receipts: {case}", "S2 V6", bundle, keys=signers.file)


WINDOW_TIMES = (
    "2026-01-01T00:00:00.999999Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01.000000+00:00",
    "2026-01-01T00:00:02.499999Z", "2026-01-01T00:00:02.5Z", "2026-01-01T00:00:02.50Z",
    "2026-01-01T00:00:02+00:00", "2026-01-01T00:00:03Z",
)  # fmt: skip
"""Around the window of the guest's key: its end is excluded."""


def _with_spare_bits(text: str) -> str:
    """Return base64 of 64 bytes whose last letter has a bit that padding leaves over."""
    return f"{text[:-3]}{chr(ord(text[-3]) + 1)}=="


# E1: envelopes --------------------------------------------------------------------------------


def _envelopes(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author = signers.author
    good = paper.event(author, "note.x")
    signer = author.signer_value()
    odd: dict[str, list[Any]] = {
        "a member is missing": [
            *(without(good, name) for name in good),
            *(sign(without(good, name), author) for name in good),
        ],
        "a member has another type": [
            sign({**good, name: value}, author)
            for name in good
            for value in _ANY
            if name not in {"event_id", "signature"}
        ],
        "id or signature has another type": [
            {**good, name: value} for name in ("event_id", "signature") for value in _ANY
        ],
        "no object": [*_ANY],
        "the pattern of the type": [
            paper.event(author, one)
            for one in ("a", "a" * 64, "a" * 65, "A", "a-b", "a b", "a\n", "0._", "\u00e9")
        ],
        "the length of the target": [
            paper.event(author, "note.x", target=one)
            for one in ("t" * 128, "t" * 129, "\U0001f600" * 128, "\u00e9" * 129, "\n")
        ],
        "the pattern of the id": [
            {**good, "event_id": one}
            for one in (
                str(good["event_id"]).upper(),
                f"{good['event_id']}\n",
                str(good["event_id"])[7:],
            )
        ],
        "the depth of the payload": [
            paper.event(author, "note.x", {"deep": _nested(depth)}) for depth in (30, 31, 32, 50)
        ],
        "the signer": [
            *(sign({**good, "signer": without(signer, name)}, author) for name in signer),
            *(sign({**good, "signer": {**signer, name: ""}}, author) for name in signer),
            *(sign({**good, "signer": {**signer, name: 1}}, author) for name in signer),
            sign({**good, "signer": {**signer, "more": [1.0, None]}}, author),
        ],
        "other members": [
            paper.event(author, "note.x", **{"more": {"\u00e9": -0.0}, "": 1}),
            {**good, "more": 1},
        ],
        "floats and odd text, signed": [
            paper.event(author, "note.x", {"floats": [1e16, 1e-5, -0.0, 5e-324, 1e22, 0.1, 1e15]}),
            paper.event(author, "note.x", {"\uff5e": 1, "\U0001f600": 2, "\x7f": "\u2028/\\\x00"}),
        ],
    }
    for case, events in odd.items():
        bundle = paper.bundle([good, *events])
        yield _verify(f"envelopes: {case}", "E1 E2", bundle, keys=signers.file)
    sizes = [paper.event(author, "note.x", {"a": "\u00e9" * n}) for n in _sizes(paper, author)]
    for event in sizes:
        bundle = paper.bundle([event])
        yield _verify("envelopes: the size of an event", "E1", bundle, keys=signers.file)


def _nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth - 1):
        found = [found]
    return found


def _sizes(paper: Paper, key: SigningKey) -> tuple[int, int]:
    """Return how many letters of two bytes make an event of the largest size, and of one more."""
    rest = len(text_of(paper.event(key, "note.x", {"a": "\u00e9" * 2})))
    most = (1_048_576 - rest) // 2 + 2
    return most, most + 1


# E3: verdicts ---------------------------------------------------------------------------------


def _verdicts(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    author, guest, other = signers.author, signers.guest, Paper(record_value(2))
    good = paper.event(author, "note.x")
    wrong = paper.event(signers.stranger, "note.x", signer=author.signer_value())
    elsewhere = other.event(author, "note.x")
    mixed = {**author.signer_value(), "signer_id": "registry"}
    events: dict[str, list[Any]] = {
        "the id": [
            {**good, "payload": {"n": 2}},
            {**good, "event_id": elsewhere["event_id"]},
            {**good, "payload": {"n": 1.0}},
            sign({**good, "payload": {"n": 1.0}}, author),
        ],
        "the subject": [
            elsewhere,
            {**elsewhere, "event_id": good["event_id"]},
            paper.event(author, "note.x", created_at="no",
            subject_pith_number="pith:1999:" + "A" * 26),
        ],
        "the time": [
            paper.event(author, "note.x", created_at="yesterday"),
            paper.event(signers.stranger, "note.x", created_at=""),
        ],
        "an unknown key": [
            paper.event(signers.stranger, "note.x"),
            {**paper.event(signers.stranger, "note.x"), "signature": {}},
        ],
        "another signer": [
            paper.event(author, "note.x", signer=mixed),
            paper.event(author, "note.x", signer={**mixed, "signer_type": "pith_registry"}),
            paper.event(
                author, "note.x", signer={**author.signer_value(),
                "public_key_fingerprint": "f" * 32}
            ),
            {**paper.event(guest, "note.x", signer={**guest.signer_value(), "signer_id": "x"})},
        ],
        "the window of the key": [
            *(paper.event(guest, "note.x", created_at=time) for time in WINDOW_TIMES),
            {**paper.event(guest, "note.x"), "signature": {}},
        ],
        "the signature": [
            wrong,
            *({**good, "signature": one} for one in _faulty_signatures(good)),
            {**good, "signature": paper.event(author, "note.y")["signature"]},
        ],
        "the role": [
            paper.event(signers.author_next, "storage_attested"),
            paper.event(signers.author_next, "storage_attested", {}),
            {**paper.event(signers.author_next, "storage_attested"), "signature": {}},
            paper.event(signers.author_next, "note.x"),
        ],
    }  # fmt: skip
    for case, items in events.items():
        bundle = paper.bundle([good, *items])
        yield _verify(f"verdicts: {case}", "E2 E3", bundle, keys=signers.file)
        yield _verify(f"verdicts without trusted keys: {case}", "E3 K2", bundle, keys=None)


def _faulty_signatures(event: Draft) -> list[Any]:
    signature = object_member(event, "signature")
    text = str(signature["signature_b64"])
    return [
        {},
        {**signature, "more": 1},
        {**signature, "algorithm": "Ed25519"},
        without(signature, "algorithm"),
        *({**signature, "signature_b64": one} for one in (*NO_BASE64, None, 1)),
        {**signature, "signature_b64": _with_spare_bits(text)},
        {**signature, "signature_b64": f"{text}\n"},
    ]


# E4: payloads ---------------------------------------------------------------------------------


def _payloads(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    registry = signers.registry
    for event_type in (*EVENT_TYPES, "note.x"):
        good = paper.payload(event_type, registry)
        payloads = [
            good,
            {},
            {**good, "more": None},
            *(without(good, name) for name in good),
            *({**good, name: value} for name in good for value in (None, 1, "", "other", NOON)),
            *({**good, **changes} for changes in _CHANGES.get(event_type, ())),
        ]
        events = [
            *(paper.event(registry, event_type, one) for one in payloads),
            *(paper.event(registry, event_type, target=one) for one in ("record", "other")),
        ]
        bundle = paper.bundle(events)
        yield _verify(f"payloads of {event_type}", "E4", bundle, keys=signers.file)
    yield _verify(
        "receipts within record_created", "E4 S2", _creations(signers, paper), keys=signers.file
    )


_OPTIONAL: tuple[Any, ...] = ("", "c", None, 1, [])
"""Values of a member that is a string or absent."""

_CHANGES: dict[str, tuple[Draft, ...]] = {
    "timestamp_anchored": (
        *({"method": one} for one in ("rfc3161", "OTHER")),
        *({"proof_b64": one} for one in NO_BASE64),
        *({"calendar": one} for one in _OPTIONAL),
    ),
    "author_claimed": (
        *({"method": one} for one in ("apple", "x", "email", "key", "Key")),
        *({"strength": one} for one in ("weak", "medium")),
        *({"status": one} for one in ("withdrawn", "asserted")),
    ),
    "citation_signed": (
        *({"relationship": one} for one in ("refutes", "extends", "uses_method", "depends_on")),
        *({"relationship": one} for one in ("replaces", "compares", "cites", "likes")),
        *({"claim_id": one} for one in _OPTIONAL),
        *({"status": one} for one in ("withdrawn", "claimed")),
    ),
    "replication_recorded": (
        *({"kind": one} for one in ("falsification", "formal_bridge", "proof")),
        *({"claim_id": one} for one in _OPTIONAL),
    ),
    "pith.integrity.v1": (
        *({"detector_version": one} for one in ("1.0", "1.0.0\n", "01.2.3", "1.0.0.0",
        "\u0661.0.0")),
        *({"verdict_class": one} for one in ("incontrovertible", "threshold_with_margin")),
        *({"verdict_class": one} for one in ("rescinded", "none")),
        *({"severity": one} for one in ("critical", "informational", "high")),
        *({"evidence_hash": one} for one in ("E" * 64, "e" * 63)),
        *({"evidence": one} for one in _ANY),
    ),
    "challenge_filed": (
        *({"about": one} for one in ("reference", "attribution", "data_point", "figure", "text")),
        *({"status": one} for one in ("withdrawn", "closed")),
    ),
    "event_revoked": tuple(
        {"event_id": one} for one in (f"sha256:{'A' * 64}", f"sha256:{'a' * 63}", "a" * 64)
    ),
}  # fmt: skip


def _creations(signers: Signers, paper: Paper) -> Draft:
    """Return a bundle of `record_created` whose receipts or records are odd."""
    registry, author = signers.registry, signers.author
    signature = odd_signatures(author, paper.digest)["R is the neutral element, of small order"]
    receipts: list[Any] = [
        paper.receipt(author),
        paper.receipt(author, more=1),
        paper.receipt(signers.stranger),
        paper.receipt(signers.author_next),
        paper.receipt(signers.guest),
        paper.receipt(signers.guest, WINDOW_TIMES[1]),
        paper.receipt(author, signature_b64=base64_text(signature)),
        Paper(record_value(2)).receipt(author),
        [],
    ]
    source = object_member(paper.value, "source")
    changes: list[Draft] = [
        *({"receipt": one} for one in receipts),
        {"canonical_record": record_value(2)},
        {"canonical_record": {**paper.value, "source": {**source, "version": 1.0}}},
        {"canonical_sha256": paper.record.canonical_sha256.upper()},
    ]
    payloads = [{**paper.payload("record_created", registry), **one} for one in changes]
    return paper.bundle([paper.event(registry, "record_created", one) for one in payloads])


# B1 to B3: bundles ----------------------------------------------------------------------------


def _bundles(signers: Signers, paper: Paper) -> Iterator[ConformanceTask]:
    good = paper.bundle([paper.event(signers.author, "note.x")], claims=[paper.claim()])
    text = text_of(good).removesuffix(b"}")
    for code, texts in REFUSED_TEXTS.items():
        yield _verify(f"a text that is refused: {code}", "B2 V1", *texts, keys=None)
    for name, value in (("surrogate", b'"\\ud83d"'), ("float", b"1e400"), ("integer", b"1" * 17)):
        case = f"a bundle with a member that JSON does not allow: {name}"
        yield _verify(case, "B2 V1", text + b',"more":' + value + b"}", keys=None)
    shapes = [
        *(without(good, name) for name in good),
        *({**good, name: value} for name in good for value in _ANY),
    ]
    for number, bundle in enumerate(shapes):
        yield _verify(f"the shape of a bundle, number {number}", "B1 B2", bundle, keys=signers.file)
    yield _verify("what is no object", "B1 B2", *map(text_of, _ANY), keys=None)
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
        yield _verify(
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
    yield _verify("faults that are only reported", "B3", *bundles, keys=signers.file)
    claim = paper.claim()
    claims = [
        *_ANY,
        *(without(claim, name) for name in claim),
        *({**claim, name: value} for name in claim for value in _WRONG),
        {**claim, "more": 1.5},
        {**claim, "alias_kind": "pith_short_8"},
        *(paper.claim(kind) for kind, _ in paper.record.aliases),
    ]
    yield _verify("alias claims", "B3", paper.bundle(claims=claims), keys=None)
