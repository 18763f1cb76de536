"""The ten checks of E3, in one table for every profile.

`run_checks` runs a table over an event as a profile reads it. The built-in profile is one of them:
E1 lists its members, and those of a trusted profile follow from its pointers. `is_valid_fast` is
the fast path for the built-in profile; tests hold it equal to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar, cast

from mirror.core.events.event import (
    ENVELOPE,
    MAX_EVENT_BYTES,
    MAX_PAYLOAD_DEPTH,
    EncodedEvent,
    EventMembers,
    MemberRule,
    is_event_type,
    is_target,
)
from mirror.core.events.profiled_event import ProfiledEvent, meaning_of
from mirror.core.events.types import EVENT_TYPES, EventType, PayloadContext
from mirror.core.json_pointer import get_pointer, has_pointer, parent_pointer
from mirror.core.keys import Key, KeySet
from mirror.core.profile import MIRROR_V1, Field, Profile
from mirror.core.receipt import Fault
from mirror.core.record import Record
from mirror.core.values import Object, Value, canonical, instant, nesting

__all__ = [
    "CHECKS",
    "EVENT_CODES",
    "KEY_FREE_CODES",
    "BundledEvent",
    "CheckTable",
    "check_event",
    "check_id",
    "check_key_known",
    "check_key_window",
    "check_members",
    "check_role",
    "check_signature",
    "check_size",
    "is_valid_fast",
    "members_of",
    "run_checks",
]


@dataclass(frozen=True)
class BundledEvent(ProfiledEvent):
    """An event of a bundle, as a profile reads it."""

    raw: EncodedEvent
    record: Record

    @classmethod
    def of(cls, raw: EncodedEvent, record: Record, keys: KeySet, profile: Profile) -> BundledEvent:
        """Return any value of a bundle's `events` as a profile reads it."""
        return cls(raw.members, profile, keys, raw, record)

    @cached_property
    def _digest(self) -> bytes:
        return self.raw.event_digest()

    @property
    def expected_id(self) -> str | None:
        """The id that the profile gives the event; None if it has no rule for ids (E2)."""
        is_built_in = self.profile is MIRROR_V1
        return f"sha256:{self._digest.hex()}" if is_built_in else super().expected_id

    @property
    def message(self) -> bytes | None:
        """The message that the signature should be over; None if the event has none."""
        return self._digest if self.profile is MIRROR_V1 else super().message


# Running checks ------------------------------------------------------------------------------

_Event = TypeVar("_Event", bound=ProfiledEvent)


class CheckTable(NamedTuple, Generic[_Event]):
    """Codes and checks in the order of a rule; a check returns why it fails, or None."""

    of_event: tuple[tuple[str, Callable[[_Event], str | None]], ...]
    """The checks that do not depend on which key signed."""
    of_key: tuple[tuple[str, Callable[[_Event, Key], str | None]], ...]
    """The checks that are run for each key that may have signed."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes in their order."""
        return tuple(code for code, _ in (*self.of_event, *self.of_key))


def run_checks(event: _Event, table: CheckTable[_Event]) -> tuple[Key | None, Fault]:
    """Run the checks of a table over an event; each may rely on those before it.

    Returns:
        The key that signed it and None, if no check fails; else None, and code and reason of the
        first check that fails. If several keys may have signed it, that of the key with which the
        event comes furthest.
    """
    for code, check in table.of_event:
        reason = check(event)
        if reason is not None:
            return None, (code, reason)
    furthest: tuple[int, Fault] = -1, None
    for key in event.named_keys:
        position, fault = _check_key(event, key, table)
        if fault is None:
            return key, None
        if position > furthest[0]:
            furthest = position, fault
    return None, furthest[1]


def _check_key(event: _Event, key: Key, table: CheckTable[_Event]) -> tuple[int, Fault]:
    """Return position, code and reason of the first check that fails for a key."""
    for position, (code, check) in enumerate(table.of_key):
        reason = check(event, key)
        if reason is not None:
            return position, (code, reason)
    return len(table.of_key), None


# The checks ----------------------------------------------------------------------------------


def _is_filled_text(value: Value) -> bool:
    return isinstance(value, str) and value != ""


