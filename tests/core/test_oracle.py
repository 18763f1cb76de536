"""The oracle itself, against real data and the corpora of others."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests import oracle
from tests.shared import lines, real_lines, shared

SEED = bytes(range(32))


def bundle_of(record: Any, **members: Any) -> dict[str, Any]:
    """A B1 bundle of a record."""
    bundle = {
        "bundle_type": "pith_open_graph_bundle",
        "bundle_version": "1.0",
        "pith_number": oracle.pith_number_of(record),
        "short_pith_number": oracle.short_pith_number_of(record),
        "canonical_record": record,
        "canonical_sha256": oracle.record_digest(record),
        "source": record["source"],
        "source_aliases": [],
        "events": [],
    }
    bundle.update(members)
    return bundle


# Real data


def test_signed_records() -> None:
    """R2, R3, S2 on real records."""
    keys = oracle.builtin_keys()
    for line in real_lines("signed_records"):
        record = line["canonical_record"]
        assert oracle.record_shape_ok(record)
        assert oracle.record_digest(record) == line["canonical_sha256"]
        assert oracle.pith_number_of(record) == line["pith_number"]
        assert oracle.receipt_code(line["receipt"], record, keys) is None
        other = {**record, "source": {**record["source"], "version": 99}}
        assert oracle.receipt_code(line["receipt"], other, keys) == "receipt.signature"


def test_signed_record_as_bundle() -> None:
    """B1 to B3 and M8 on a bundle around a real record and its real receipt."""
    line = lines("real/signed_records.jsonl")[0]
    data = oracle.canonical(bundle_of(line["canonical_record"], receipts=[line["receipt"], 7]))
    keys = oracle.builtin_keys()
    bundle = oracle.read_bundle(data)
    assert oracle.findings(bundle, keys) == [("/receipts/1", "receipt.shape")]
    state = oracle.merge([bundle], keys)
    assert state["pith_number"] == line["pith_number"]
    assert state["current"]["receipt"] == {
        "algorithm": "ed25519",
        "key_id": "pith-v1-2026-05",
        "kind": "pith_receipt",
        "signature_b64": line["receipt"]["signature_b64"],
        "signed_at": None,
    }


def test_bundle_heads() -> None:
    """R2 to R4, M7 on real records as bundles print them."""
    for head in real_lines("bundle_heads"):
        record = head["canonical_record"]
        assert oracle.record_digest(record) == head["canonical_sha256"]
        assert oracle.pith_number_of(record) == head["pith_number"]
        pairs = [(alias["alias_kind"], alias["alias_value"]) for alias in head["source_aliases"]]
        assert oracle.aliases_of(record) == pairs
        data = oracle.canonical(bundle_of(record, source_aliases=head["source_aliases"]))
        bundle = oracle.read_bundle(data)
        assert oracle.findings(bundle, []) == []
        state = oracle.merge([bundle], [])
        assert state["current"]["source_aliases"] == head["source_aliases"]


def test_state_heads() -> None:
    """R3, R4 on real records as states print them."""
    for head in real_lines("state_heads"):
        record = head["canonical_record"]
        assert oracle.pith_number_of(record) == head["pith_number"]
        pairs = [(alias["alias_kind"], alias["alias_value"]) for alias in head["source_aliases"]]
        assert oracle.aliases_of(record) == pairs
        printed = oracle.merge([bundle_of(record)], [])["current"]["canonical_record"]
        assert oracle.compact(printed) == oracle.compact(record)


def test_integrity_signatures() -> None:
    """S4 on real findings."""
    public_key = bytes.fromhex(oracle.builtin_keys()[0]["public_key_hex"])
    for line in real_lines("integrity_"):
        signature = oracle.decode_base64(line["signature_b64"])
        assert signature is not None
        assert oracle.verify(public_key, bytes.fromhex(line["payload_sha256"]), signature)
        assert not oracle.verify(public_key, bytes(32), signature)
        assert oracle.instant(line["created_at"]) is not None


def test_key_fingerprint() -> None:
    """K1, K2: the built-in key is the real one."""
    manifest = oracle.parse(shared("real/pith-mirrors.json").read_bytes())
    printed = manifest["mirrors"][0]["public_key"]
    key = oracle.builtin_keys()[0]
    assert key["public_key_hex"] == printed["public_key_hex"]
    assert oracle.fingerprint(key) == printed["fingerprint_sha256_hex"]
    assert oracle.public_key_ok(bytes.fromhex(key["public_key_hex"]))


def test_payload_digest_of_the_empty_list() -> None:
    """V4's constant, as stated and as real graph snapshots show it."""
    constant = "258153158e38e3291e3d48162225fcdb2d5a3ed65a07baac614ab91432fd4f57"
    assert oracle.payload_digest([]) == constant
    for snapshot in lines("real/graph_snapshots.jsonl"):
        if snapshot["claims"]["items"] == []:
            assert snapshot["claims"]["snapshot_sha256"] == constant


