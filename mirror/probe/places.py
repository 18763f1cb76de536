"""Finds the fields of an event: type, subject, time, target, payload and key."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from mirror.core.events.types import EVENT_TYPES
from mirror.core.json_pointer import escape_token, get_pointer, join_pointer, parent_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import ENCODINGS, SIGNATURE_BYTES, Encoding, Field, Profile, SignedContent
from mirror.core.record import Record, is_pith_number
from mirror.core.values import Object, canonical, instant
from mirror.probe.pre_images import in_payload, tops, written

__all__ = [
    "Sample",
    "common_encodings",
    "id_rank",
    "is_wrapper",
    "key_place",
    "payload_of",
    "places_of",
]


class Sample(NamedTuple):
    """An event and the record of its bundle."""

    place: str
    """The source, member and position of the event."""
    record: Record
    event: Object


_TYPE = re.compile(r"[!-~]{1,64}")
"""A text that may be a type: a person maps it to a type of E1 if it is not one."""
_HINTS: dict[Field, tuple[str, ...]] = {
    "type": ("event_type", "type", "kind", "action"),
    "subject": ("subject_pith_number", "subject", "pith_number", "about", "record"),
    "time": ("created_at", "time", "timestamp", "at", "ts", "issued_at", "occurred_at", "date"),
    "target": ("target", "object", "scope"),
    "payload": ("payload", "body", "data", "content", "claim"),
    "key": ("key_id", "signing_key_id", "kid", "key", "public_key_fingerprint", "fingerprint"),
}
"""Names of the members of each field, the likeliest first."""
_ID_HINTS = ("event_id", "id", "event_hash", "hash", "digest")
_NEEDED: tuple[Field, ...] = ("type", "subject", "time")
_SIDE_BY_SIDE: tuple[Field, ...] = (*_NEEDED, "target")
"""Fields that are members of one object."""

_Check: TypeAlias = Callable[[Sample, str], bool]


def common_encodings(
    spelling: Encoding, pointer: str, size: int, samples: Iterable[Sample]
) -> list[str]:
    """Return the encodings in which every event has so many bytes at a pointer.

    There may be several, since a text need not hold a `+` or `_`.
    """
    texts = [get_pointer(one.event, pointer) for one in samples]
    spellings = [Encoding(spelling.prefix, encoding) for encoding in ENCODINGS]
    return [
        one.encoding
        for one in spellings
        if all(len(one.read(text) or b"") == size for text in texts)
    ]


def payload_of(event: Object) -> str:
    """Return the likeliest pointer to the payload of an event; empty if there is none."""
    objects = {name: len(canonical(value)) for name, value in event.items()
               if isinstance(value, dict)}  # fmt: skip
    for name in _HINTS["payload"]:
        if name in objects:
            return f"/{name}"
    holding = tops(one.at for one in written(event, SIGNATURE_BYTES))
    rest = {name: size for name, size in objects.items() if escape_token(name) not in holding}
    return join_pointer("", max(rest, key=rest.__getitem__)) if rest else ""


def id_rank(pointer: str) -> int:
    """Return the rank of a digest as the event's id, by its name; 0 is the likeliest."""
    name = pointer.rpartition("/")[2]
    return _ID_HINTS.index(name) if name in _ID_HINTS else len(_ID_HINTS)


def places_of(
    profile: Profile, image: SignedContent, samples: Sequence[Sample], common: Sequence[str]
) -> dict[Field, str]:
    """Return the pointers to the fields that every event has and the signature covers.

    Type, subject, time and target must be members of one object: the event, an object in it, or
    last the payload. The first of these objects that holds a type, a record's name or a time is
    used, and no other: payloads name other papers and other times.

    Args:
        profile: The profile, with the pointer to the payload.
        image: The content that its signature covers, be it through the id.
        samples: The events.
        common: The pointers at which every event has a text.
    """
    payload = profile.pointers.get("payload", "")
    covered: dict[str, list[str]] = defaultdict(list)
    for pointer in common:
        if image.covers(pointer, payload):
            covered[parent_pointer(pointer)].append(pointer)
    for above in _containers(samples, payload):
        texts = covered[above]
        if any(_is_named(one) or _all(samples, one, _speaks) for one in texts):
            found = _side_by_side(samples, texts, names_only=above == payload != "")
            return {**profile.pointers, **found}
    return profile.pointers


