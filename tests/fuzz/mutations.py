"""Small bundles that keep changing, for a long run of both engines: most are refused, many pass.

Events are signed with test keys and kept in a pool from which bundles are put together, so that
a signature costs little and a merge has several events of one slot to choose from.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from mirror.core.msgpack_values import pack
from mirror.core.values import canonical, hexdigest
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    Object,
    Signer,
    make_bundle,
    make_claims,
    make_receipt,
    make_record,
    payload_of,
    revocation,
    to_json,
)
from tests.native.agreement import Text

ALICE = Signer("alice")
OTHER_KEY = Signer("alice-2", signer_id="alice", event_types=("author_claimed", "x.y"))
GUEST = Signer("guest", valid_from="2026-01-01T00:00:01Z", valid_until="2026-01-01T00:00:02.5Z")
JUDGE = Signer("judge", may_revoke_others=True)
STRANGER = Signer("stranger")
TRUSTED = (ALICE, OTHER_KEY, GUEST, JUDGE)

_TIMES = [
    "2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01+00:00",
    "2026-01-01T00:00:01.000001Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:02.5Z",
    "1969-12-31T23:59:59.5Z", "0001-01-01T00:00:00.9Z", "2024-02-29T23:59:59.999999Z",
    "2026-06-02T00:00:00Z",
]  # fmt: skip
_ODD_TIMES = [
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-06-02T00:00:00.000001Z", "yesterday", "",
    "2023-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00",
    "2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.Z", "2026-01-01t00:00:00Z", 1, None,
    "2026-01-01T00:00:0\u0661Z", "2026-01-01T00:00:00+00:00Z", "2026-01-01T00:00:00Z\n",
]  # fmt: skip
_TEXTS = [
    "", "a", "\x00", "\x1f\x7f", '"', "\\", "\u00e9", "\u02cb", "\u2028", "\ufffd", "\U0001f600",
    "a" * 31, "b" * 32, "\u00e9" * 64, "x" * 128, "[1.5,2e9]", ',"a":1.5', "*", "record", "graph",
    "withdrawn", "rescinded", "doi:10.1/x", "arxiv:2401.00001v2", "https://arxiv.org/abs/2401.1",
]  # fmt: skip
_NUMBERS = [
    0, 1, -1, 31, 32, -32, -33, 127, 128, 255, 256, -128, -129, 65535, 65536, -32768, -32769,
    2**31, 2**32 - 1, 2**32, -(2**31) - 1, 2**53 - 1, -(2**53) + 1, 0.0, -0.0, 1.0, 1e16, 1e15,
    9999999999999998.0, 1e-4, 9.999e-5, 1e-5, 5e-324, 1.7976931348623157e308, 1e22, 1e23, 0.1,
    123456789012345680.0, 2.2250738585072014e-308, 1e100, 1.5, 2e9, -1e-7,
]  # fmt: skip


def value(order: random.Random, depth: int = 0) -> Any:
    """Any JSON value, seldom a large one."""
    draw = order.random()
    if draw < 0.3:
        return order.choice(_NUMBERS) if draw < 0.2 else order.uniform(-1, 1) * 10 ** order.randint(
            -30, 30
        )  # fmt: skip
    if draw < 0.6:
        return order.choice(_TEXTS)
    if draw < 0.7:
        return order.choice([None, True, False, [], {}])
    if depth > 3:
        return 7
    size = order.choice([1, 1, 2, 3, 3, 17]) if depth < 1 else order.choice([1, 2])
    if draw < 0.85:
        return [value(order, depth + 1) for _ in range(size)]
    names = [order.choice(_TEXTS) + order.choice(["", "1", "\u00ff"]) for _ in range(size)]
    return {name: value(order, depth + 1) for name in names}


def nested(depth: int) -> Any:
    """Lists in each other, so many."""
    found: Any = []
    for _ in range(depth - 1):
        found = [found]
    return found


def signed(event: Object, signer: Signer) -> Object:
    """A copy of an event with its id and a signature, in any order of members."""
    body = {name: one for name, one in event.items() if name not in {"event_id", "signature"}}
    digest = hexdigest(canonical(body))
    signature = signer.sign(bytes.fromhex(digest))
    return {
        **body,
        "event_id": f"sha256:{digest}",
        "signature": {"algorithm": "ed25519", "signature_b64": signature},
    }


class Source:
    """A record with a pool of events, receipts and alias claims of it, valid or nearly so."""

    def __init__(self, record: Object, order: random.Random, size: int) -> None:
        self.record, self.order = record, order
        self.number = oracle.pith_number_of(record)
        self.receipts = [
            make_receipt(record, one, _TIMES[0]) for one in (ALICE, JUDGE, GUEST, STRANGER)
        ]
        self.claims = make_claims(record)
        self._head = make_bundle(record)
        self.events: list[Object] = []
        for _ in range(size):
            self.events.append(self.event())

    def event(self) -> Object:
        """A new event, valid unless something odd was drawn."""
        order = self.order
        event_type = order.choice([*EVENT_TARGETS, "author_claimed", "citation_signed", "x.y"])
        signer = order.choice([ALICE, ALICE, *TRUSTED])
        if signer is OTHER_KEY and order.random() < 0.9:
            event_type = order.choice(OTHER_KEY.event_types)
        payload = payload_of(event_type, self.record, ALICE)
        if event_type == "event_revoked" and self.events:
            payload = revocation(order.choice(self.events)["event_id"])
        target = EVENT_TARGETS.get(event_type, order.choice(_TEXTS) or "t")
        event = {
            "event_type": event_type,
            "subject_pith_number": self.number,
            "target": target,
            "payload": self._payload(payload),
            "created_at": order.choice(_TIMES[:5] if signer is GUEST else _TIMES),
            "signer": signer.signer_value(),
        }
        if order.random() < 0.15:
            self._spoil(event)
        if order.random() < 0.2:
            event = dict(order.sample(list(event.items()), len(event)))
        return signed(event, signer if order.random() < 0.97 else ALICE)

    def _payload(self, payload: Object) -> Object:
        order = self.order
        for _ in range(order.choice([0, 0, 1, 2])):
            name = order.choice([*payload, "status", "note", "method", order.choice(_TEXTS)])
            drawn = order.random()
            payload = {
                **payload,
                name: order.choice(_TEXTS) if drawn < 0.4 and name in payload else value(order),
            }
            if drawn > 0.98:
                payload["deep"] = nested(order.choice([30, 31, 32, 33]))
        return payload

    def _spoil(self, event: Object) -> None:
        order = self.order
        name = order.choice([*event, "more", "created_at", "target", *_TEXTS[:6]])
        changed: Any = value(order)
        if name == "created_at" and order.random() < 0.8:
            changed = order.choice(_ODD_TIMES)
        if name == "target":
            changed = order.choice(_TEXTS) * order.choice([1, 2, 4])
        if name in {"signer", "payload"} and isinstance(event[name], dict):
            inner = order.choice([*event[name], "more"])
            changed = {**event[name], inner: changed}
        event[name] = changed

    def receipt(self) -> Any:
        """A receipt; what is not signed in it may be anything."""
        order = self.order
        found = {**order.choice(self.receipts[: 3 + (order.random() < 0.1)])}
        draw = order.random()
        if draw < 0.5:
            found["signed_at"] = order.choice(_TIMES[:5] if draw < 0.45 else _ODD_TIMES)
        if draw > 0.6:
            found[order.choice(["builder", *_TEXTS])] = value(order)
        if draw > 0.97:
            found[order.choice([*found])] = value(order)
        return found

    def claim(self) -> Any:
        """An alias claim; beside its three members it may hold anything."""
        order = self.order
        found = {**order.choice(self.claims)}
        draw = order.random()
        if draw < 0.7:
            found["created_at"] = order.choice(_TIMES if draw < 0.65 else _ODD_TIMES)
        if draw > 0.8:
            found[order.choice([*_TEXTS, "alias_kind"] if draw > 0.97 else _TEXTS)] = value(order)
        return found

    def bundle_of(self, events: list[Any], receipts: list[Any], claims: list[Any]) -> Object:
        """A bundle of these facts."""
        return {**self._head, "events": events, "receipts": receipts, "source_aliases": claims}

    def bundle(self) -> Object:
        """A bundle of some of it."""
        order = self.order
        if self.events and order.random() < 0.3:
            self.events[order.randrange(len(self.events))] = self.event()
        count = order.choice([0, 1, 1, 1, 2, 2, 3])
        events: list[Any] = [order.choice(self.events) for _ in range(count)]
        if order.random() < 0.02:
            events.append(value(order))
        receipts = [self.receipt() for _ in range(order.choice([0, 0, 1, 2]))]
        claims = [self.claim() for _ in range(order.choice([0, 1, 1, 2]))]
        found = self.bundle_of(events, receipts, claims)
        draw = order.random()
        if draw < 0.2:
            found[order.choice(["more", *_TEXTS])] = value(order)
        elif draw < 0.23:
            found[order.choice([*found])] = value(order)
        elif draw < 0.24:
            found["more"] = nested(order.choice([61, 62, 63, 64]))
        if not receipts and order.random() < 0.5:
            del found["receipts"]
        return found


def sources(order: random.Random, size: int) -> list[Source]:
    """Records of several kinds with their facts."""
    records = [
        make_record(),
        make_record(kind="doi", arxiv_id="10.1/\u00e9\U0001f600", version=2**53 - 1, license=""),
        make_record(submitted_at="0001-01-01T00:00:00.5+00:00", cross_cats=(), primary_cat="\x00"),
        make_record(arxiv_id='math/"9901001\\', cross_cats=("", "A", "a", "\uffff", "\U00010000")),
    ]
    return [Source(record, order, size) for record in records]


# Texts of a bundle ---------------------------------------------------------------------------


def spelled(bundle: Object, order: random.Random) -> Text:
    """A bundle as several writers spell it."""
    draw = order.random()
    if draw < 0.4:
        return pack(bundle), True
    if draw < 0.75:
        return to_json(bundle), False
    if draw < 0.9:
        return json.dumps(bundle).encode(), False
    if draw < 0.95:
        return json.dumps(bundle, indent="\t").replace("/", "\\/").encode(), False
    return canonical(bundle), False


_JSON_PIECES = [
    b'"', b"0", b"e9", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\u0000", b"null", b"true",
    b"-0",
    b"1.0", b"{}", b"[]", b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b",", b":",
    b"9" * 17, b"-9007199254740991", b"9007199254740992", b" ", b"\n", b"\x0b", b"\xef\xbb\xbf",
    b"01",
    b"1e400", b"1e-400", b"1E5", b"-0.0", b"NaN", b'"a":1,', b"=", b"/", b"+", b"Z", b"\\",
    b"\\/", b"\\x",
]  # fmt: skip
_PACKED_PIECES = [
    bytes([one]) for one in range(0x80, 0x100)
] + [
    b"\xcc\x01", b"\xcd\x00\x01", b"\xd0\x01", b"\xcf" + bytes(8), b"\xd3" + b"\xff" * 8, b"\xa0",
    b"\xca" + bytes(4), b"\xcb" + bytes(8), b"\xcb\x7f\xf0" + bytes(6), b"\xcb\x80" + bytes(7),
    b"\xd9\x00", b"\xd9\x01a", b"\xda\x00\x01a", b"\xdb\x00\x00\x00\x01a", b"\xc4\x00",
    b"\xc7\x00\x05",
    b"\xd4\x01\x01", b"\xdc\x00\x00", b"\xdd" + bytes(4), b"\xde\x00\x00", b"\xdf" + bytes(4),
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc1",
    b"\x81\xa0\xc0",
]  # fmt: skip


def whole(text: Text, _order: random.Random) -> Text:
    """The bundle as it is: what is odd in it was signed, or needs no signature."""
    return text


def bit(text: Text, order: random.Random) -> Text:
    """One bit is another."""
    data = bytearray(text[0])
    data[order.randrange(len(data))] ^= 1 << order.randrange(8)
    return bytes(data), text[1]


def byte(text: Text, order: random.Random) -> Text:
    """One byte is any other."""
    data = bytearray(text[0])
    data[order.randrange(len(data))] = order.randrange(256)
    return bytes(data), text[1]


def cut(text: Text, order: random.Random) -> Text:
    """A part is left out, doubled, or moved."""
    data = text[0]
    start, to = order.randrange(len(data) + 1), order.randrange(len(data) + 1)
    end = start + order.choice([1, 1, 2, 4, 64])
    part = order.choice([b"", data[start:end] * 2])
    changed = data[:start] + part + data[end:]
    return (
        changed if order.random() < 0.7 else changed[:to] + data[start:end] + changed[to:]
    ), text[1]


def piece(text: Text, order: random.Random) -> Text:
    """A hard case of the format stands somewhere, in the place of what was there or before it."""
    data, is_packed = text
    start = order.randrange(len(data) + 1)
    end = start + order.choice([0, 1, 1, 2, 4])
    pieces = _PACKED_PIECES if is_packed else _JSON_PIECES
    return data[:start] + order.choice(pieces) + data[end:], is_packed


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[\[\]{}:,]')


def token(text: Text, order: random.Random) -> Text:
    """A token of JSON is another one of the text, or a piece; or two pieces of MessagePack."""
    data, is_packed = text
    if is_packed:
        return piece(piece(text, order), order)
    tokens = [one.span() for one in _TOKEN.finditer(data)]
    (start, end), (other, other_end) = order.choice(tokens), order.choice(tokens)
    new = data[other:other_end] if order.random() < 0.5 else order.choice(_JSON_PIECES)
    return data[:start] + new + data[end:], is_packed


def wrong_format(text: Text, _order: random.Random) -> Text:
    """JSON is read as MessagePack, or MessagePack as JSON."""
    return text[0], not text[1]


Mutation = Callable[[Text, random.Random], Text]

MUTATIONS: list[tuple[Mutation, int]] = [
    (whole, 12), (bit, 25), (byte, 20), (cut, 13), (piece, 20), (token, 9), (wrong_format, 1),
]  # fmt: skip
"""Each kind of mutation, and how many of a hundred inputs are of it."""