# Ed25519

RFC8032 = [  # section 7.1: secret key, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public_key", "message", "signature"), RFC8032)
def test_rfc8032(seed: str, public_key: str, message: str, signature: str) -> None:
    """RFC 8032 section 7.1."""
    assert oracle.public_key(bytes.fromhex(seed)).hex() == public_key
    assert oracle.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
    assert oracle.verify(
        bytes.fromhex(public_key), bytes.fromhex(message), bytes.fromhex(signature)
    )


def test_wycheproof() -> None:
    """S1: every valid case accepted, every other refused."""
    data = json.loads(shared("corpora/wycheproof/ed25519_test.json").read_bytes())
    count = 0
    for group in data["testGroups"]:
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            accepted = oracle.verify(
                public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            )
            assert accepted == (case["result"] == "valid"), case["tcId"]
            count += 1
    assert count == 151


def test_speccheck() -> None:
    """S1: only case 3 is accepted."""
    cases = json.loads(shared("corpora/speccheck/cases.json").read_bytes())
    assert len(cases) == 12
    accepted = [
        number
        for number, case in enumerate(cases)
        if oracle.verify(
            bytes.fromhex(case["pub_key"]),
            bytes.fromhex(case["message"]),
            bytes.fromhex(case["signature"]),
        )
    ]
    assert accepted == [3]


def test_edge_signatures() -> None:
    """S1 on signatures made for its edges."""
    message = b"edge"
    public_key = oracle.public_key(SEED)
    good = oracle.sign(SEED, message)
    second = oracle.sign_with_nonce(SEED, message, 12345)
    assert good != second
    assert oracle.verify(public_key, message, good)
    assert oracle.verify(public_key, message, second)
    assert not oracle.verify(public_key, message, oracle.sign_with_nonce(SEED, message, 0))
    assert not oracle.verify(public_key, message, oracle.signature_with_large_s(good))
    assert not oracle.verify(public_key, message, oracle.sign_cofactored_only(SEED, message))
    small_key, small_signature = oracle.sign_with_small_order_key()
    assert not oracle.verify(small_key, message, small_signature)
    mixed_key, mixed_signature = oracle.sign_with_mixed_order_key(SEED, message)
    assert mixed_key != public_key
    assert oracle.public_key_ok(mixed_key)
    assert oracle.verify(mixed_key, message, mixed_signature)
    small = oracle.small_order_encodings()
    assert len(set(small)) == 8
    for raw in small:
        assert not oracle.public_key_ok(raw)
    assert not oracle.public_key_ok(public_key[:31])


# JSON


def refusal(data: bytes) -> str | None:
    """The code of a refused text, or None."""
    try:
        oracle.parse(data)
    except oracle.Refused as refused:
        return refused.code
    return None


V1_CODES = ["json.syntax", "json.duplicate_key", "json.number", "json.surrogate", "json.depth"]
Y_EXCEPTIONS = {
    "y_object_duplicated_key.json": "json.duplicate_key",
    "y_object_duplicated_key_and_value.json": "json.duplicate_key",
}


def test_json_suite() -> None:
    """V1 on JSONTestSuite, V2 against json.dumps on what it reads."""
    counts = {"y": 0, "n": 0, "i": 0}
    for path in sorted(shared("corpora/jsontestsuite/test_parsing").iterdir()):
        data = path.read_bytes()
        code = refusal(data)
        kind = path.name[0]
        counts[kind] += 1
        if kind == "y":
            assert code == Y_EXCEPTIONS.get(path.name), path.name
        if kind == "n":
            assert code in V1_CODES, path.name
        if code is None:
            expected = json.dumps(
                json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )
            assert oracle.canonical(oracle.parse(data)) == expected.encode(), path.name
    assert sum(counts.values()) == 318
    assert counts["y"] == 95


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[" * 64 + b"]" * 64, None),
        (b"[" * 65 + b"]" * 65, "json.depth"),
        (b"[" * 100_000, "json.depth"),
        (b'{"a":' * 100_000, "json.depth"),
        (b"9007199254740991", None),
        (b"-9007199254740991", None),
        (b"9007199254740992", "json.number"),
        (b"-9007199254740992", "json.number"),
        (b"1" * 10_000, "json.number"),
        (b"1e308", None),
        (b"1e309", "json.number"),
        (b"NaN", "json.number"),
        (b"-Infinity", "json.number"),
        (b'"\\ud800"', "json.surrogate"),
        (b'"\\ud800\\u0041"', "json.surrogate"),
        (b'"\\ude00"', "json.surrogate"),
        (b'"\\ud83d\\ude00"', None),
        (b'{"a":1,"\\u0061":1}', "json.duplicate_key"),
        (b"\xef\xbb\xbf1", "json.syntax"),
        (b'"\xed\xa0\x80"', "json.syntax"),
        (b"", "json.syntax"),
        (b"1 2", "json.syntax"),
        ("[\u00a01]".encode(), "json.syntax"),
        ("\u0661".encode(), "json.syntax"),
    ],
)
def test_v1(text: bytes, code: str | None) -> None:
    """V1, case by case."""
    assert refusal(text) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"-0", b"0"),
        (b"-0.0", b"-0.0"),
        (b"1.0", b"1.0"),
        (b"1E0", b"1.0"),
        (b"0.0001", b"0.0001"),
        (b"0.00001", b"1e-05"),
        (b"1e15", b"1000000000000000.0"),
        (b"1e16", b"1e+16"),
        (b'"\\u007f\\/\\u001f\\u0008"', b'"\x7f/\\u001f\\b"'),
        (b'{"\\ud83d\\ude00":1,"\\uffff":2}', '{"\uffff":2,"\U0001f600":1}'.encode()),
    ],
)
def test_v2(text: bytes, expected: bytes) -> None:
    """V2, case by case."""
    assert oracle.canonical(oracle.parse(text)) == expected


