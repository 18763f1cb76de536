"""Records, keys, receipts, events, bundles and the merge, rule by rule (test oracle)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from . import ed25519
from .json_text import Refused, canonical, canonical_ascii, compact, decode_base64, instant, parse

Json = Any
Object = dict[str, Any]

MERGE_VERSION = "pith-open-graph-merge-v1"

BUILTIN_KEY: Object = {  # K2
    "key_id": "pith-v1-2026-05",
    "algorithm": "ed25519",
    "public_key_hex": "b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3",
    "signer_id": "pith.science",
    "signer_type": "pith_registry",
    "valid_from": None,
    "valid_until": None,
    "event_types": ["*"],
    "may_revoke_others": True,
}

NAMED_TYPES = [  # E4
    "record_created",
    "graph_snapshot",
    "timestamp_anchored",
    "storage_attested",
    "author_claimed",
    "citation_signed",
    "replication_recorded",
    "pith.integrity.v1",
    "challenge_filed",
    "event_revoked",
]


# Small questions about JSON values. A bool is not an integer here.


def is_string(value: Json) -> bool:
    """Whether the value is a string."""
    return isinstance(value, str)


def is_filled_string(value: Json) -> bool:
    """Whether the value is a string that is not empty."""
    return isinstance(value, str) and value != ""


def is_object(value: Json) -> bool:
    """Whether the value is an object."""
    return isinstance(value, dict)


def is_list(value: Json) -> bool:
    """Whether the value is a list."""
    return isinstance(value, list)


def is_list_of_strings(value: Json) -> bool:
    """Whether the value is a list of nothing but strings."""
    return isinstance(value, list) and all(is_string(item) for item in value)


def is_time(value: Json) -> bool:
    """Whether the value is a string and a time (V5)."""
    return isinstance(value, str) and instant(value) is not None


def is_digest(value: Json) -> bool:
    """Whether the value is 64 lowercase hexadecimal digits (V3)."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def is_event_id(value: Json) -> bool:
    """Whether the value fits E1's pattern of an event id."""
    return isinstance(value, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", value) is not None


def is_event_type(value: Json) -> bool:
    """Whether the value fits E1's pattern of an event type."""
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9._]{1,64}", value) is not None


def is_one_of(value: Json, allowed: list[str]) -> bool:
    """Whether the value is one of these strings."""
    return isinstance(value, str) and value in allowed


