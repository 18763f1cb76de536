"""Bundles: what the native engine accepts, Python accepts without a finding, with equal columns."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.archive import Member, ReadLimits, open_source
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.msgpack_values import pack
from tests import oracle
from tests.builders import (
    EVENT_TARGETS,
    NOON,
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
    sign_event_again,
    to_json,
)
from tests.engine.invented_envelopes import INVENTED, Invented, Said
from tests.fuzz.mutations import _JSON_PIECES, _PACKED_PIECES
from tests.fuzz.native_differential import run
from tests.helpers import BUNDLES, DEMO_RECORDS, PITH_RECORDS, keys_of
from tests.native.agreement import Pair, Text, both_texts
from tests.profiles import profile_of, trusting
from tests.properties.strategies import (
    KEY_SETS,
    World,
    json_texts,
    mutated_texts,
    token_texts,
    worlds,
)
from tests.shared import lines, real_lines, shared

pytest.importorskip("mirror_native", reason="the native engine is not built: scripts/setup does it")

ALICE = Signer("alice")
PROFILED = Signer("profiled")
RECORD = make_record()
RECEIPT = make_receipt(RECORD, ALICE)


@cache
def pair_of(*signers: Signer) -> Pair:
    """Both engines under the keys of these signers; made once, as tables take a while."""
    return Pair(keys_of(*signers))


def are_accepted(bundle: Any, *signers: Signer) -> bool:
    """Whether both engines accept a bundle; they agree on it as JSON and as MessagePack."""
    (accepted,) = {*pair_of(*(signers or (ALICE,))).agree(both_texts(bundle))}
    return accepted


def with_event(event_type: str, payload: Any, **members: Any) -> Object:
    """A bundle of one event."""
    return make_bundle(RECORD, [make_event(RECORD, ALICE, event_type, payload, **members)])


# Whole bundles -------------------------------------------------------------------------------


def _members(name: str) -> list[Text]:
    with open_source(str(BUNDLES / name), ReadLimits()) as source:
        members = [one for one in source.items() if isinstance(one, Member)]
    return [(one.data, one.is_packed) for one in members]


DEMO_KEYS = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())


def test_the_sample_bags_are_verified_natively() -> None:
    """All of them but one: it holds an event twice, and takes the other way."""
    pith, demo = _members("pith.tar"), _members("demo.tar")
    assert (len(pith), len(demo)) == (PITH_RECORDS, DEMO_RECORDS + 1)
    assert all(Pair(KeySet()).accepted(pith))
    assert sum(Pair(DEMO_KEYS).accepted(demo)) == DEMO_RECORDS


@pytest.mark.parametrize("keys", [KeySet(), DEMO_KEYS], ids=["built-in key", "demo keys"])
def test_no_invalid_sample_is_accepted(keys: KeySet) -> None:
    """Each code of a refusal or finding has one."""
    paths = [one for one in (BUNDLES / "invalid").glob("*.json") if "expected" not in one.name]
    texts = [(path.read_bytes(), False) for path in sorted(paths)]
    assert len(texts) > 20
    assert not any(Pair(keys).accepted(texts))


def test_real_records_with_their_receipts() -> None:
    """The registry's own receipts; and its findings, which are events in another form."""
    pair = Pair(KeySet())
    for line in lines("real/signed_records.jsonl"):
        receipts = [one for name, one in line.items() if name == "receipt"]
        assert all(pair.agree(both_texts(make_bundle(line["canonical_record"], [], receipts))))
    for line in real_lines("bundle_heads"):
        record, claims = line["canonical_record"], line["source_aliases"]
        assert all(pair.agree(both_texts(make_bundle(record, [], None, claims))))
    events = [*real_lines("integrity_events"), *real_lines("integrity_signatures")]
    assert not any(pair.agree(both_texts(make_bundle(RECORD, events))))
    for line in lines("real/graph_snapshots.jsonl"):
        assert are_accepted(with_event("graph_snapshot", {"graph_snapshot": line}))