def test_v5() -> None:
    """V5: which texts are times, and their instants."""
    assert oracle.instant("1970-01-01T00:00:00Z") == 0
    assert oracle.instant("1970-01-01T00:00:01.5+00:00") == 1_500_000
    assert oracle.instant("1969-12-31T23:59:59.999999Z") == -1
    assert oracle.instant("0001-01-01T00:00:00Z") is not None
    assert oracle.instant("2024-02-29T23:59:59Z") is not None
    for text in [
        "0000-01-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:00:60Z",
        "2023-01-01T00:00:00.1234567Z",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00-00:00",
        "2023-01-01T00:00:00",
        "2023-01-01T00:00:00Z\n",
        "2023-01-01t00:00:00z",
        "\u0662023-01-01T00:00:00Z",
    ]:
        assert oracle.instant(text) is None, text


def test_v6() -> None:
    """V6: strict base64."""
    for raw in [b"a", b"ab", b"abc", bytes(range(256))]:
        assert oracle.decode_base64(base64.b64encode(raw).decode()) == raw
    for text in [
        "",
        "YQ",
        "YQ=",
        "YR==",
        "YWI",
        "YWJ=",
        "YQ==\n",
        "Y Q=",
        "====",
        "_-==",
        "YQ==YQ==",
    ]:
        assert oracle.decode_base64(text) is None, text


# A small merge

RECORD = {
    "metadata": {
        "abstract_canon_sha256": "0" * 64,
        "cross_cats_sorted": ["cs.DL", "cs.LO"],
        "license": "",
        "primary_cat": "cs.CR",
        "submitted_at": "2020-01-02T03:04:05Z",
        "title_canon_sha256": "1" * 64,
    },
    "schema_version": "1.0",
    "source": {"id": "2001.00001", "kind": "arxiv", "version": 1},
}


def key_item(seed: bytes, name: str, **members: Any) -> dict[str, Any]:
    """A key of a key set file."""
    return {
        "key_id": name,
        "algorithm": "ed25519",
        "public_key_hex": oracle.public_key(seed).hex(),
        "signer_id": name,
        "signer_type": "test",
        "valid_from": None,
        "valid_until": None,
        "event_types": ["*"],
        **members,
    }


def signed_event(
    seed: bytes, key: dict[str, Any], event_type: str, created_at: str, payload: Any
) -> dict[str, Any]:
    """A valid event about RECORD."""
    targets = {"graph_snapshot": "graph", "event_revoked": "event"}
    event: dict[str, Any] = {
        "event_type": event_type,
        "subject_pith_number": oracle.pith_number_of(RECORD),
        "target": targets.get(event_type, "record"),
        "payload": payload,
        "created_at": created_at,
        "signer": {
            "key_id": key["key_id"],
            "public_key_fingerprint": oracle.fingerprint(key),
            "signer_id": key["signer_id"],
            "signer_type": key["signer_type"],
        },
    }
    digest = oracle.event_digest(event)
    event["event_id"] = "sha256:" + digest
    signature = base64.b64encode(oracle.sign(seed, bytes.fromhex(digest))).decode()
    event["signature"] = {"algorithm": "ed25519", "signature_b64": signature}
    return event