def equal(a: Json, b: Json) -> bool:
    """Whether two values are equal (V2)."""
    return canonical(a) == canonical(b)


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of bytes, printed (V3)."""
    return hashlib.sha256(data).hexdigest()


def time_of(text: str) -> int:
    """The instant of a text known to be a time."""
    result = instant(text)
    if result is None:
        raise ValueError("not a time")
    return result


def payload_digest(payload: Json) -> str:
    """Payload digest (V4)."""
    return sha256_hex(canonical({"payload": payload}))


# 2 Records


def source_shape_ok(source: Json) -> bool:
    """R1: `source`."""
    if not is_object(source):
        return False
    if sorted(source) != ["id", "kind", "version"]:
        return False
    if not is_filled_string(source["id"]):
        return False
    if not is_filled_string(source["kind"]):
        return False
    if type(source["version"]) is not int:
        return False
    return bool(source["version"] >= 1)


def metadata_shape_ok(metadata: Json) -> bool:
    """R1: `metadata`."""
    if not is_object(metadata):
        return False
    if sorted(metadata) != [
        "abstract_canon_sha256",
        "cross_cats_sorted",
        "license",
        "primary_cat",
        "submitted_at",
        "title_canon_sha256",
    ]:
        return False
    if not is_digest(metadata["abstract_canon_sha256"]):
        return False
    if not is_digest(metadata["title_canon_sha256"]):
        return False
    categories = metadata["cross_cats_sorted"]
    if not is_list_of_strings(categories):
        return False
    for position in range(1, len(categories)):
        if not categories[position - 1] < categories[position]:  # strictly ascending, V6
            return False
    if not is_string(metadata["license"]):
        return False
    if not is_filled_string(metadata["primary_cat"]):
        return False
    return is_time(metadata["submitted_at"])


def record_shape_ok(record: Json) -> bool:
    """R1: exactly these members, each as it must be."""
    if not is_object(record):
        return False
    if sorted(record) != ["metadata", "schema_version", "source"]:
        return False
    if not is_one_of(record["schema_version"], ["1.0"]):
        return False
    if not source_shape_ok(record["source"]):
        return False
    return metadata_shape_ok(record["metadata"])


def record_digest(record: Object) -> str:
    """R2: canonical_sha256 of a record."""
    return sha256_hex(canonical(record))


def suffix_of(record: Object) -> str:
    """R3: the suffix."""
    raw = hashlib.sha256(canonical(record)).digest()
    return base64.b32encode(raw).decode("ascii")[:26]


def pith_number_of(record: Object) -> str:
    """R3: the Pith Number."""
    submitted_at: str = record["metadata"]["submitted_at"]
    return "pith:" + submitted_at[:4] + ":" + suffix_of(record)


def short_pith_number_of(record: Object) -> str:
    """R3: the short form."""
    return "pith:" + suffix_of(record)[:8]


def is_pith_number(value: Json) -> bool:
    """R3: the pattern."""
    return isinstance(value, str) and re.fullmatch(r"pith:[0-9]{4}:[A-Z2-7]{26}", value) is not None


def aliases_of(record: Object) -> list[tuple[str, str]]:
    """R4: (alias_kind, alias_value), ascending by kind."""
    source_id: str = record["source"]["id"]
    version: int = record["source"]["version"]
    suffix = suffix_of(record)
    aliases: list[tuple[str, str]] = []
    if record["source"]["kind"] == "arxiv":
        aliases.append(("arxiv", source_id))
        aliases.append(("arxiv_version", source_id + "v" + str(version)))
        aliases.append(("doi", "10.48550/arxiv." + source_id))
    aliases.append(("pith_short_12", suffix[:12]))
    aliases.append(("pith_short_16", suffix[:16]))
    aliases.append(("pith_short_8", suffix[:8]))
    return aliases


# 3 Keys and signatures


def fingerprint(key: Object) -> str:
    """K1: the first 32 hex digits of sha256(key)."""
    return sha256_hex(bytes.fromhex(key["public_key_hex"]))[:32]


def builtin_keys() -> list[Object]:
    """K2: the built-in key set."""
    return [dict(BUILTIN_KEY)]


def key_shape_ok(item: Json) -> bool:
    """K2: whether a key has no fault."""
    if not is_object(item):
        return False
    for name in [
        "key_id",
        "algorithm",
        "public_key_hex",
        "signer_id",
        "signer_type",
        "valid_from",
        "valid_until",
        "event_types",
    ]:
        if name not in item:
            return False
    for name in ["key_id", "signer_id", "signer_type"]:
        if not is_filled_string(item[name]):
            return False
    if not is_one_of(item["algorithm"], ["ed25519"]):
        return False
    if not is_digest(item["public_key_hex"]):  # 64 lowercase hex digits
        return False
    if not ed25519.public_key_ok(bytes.fromhex(item["public_key_hex"])):
        return False
    for name in ["valid_from", "valid_until"]:
        if item[name] is not None and not is_time(item[name]):
            return False
    if not is_list_of_strings(item["event_types"]):
        return False
    return "may_revoke_others" not in item or isinstance(item["may_revoke_others"], bool)


def read_key(item: Json) -> Object:
    """K2: one key, with exactly the members that K3 writes; or Refused."""
    if not key_shape_ok(item):
        raise Refused("keys.shape")
    may_revoke_others = False
    if "may_revoke_others" in item:
        may_revoke_others = item["may_revoke_others"]
    return {
        "key_id": item["key_id"],
        "algorithm": item["algorithm"],
        "public_key_hex": item["public_key_hex"],
        "signer_id": item["signer_id"],
        "signer_type": item["signer_type"],
        "valid_from": item["valid_from"],
        "valid_until": item["valid_until"],
        "event_types": item["event_types"],
        "may_revoke_others": may_revoke_others,
    }


def load_keys(data: bytes) -> list[Object]:
    """K2: the built-in keys and those of a key set file; or Refused, whole."""
    file = parse(data)
    if not is_object(file):
        raise Refused("keys.shape")
    if "keys" not in file:
        raise Refused("keys.shape")
    if not is_list(file["keys"]):
        raise Refused("keys.shape")
    read = builtin_keys()
    for item in file["keys"]:
        read.append(read_key(item))
    keys: list[Object] = []
    for key in read:
        already = False
        for other in keys:
            if other["key_id"] == key["key_id"]:
                if not equal(other, key):  # differ as K3 writes them
                    raise Refused("keys.conflict")
                already = True
        if not already:
            keys.append(key)
    return keys


def key_set_digest(keys: list[Object]) -> str:
    """K3: the key set digest."""
    return sha256_hex(canonical(sorted(keys, key=lambda key: str(key["key_id"]))))


def find_key(keys: list[Object], key_id: str) -> Object | None:
    """The key of this id, if the set has one."""
    for key in keys:
        if key["key_id"] == key_id:
            return key
    return None


def key_may_sign(key: Object, event_type: str) -> bool:
    """K2: event_types."""
    return "*" in key["event_types"] or event_type in key["event_types"]


def in_window(key: Object, when: int) -> bool:
    """K2: from inclusive, until exclusive."""
    if key["valid_from"] is not None and when < time_of(key["valid_from"]):
        return False
    return key["valid_until"] is None or when < time_of(key["valid_until"])


def signature_ok(key: Object, message: bytes, signature_b64: str) -> bool:
    """V6 and S1 with this key."""
    signature = decode_base64(signature_b64)
    if signature is None:
        return False
    return ed25519.verify(bytes.fromhex(key["public_key_hex"]), message, signature)


def receipt_code(receipt: Json, record: Object, keys: list[Object]) -> str | None:
    """S2: the first code that applies to a receipt, or None."""
    # receipt.shape
    if not is_object(receipt):
        return "receipt.shape"
    for name in ["kind", "key_id", "algorithm", "signed_at", "signature_b64"]:
        if name not in receipt:
            return "receipt.shape"
    if not is_one_of(receipt["kind"], ["pith_receipt"]):
        return "receipt.shape"
    if not is_one_of(receipt["algorithm"], ["ed25519"]):
        return "receipt.shape"
    if not is_string(receipt["key_id"]):
        return "receipt.shape"
    if not is_string(receipt["signature_b64"]):
        return "receipt.shape"
    if not is_time(receipt["signed_at"]):
        return "receipt.shape"
    # receipt.key_unknown
    key = find_key(keys, receipt["key_id"])
    if key is None:
        return "receipt.key_unknown"
    # receipt.role
    if not key_may_sign(key, "record_created"):
        return "receipt.role"
    # receipt.key_window
    if not in_window(key, time_of(receipt["signed_at"])):
        return "receipt.key_window"
    # receipt.signature
    message = bytes.fromhex(record_digest(record))
    if not signature_ok(key, message, receipt["signature_b64"]):
        return "receipt.signature"
    return None


# S4


def finding_codes(finding: Json, keys: list[Object]) -> list[str]:
    """S4: all codes of an integrity finding, the first check that fails before the evidence.

    A key that may not sign the type, or not at `created_at`, counts as unknown (Reading).
    """
    if not finding_shape_ok(finding):
        return ["finding.shape"]
    codes = []
    if (
        "payload" in finding
        and sha256_hex(canonical_ascii(finding["payload"])) != finding["payload_sha256"]
    ):
        codes.append("finding.payload")
    elif not finding_signers(finding, keys):
        codes.append("finding.key_unknown")
    elif not any(
        signature_ok(key, bytes.fromhex(finding["payload_sha256"]), finding["signature_b64"])
        for key in finding_signers(finding, keys)
    ):
        codes.append("finding.signature")
    elif "payload" not in finding:
        codes.append("finding.unbound")
    payload = finding.get("payload", {})
    if "evidence" in payload or "evidence_hash" in payload:
        hashed = {"d": payload.get("detector"), "e": payload.get("evidence")}
        if payload.get("evidence_hash") != sha256_hex(canonical_ascii(hashed)):
            codes.append("finding.evidence")
    return codes


def finding_shape_ok(finding: Json) -> bool:
    """S4: the members of a finding; `payload` may be absent."""
    return (
        is_object(finding)
        and is_event_type(finding.get("event_type"))
        and is_digest(finding.get("payload_sha256"))
        and is_string(finding.get("signature_b64"))
        and is_string(finding.get("signing_key_id"))
        and isinstance(finding.get("event_id"), int)
        and finding["event_id"] is not True
        and finding["event_id"] is not False
        and is_time(finding.get("created_at"))
        and ("payload" not in finding or is_object(finding["payload"]))
        and len(canonical(finding)) <= 1_048_576
    )


def finding_signers(finding: Object, keys: list[Object]) -> list[Object]:
    """S4: the keys that a finding names and that may have signed it."""
    name = finding["signing_key_id"]
    named = [key for key in keys if key["key_id"] == name]
    if named == []:
        named = [key for key in keys if name in (fingerprint(key), key["public_key_hex"])]
    event_type = finding["event_type"]
    if "payload" in finding and is_string(finding["payload"].get("event_type")):
        event_type = finding["payload"]["event_type"]
    return [
        key
        for key in named
        if key_may_sign(key, event_type) and in_window(key, time_of(finding["created_at"]))
    ]


# 4 Events


def nesting(value: Json) -> int:
    """How deep arrays and objects nest, the value itself being 1."""
    deepest = 0
    if isinstance(value, dict):
        for name in value:
            deepest = max(deepest, nesting(value[name]))
        return 1 + deepest
    if isinstance(value, list):
        for item in value:
            deepest = max(deepest, nesting(item))
        return 1 + deepest
    return 0


def signer_shape_ok(signer: Json) -> bool:
    """E1: `signer`."""
    if not is_object(signer):
        return False
    for name in ["key_id", "public_key_fingerprint", "signer_id", "signer_type"]:
        if name not in signer or not is_filled_string(signer[name]):
            return False
    return True


def event_shape_ok(event: Json) -> bool:
    """E1, as far as E3's first check asks for it."""
    if not is_object(event):
        return False
    for name in [
        "event_type",
        "subject_pith_number",
        "target",
        "payload",
        "created_at",
        "signer",
        "event_id",
        "signature",
    ]:
        if name not in event:
            return False
    if not is_event_type(event["event_type"]):
        return False
    if not is_pith_number(event["subject_pith_number"]):
        return False
    if not is_string(event["target"]) or not 1 <= len(event["target"]) <= 128:
        return False
    if not is_object(event["payload"]):
        return False
    if not is_string(event["created_at"]):  # E3: only a string
        return False
    if not signer_shape_ok(event["signer"]):
        return False
    if not is_event_id(event["event_id"]):
        return False
    if not is_object(event["signature"]):  # E3: only an object
        return False
    if len(canonical(event)) > 1_048_576:
        return False
    return nesting(event["payload"]) <= 32