@settings(max_examples=settings().max_examples // 2)
@given(worlds(), st.sampled_from(KEY_SETS))
def test_any_bundle_has_the_verdicts_of_python(world: World, signers: Sequence[Signer]) -> None:
    """Events of several keys, roles and windows; revoked, withdrawn, repeated, at one instant."""
    pair_of(*signers).accepted(both_texts(world.bundle()))
    assert all(pair_of(*signers).accepted(both_texts(_valid_part(world, signers))))


def _valid_part(world: World, signers: Sequence[Signer]) -> Object:
    """The facts of a world that pass, each once: the native engine merges those."""
    keys = oracle.load_keys(key_set_file(*signers))
    bundle = world.bundle()
    found = oracle.findings(oracle.read_bundle(to_json(bundle)), keys)
    wrong = {where.removeprefix("/") for where, _ in found}
    for name in ("events", "receipts", "source_aliases"):
        kept = {oracle.canonical(one): one for index, one in enumerate(bundle[name])
                if f"{name}/{index}" not in wrong}  # fmt: skip
        bundle[name] = list(kept.values())
    claims = {(one["alias_kind"], one["created_at"]): one for one in bundle["source_aliases"]}
    return {**bundle, "source_aliases": list(claims.values())}


def test_mutated_bundles_have_the_verdicts_of_python() -> None:
    """As `scripts/native_differential` does for hours."""
    report = run(8_000, 1)
    assert (report.differences, report.panics) == ([], 0)
    assert report.accepted > report.inputs // 50


OTHERS: list[Any] = [None, 1, 1.0, True, "", [], {}, "x"]

# Borders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", [*EVENT_TARGETS, "x.y", "a" * 64, "_"])
def test_every_type_of_event(event_type: str) -> None:
    """E4: also withdrawn, with more members, and twice signed."""
    payload = payload_of(event_type, RECORD, ALICE)
    assert are_accepted(with_event(event_type, payload))
    assert are_accepted(
        with_event(event_type, {**payload, "more": [1.5, {}], "status": "withdrawn"})
    )
    event = make_event(RECORD, ALICE, event_type, payload)
    assert are_accepted(make_bundle(RECORD, [event, sign_event_again(event, ALICE)]))
    for name in payload:
        for other in OTHERS:
            are_accepted(with_event(event_type, {**payload, name: other}))


NUMBERS = [
    0, -1, 31, 32, -32, -33, 127, 128, -128, -129, 255, 256, 65535, 65536, -32768, -32769, 2**31,
    2**32 - 1, 2**32, -(2**31), -(2**31) - 1, 2**53 - 1, 1 - 2**53, 0.0, -0.0, 1.0, 1e16, 1e15,
    1e17,
    9999999999999998.0, 1e-4, 9.999e-5, 1e-5, 5e-324, 1.7976931348623157e308, 1e22, 1e23, 0.1,
    123456789012345680.0, 2.2250738585072014e-308, 2.225073858507201e-308, 9007199254740993.0,
]  # fmt: skip


HALFWAY = [
    1.50000762939453125, 771362026848404.25, 610110694370.40625, 2.0**-44, 2251799813685247.75,
    0.5 + 2.0**-30, 562949953421311.625, 4503599627370495.5,
]  # fmt: skip
"""Halfway between two texts of as many digits: `repr` takes the even one."""


def test_numbers_are_written_alike() -> None:
    """V2: floats as `repr`, at the borders of its forms; powers of two and ten."""
    powers = [2.0**one for one in range(-1074, 1024, 3)] + [
        float(f"1e{one}") for one in range(-323, 309)
    ]
    floats = [0.1 * one for one in range(1000)] + [1 / one for one in range(1, 1000)]
    assert are_accepted(with_event("x.y", {"numbers": [*NUMBERS, *powers, *floats]}))
    for numbers in (NUMBERS, powers[::40], floats[::40], HALFWAY):
        assert are_accepted(make_bundle(RECORD, [], [{**RECEIPT, "numbers": numbers}]))


@settings(max_examples=10)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=300, max_size=300))
def test_any_floats_are_written_alike(numbers: list[float]) -> None:
    """V2."""
    assert are_accepted(with_event("x.y", {"numbers": numbers}))


def _nested(depth: int) -> Any:
    return [_nested(depth - 1)] if depth > 1 else []


@pytest.mark.parametrize(("depth", "expected"), [(29, True), (31, True), (32, False), (33, False)])
def test_payloads_nest_up_to_32(depth: int, expected: bool) -> None:  # noqa: FBT001
    """E1: the payload itself is 1."""
    assert are_accepted(with_event("x.y", {"a": _nested(depth)})) == expected