_FITS: dict[Field, tuple[Callable[[Value], bool], str]] = {
    "payload": (lambda value: isinstance(value, dict), "an object"),
    "target": (is_target, "a string of 1 to 128 code points"),
}
_TEXT = _is_filled_text, "a string that is not empty"


def members_of(profile: Profile) -> Iterator[MemberRule]:
    """Yield what an envelope must hold: the members of E1, or those at a profile's pointers."""
    if profile is MIRROR_V1:
        yield from ENVELOPE
        return
    for field, pointer in profile.pointers.items():
        if field == "type":
            fits, expected = (
                _is_type_of(profile),
                "1 to 64 of a-z, 0-9, dot and underscore, or mapped",
            )
        else:
            fits, expected = _FITS.get(field, _TEXT)
        yield pointer, fits, expected
    for pointer in profile.signature_pointers:
        yield pointer, *_TEXT


def _is_type_of(profile: Profile) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, str) and is_event_type(meaning_of(value, profile))


def check_members(
    value: Value, members: Iterable[MemberRule], *, names_missing: bool = True
) -> str | None:
    """Return why a value is not an object with these members, or None.

    Args:
        value: Any value.
        members: The members.
        names_missing: Whether the reason says that a member is missing.
    """
    if not isinstance(value, dict):
        return "an event must be an object"
    for pointer, fits, expected in members:
        member = get_pointer(value, pointer)
        if not fits(member):
            name = _name(pointer)
            is_missing = names_missing and not has_pointer(value, pointer)
            return f"the member {name} is missing" if is_missing else f"{name} must be {expected}"
    return None


def check_size(encoded: bytes) -> str | None:
    """Return why the canonical bytes of an event are too many, or None (E1)."""
    if len(encoded) > MAX_EVENT_BYTES:
        return f"its canonical bytes are {len(encoded)}, more than {MAX_EVENT_BYTES}"
    return None


def _name(pointer: str) -> str:
    """Return the name of a member of the event, or the pointer to a deeper one."""
    return pointer[1:] if pointer.count("/") == 1 else pointer


def _check_shape(event: BundledEvent) -> str | None:  # E1
    raw, profile = event.raw, event.profile
    reason = check_members(raw.value, members_of(profile)) or check_size(raw.encoded)
    if reason is not None:
        return reason
    text = raw.payload_text if profile is MIRROR_V1 else canonical(event.payload)
    if nesting(text) > MAX_PAYLOAD_DEPTH:
        return f"its payload nests deeper than {MAX_PAYLOAD_DEPTH}"
    return None


def check_id(event: ProfiledEvent) -> str | None:  # E2
    """Return why the id is not the digest that it should be, or None."""
    rule, expected = event.profile.id, event.expected_id
    if rule is None or get_pointer(event.event, rule.at) == expected:
        return None
    return f"its content gives the id {expected}"


def _check_subject(event: BundledEvent) -> str | None:  # R3
    if event.value("subject") in (event.record.pith_number, event.record.canonical_sha256):
        return None
    return f"it speaks of {event.shown('subject')}, another record"


def _check_time(event: ProfiledEvent) -> str | None:  # V5
    if event.instant is not None:
        return None
    return f"{_name(event.profile.pointers['time'])} is not a time such as 2026-05-18T00:41:52Z"


def check_key_known(event: ProfiledEvent) -> str | None:  # K2
    """Return why no trusted key can have signed, or None."""
    if event.named_keys:
        return None
    if "key" not in event.profile.pointers:
        return "no key is trusted"
    return f"no trusted key is named {event.shown('key')!r}"


def _check_key_members(event: ProfiledEvent, key: Key) -> str | None:  # K1, K2
    said = event.signer
    for name, value in key.signer.items():
        if name in said and said[name] != value:
            return f"{name} of key {key.key_id!r} is {value!r}"
    return None


def check_key_window(event: ProfiledEvent, key: Key) -> str | None:  # K2
    """Return why the key is not valid at the time that the event claims, or None."""
    if event.instant is not None and key.is_valid_at(event.instant):
        return None
    return f"{_name(event.profile.pointers['time'])} is outside the window of key {key.key_id!r}"