def event_digest(event: Object) -> str:
    """E2: the event digest."""
    rest: Object = {}
    for name in event:
        if name not in ["event_id", "signature"]:
            rest[name] = event[name]
    return sha256_hex(canonical(rest))


def event_signature_ok(event: Object, key: Object) -> bool:
    """E1's `signature`, V6 and S1 over the raw digest (S3)."""
    signature = event["signature"]
    if sorted(signature) != ["algorithm", "signature_b64"]:
        return False
    if not is_one_of(signature["algorithm"], ["ed25519"]):
        return False
    if not is_string(signature["signature_b64"]):
        return False
    return signature_ok(key, bytes.fromhex(event_digest(event)), signature["signature_b64"])


def has_string(payload: Object, name: str) -> bool:
    """E4: a member that must be there and be a string."""
    return name in payload and is_string(payload[name])


def absent_or_string(payload: Object, name: str) -> bool:
    """E4: an optional member may be absent, not null."""
    return name not in payload or is_string(payload[name])


def has_one_of(payload: Object, name: str, allowed: list[str]) -> bool:
    """E4: a member that must be there with one of these values."""
    return name in payload and is_one_of(payload[name], allowed)


def has_digest(payload: Object, name: str) -> bool:
    """E4: a member that must be there and be a digest."""
    return name in payload and is_digest(payload[name])


