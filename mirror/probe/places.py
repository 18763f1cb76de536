"""Where an event says what: its type, subject, time, target, payload and key."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias, cast

from mirror.core.events.profiled_event import names_of
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
    """An event, with the record of its bundle."""

    place: str
    """Where it stood."""
    record: Record
    event: Object


_TYPE = re.compile(r"[!-~]{1,64}")
"""What can be a type, if a person says what it means where it is not as E1 asks."""
_HINTS: dict[Field, tuple[str, ...]] = {
    "type": ("event_type", "type", "kind", "action"),
    "subject": ("subject_pith_number", "subject", "pith_number", "about", "record"),
    "time": ("created_at", "time", "timestamp", "at", "ts", "issued_at", "occurred_at", "date"),
    "target": ("target", "object", "scope"),
    "payload": ("payload", "body", "data", "content", "claim"),
    "key": ("key_id", "signing_key_id", "kid", "key", "public_key_fingerprint", "fingerprint"),
}
"""Names that a member may have, the likeliest first."""
_ID_HINTS = ("event_id", "id", "event_hash", "hash", "digest")
_NEEDED: tuple[Field, ...] = ("type", "subject", "time")
_SIDE_BY_SIDE: tuple[Field, ...] = (*_NEEDED, "target")
"""What an event says of itself: it is looked for in one object only."""

_Check: TypeAlias = Callable[[Sample, str], bool]


def common_encodings(
    spelling: Encoding, pointer: str, size: int, samples: Iterable[Sample]
) -> list[str]:
    """Return the encodings in which every event has so many bytes at a pointer.

    They may be several: a text need have no `+` and no `_` in it.
    """
    texts = [get_pointer(one.event, pointer) for one in samples]
    spellings = [Encoding(spelling.prefix, encoding) for encoding in ENCODINGS]
    return [
        one.encoding
        for one in spellings
        if all(len(one.read(text) or b"") == size for text in texts)
    ]


def payload_of(event: Object) -> str:
    """Return where the payload of an event seems to stand; empty if nowhere."""
    objects = {name: len(canonical(value)) for name, value in event.items()
               if isinstance(value, dict)}  # fmt: skip
    for name in _HINTS["payload"]:
        if name in objects:
            return f"/{name}"
    holding = tops(one.at for one in written(event, SIGNATURE_BYTES))
    rest = {name: size for name, size in objects.items() if escape_token(name) not in holding}
    return join_pointer("", max(rest, key=rest.__getitem__)) if rest else ""


def id_rank(pointer: str) -> int:
    """Return how unlikely it is, by its name, that a digest is the event's id."""
    name = pointer.rpartition("/")[2]
    return _ID_HINTS.index(name) if name in _ID_HINTS else len(_ID_HINTS)


def places_of(
    profile: Profile, image: SignedContent, samples: Sequence[Sample], common: Sequence[str]
) -> dict[Field, str]:
    """Return where every event says what of itself, as far as the signature covers it.

    Type, subject, time and target must stand side by side, as members of the event, or else of an
    object in it, the payload last. The first of these that speaks of a type, a paper or a time
    speaks for the event, and no other: payloads name other papers and other times.

    Args:
        profile: Where its payload stands.
        image: What its signature covers in the end, be it through the id.
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
    """Whether the payload of an event says all of it, and has a payload of its own.

    Somebody who copied events can wrap them so, and the copy would say something else.
    """
    payload = profile.pointers.get("payload", "")
    held = [get_pointer(event, f"{payload}/{hint}") for hint in _HINTS["payload"]]
    says_all = in_payload(payload, profile.pointers.get("type", ""))
    return says_all and any(isinstance(value, dict) for value in held)


def key_place(
    samples: Sequence[Sample], common: Iterable[str], payload: str, keys: KeySet
) -> str | None:
    """Return where every event names a trusted key, be it covered or not: another would not fit."""
    names = {name for key in keys for name in names_of(key)}
    found = [one for one in common if _all(samples, one, lambda _, text: text in names)]
    outside = [one for one in found if not in_payload(payload, one)] or found
    for hint in _HINTS["key"]:
        for pointer in sorted(outside, key=lambda one: one.count("/")):
            if pointer.rpartition("/")[2] == hint:
                return pointer
    return outside[0] if len(outside) == 1 else None


def _is_named(pointer: str) -> bool:
    """Whether a member of the event itself is named as its type, subject or time would be."""
    return any(pointer == f"/{hint}" for role in _NEEDED for hint in _HINTS[role])


def _containers(samples: Sequence[Sample], payload: str) -> list[str]:
    """Return the pointers to the event, the objects in it, and its payload, in this order."""
    event = samples[0].event
    objects = [join_pointer("", name) for name, value in event.items() if isinstance(value, dict)]
    return ["", *(one for one in objects if one != payload), *([payload] if payload else [])]


def _all(samples: Iterable[Sample], pointer: str, fits: _Check) -> bool:
    return all(fits(one, cast("str", get_pointer(one.event, pointer))) for one in samples)


def _side_by_side(
    samples: Sequence[Sample], texts: Sequence[str], *, names_only: bool
) -> dict[Field, str]:
    """Return which of some texts say what an event says of itself.

    By its name, or because it is the only one that can be it; but a payload is full of things.
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
"""What a text must be in every event (E1)."""
_ALIKE: dict[Field, _Check] = {
    "type": lambda _, text: text in EVENT_TYPES,
    "subject": _can_be_of_record,
    "time": _is_time,
}
"""What a text looks like that needs no name."""