def test_small_merge() -> None:
    """Order, repetition and composition change nothing; slots, revocation and equivocation work."""
    other_seed = bytes(reversed(range(32)))
    a = key_item(SEED, "a")
    b = key_item(other_seed, "b", may_revoke_others=True)
    keys = oracle.load_keys(oracle.canonical({"keys": [a, b, a]}))
    assert [key["key_id"] for key in keys] == ["pith-v1-2026-05", "a", "b"]
    with pytest.raises(oracle.Refused):
        oracle.load_keys(oracle.canonical({"keys": [a, {**b, "key_id": "a"}]}))

    digest = oracle.record_digest(RECORD)
    receipt = {
        "kind": "pith_receipt",
        "key_id": "a",
        "algorithm": "ed25519",
        "signed_at": "2026-01-01T00:00:00.5Z",
        "signature_b64": base64.b64encode(oracle.sign(SEED, bytes.fromhex(digest))).decode(),
    }
    created = signed_event(
        SEED,
        a,
        "record_created",
        "2026-01-01T00:00:00.75+00:00",
        {"canonical_record": RECORD, "canonical_sha256": digest, "receipt": receipt},
    )
    claim = {"claimant_id": "c", "method": "orcid", "strength": "weak", "status": "claimed"}
    first = signed_event(SEED, a, "author_claimed", "2026-01-02T00:00:00Z", claim)
    withdrawn = signed_event(
        SEED, a, "author_claimed", "2026-01-03T00:00:00Z", {**claim, "status": "withdrawn"}
    )
    rival = signed_event(other_seed, b, "author_claimed", "2026-01-01T00:00:00Z", claim)
    snapshot = signed_event(
        SEED, a, "graph_snapshot", "2026-01-04T00:00:00Z", {"graph_snapshot": {"x": 1}}
    )
    twin = signed_event(
        SEED, a, "graph_snapshot", "2026-01-04T00:00:00.0Z", {"graph_snapshot": {"x": 1.0}}
    )
    revocation = signed_event(
        other_seed,
        b,
        "event_revoked",
        "2025-01-01T00:00:00Z",
        {"event_id": snapshot["event_id"], "reason": ""},
    )
    alias = {"alias_kind": "arxiv", "alias_value": "2001.00001"}
    alias_times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2025-12-31T23:59:59Z"]
    bundles = [
        bundle_of(RECORD, events=[created, first, withdrawn, 1, 1.0, True]),
        bundle_of(RECORD, events=[rival, snapshot, twin, first, {"created_at": "no"}]),
        bundle_of(
            RECORD,
            events=[revocation],
            receipts=[receipt, None],
            source_aliases=[{**alias, "created_at": text} for text in alias_times] + [[]],
        ),
    ]
    raw = [oracle.canonical(bundle) for bundle in bundles]
    parsed = [oracle.read_bundle(data) for data in raw]
    state = oracle.merge(parsed, keys)

    assert state["valid_event_count"] == 7
    assert state["invalid_event_count"] == 4
    assert state["event_count"] == 11
    assert state["equivocation_count"] == 1
    assert state["equivocations"][0]["event_ids"] == sorted(
        [snapshot["event_id"], twin["event_id"]]
    )
    current = state["current"]
    assert [entry["event_id"] for entry in current["author_claims"]] == [rival["event_id"]]
    assert [entry["event_id"] for entry in current["graph_snapshots"]] == [twin["event_id"]]
    assert current["receipt"] == receipt
    assert current["source_aliases"][0]["created_at"] == "2026-01-01T00:00:00+00:00"
    assert current["source_aliases"][1]["created_at"] == "2026-01-01T00:00:00Z"
    reasons = {
        entry["event_id"]: (entry["reason"], entry["by"]) for entry in state["retired_events"]
    }
    assert reasons == {
        first["event_id"]: ("superseded", [withdrawn["event_id"]]),
        withdrawn["event_id"]: ("withdrawn", []),
        snapshot["event_id"]: ("revoked", [revocation["event_id"]]),
    }

    text = oracle.state_text(state)
    core = oracle.core_digest(parsed, keys)
    composed = oracle.compose(parsed)
    again = oracle.read_bundle(composed)
    assert oracle.compose([again]) == composed
    assert oracle.state_text(oracle.merge([again], keys)) == text
    assert oracle.state_text(oracle.merge([again], [])) == oracle.state_text(
        oracle.merge(parsed, [])
    )
    assert oracle.state_text(oracle.merge_all([b"{", *reversed(raw), raw[0]], keys)[0]) == text

    noisy = oracle.read_bundle(
        oracle.canonical(bundle_of(RECORD, events=["junk"], receipts=[receipt]))
    )
    assert oracle.core_digest([*parsed, noisy], keys) == core
    assert oracle.state_digest(oracle.merge([*parsed, noisy], keys)) != oracle.state_digest(state)