def has_time(payload: Object, name: str) -> bool:
    """E4: a member that must be there and be a time."""
    return name in payload and is_time(payload[name])


def has_object(payload: Object, name: str) -> bool:
    """E4: a member that must be there and be an object."""
    return name in payload and is_object(payload[name])


def payload_fits(event: Object, record: Object, keys: list[Object]) -> bool:
    """E4: whether target and payload fit the row of this type."""
    event_type: str = event["event_type"]
    target: str = event["target"]
    payload: Object = event["payload"]
    if event_type == "record_created":
        return (
            target == "record"
            and "canonical_record" in payload
            and equal(payload["canonical_record"], record)
            and has_one_of(payload, "canonical_sha256", [record_digest(record)])
            and "receipt" in payload
            and receipt_code(payload["receipt"], record, keys) is None
        )
    if event_type == "graph_snapshot":
        return target == "graph" and has_object(payload, "graph_snapshot")
    if event_type == "timestamp_anchored":
        return (
            target == "record"
            and has_one_of(payload, "method", ["opentimestamps", "rfc3161", "other"])
            and has_one_of(payload, "digest", [record_digest(record)])
            and has_string(payload, "proof_b64")
            and decode_base64(payload["proof_b64"]) is not None
            and absent_or_string(payload, "calendar")
        )
    if event_type == "storage_attested":
        return (
            target == "record"
            and has_string(payload, "archive")
            and has_string(payload, "url")
            and has_time(payload, "captured_at")
        )
    if event_type == "author_claimed":
        return (
            target == "record"
            and has_string(payload, "claimant_id")
            and has_one_of(payload, "method", ["orcid", "apple", "x", "email", "key"])
            and has_one_of(payload, "strength", ["strong", "weak"])
            and has_one_of(payload, "status", ["claimed", "withdrawn"])
        )
    if event_type == "citation_signed":
        return (
            target == "record"
            and has_string(payload, "citing")
            and has_string(payload, "asserted_by")
            and has_one_of(
                payload,
                "relationship",
                [
                    "supports",
                    "refutes",
                    "extends",
                    "uses_method",
                    "depends_on",
                    "replaces",
                    "compares",
                    "cites",
                ],
            )
            and has_one_of(payload, "status", ["asserted", "withdrawn"])
            and absent_or_string(payload, "claim_id")
        )
    if event_type == "replication_recorded":
        return (
            target == "record"
            and has_one_of(payload, "kind", ["replication", "falsification", "formal_bridge"])
            and has_string(payload, "asserted_by")
            and has_string(payload, "url")
            and has_one_of(payload, "status", ["asserted", "withdrawn"])
            and absent_or_string(payload, "claim_id")
        )
    if event_type == "pith.integrity.v1":
        return (
            target == "integrity"
            and has_one_of(payload, "event_type", ["pith.integrity.v1"])
            and has_string(payload, "detector")
            and has_string(payload, "detector_version")
            and re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", payload["detector_version"]) is not None
            and has_string(payload, "finding_type")
            and has_one_of(
                payload,
                "verdict_class",
                ["incontrovertible", "cross_source", "threshold_with_margin", "rescinded"],
            )
            and has_one_of(payload, "severity", ["critical", "advisory", "informational"])
            and has_string(payload, "arxiv_id")
            and has_digest(payload, "evidence_hash")
            and has_object(payload, "evidence")
            and has_time(payload, "audited_at")
        )
    if event_type == "challenge_filed":
        return (
            target == "record"
            and has_string(payload, "challenge_id")
            and has_string(payload, "asserted_by")
            and has_one_of(
                payload,
                "about",
                ["claim", "reference", "attribution", "data_point", "figure"],
            )
            and has_string(payload, "note")
            and has_one_of(payload, "status", ["open", "withdrawn"])
        )
    if event_type == "event_revoked":
        return (
            target == "event"
            and "event_id" in payload
            and is_event_id(payload["event_id"])
            and has_string(payload, "reason")
        )
    return True  # any other type


