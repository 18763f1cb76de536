"""What a trusted profile makes of an event: its verdict (E3), and what it says, as E1 says it.

Under a profile an event says just what its signature covers, and nothing else of it reaches a
state. `read` gives that in the members of E1, so that from there on no rule knows of profiles: the
checks of types and payloads (E4), the merge, the state.

The checks have the codes of E3 and run in its order. What E1 asks of a member is asked of what
stands at its place in the profile.
"""

from __future__ import annotations

from typing import cast

from mirror.core.events.event import (
    EVENT_CODES,
    MAX_EVENT_BYTES,
    MAX_PAYLOAD_DEPTH,
    EncodedEvent,
    check_type,
    is_event_type,
    is_target,
)
from mirror.core.events.signatures import SignedMessage, claim_of, id_of, is_signed_by, keys_of
from mirror.core.events.types import EVENT_TYPES
from mirror.core.json_pointer import get_pointer, parent_pointer
from mirror.core.keys import BUILT_IN, Key, KeySet
from mirror.core.profile import Field, IdRule, Profile, SignedContent, message
from mirror.core.profile_file import keeps_id
from mirror.core.receipt import Fault
from mirror.core.record import Record
from mirror.core.values import Object, Value, canonical, hexdigest, instant, nesting, sha256

__all__ = ["check_pointers", "meaning_of", "read", "verify_under_profile"]

DEFAULT_TARGET = "record"
"""The target of an event whose envelope has none, and whose type E4 does not name."""


# What an event says --------------------------------------------------------------------------


def read(event: Object, profile: Profile, key: Key) -> Object:
    """Return what an event says in the members of E1, less `subject_pith_number` and `signature`.

    Args:
        event: An event that `judge_under` found valid.
        profile: The profile.
        key: Who signed it.
    """
    return {
        **_statement(event, profile),
        "event_id": _id_of(event, profile, key),
        "created_at": get_pointer(event, profile.pointers["time"]),
        "signer": {"key_id": key.key_id, **key.signer},
    }


def _statement(event: Object, profile: Profile) -> Object:
    """Return what E4 speaks of, whoever signed it."""
    event_type = meaning_of(cast("str", get_pointer(event, profile.pointers["type"])), profile)
    return {
        "event_type": event_type,
        "target": _target_of(event, profile, event_type),
        "payload": get_pointer(event, profile.pointers["payload"]),
    }


def meaning_of(name: str, profile: Profile) -> str:
    """Return the type that a name stands for in an envelope; those of E4 stand for themselves."""
    return name if name in EVENT_TYPES else profile.types.get(name, name)


def _target_of(event: Object, profile: Profile, event_type: str) -> Value:
    if "target" in profile.pointers:
        return get_pointer(event, profile.pointers["target"])
    kind = EVENT_TYPES.get(event_type)
    return DEFAULT_TARGET if kind is None else kind.target


def _id_of(event: Object, profile: Profile, key: Key) -> str:
    """Return the event's own id, if no other event can have it; else one made of what is signed.

    It is written as E1 writes ids, however the envelope does, and where that writes none, is what
    it would be. One text may be signed with several keys. Unless it says which, its digest is the
    registry's id: who signs the same with another key says something of their own.
    """
    image, payload = cast("SignedContent", profile.signed), profile.pointers["payload"]
    place = profile.pointers.get("key", "")
    if key == BUILT_IN or (place and image.covers(place, payload)):
        hashed = cast("IdRule", profile.id).hashes if keeps_id(profile) else image
        return f"sha256:{sha256(hashed.text(event, payload)).hex()}"
    signed = sha256(cast("bytes", message(event, profile))).hex()
    made_of: Object = {"public_key_hex": key.public_key_hex, "signed": signed}
    return f"sha256:{hexdigest(canonical(made_of))}"


# The verdict ---------------------------------------------------------------------------------


def verify_under_profile(
    raw: EncodedEvent, record: Record, keys: KeySet, profile: Profile
) -> tuple[Key | None, Fault]:
    """Return the verdict on an event under a profile (E3), and the key that signed it.

    Returns:
        The key and None if it is valid; else None, and code and reason of the first check that
        fails. If several keys may have signed it, that of the one with which it comes furthest.
    """
    reason = _check_shape(raw, profile)
    if reason is not None:
        return None, ("event.shape", reason)
    event = cast("Object", raw.value)
    if profile.id is not None and get_pointer(event, profile.id.at) != (
        expected := id_of(event, profile)
    ):
        return None, ("event.id", f"its content gives the id {expected}")
    subject = get_pointer(event, profile.pointers["subject"])
    if subject not in (record.pith_number, record.canonical_sha256):
        return None, ("event.subject", f"it speaks of {str(subject)[:128]}, another record")
    claimed = instant(get_pointer(event, profile.pointers["time"]))
    if claimed is None:  # V5
        return None, ("event.time", "its time is not one such as 2026-05-18T00:41:52Z")
    named = keys_of(event, profile, keys)
    if not named:  # K2
        return None, ("event.key_unknown", _unknown(event, profile))
    claim, statement, faults = claim_of(event, profile), _statement(event, profile), []
    for key in named:
        fault = _fault_by(key, event, claim, claimed, profile) or check_type(
            statement, key, record, keys
        )
        if fault is None:
            return _speaker(key, event, record, keys, profile), None
        faults.append(fault)
    return None, max(faults, key=lambda fault: EVENT_CODES.index(fault[0]))


