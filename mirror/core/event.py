"""Events: the envelope, the digest, the types, and the verdict (rules E1 to E4, S3).

Any JSON value in a bundle's `events` gets a verdict: the first check that fails, in the order of
E3, is its one code; an event with none is valid. `judge` is the only maker of verdicts. A store
that remembers one gives it back through `ValidEvent.of` or `InvalidEvent`; nothing else should.

What a payload must hold, type by type, is the table of `mirror.core.event_types` (E4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from mirror.core.event_types import EVENT_TYPES, RECORD_CREATED, Context, is_event_id
from mirror.core.keys import Key, KeySet
from mirror.core.receipt import key_ids_of_receipt
from mirror.core.record import Record, is_pith_number
from mirror.core.values import Object, Value, canonical, depth, instant, sha256

__all__ = [
    "EVENT_CODES",
    "KEY_FREE_CODES",
    "Event",
    "InvalidEvent",
    "RawEvent",
    "ValidEvent",
    "event_digest",
    "judge",
    "key_ids_of_event",
]

MAX_EVENT_BYTES = 1_048_576
"""Canonical bytes of a whole event, `event_id` and `signature` included (E1)."""

MAX_PAYLOAD_DEPTH = 32
"""Nesting of `payload`, itself being 1 (E1)."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A value of a bundle's `events` before its verdict, encoded once for all that need it."""

    value: Value
    encoded: bytes
    """Its canonical bytes (V2)."""
    digest: bytes
    """sha256(encoded), 32 raw bytes."""

    @classmethod
    def of(cls, value: Value) -> RawEvent:
        """Encode and hash `value`."""
        encoded = canonical(value)
        return cls(value, encoded, sha256(encoded))


# What verdicts give --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ValidEvent:
    """An event that passed every check of E3, with what the merge asks of it."""

    value: Object
    """The event as it came."""
    digest: bytes
    """sha256(canonical(value)), 32 raw bytes; not the event digest, which leaves out the id."""
    event_id: str
    event_type: str
    instant: int
    """`created_at` in microseconds."""
    key_id: str
    authority: tuple[str, str]
    """(`signer_id`, `signer_type`): who speaks, whichever key it used."""
    payload: Object
    slot_key: tuple[str | None, ...]
    """What the event speaks of (E4); `()` for a log."""

    @classmethod
    def of(cls, value: Object, digest: bytes) -> ValidEvent:
        """Take an event that `judge` found valid, now or when a store kept its verdict."""
        signer = cast("dict[str, str]", value["signer"])
        payload = cast("Object", value["payload"])
        event_type = cast("str", value["event_type"])
        kind = EVENT_TYPES.get(event_type)
        return cls(
            value=value,
            digest=digest,
            event_id=cast("str", value["event_id"]),
            event_type=event_type,
            instant=cast("int", instant(value["created_at"])),
            key_id=signer["key_id"],
            authority=(signer["signer_id"], signer["signer_type"]),
            payload=payload,
            slot_key=() if kind is None else kind.slot_key(payload),
        )

    @property
    def order(self) -> tuple[int, str]:
        """The order of M2: by instant, then by id."""
        return self.instant, self.event_id

    @property
    def is_withdrawn(self) -> bool:
        """Whether the event's own words take it back (M5)."""
        kind = EVENT_TYPES.get(self.event_type)
        return kind is not None and kind.is_withdrawn(self.payload)


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A value of a bundle's `events` that failed a check of E3."""

    value: Value
    digest: bytes
    """sha256(canonical(value)), 32 raw bytes (M10)."""
    code: str
    reason: str
    """Why, as a sentence for people; no rule rests on it."""


Event: TypeAlias = ValidEvent | InvalidEvent


# E1, E2: envelope and digest -----------------------------------------------------------------


def event_digest(event: Object) -> bytes:
    """Return the event digest, 32 raw bytes: the event without `event_id` and `signature` (E2)."""
    signed = {name: event[name] for name in event if name not in {"event_id", "signature"}}
    return sha256(canonical(signed))


_EVENT_TYPE = re.compile(r"[a-z0-9._]{1,64}")
_SIGNER_MEMBERS = ("key_id", "public_key_fingerprint", "signer_id", "signer_type")


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _is_object(value: Value) -> bool:
    return isinstance(value, dict)


def _is_event_type(value: Value) -> bool:
    return isinstance(value, str) and _EVENT_TYPE.fullmatch(value) is not None


def _is_target(value: Value) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128


def _is_signer(value: Value) -> bool:
    if not isinstance(value, dict):
        return False
    members = [value.get(name) for name in _SIGNER_MEMBERS]
    return all(isinstance(member, str) and member for member in members)


_ENVELOPE: dict[str, tuple[Callable[[Value], bool], str]] = {
    "event_type": (_is_event_type, "1 to 64 of a-z, 0-9, dot and underscore"),
    "subject_pith_number": (is_pith_number, "a Pith Number"),
    "target": (_is_target, "a string of 1 to 128 code points"),
    "payload": (_is_object, "an object"),
    "created_at": (_is_text, "a string"),
    "signer": (_is_signer, f"an object with the non-empty strings {', '.join(_SIGNER_MEMBERS)}"),
    "event_id": (is_event_id, '"sha256:" and 64 lowercase hexadecimal digits'),
    "signature": (_is_object, "an object"),
}