def slot_key(event: Object) -> list[str | None]:
    """E4: the slot key of a valid event; [] for the types marked log."""
    event_type: str = event["event_type"]
    names: list[str] = []
    if event_type == "timestamp_anchored":
        names = ["method", "calendar"]
    if event_type == "storage_attested":
        names = ["archive", "url"]
    if event_type == "author_claimed":
        names = ["claimant_id"]
    if event_type == "citation_signed":
        names = ["asserted_by", "citing", "relationship", "claim_id"]
    if event_type == "replication_recorded":
        names = ["asserted_by", "kind", "claim_id", "url"]
    if event_type == "pith.integrity.v1":
        names = ["evidence_hash"]
    if event_type == "challenge_filed":
        names = ["challenge_id"]
    key: list[str | None] = []
    for name in names:
        if name in event["payload"]:
            key.append(event["payload"][name])
        else:
            key.append(None)
    return key


def verdict(event: Json, record: Object, keys: list[Object]) -> str | None:
    """E3: the code of the first check that fails, or None for a valid event."""
    # 1 event.shape
    if not event_shape_ok(event):
        return "event.shape"
    # 2 event.id
    if event["event_id"] != "sha256:" + event_digest(event):
        return "event.id"
    # 3 event.subject
    if event["subject_pith_number"] != pith_number_of(record):
        return "event.subject"
    # 4 event.time
    if not is_time(event["created_at"]):
        return "event.time"
    # 5 event.key_unknown
    key = find_key(keys, event["signer"]["key_id"])
    if key is None:
        return "event.key_unknown"
    # 6 event.key_mismatch
    if event["signer"]["public_key_fingerprint"] != fingerprint(key):
        return "event.key_mismatch"
    if event["signer"]["signer_id"] != key["signer_id"]:
        return "event.key_mismatch"
    if event["signer"]["signer_type"] != key["signer_type"]:
        return "event.key_mismatch"
    # 7 event.key_window
    if not in_window(key, time_of(event["created_at"])):
        return "event.key_window"
    # 8 event.signature
    if not event_signature_ok(event, key):
        return "event.signature"
    # 9 event.role
    if not key_may_sign(key, event["event_type"]):
        return "event.role"
    # 10 event.payload
    if not payload_fits(event, record, keys):
        return "event.payload"
    return None


# 6 Bundles


def bundle_shape_ok(bundle: Json) -> bool:
    """B1: the members and their types."""
    if not is_object(bundle):
        return False
    for name in [
        "bundle_type",
        "bundle_version",
        "pith_number",
        "short_pith_number",
        "canonical_sha256",
    ]:
        if name not in bundle or not is_string(bundle[name]):
            return False
    for name in ["canonical_record", "source"]:
        if name not in bundle or not is_object(bundle[name]):
            return False
    for name in ["source_aliases", "events"]:
        if name not in bundle or not is_list(bundle[name]):
            return False
    return "receipts" not in bundle or is_list(bundle["receipts"])


def read_bundle(data: bytes) -> Object:
    """B2: the bundle, or Refused with the first code."""
    bundle: Object = parse(data)  # V1 codes
    if not bundle_shape_ok(bundle):
        raise Refused("bundle.shape")
    if bundle["bundle_type"] != "pith_open_graph_bundle":
        raise Refused("bundle.type")
    if bundle["bundle_version"] != "1.0":
        raise Refused("bundle.version")
    if not record_shape_ok(bundle["canonical_record"]):
        raise Refused("record.shape")
    if bundle["canonical_sha256"] != record_digest(bundle["canonical_record"]):
        raise Refused("record.digest")
    if bundle["pith_number"] != pith_number_of(bundle["canonical_record"]):
        raise Refused("record.number")
    return bundle


def alias_ok(item: Json, aliases: list[tuple[str, str]]) -> bool:
    """B3: whether an item of source_aliases is a claim that is merged, of these aliases (R4)."""
    if not is_object(item):
        return False
    for name in ["alias_kind", "alias_value", "created_at"]:
        if name not in item or not is_string(item[name]):
            return False
    if (item["alias_kind"], item["alias_value"]) not in aliases:
        return False
    return is_time(item["created_at"])


def receipts_in(bundle: Object) -> list[Json]:
    """B1: the receipts outside any event."""
    receipts: list[Json] = []
    if "receipts" in bundle:
        receipts.extend(bundle["receipts"])
    return receipts


def findings(bundle: Object, keys: list[Object]) -> list[tuple[str, str]]:
    """B3: (JSON Pointer, code) of all that is only reported."""
    record = bundle["canonical_record"]
    found: list[tuple[str, str]] = []
    if bundle["short_pith_number"] != short_pith_number_of(record):
        found.append(("/short_pith_number", "bundle.short"))
    if not equal(bundle["source"], record["source"]):
        found.append(("/source", "bundle.source"))
    aliases = aliases_of(record)
    for position, item in enumerate(bundle["source_aliases"]):
        if not alias_ok(item, aliases):
            found.append((f"/source_aliases/{position}", "bundle.alias"))
    for position, receipt in enumerate(receipts_in(bundle)):
        code = receipt_code(receipt, record, keys)
        if code is not None:
            found.append((f"/receipts/{position}", code))
    for position, event in enumerate(bundle["events"]):
        code = verdict(event, record, keys)
        if code is not None:
            found.append((f"/events/{position}", code))
    return found