def _unknown(event: Object, profile: Profile) -> str:
    """Return why no trusted key can have signed an event."""
    if "key" not in profile.pointers:
        return "no key is trusted"
    return f"no trusted key is named {str(get_pointer(event, profile.pointers['key']))[:128]!r}"


def _speaker(key: Key, event: Object, record: Record, keys: KeySet, profile: Profile) -> Key:
    """Return who speaks: of trusted keys that are one public key, the first that may have signed.

    What the signature does not cover has no say in it, or a stranger could choose.
    """
    alike = [one for one in keys if one.public_key_hex == key.public_key_hex]
    if len(alike) == 1:
        return key
    image, payload = cast("SignedContent", profile.signed), profile.pointers["payload"]
    place, claimed = (
        profile.pointers.get("key", ""),
        instant(get_pointer(event, profile.pointers["time"])),
    )
    named = keys_of(event, profile, keys) if place and image.covers(place, payload) else alike
    above = parent_pointer(place)
    said = {
        name: value
        for name, value in _signer_members(event, profile).items()
        if name in key.signer and image.covers(f"{above}/{name}", payload)
    }
    return next(
        one
        for one in alike
        if one in named
        and said.items() <= one.signer.items()
        and one.is_valid_at(cast("int", claimed))
        and check_type(_statement(event, profile), one, record, keys) is None
    )


def _fault_by(
    key: Key, event: Object, claim: SignedMessage | None, claimed: int, profile: Profile
) -> Fault:
    """Return why an event is not by this key, or None."""
    said = _signer_members(event, profile)
    for name, value in key.signer.items():  # K1, K2
        if name in said and said[name] != value:
            return "event.key_mismatch", f"{name} of key {key.key_id!r} is {value!r}"
    if not key.is_valid_at(claimed):
        return "event.key_window", f"its time is outside the window of key {key.key_id!r}"
    if not is_signed_by(key, claim):  # S1
        return "event.signature", f"not a signature of this event by key {key.key_id!r}"
    return None


def _signer_members(event: Object, profile: Profile) -> Object:
    """Return what stands beside the name of the key, if that is not the event itself."""
    above = parent_pointer(profile.pointers.get("key", ""))
    beside = get_pointer(event, above) if above else None
    return beside if isinstance(beside, dict) else {}


def check_pointers(event: Value, profile: Profile) -> str | None:
    """Return why a value lacks what E1 asks of an event, at the places of a profile, or None."""
    if not isinstance(event, dict):
        return "an event must be an object"
    for role, place in profile.pointers.items():
        reason = _check_pointer(event, role, place, profile)
        if reason is not None:
            return reason
    for place in profile.signature_pointers:
        value = get_pointer(event, place)
        if not isinstance(value, str) or not value:
            return f"{place} must be a string that is not empty"
    return None


def _check_shape(raw: EncodedEvent, profile: Profile) -> str | None:  # E1
    reason = check_pointers(raw.value, profile)
    if reason is not None:
        return reason
    event = raw.value
    if len(raw.encoded) > MAX_EVENT_BYTES:
        return f"its canonical bytes are {len(raw.encoded)}, more than {MAX_EVENT_BYTES}"
    if nesting(canonical(get_pointer(event, profile.pointers["payload"]))) > MAX_PAYLOAD_DEPTH:
        return f"its payload nests deeper than {MAX_PAYLOAD_DEPTH}"
    return None


def _check_pointer(event: Object, role: Field, place: str, profile: Profile) -> str | None:
    value = get_pointer(event, place)
    if role == "payload":
        return None if isinstance(value, dict) else f"{place}, its payload, must be an object"
    if not isinstance(value, str) or not value:
        return f"{place}, its {role}, must be a string that is not empty"
    if role == "type" and not is_event_type(meaning_of(value, profile)):
        return f"{place}, its type, must be 1 to 64 of a-z, 0-9, dot and underscore, or mapped"
    if role == "target" and not is_target(value):
        return f"{place}, its target, must be a string of 1 to 128 code points"
    return None