# E3: the verdict -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Trial:
    """What the checks of E3 look at; they run in order, so each may rely on those before it."""

    raw: RawEvent
    """The value under judgement."""
    record: Record
    keys: KeySet
    digest: bytes = b""
    """The event digest (E2), set by the check of `event.id`."""
    key: Key = field(init=False)
    """The signer's key, set by the check of `event.key_unknown`."""

    @property
    def event(self) -> Object:
        """The value as an object of E1's shape, which it is after the first check."""
        return cast("Object", self.raw.value)

    @property
    def signer(self) -> dict[str, str]:
        return cast("dict[str, str]", self.event["signer"])


def _check_shape(trial: _Trial) -> str | None:  # E1
    if not isinstance(trial.raw.value, dict):
        return "an event must be an object"
    for name, (fits, expected) in _ENVELOPE.items():
        if name not in trial.event:
            return f"the member {name} is missing"
        if not fits(trial.event[name]):
            return f"{name} must be {expected}"
    if len(trial.raw.encoded) > MAX_EVENT_BYTES:
        return f"its canonical bytes are {len(trial.raw.encoded)}, more than {MAX_EVENT_BYTES}"
    if depth(trial.event["payload"]) > MAX_PAYLOAD_DEPTH:
        return f"its payload nests deeper than {MAX_PAYLOAD_DEPTH}"
    return None


def _check_id(trial: _Trial) -> str | None:  # E2
    trial.digest = event_digest(trial.event)
    computed = f"sha256:{trial.digest.hex()}"
    if trial.event["event_id"] != computed:
        return f"its content gives the id {computed}"
    return None


def _check_subject(trial: _Trial) -> str | None:
    if trial.event["subject_pith_number"] != trial.record.pith_number:
        return f"it speaks of {trial.event['subject_pith_number']}, another record"
    return None


def _check_time(trial: _Trial) -> str | None:  # V5
    if instant(trial.event["created_at"]) is None:
        return "created_at is not a time such as 2026-05-18T00:41:52Z"
    return None


def _check_key_known(trial: _Trial) -> str | None:  # K2
    key = trial.keys.get(trial.signer["key_id"])
    if key is None:
        return f"no trusted key is named {trial.signer['key_id'][:128]!r}"
    trial.key = key
    return None


def _check_key_match(trial: _Trial) -> str | None:  # K1, K2
    signer, key = trial.signer, trial.key
    expected = {
        "public_key_fingerprint": key.fingerprint,
        "signer_id": key.signer_id,
        "signer_type": key.signer_type,
    }
    for name, value in expected.items():
        if signer[name] != value:
            return f"{name} of key {key.key_id!r} is {value!r}"
    return None


def _check_key_window(trial: _Trial) -> str | None:  # K2
    if not trial.key.is_valid_at(cast("int", instant(trial.event["created_at"]))):
        return f"created_at is outside the window of key {trial.key.key_id!r}"
    return None


def _check_signature(trial: _Trial) -> str | None:  # E1, S3
    signature = cast("Object", trial.event["signature"])
    if signature.keys() != {"algorithm", "signature_b64"} or signature["algorithm"] != "ed25519":
        return 'signature must be {"algorithm": "ed25519", "signature_b64": …} and nothing else'
    if not trial.key.verify(trial.digest, signature["signature_b64"]):
        return f"not a signature of this event by key {trial.key.key_id!r}"
    return None


def _check_role(trial: _Trial) -> str | None:  # K2
    event_type = cast("str", trial.event["event_type"])
    if not trial.key.may_sign(event_type):
        return f"key {trial.key.key_id!r} may not sign {event_type}"
    return None


def _check_payload(trial: _Trial) -> str | None:  # E4
    kind = EVENT_TYPES.get(cast("str", trial.event["event_type"]))
    if kind is None:
        return None
    payload = cast("Object", trial.event["payload"])
    return kind.fault(trial.event["target"], payload, Context(trial.record, trial.keys))


_CHECKS: tuple[tuple[str, Callable[[_Trial], str | None]], ...] = (
    ("event.shape", _check_shape),
    ("event.id", _check_id),
    ("event.subject", _check_subject),
    ("event.time", _check_time),
    ("event.key_unknown", _check_key_known),
    ("event.key_mismatch", _check_key_match),
    ("event.key_window", _check_key_window),
    ("event.signature", _check_signature),
    ("event.role", _check_role),
    ("event.payload", _check_payload),
)

EVENT_CODES = tuple(code for code, _ in _CHECKS)
"""The codes of E3 in their order."""

KEY_FREE_CODES = frozenset(EVENT_CODES[: EVENT_CODES.index("event.key_unknown")])
"""The codes that no change of the key set can lift."""


def judge(raw: RawEvent, record: Record, keys: KeySet) -> Event:
    """Return the verdict on one value of the `events` of a bundle of `record` (E3)."""
    trial = _Trial(raw, record, keys)
    for code, check in _CHECKS:
        reason = check(trial)
        if reason is not None:
            return InvalidEvent(raw.value, raw.digest, code, reason)
    return ValidEvent.of(trial.event, raw.digest)


def key_ids_of_event(event: Event) -> set[str]:
    """Return the ids of the keys that the verdict on an event may rest on."""
    if isinstance(event, InvalidEvent) and event.code in KEY_FREE_CODES:
        return set()
    value = cast("Object", event.value)
    key_ids = {cast("dict[str, str]", value["signer"])["key_id"]}
    if value["event_type"] == RECORD_CREATED:
        key_ids |= key_ids_of_receipt(cast("Object", value["payload"]).get("receipt"))
    return key_ids