@pytest.mark.parametrize(("depth", "expected"), [(31, True), (62, True), (63, True), (64, False)])
def test_bundles_nest_up_to_64(depth: int, expected: bool) -> None:  # noqa: FBT001
    """V1: the bundle itself is 1."""
    assert are_accepted({**make_bundle(RECORD), "more": _nested(depth)}) == expected


TIMES = {
    NOON: True, "2026-01-01T00:00:00+00:00": True, "0001-01-01T00:00:00.1Z": True,
    "1969-12-31T23:59:59.999999Z": True, "2024-02-29T00:00:00Z": True, "2000-02-29T00:00:00Z": True,
    "2026-06-02T00:00:00Z": True, "2026-06-02T00:00:00.000001Z": False,
    "9999-12-31T23:59:59Z": False, "0000-01-01T00:00:00Z": False, "1900-02-29T00:00:00Z": False,
    "2023-02-29T00:00:00Z": False, "2026-13-01T00:00:00Z": False, "2026-00-01T00:00:00Z": False,
    "2026-01-00T00:00:00Z": False, "2026-04-31T00:00:00Z": False, "2026-01-01T24:00:00Z": False,
    "2026-01-01T00:60:00Z": False, "2026-01-01T00:00:60Z": False, "2026-01-01T00:00:00.Z": False,
    "2026-01-01T00:00:00.1234567Z": False, "2026-01-01T00:00:00": False, "": False, "Z": False,
    "2026-01-01T00:00:00-00:00": False, "2026-01-01t00:00:00Z": False, "+00:00": False,
    "2026-01-01T00:00:00Z\n": False, "2026-01-01T00:00:0\u0661Z": False, "2026-1-1T0:0:0Z": False,
}  # fmt: skip


@pytest.mark.parametrize(("time", "expected"), TIMES.items())
def test_times(time: str, expected: bool) -> None:  # noqa: FBT001
    """V5, B5: of an event, a receipt and an alias claim; those may lie in the future."""
    ahead = time.startswith(("9999", "2026-06-02"))
    assert are_accepted(with_event("x.y", {}, created_at=time)) == expected
    receipt = {**RECEIPT, "signed_at": time}
    assert are_accepted(make_bundle(RECORD, [], [receipt])) == (expected or ahead)
    assert are_accepted(make_bundle(RECORD, [], None, make_claims(RECORD, time))) == (
        expected or ahead
    )


def test_years_of_records() -> None:
    """R3: from 0001 to 9999."""
    for year, expected in (("0001", True), ("9999", True), ("0000", False)):
        record = make_record(submitted_at=f"{year}-01-01T00:00:00Z")
        assert are_accepted(make_bundle(record, [make_event(record, ALICE, "x.y", {})])) == expected


WINDOWS = [None, "0001-01-01T00:00:00Z", "2255-06-05T23:47:34.740993Z", "9999-12-31T23:59:59.9Z"]


@pytest.mark.parametrize("start", WINDOWS)
@pytest.mark.parametrize("end", WINDOWS)
def test_windows_of_keys(start: str | None, end: str | None) -> None:
    """K2: bounds whose microseconds are beyond the integers of V1, too."""
    signer = Signer("windowed", valid_from=start, valid_until=end)
    event = make_event(RECORD, signer, "x.y", {})
    expected = (start or "0") < NOON < (end or "a")
    assert are_accepted(make_bundle(RECORD, [event]), signer) == expected


TEXTS = [
    "",
    "\x00",
    "\x1f\x7f",
    '"\\/',
    "\u00e9",
    "\u02cb\u2028",
    "\ufffd\uffff",
    "\U0001f600",
    "a" * 300,
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text: str) -> None:
    """V1, V2: as a value, a name, a target, the id of a source and the name of a work."""
    assert are_accepted(with_event("x.y", {text: text, f"{text}1": [text]}))
    assert are_accepted(with_event("x.y", {}, target=text)) == (0 < len(text) <= 128)
    citation = payload_of("citation_signed", RECORD, ALICE)
    assert are_accepted(with_event("citation_signed", {**citation, "citing": text}))
    record = make_record(arxiv_id=text, cross_cats=sorted({text, "a"}), license=text)
    made = make_bundle(record, [], [{**make_receipt(record, ALICE), text + "more": text}])
    assert are_accepted(made) == (text != "")