def distinct(values: list[Json]) -> list[Json]:
    """The values without repetitions, ascending by canonical bytes."""
    by_text: dict[bytes, Json] = {}
    for value in values:
        by_text.setdefault(canonical(value), value)
    return [by_text[text] for text in sorted(by_text)]


def record_of(bundles: list[Object]) -> Object:
    """The one record that all these bundles are of."""
    if len(bundles) == 0:
        raise ValueError("no bundle")
    record: Object = bundles[0]["canonical_record"]
    for bundle in bundles:
        if not equal(bundle["canonical_record"], record):
            raise ValueError("bundles of several records")
    return record


def distinct_events(bundles: list[Object]) -> list[Json]:
    """M1: the distinct values in all the events lists."""
    values: list[Json] = []
    for bundle in bundles:
        values.extend(bundle["events"])
    return distinct(values)


def distinct_receipts(bundles: list[Object]) -> list[Json]:
    """B6: the distinct values in all the receipts lists."""
    values: list[Json] = []
    for bundle in bundles:
        values.extend(receipts_in(bundle))
    return distinct(values)


def distinct_claims(bundles: list[Object]) -> list[Object]:
    """B3, B6: the distinct alias claims that are merged, each its three members and no others."""
    aliases = aliases_of(record_of(bundles))
    claims: list[Json] = []
    for bundle in bundles:
        for item in bundle["source_aliases"]:
            if alias_ok(item, aliases):
                claim: Object = {}
                for name in ["alias_kind", "alias_value", "created_at"]:
                    claim[name] = item[name]
                claims.append(claim)
    return distinct(claims)


def compose(bundles: list[Object]) -> bytes:
    """B6: the composed bundle."""
    record = record_of(bundles)
    with_time: list[Json] = []
    without_time: list[Json] = []
    for value in distinct_events(bundles):
        if is_object(value) and "created_at" in value and is_time(value["created_at"]):
            with_time.append(value)
        else:
            without_time.append(value)
    with_time.sort(key=lambda value: (time_of(value["created_at"]), sha256_hex(canonical(value))))
    without_time.sort(key=lambda value: sha256_hex(canonical(value)))
    members: list[tuple[str, Json]] = [
        ("bundle_type", "pith_open_graph_bundle"),
        ("bundle_version", "1.0"),
        ("pith_number", pith_number_of(record)),
        ("short_pith_number", short_pith_number_of(record)),
        ("canonical_record", record),
        ("canonical_sha256", record_digest(record)),
        ("source", record["source"]),
        ("source_aliases", distinct_claims(bundles)),
        ("events", with_time + without_time),
    ]
    receipts = distinct_receipts(bundles)
    if len(receipts) > 0:
        members.append(("receipts", receipts))
    texts: list[bytes] = []
    for name, value in members:
        texts.append(canonical(name) + b":" + canonical(value))
    return b"{" + b",".join(texts) + b"}\n"


# 5 Merge


def valid_events(bundles: list[Object], keys: list[Object]) -> list[Object]:
    """M1, M2: the valid events, one for each event_id, in M2 order."""
    record = record_of(bundles)
    events: list[Object] = []
    for value in distinct_events(bundles):
        if verdict(value, record, keys) is None:
            already = False
            for event in events:
                if event["event_id"] == value["event_id"]:
                    already = True
            if not already:
                events.append(value)
    events.sort(key=lambda event: (time_of(event["created_at"]), str(event["event_id"])))
    return events


def invalid_values(bundles: list[Object], keys: list[Object]) -> list[Json]:
    """M1: the distinct invalid values."""
    record = record_of(bundles)
    values = distinct_events(bundles)
    return [value for value in values if verdict(value, record, keys) is not None]


def same_authority(a: Object, b: Object) -> bool:
    """M3: one authority is one (signer_id, signer_type)."""
    return bool(
        a["signer"]["signer_id"] == b["signer"]["signer_id"]
        and a["signer"]["signer_type"] == b["signer"]["signer_type"]
    )


def revoked_by(event: Object, valid: list[Object], keys: list[Object]) -> list[str]:
    """M3: the ids of the revocations of an event, ascending."""
    ids: list[str] = []
    if event["event_type"] == "event_revoked":  # a revocation cannot be revoked
        return ids
    for revocation in valid:
        if revocation["event_type"] != "event_revoked":
            continue
        if revocation["payload"]["event_id"] != event["event_id"]:
            continue
        key = find_key(keys, revocation["signer"]["key_id"])
        if key is None:
            raise AssertionError("a valid event has a known key")
        if same_authority(revocation, event) or key["may_revoke_others"] is True:
            ids.append(revocation["event_id"])
    return sorted(ids)