def check_signature(event: ProfiledEvent, key: Key) -> str | None:  # E1, S1
    """Return why the key did not sign the event, or None."""
    rule = event.profile.signature
    if rule.beside is not None and not _is_alone(event.event, rule.at, rule.beside):
        return 'signature must be {"algorithm": "ed25519", "signature_b64": …} and nothing else'
    if not event.is_signed_by(key):
        return f"not a signature of this event by key {key.key_id!r}"
    return None


def _is_alone(event: Object, pointer: str, beside: Object) -> bool:
    """Whether exactly these members are beside the one at a pointer."""
    holder = get_pointer(event, parent_pointer(pointer))
    own = pointer.rpartition("/")[2]
    return isinstance(holder, dict) and holder == {**beside, own: holder.get(own)}


def check_role(event: ProfiledEvent, key: Key) -> str | None:  # K2
    """Return why the key may not sign the event, or None."""
    if key.may_sign(event.event_type):
        return None
    return f"key {key.key_id!r} may not sign {event.event_type}"


def _check_payload(event: BundledEvent, _key: Key) -> str | None:  # E4
    kind = EVENT_TYPES.get(event.event_type)
    if kind is None:
        return None
    return kind.fault(event.target, event.payload, PayloadContext(event.record, event.keys))


# The tables ----------------------------------------------------------------------------------

CHECKS: CheckTable[BundledEvent] = CheckTable(
    of_event=(
        ("event.shape", _check_shape),
        ("event.id", check_id),
        ("event.subject", _check_subject),
        ("event.time", _check_time),
        ("event.key_unknown", check_key_known),
    ),
    of_key=(
        ("event.key_mismatch", _check_key_members),
        ("event.key_window", check_key_window),
        ("event.signature", check_signature),
        ("event.role", check_role),
        ("event.payload", _check_payload),
    ),
)
"""The checks of E3 in their order."""

EVENT_CODES = CHECKS.codes
"""The codes of E3 in their order."""

KEY_FREE_CODES = frozenset(EVENT_CODES[: EVENT_CODES.index("event.key_unknown")])
"""The codes that no change of the key set can lift."""

_SIGNED: CheckTable[ProfiledEvent] = CheckTable(
    of_event=(("id", check_id), ("key", check_key_known)),
    of_key=(("signature", check_signature),),
)


def check_event(event: Object, profile: Profile, keys: KeySet) -> str | None:
    """Return why an event is not what a profile says of it, or None.

    Returns:
        `id` if its id is not the digest that it should be; `key` if it names no trusted key;
        `signature` if S1 does not accept the signature by that key.
    """
    _, fault = run_checks(ProfiledEvent(event, profile, keys), _SIGNED)
    return None if fault is None else fault[0]


# The fast path -------------------------------------------------------------------------------


def is_valid_fast(raw: EncodedEvent, record: Record, keys: KeySet) -> bool:
    """Whether the fast path shows that an event passes every check; False decides nothing.

    An event that equals what it must be needs no check of its shape: most events pass here.
    """
    if not raw.is_plain or len(raw.encoded) > MAX_EVENT_BYTES:
        return False
    event = cast("EventMembers", raw.value)  # as far as it has that shape; else an exception
    try:
        signer, signature, event_type = event["signer"], event["signature"], event["event_type"]
        key, kind = keys.get(signer["key_id"]), EVENT_TYPES.get(event_type)
        at = instant(event["created_at"])
        digest = raw.event_digest()
        return (
            key is not None
            and at is not None
            and event["event_id"] == f"sha256:{digest.hex()}"
            and event["subject_pith_number"] == record.pith_number
            and (kind is not None or is_event_type(event_type))
            and is_target(event["target"])
            and key.signer.items() <= signer.items()
            and len(signature) == 2
            and signature["algorithm"] == "ed25519"
            and key.is_valid_at(at)
            and key.may_sign(event_type)
            and key.verify(digest, signature["signature_b64"])
            and (kind is None or _fits(kind, event, record, keys))
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _fits(kind: EventType, event: EventMembers, record: Record, keys: KeySet) -> bool:  # E4
    return kind.fault(event["target"], event["payload"], PayloadContext(record, keys)) is None
