"""The verdict on any value in a bundle's `events` (rule E3), under every trusted profile.

This module chooses the profile of an event. The built-in one comes first, then the
trusted ones, by name: an event is valid under the first whose checks it passes. An event that
passes under none has the code of the profile under which it came furthest.

`verify_event` is the only maker of verdicts. A store that keeps one restores the event with
`restore_event`, or with `restore_invalid` if it has no `EncodedEvent`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from mirror.core.events.checks import (
    CHECKS,
    EVENT_CODES,
    KEY_FREE_CODES,
    BundledEvent,
    check_members,
    is_valid_fast,
    members_of,
    run_checks,
)
from mirror.core.events.event import EncodedEvent, Event, InvalidEvent, ValidEvent
from mirror.core.events.profiled_event import ProfiledEvent, meaning_of
from mirror.core.events.types import RECORD_CREATED
from mirror.core.json_pointer import get_pointer
from mirror.core.keys import Key, KeySet
from mirror.core.profile import MIRROR_V1, Profile, is_built_in
from mirror.core.receipt import Fault, key_ids_of_receipt
from mirror.core.record import Record
from mirror.core.values import Object, Value, sha256

__all__ = [
    "ANY_KEY",
    "EventVerdict",
    "ProfileVerdict",
    "is_envelope",
    "key_ids_of_event",
    "restore_event",
    "restore_invalid",
    "valid_under",
    "verify_event",
]


class ProfileVerdict(NamedTuple):
    """A verdict under a trusted profile, not the built-in one."""

    profile: str
    key_id: str
    """The id of the key that signed the event; empty if a check failed."""
    fault: Fault
    """None if the event passed."""


EventVerdict: TypeAlias = Fault | ProfileVerdict
"""None if an event passed under the built-in profile; code and reason if it failed there."""

ANY_KEY = ""
"""Means every key, if an envelope does not name the key that signed; no key has this name."""


def is_envelope(value: Value, profiles: Iterable[Profile]) -> bool:
    """Whether a value has the members that E1, or one of these profiles, asks of an event."""
    return any(
        check_members(value, members_of(profile)) is None for profile in (MIRROR_V1, *profiles)
    )


def verify_event(raw: EncodedEvent, record: Record, keys: KeySet) -> Event:
    """Return the verdict on one value of the `events` of a bundle of `record` (E3)."""
    return restore_event(raw, _verdict(raw, record, keys), keys)


def _verdict(raw: EncodedEvent, record: Record, keys: KeySet) -> EventVerdict:
    if is_valid_fast(raw, record, keys):
        return None
    furthest: tuple[int, EventVerdict] = -1, None
    for profile in (MIRROR_V1, *keys.profiles):
        event = BundledEvent.of(raw, record, keys, profile)
        key, fault = run_checks(event, CHECKS)
        verdict = fault if profile is MIRROR_V1 else _profile_verdict(event, key, fault)
        if fault is None:
            return verdict
        if EVENT_CODES.index(fault[0]) > furthest[0]:
            furthest = EVENT_CODES.index(fault[0]), verdict
    return furthest[1]


def _profile_verdict(event: ProfiledEvent, key: Key | None, fault: Fault) -> ProfileVerdict:
    key_id = "" if key is None else event.speaker(key).key_id
    return ProfileVerdict(event.profile.name, key_id, fault)


def restore_invalid(value: Value, digest: bytes, verdict: EventVerdict) -> InvalidEvent | None:
    """Return the event with a stored verdict, if that is a fault; else None."""
    if not isinstance(verdict, ProfileVerdict):
        return None if verdict is None else InvalidEvent(value, digest, *verdict)
    if verdict.fault is None:
        return None
    return InvalidEvent(value, digest, *verdict.fault, verdict.profile)


def restore_event(raw: EncodedEvent, verdict: EventVerdict, keys: KeySet) -> Event:
    """Return the event with a verdict that `verify_event` reached under these keys, now or before.

    Raises:
        KeyError: If the verdict rests on a key or a profile that is not among them.
    """
    if (invalid := restore_invalid(raw.value, raw.digest, verdict)) is not None:
        return invalid
    if isinstance(verdict, ProfileVerdict):
        return valid_under(raw.members, raw.digest, verdict, keys)
    return ValidEvent.of(raw.members, raw.digest, raw.payload_text)


def valid_under(event: Object, digest: bytes, verdict: ProfileVerdict, keys: KeySet) -> ValidEvent:
    """Return an event that passed under a trusted profile.

    Raises:
        KeyError: If the profile or the key is not among these keys.
    """
    profile, key = keys.profile(verdict.profile), keys.get(verdict.key_id)
    if profile is None or key is None:
        raise KeyError(verdict)
    read = ProfiledEvent(event, profile, keys)
    valid = ValidEvent.of(event, digest, statement=read.statement(key))
    return valid._replace(profile=profile.name, signed=sha256(read.message or b""))


# Which keys a verdict rests on ---------------------------------------------------------------


def key_ids_of_event(event: Event, keys: KeySet) -> set[str]:
    """Return the names, in an event, of the keys that its verdict may rest on.

    Args:
        event: The event with its verdict.
        keys: The key set, whose profiles have pointers to the name of the key.

    Returns:
        Ids of keys, or other names of them; `ANY_KEY` if the verdict may rest on any.
    """
    if isinstance(event, ValidEvent) and is_built_in(event.profile):
        is_creation = event.event_type == RECORD_CREATED
        receipt_key_ids = key_ids_of_receipt(event.payload["receipt"]) if is_creation else set()
        return {event.key_id, *receipt_key_ids}
    named = {event.key_id} if isinstance(event, ValidEvent) else set()
    if not _is_key_free(event):
        named |= _named_by(event.value, MIRROR_V1)
    return named.union(*[_named_by(event.value, profile) for profile in keys.profiles])


def _is_key_free(event: Event) -> bool:
    """Whether the event fails a check that no change of the key set can lift."""
    return (
        isinstance(event, InvalidEvent)
        and is_built_in(event.profile)
        and event.code in KEY_FREE_CODES
    )


def _named_by(value: Value, profile: Profile) -> set[str]:
    """Return the names of the keys that a verdict may rest on, at the pointers of a profile."""
    event_type = get_pointer(value, profile.pointers["type"])
    named = get_pointer(value, profile.pointers["key"]) if "key" in profile.pointers else ANY_KEY
    texts = {named} if isinstance(named, str) else set()
    if isinstance(event_type, str) and meaning_of(event_type, profile) == RECORD_CREATED:
        texts |= key_ids_of_receipt(get_pointer(value, f"{profile.pointers['payload']}/receipt"))
    return texts