def equivocations_of(valid: list[Object]) -> list[Object]:
    """M4, M9: the equivocations, ascending by first event id."""
    groups: list[list[Object]] = []
    for event in valid:
        if event["event_type"] not in NAMED_TYPES or event["event_type"] == "event_revoked":
            continue
        placed = False
        for group in groups:
            first = group[0]
            if (
                same_authority(first, event)
                and first["event_type"] == event["event_type"]
                and equal(slot_key(first), slot_key(event))
                and time_of(first["created_at"]) == time_of(event["created_at"])
            ):
                group.append(event)
                placed = True
        if not placed:
            groups.append([event])
    entries: list[Object] = []
    for group in groups:
        digests: list[str] = []
        for event in group:
            if payload_digest(event["payload"]) not in digests:
                digests.append(payload_digest(event["payload"]))
        if len(digests) < 2:
            continue
        by_id = sorted(group, key=lambda event: str(event["event_id"]))
        entries.append(
            {
                "event_type": by_id[0]["event_type"],
                "slot_key": slot_key(by_id[0]),
                "signer_id": by_id[0]["signer"]["signer_id"],
                "signer_type": by_id[0]["signer"]["signer_type"],
                "created_at": by_id[0]["created_at"],
                "event_ids": [event["event_id"] for event in by_id],
            }
        )
    return sorted(entries, key=lambda entry: str(entry["event_ids"][0]))


def last_word(event: Object, valid: list[Object]) -> Object | None:
    """M5: the last word of the event's slot, or None for a type without slots."""
    if slot_key(event) == []:
        return None
    last: Object | None = None
    for other in valid:  # in M2 order
        if (
            same_authority(other, event)
            and other["event_type"] == event["event_type"]
            and equal(slot_key(other), slot_key(event))
        ):
            last = other
    return last


def is_withdrawn(event: Object) -> bool:
    """M5: whether the event withdraws, for the types where E4 lists it."""
    if event["event_type"] in [
        "author_claimed",
        "citation_signed",
        "replication_recorded",
        "challenge_filed",
    ]:
        return bool(event["payload"]["status"] == "withdrawn")
    if event["event_type"] == "pith.integrity.v1":
        return bool(event["payload"]["verdict_class"] == "rescinded")
    return False


def retirement(event: Object, valid: list[Object], keys: list[Object]) -> Object | None:
    """M11: the entry of an event in retired_events, or None."""
    if event["event_type"] == "event_revoked":
        return None
    event_id = event["event_id"]
    revocations = revoked_by(event, valid, keys)
    if len(revocations) > 0:
        return {"event_id": event_id, "reason": "revoked", "by": revocations}
    last = last_word(event, valid)
    if last is not None and last["event_id"] != event_id:
        return {"event_id": event_id, "reason": "superseded", "by": [last["event_id"]]}
    if last is not None and is_withdrawn(event):
        return {"event_id": event_id, "reason": "withdrawn", "by": []}
    return None


def with_sorted_members(value: Json) -> Json:
    """M6: members sorted at every depth."""
    if isinstance(value, dict):
        result: Object = {}
        for name in sorted(value):
            result[name] = with_sorted_members(value[name])
        return result
    if isinstance(value, list):
        return [with_sorted_members(item) for item in value]
    return value


def entry_of(event: Object) -> Object:
    """M6: an event as the lists of `current` print it."""
    entry: Object = {"event_id": event["event_id"]}
    if event["event_type"] not in NAMED_TYPES:  # in other_events
        entry["event_type"] = event["event_type"]
    entry["target"] = event["target"]
    entry["created_at"] = event["created_at"]
    entry["signer"] = {
        "key_id": event["signer"]["key_id"],
        "public_key_fingerprint": event["signer"]["public_key_fingerprint"],
        "signer_id": event["signer"]["signer_id"],
        "signer_type": event["signer"]["signer_type"],
    }
    entry["payload"] = with_sorted_members(event["payload"])
    return entry


def entries_of(event_type: str, valid: list[Object], keys: list[Object]) -> list[Object]:
    """M6: the valid events of a type that are not retired, in M2 order."""
    return [
        entry_of(event)
        for event in valid
        if event["event_type"] == event_type and retirement(event, valid, keys) is None
    ]


def other_entries(valid: list[Object], keys: list[Object]) -> list[Object]:
    """M6: other_events, the types that E4 does not name."""
    return [
        entry_of(event)
        for event in valid
        if event["event_type"] not in NAMED_TYPES and retirement(event, valid, keys) is None
    ]


def unrevoked_creations(valid: list[Object], keys: list[Object]) -> list[Object]:
    """M7, M8, M12: the valid, unrevoked record_created events in M2 order."""
    return [
        event
        for event in valid
        if event["event_type"] == "record_created" and revoked_by(event, valid, keys) == []
    ]


def source_aliases_of(
    bundles: list[Object], valid: list[Object], keys: list[Object]
) -> list[Object]:
    """M7: source_aliases of the state."""
    record = record_of(bundles)
    f: str | None = None
    creations = unrevoked_creations(valid, keys)
    if len(creations) > 0:
        # The earliest, cut to whole seconds: V5 has nothing but the fraction and the ending there.
        f = creations[0]["created_at"][:19] + "Z"
    entries: list[Object] = []
    for kind, value in aliases_of(record):
        times: list[str] = []
        for claim in distinct_claims(bundles):
            if claim["alias_kind"] != kind or claim["alias_value"] != value:
                continue
            if f is not None and time_of(claim["created_at"]) < time_of(f):
                continue  # before F so cut: ignored
            times.append(claim["created_at"])
        created_at: str | None = f
        if len(times) > 0:
            # The earliest instant; of one instant the lesser string.
            times.sort(key=lambda text: (time_of(text), text))
            created_at = times[0]
        entries.append({"alias_kind": kind, "alias_value": value, "created_at": created_at})
    return entries