@pytest.mark.parametrize("length", [0, 1, 128, 129])
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600"])
def test_targets(letter: str, length: int) -> None:
    """E1: 1 to 128 code points."""
    expected = 1 <= length <= 128
    assert are_accepted(with_event("x.y", {}, target=letter * length)) == expected


@pytest.mark.parametrize(
    "text", ["", "=", "====", "A===", "AA==", "AB==", "AAA=", "AAB=", "AAAA", "AA=A", "AAAA====",
             "AAA", "AA==AAAA", "A A=", "AA==\n", "-_==", "\u0661AA=", "AAAAA===", "+/+/"],
)  # fmt: skip
def test_base64(text: str) -> None:
    """V6: of a proof, and of signatures."""
    payload = {**payload_of("timestamp_anchored", RECORD, ALICE), "proof_b64": text}
    try:
        data = base64.b64decode(text, validate=True)
        expected = data != b"" and base64.b64encode(data) == text.encode()
    except ValueError:
        expected = False
    assert are_accepted(with_event("timestamp_anchored", payload)) == expected
    assert not are_accepted(make_bundle(RECORD, [], [{**RECEIPT, "signature_b64": text}]))


def test_repeated_facts_have_the_verdicts_of_python() -> None:
    """M1: Python counts them once; the native engine leaves them to it, or does the same."""
    event = make_event(RECORD, ALICE, "x.y", {})
    for bundle in (
        make_bundle(RECORD, [event, event]),
        make_bundle(RECORD, [], [RECEIPT, RECEIPT]),
        make_bundle(RECORD, [], [], make_claims(RECORD) * 2),
        make_bundle(RECORD, [{**event, "n": 1}, event]),
    ):
        pair_of(ALICE).accepted(both_texts(bundle))


def test_limits_on_a_bundle() -> None:
    """B4: what is at a limit passes, what is above it does not."""
    events = [make_event(RECORD, ALICE, "x.y", {"n": number}) for number in range(3)]
    size = len(oracle.canonical(RECORD))
    for limits, expected in [
        (ReadLimits(events=3), True), (ReadLimits(events=2), False), (ReadLimits(depth=4), True),
        (ReadLimits(depth=3), False), (ReadLimits(record_bytes=size), True),
        (ReadLimits(record_bytes=size - 1), False), (ReadLimits(receipt_bytes=50), False),
    ]:  # fmt: skip
        pair = Pair(keys_of(ALICE), limits)
        assert {*pair.agree(both_texts(make_bundle(RECORD, events, [RECEIPT], [])))} == {expected}


@pytest.mark.parametrize("value", ["\x01" * 1360, [1e15] * 450, [0.1 + 0.2] * 420])
def test_small_texts_of_large_receipts(value: Any) -> None:
    """B4: the canonical bytes count, however short the text is."""
    short = make_bundle(RECORD, [], [{**RECEIPT, "more": value}], [])
    json_text = to_json(short).replace(b"1000000000000000.0", b"1e15")
    assert not any(pair_of(ALICE).agree([(pack(short), True), (json_text, False)]))


# Signatures ----------------------------------------------------------------------------------


def _signed_oddly() -> list[tuple[str, str, bytes]]:
    """(name, public key, signature of the record)."""
    digest, seed = bytes.fromhex(oracle.record_digest(RECORD)), ALICE.seed
    good, key = oracle.sign(seed, digest), ALICE.public_key.hex()
    mixed_key, mixed = oracle.sign_with_mixed_order_key(seed, digest)
    found = [
        ("good", key, good),
        ("another nonce", key, oracle.sign_with_nonce(seed, digest, 7)),
        ("nonce of 0", key, oracle.sign_with_nonce(seed, digest, 0)),
        ("S + L", key, oracle.signature_with_large_s(good)),
        ("S of 256 bits", key, good[:32] + b"\xff" * 32),
        ("cofactored only", key, oracle.sign_cofactored_only(seed, digest)),
        ("A of mixed order", mixed_key.hex(), mixed),
        ("short", key, good[:63]),
        ("long", key, good + b"\x00"),
        ("R is not on the curve", key, b"\x02" + bytes(31) + good[32:]),
        ("R is not canonical", key, b"\xee" + b"\xff" * 30 + b"\x7f" + good[32:]),
    ]
    points = oracle.small_order_encodings()
    return found + [(f"R of order {one.hex()}", key, one + good[32:]) for one in points]