def is_wrapper(event: Object, profile: Profile) -> bool:
    """Whether all fields of an event are in its payload, which has a payload of its own.

    Somebody could wrap a copied event so, and the copy would say something else.
    """
    payload = profile.pointers.get("payload", "")
    held = [get_pointer(event, f"{payload}/{hint}") for hint in _HINTS["payload"]]
    says_all = in_payload(payload, profile.pointers.get("type", ""))
    return says_all and any(isinstance(value, dict) for value in held)


def key_place(
    samples: Sequence[Sample], common: Iterable[str], payload: str, keys: KeySet
) -> str | None:
    """Return the pointer at which every event names a trusted key, be it signed or not."""
    names = {name for key in keys for name in key.names}
    found = [one for one in common if _all(samples, one, lambda _, text: text in names)]
    outside = [one for one in found if not in_payload(payload, one)] or found
    for hint in _HINTS["key"]:
        for pointer in sorted(outside, key=lambda one: one.count("/")):
            if pointer.rpartition("/")[2] == hint:
                return pointer
    return outside[0] if len(outside) == 1 else None


def _is_named(pointer: str) -> bool:
    """Whether a member of the event itself has a usual name of a type, subject or time."""
    return any(pointer == f"/{hint}" for role in _NEEDED for hint in _HINTS[role])


def _containers(samples: Sequence[Sample], payload: str) -> list[str]:
    """Return the pointers to the event, the objects in it, and last its payload."""
    event = samples[0].event
    objects = [join_pointer("", name) for name, value in event.items() if isinstance(value, dict)]
    return ["", *(one for one in objects if one != payload), *([payload] if payload else [])]


def _all(samples: Iterable[Sample], pointer: str, fits: _Check) -> bool:
    texts = ((one, get_pointer(one.event, pointer)) for one in samples)
    return all(isinstance(text, str) and fits(one, text) for one, text in texts)


def _side_by_side(
    samples: Sequence[Sample], texts: Sequence[str], *, names_only: bool
) -> dict[Field, str]:
    """Return which of some texts are fields.

    A text is a field by its name, or because it is the only one that fits; in a payload by its
    name only.
    """
    places: dict[Field, str] = {}
    for role in _SIDE_BY_SIDE:
        named = [f"{parent_pointer(texts[0])}/{hint}" for hint in _HINTS[role]]
        found = [one for one in named if one in texts][:1]
        if not found and role in _ALIKE and not names_only:
            found = [one for one in texts if _all(samples, one, _ALIKE[role])]
        if len(found) == 1 and _all(samples, found[0], _FITS[role]):
            places[role] = found[0]
    return places


def _is_of_record(one: Sample, text: str) -> bool:
    return text in {one.record.pith_number, one.record.canonical_sha256}


def _can_be_of_record(one: Sample, text: str) -> bool:
    return is_pith_number(text) or _is_of_record(one, text)


def _is_time(_: Sample, text: str) -> bool:
    return instant(text) is not None


def _speaks(one: Sample, text: str) -> bool:
    return _is_time(one, text) or _can_be_of_record(one, text)


_FITS: dict[Field, _Check] = {
    "type": lambda _, text: _TYPE.fullmatch(text) is not None,
    "subject": _is_of_record,
    "time": _is_time,
    "target": lambda _, text: 1 <= len(text) <= 128,
}
"""The condition for a field in every event (E1)."""
_ALIKE: dict[Field, _Check] = {
    "type": lambda _, text: text in EVENT_TYPES,
    "subject": _can_be_of_record,
    "time": _is_time,
}
"""The condition for a field that needs no name."""