def receipt_of(bundles: list[Object], valid: list[Object], keys: list[Object]) -> Object | None:
    """M8: the receipt of the state, or None."""
    creations = unrevoked_creations(valid, keys)
    if len(creations) > 0:
        receipt = creations[0]["payload"]["receipt"]
        return {
            "algorithm": receipt["algorithm"],
            "key_id": receipt["key_id"],
            "kind": receipt["kind"],
            "signature_b64": receipt["signature_b64"],
            "signed_at": receipt["signed_at"],
        }
    record = record_of(bundles)
    receipts = distinct_receipts(bundles)
    passing = [one for one in receipts if receipt_code(one, record, keys) is None]
    if len(passing) == 0:
        return None
    passing.sort(key=lambda receipt: (str(receipt["key_id"]), str(receipt["signature_b64"])))
    least = passing[0]
    return {
        "algorithm": least["algorithm"],
        "key_id": least["key_id"],
        "kind": least["kind"],
        "signature_b64": least["signature_b64"],
        "signed_at": None,
    }


def merge(bundles: list[Object], keys: list[Object]) -> Object:
    """M6: the state of bundles of one record."""
    record = record_of(bundles)
    valid = valid_events(bundles, keys)
    invalid = invalid_values(bundles, keys)
    equivocations = equivocations_of(valid)
    # M10
    invalid_events: list[Object] = []
    for value in invalid:
        digest = sha256_hex(canonical(value))
        invalid_events.append({"digest": digest, "code": verdict(value, record, keys)})
    invalid_events.sort(key=lambda entry: str(entry["digest"]))
    # M11
    retired_events: list[Object] = []
    for event in valid:
        retired = retirement(event, valid, keys)
        if retired is not None:
            retired_events.append(retired)
    retired_events.sort(key=lambda entry: str(entry["event_id"]))
    # M6
    return {
        "state_type": "pith_open_graph_state",
        "state_version": "1.0",
        "pith_number": pith_number_of(record),
        "merge_version": MERGE_VERSION,
        "event_count": len(valid) + len(invalid),
        "valid_event_count": len(valid),
        "invalid_event_count": len(invalid),
        "equivocation_count": len(equivocations),
        "current": {
            "canonical_record": with_sorted_members(record),
            "source_aliases": source_aliases_of(bundles, valid, keys),
            "graph_snapshots": entries_of("graph_snapshot", valid, keys),
            "receipt": receipt_of(bundles, valid, keys),
            "timestamps": entries_of("timestamp_anchored", valid, keys),
            "storage_attestations": entries_of("storage_attested", valid, keys),
            "author_claims": entries_of("author_claimed", valid, keys),
            "citations": entries_of("citation_signed", valid, keys),
            "replications": entries_of("replication_recorded", valid, keys),
            "integrity_findings": entries_of("pith.integrity.v1", valid, keys),
            "challenges": entries_of("challenge_filed", valid, keys),
            "other_events": other_entries(valid, keys),
        },
        "equivocations": equivocations,
        "invalid_events": invalid_events,
        "retired_events": retired_events,
    }


def merge_all(raw_bundles: list[bytes], keys: list[Object]) -> list[Object]:
    """The states of all records in raw bundles, ascending by Pith Number; refused ones skipped."""
    groups: list[list[Object]] = []
    for data in raw_bundles:
        try:
            bundle = read_bundle(data)
        except Refused:
            continue
        placed = False
        for group in groups:
            if group[0]["canonical_sha256"] == bundle["canonical_sha256"]:
                group.append(bundle)
                placed = True
        if not placed:
            groups.append([bundle])
    states = [merge(group, keys) for group in groups]
    return sorted(states, key=lambda state: str(state["pith_number"]))


def state_text(state: Object) -> bytes:
    """M13: the text of a state."""
    return compact(state) + b"\n"


def state_digest(state: Object) -> str:
    """M12: the state digest."""
    return sha256_hex(canonical(state))


def core_digest(bundles: list[Object], keys: list[Object]) -> str:
    """M12: the core digest."""
    state = merge(bundles, keys)
    creations = unrevoked_creations(valid_events(bundles, keys), keys)
    current: Object = {}
    for name in state["current"]:
        if name != "source_aliases":
            current[name] = state["current"][name]
    current["receipt"] = None
    if len(creations) > 0:
        current["receipt"] = creations[0]["payload"]["receipt"]["key_id"]
    core: Object = {
        "pith_number": state["pith_number"],
        "canonical_sha256": record_digest(record_of(bundles)),
        "merge_version": state["merge_version"],
        "valid_event_count": state["valid_event_count"],
        "equivocation_count": state["equivocation_count"],
        "current": current,
        "equivocations": state["equivocations"],
        "retired_events": state["retired_events"],
    }
    return sha256_hex(canonical(core))