@pytest.mark.parametrize(("name", "public_key", "signature"), _signed_oddly())
def test_signatures_at_the_edges(name: str, public_key: str, signature: bytes) -> None:
    """S1: before the key has a table, and after."""
    value = ALICE.key_value(public_key_hex=public_key)
    pair = Pair(parse_key_set(to_json({"keys": [value]})))
    odd = {**RECEIPT, "signature_b64": base64.b64encode(signature).decode()}
    expected = name in {"good", "another nonce", "A of mixed order"}
    texts = both_texts(make_bundle(RECORD, [], [odd]))
    assert {*pair.agree(texts)} == {expected}
    assert {*pair.accepted(texts * 50)} == {expected}


def test_one_wrong_signature_changes_no_other_verdict() -> None:
    """Signatures of a batch are computed together, and judged one by one."""
    good = make_bundle(RECORD, [], [RECEIPT])
    signature = base64.b64encode(oracle.sign(ALICE.seed, b"another")).decode()
    wrong = make_bundle(RECORD, [], [RECEIPT, {**RECEIPT, "signature_b64": signature}])
    texts = both_texts(good) + both_texts(wrong) + [(b"", False)] + both_texts(good)
    for _ in range(50):
        assert pair_of(ALICE).native(texts)[2:5] == [None] * 3
        assert pair_of(ALICE).accepted(texts) == [True, True, False, False, False, True, True]


# Texts ---------------------------------------------------------------------------------------

_MARK = '"~here~"'
_AROUND = to_json(make_bundle(RECORD, [], [{**RECEIPT, "more": "~here~"}])).split(_MARK.encode())


def within(text: bytes) -> Text:
    """A bundle with a text as the value of a member of a receipt that nobody signed."""
    return text.join(_AROUND), False


def test_texts_of_the_corpus() -> None:
    """V1: each as it is, and within a bundle: what is JSON passes."""
    paths = sorted(shared("corpora/jsontestsuite/test_parsing").iterdir())
    pair = pair_of(ALICE)
    assert not any(pair.accepted([(path.read_bytes(), False) for path in paths]))
    accepted = pair.accepted([within(path.read_bytes()) for path in paths])
    assert sum(accepted) > len(paths) // 4


PIECES = [
    *_JSON_PIECES, b'"\\ud83d\\ude00"', b'"\\ud800"', b'"\\udc00"', b'"\\u0000"',
    b'"\\uD83D\\uDE00"',
    b'"\\ude00\\ud83d"', b'"\\ud800\\u0041"', b'"\\ud800x"', b'"\\u00"', b'"\\u+123"', b'"\\u00e9"',
    b'"\\ud83d\\ud83d\\ude00"', b'{"a":1,"a":1}', b'{"\\u0061":1,"a":1}', b'{"":1}', b'"\\/"',
    b'"\x7f"',
    b'"\xc3\xa9"', b'"\xc3"', b'"\xed\xa0\x80"', b"[1,]", b"[,1]", b"{,}", b"0.0", b"-0.0", b"-0",
    b"-1",
    b"00", b"1.", b".1", b"1e", b"1e+", b"1E+2", b"+1", b"1e309", b"1e-999", b"0e999", b"9" * 400,
    b"1_0",
]  # fmt: skip


def test_pieces_of_json() -> None:
    """V1: tokens, escapes and surrogates, good and bad."""
    accepted = pair_of(ALICE).accepted([within(piece) for piece in PIECES])
    assert 10 < sum(accepted) < len(PIECES) - 10


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(json_texts() | mutated_texts() | token_texts(), max_size=8))
def test_any_json(texts: list[bytes]) -> None:
    """V1, V2: texts that are JSON, and texts that look like it."""
    pair_of(ALICE).accepted([within(text) for text in texts])


