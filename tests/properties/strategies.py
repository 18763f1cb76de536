"""What hypothesis draws: JSON values and texts, and small worlds of one record.

Signing is slow in the oracle and verifying slower, so events are drawn from a finite pool: each is
made once in a run, and the oracle remembers its verdict on each signature.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    Object,
    Signer,
    key_set_file,
    make_bundle,
    make_claims,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    revocation,
    sign_event,
    sign_event_again,
    to_json,
)
from tests.helpers import keys_of

# JSON ----------------------------------------------------------------------------------------

_TRICKY_TEXT = st.sampled_from(
    ["", "1.5", ',"a":1.5', "[1e5]", '"', "\\", "\\u0041", "\x00", "\x1f\x7f", "\u2028", "\ufffd"]
)
_TRICKY_FLOATS = st.sampled_from(
    [0.0, -0.0, 1e-4, 9.999e-5, 1e-5, 1e15, 9999999999999998.0, 1e16, 1e21, 1e22, 5e-324, 1.7e308]
)

_texts = st.text(st.characters(codec="utf-8"), max_size=8) | _TRICKY_TEXT
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.sampled_from([0, 1, -1, 2**53 - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TRICKY_FLOATS
    | _texts
)


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=4) | st.dictionaries(_texts, children, max_size=4)


def json_values() -> st.SearchStrategy[Any]:
    """JSON values within V1."""
    return st.recursive(_scalars, _containers, max_leaves=12)


def _spellings(value: Any) -> list[str]:
    return [
        json.dumps(value, ensure_ascii=False, separators=(",", ":")),
        json.dumps(value, ensure_ascii=True),
        json.dumps(value, ensure_ascii=False, indent="\t"),
        f" \r\n{json.dumps(value)} ",
    ]


def json_texts() -> st.SearchStrategy[bytes]:
    """Texts within V1, as several writers spell them."""
    spelled = json_values().flatmap(lambda value: st.sampled_from(_spellings(value)))
    return spelled.map(str.encode)


_TOKENS = st.sampled_from(
    [
        *(
            bytes([byte])
            for byte in b'[]{}:,"\\ \t\n0123456789+-.eEtfnaNI/\x00\x7f\x80\xc0\xed\xff'
        ),
        *(b"null", b"true", b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-0", b"-0.0", b"01"),
        *(b'"\\ud83d\\ude00"', b"\\ud800", b"\\udc00", b"\\u0000", b"\\u00e9", b"9007199254740992"),
        *(b"9007199254740991", b"1.0", b"1E5", b"1e16", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
        *(b'"a":1,', b'{"a":1,"a":1}', b"[" * 62, b"[" * 70, b"]" * 62),
    ]
)


def token_texts() -> st.SearchStrategy[bytes]:
    """What looks like JSON and seldom is."""
    return st.lists(_TOKENS, max_size=12).map(b"".join)


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    """A text within V1 with up to three places overwritten, extended or cut."""
    data = draw(json_texts())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 2)))
        data = data[:start] + draw(st.just(b"") | _TOKENS) + data[end:]
    return data


# Worlds --------------------------------------------------------------------------------------

RECORD = make_record()

ROLES = ("record_created", "author_claimed", "citation_signed", "event_revoked")

ALICE = Signer("alice")
ALICES_OTHER_KEY = Signer("alice-2", signer_id="alice", event_types=(*ROLES, "x.y"))
BOB = Signer("bob", valid_from="2026-01-01T00:00:01Z", valid_until="2026-01-01T00:00:02.5Z")
JUDGE = Signer("judge", may_revoke_others=True)
PLAIN_JUDGE = Signer("judge")
SIGNERS = (ALICE, ALICES_OTHER_KEY, BOB, JUDGE)

KEY_SETS: tuple[tuple[Signer, ...], ...] = (
    SIGNERS,
    (),
    (ALICE,),
    (ALICE, BOB, PLAIN_JUDGE),
    (ALICES_OTHER_KEY, JUDGE),
)
"""The first is that of the worlds; under the others, less is valid or less is revoked."""

KEYS = keys_of(*SIGNERS)
ORACLE_KEYS = oracle.load_keys(key_set_file(*SIGNERS))

_TIMES = [
    "2026-01-01T00:00:01Z",
    "2026-01-01T00:00:01Z",
    "2026-01-01T00:00:01+00:00",
    "2026-01-01T00:00:01.000001Z",
    "2026-01-01T00:00:02Z",
    "1969-12-31T23:59:59.5Z",
]
_VARIANTS: list[Object] = [
    {},
    {"n": 1},
    {"n": 1.0},
    {"status": "withdrawn", "verdict_class": "rescinded"},
    {"claim_id": "1", "calendar": "c", "claimant_id": "other", "url": "other"},
]


@cache
def _event(event_type: str, signer: Signer, variant: int, created_at: str) -> Object:
    payload = {**payload_of(event_type, RECORD, ALICE), **_VARIANTS[variant]}
    return make_event(RECORD, signer, event_type, payload, created_at)


@cache
def _revocation(event_id: str, signer: Signer, created_at: str) -> Object:
    return make_event(RECORD, signer, "event_revoked", revocation(event_id), created_at)


@cache
def _second_signature(event_type: str, signer: Signer, variant: int, created_at: str) -> Object:
    return sign_event_again(_event(event_type, signer, variant, created_at), signer)


_specs = st.tuples(
    st.sampled_from([*ROLES[:3] * 4, *EVENT_TARGETS, "x.y"]),
    st.sampled_from([ALICE, *SIGNERS]),
    st.integers(0, len(_VARIANTS) - 1),
    st.sampled_from(_TIMES),
)
_signed: st.SearchStrategy[Object] = _specs.map(lambda spec: _event(*spec))
_signed_again: st.SearchStrategy[Object] = st.tuples(
    st.just("author_claimed"), st.sampled_from(SIGNERS), st.integers(0, 1), st.just(_TIMES[0])
).map(lambda spec: _second_signature(*spec))


def junk() -> st.SearchStrategy[Any]:
    """What is no event, no receipt and no alias."""
    return st.sampled_from(
        [None, True, 1, 1.0, -0.0, 0, "", [], {}, {"created_at": _TIMES[0]}, {"created_at": "no"}]
    )


_TAMPERINGS: list[Callable[[Object], Object]] = [
    lambda event: {**event, "created_at": _TIMES[4]},
    lambda event: {**event, "created_at": _TIMES[4], "n": 1},
    lambda event: {**event, "payload": {}},
    lambda event: {**event, "signature": {**event["signature"], "more": 1}},
    lambda event: {**event, "signature": {"algorithm": "ed25519", "signature_b64": "AA=="}},
    lambda event: {**event, "signer": {**event["signer"], "signer_id": "judge"}},
    lambda event: sign_event({**event, "created_at": "yesterday"}, ALICE),
    lambda event: sign_event({**event, "signer": {**event["signer"], "more": [1.0]}}, ALICE),
    lambda event: sign_event({**event, "subject_pith_number": "pith:2024:" + "A" * 26}, ALICE),
    lambda event: sign_event({**event, "target": "other"}, ALICE),
]
_tampered: st.SearchStrategy[Object] = st.tuples(_signed, st.sampled_from(_TAMPERINGS)).map(
    lambda pair: pair[1](pair[0])
)

_ids_of_claims = _specs.map(lambda spec: str(_event(*spec)["event_id"]))


_values_of_events = st.sampled_from([_signed] * 8 + [_signed_again, _tampered, junk()]).flatmap(
    lambda strategy: strategy
)


@st.composite
def _events(draw: st.DrawFn) -> list[Any]:
    drawn = draw(st.lists(_values_of_events, max_size=9))
    ids = [event["event_id"] for event in drawn if isinstance(event, dict) and "event_id" in event]
    for _ in range(draw(st.integers(0, 3))):
        target = draw(st.sampled_from(ids) if ids else _ids_of_claims)
        event = _revocation(target, draw(st.sampled_from(SIGNERS)), draw(st.sampled_from(_TIMES)))
        ids.append(event["event_id"])
        drawn.append(event)
    return drawn


@cache
def _receipt(signer: Signer, signed_at: str) -> Object:
    return make_receipt(RECORD, signer, signed_at)


def receipts() -> st.SearchStrategy[Any]:
    """Receipts that pass S2, copies with other times, and what is none."""
    times = st.sampled_from(_TIMES)
    plain = st.tuples(st.sampled_from(SIGNERS), times).map(lambda spec: _receipt(*spec))
    noted = times.map(lambda time: {**_receipt(ALICE, time), "builder": 1.0})
    return plain | noted | junk()


def claims() -> st.SearchStrategy[Any]:
    """Alias claims that are merged, and what is reported."""
    at_times = st.sampled_from(_TIMES).map(lambda time: make_claims(RECORD, time))
    return at_times.flatmap(st.sampled_from) | junk()


@dataclass(frozen=True)
class World:
    """All that was said of the one record."""

    events: Sequence[Any]
    receipts: Sequence[Any]
    claims: Sequence[Any]

    def bundle(self) -> Object:
        """Everything in one bundle."""
        return make_bundle(RECORD, self.events, self.receipts, self.claims)


def worlds() -> st.SearchStrategy[World]:
    """Up to twelve events, three receipts and four alias claims."""
    parts = st.lists(receipts(), max_size=3), st.lists(claims(), max_size=4)
    return st.builds(World, _events(), *parts)


@st.composite
def groupings(draw: st.DrawFn, world: World) -> list[Object]:
    """The same world in one to four bundles, in any order, with repeats."""
    count = draw(st.integers(1, 4))
    parts: list[World] = [World([], [], []) for _ in range(count)]
    for name in ("events", "receipts", "claims"):
        items = list(getattr(world, name))
        repeats = draw(st.lists(st.sampled_from(items), max_size=3)) if items else []
        for item in draw(st.permutations([*items, *repeats])):
            getattr(draw(st.sampled_from(parts)), name).append(item)
    return [part.bundle() for part in parts]


def as_read(bundles: Sequence[Object]) -> list[Object]:
    """The bundles as the oracle reads them."""
    return [oracle.read_bundle(to_json(bundle)) for bundle in bundles]