def test_pieces_of_messagepack() -> None:
    """C4: each head with too little or too much behind it; longer forms, extensions, bytes."""
    before, after = pack(make_bundle(RECORD, [], [{**RECEIPT, "more": "~here~"}])).split(
        b"\xa6~here~"
    )
    tails = [b"", b"\xa0", b"a", bytes(4), bytes(9), b"\xff" * 8]
    texts = [(before + one + tail + after, True) for one in _PACKED_PIECES for tail in tails]
    texts += [(before + pack(number) + after, True) for number in NUMBERS]
    assert sum(pair_of(ALICE).accepted(texts)) > len(NUMBERS)


def test_many_members_and_items() -> None:
    """The longer heads of MessagePack; names that repeat among many."""
    for count in (15, 16, 17, 255, 256, 65_536):
        value: Any = {str(number): f"the number {number:012}" for number in range(count)}
        assert are_accepted({**make_bundle(RECORD), "more": value, "less": list(value)})
    tiny = {**make_bundle(RECORD), "more": list(range(100_000))}
    assert not any(pair_of(ALICE).accepted(both_texts(tiny)[:1]))  # they would take much memory
    twice = b'{"7":0,' + json.dumps(value).encode()[1:]
    assert not any(pair_of(ALICE).agree([within(twice)]))


# Every byte ----------------------------------------------------------------------------------


def _flipped() -> list[Text]:
    """A bundle of all kinds of facts with one bit changed: of each byte one, of some all."""
    event = make_event(RECORD, ALICE, "record_created", payload_of("record_created", RECORD, ALICE))
    events = [event, make_event(RECORD, ALICE, "event_revoked", revocation(event["event_id"]))]
    found = []
    for data, is_packed in both_texts(make_bundle(RECORD, events, [{**RECEIPT, "n": [1.5, {}]}])):
        for at in range(len(data)):
            for bit in range(8) if at % 40 == 0 else [at % 7]:
                changed = bytearray(data)
                changed[at] ^= 1 << bit
                found.append((bytes(changed), is_packed))
    return found


def test_every_byte_flipped() -> None:
    """Most flips break a signature; the others are in what nobody signs, and Python takes them."""
    texts = _flipped()
    accepted = pair_of(ALICE).accepted(texts)
    assert 20 < sum(accepted) < len(texts) // 10
    refused = [text for text, is_accepted in zip(texts, accepted, strict=True) if not is_accepted]
    assert not any(pair_of(ALICE).python(text) for text in refused[::40])


def test_nothing_panicked() -> None:
    """A panic would only have hidden a bundle from these tests."""
    assert pair_of(ALICE).panics == 0


# Key sets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("invented", INVENTED, ids=lambda one: one.name)
def test_trusted_profiles(invented: Invented) -> None:
    """E5: events of the built-in profile pass as ever, others take the other way."""
    pair = Pair(trusting(profile_of(invented), signers=(ALICE, PROFILED)))
    event = make_event(RECORD, ALICE, "x.y", {"n": 1})
    assert all(pair.agree(both_texts(make_bundle(RECORD, [event], [RECEIPT]))))
    foreign = invented.make(Said("x.y", {"n": 2}, NOON, 1), PROFILED)
    pair.accepted(both_texts(make_bundle(RECORD, [event, foreign])))


def test_a_removed_built_in_key() -> None:
    """K2: what it signed is no longer accepted, by either engine."""
    line = lines("real/signed_records.jsonl")[0]
    texts = both_texts(make_bundle(line["canonical_record"], [], [line["receipt"]]))
    assert all(Pair(KeySet()).agree(texts))
    assert not any(Pair(KeySet(built_in=False)).agree(texts))


def test_keys_with_unusual_names() -> None:
    """K2: names of any text, types that are not in E4, no types at all, and very many keys."""
    odd = Signer("odd", key_id='\x00"\u00e9\U0001f600', signer_id="\\", signer_type="\n")
    few = Signer("few", event_types=("", "x", "record_created"))
    none = Signer("none", event_types=())
    many = [Signer(f"key {number}") for number in range(100)]
    pair = Pair(keys_of(odd, few, none, *many))
    for signer in (odd, few, none, *many[:60]):
        receipt = make_receipt(RECORD, signer)
        event = make_event(RECORD, signer, "x", {})
        texts = both_texts(make_bundle(RECORD, [event], [receipt]))
        assert {*pair.agree(texts)} == {signer is not none}
        answers = pair.native(texts[:1] * 70)  # enough for a table of the key, while there are some
        assert {one is not None for one in answers} == {signer is not none}
