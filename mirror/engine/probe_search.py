"""Searching the space of envelopes: what can have been hashed, and where an event says what.

Every subset of members is hashed, step by step. The canonical bytes of an object are those of its
members, in the order of their names. So members are hashed one after the other, each either taken
or left out, and what was hashed so far is shared by all subsets that begin alike: of 14 members,
16,384 subsets take some 30,000 steps.

Whoever makes up an event can make its space as large as they like. So everything here has a bound,
and `Effort` knows which of them were met.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from mirror.core.envelope import (
    DIGEST_BYTES,
    ENCODINGS,
    SIGNATURE_BYTES,
    PreImage,
    Profile,
    Role,
    Spelling,
    at,
    is_within,
)
from mirror.core.keys import KeySet
from mirror.core.proof import names_of
from mirror.core.record import Record, is_pith_number
from mirror.core.values import Object, Value, canonical, instant

__all__ = [
    "MAX_TRIES",
    "Effort",
    "Sample",
    "Subset",
    "Written",
    "escaped",
    "id_rank",
    "in_payload",
    "is_wrapper",
    "key_place",
    "payload_of",
    "places_of",
    "strings",
    "subsets",
    "written",
]

MAX_MEMBERS = 14
"""Members of an event up to which every subset is tried."""
MAX_TRIES = 2_000_000
"""Texts and signatures that are tried: two minutes or so on one processor."""
_TRY_BYTES = 32_768
"""Bytes that take about as long to hash as a signature takes to be verified."""
_DEPTH = 3
"""Objects within objects in which ids and signatures are looked for."""
_PREFIX = 24
"""Characters that may stand before a digest or a signature, such as `sha256:`."""
_INNER = 4
"""Members of inner objects that may be left out of them, by every subset."""
_CHOICES = 16
"""Members of an event and of inner objects that may be left out, all in all."""
_TOLD = 1000
"""Tries after which progress is told."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Effort:
    """How much was tried, and which bounds were met."""

    progress: Callable[[int], None] = lambda _tried: None
    """Told of texts and signatures as they are tried, by the thousand."""
    most: int = MAX_TRIES
    """How many may be tried; with a text of more than 32 KiB, a try counts as several."""
    texts: int = 0
    """Texts that were hashed."""
    signatures: int = 0
    """Signatures that were tried."""
    bounds: list[str] = field(default_factory=list)
    """What was not tried, in plain words, each once."""
    _spent: int = 0

    def may_hash(self, size_bytes: int) -> bool:
        """Whether one more text of so many bytes may be hashed; if so, it is counted."""
        self.texts += (may := self._may_try(size_bytes))
        return may

    def may_verify(self, size_bytes: int) -> bool:
        """Whether one more signature of so many bytes may be tried; if so, it is counted."""
        self.signatures += (may := self._may_try(size_bytes))
        return may

    def _may_try(self, size_bytes: int) -> bool:
        if self._spent >= self.most:
            self.note(f"the search ended after {self.most:,} tries; --tries allows more")
            return False
        self._spent += 1 + size_bytes // _TRY_BYTES
        if (self.texts + self.signatures) % _TOLD == _TOLD - 1:
            self.progress(_TOLD)
        return True

    def first(self, found: Sequence[_T], count: int, what: str) -> list[_T]:
        """Return the first of what was found; if there are more, that is noted."""
        if len(found) > count:
            self.note(f"more than {count} {what}")
        return list(found[:count])

    def note(self, bound: str) -> None:
        """Note what was not tried."""
        if bound not in self.bounds:
            self.bounds.append(bound)


class Written(NamedTuple):
    """A text in an event that can be a digest, or a signature."""

    at: str
    """A pointer."""
    spelling: Spelling
    data: bytes


def written(event: Object, size: int) -> list[Written]:
    """Return the texts of an event that spell so many bytes, a prefix aside."""
    return [
        Written(pointer, spelling, data)
        for pointer, value in strings(event)
        for spelling, data in _readings(value, size)
    ]


def strings(value: Value, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the texts in an object that are not too far down, each with its pointer."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict) and depth <= _DEPTH:
        for name, member in value.items():
            yield from strings(member, f"{pointer}/{escaped(name)}", depth + 1)


def escaped(name: str) -> str:
    """Return the name of a member as a step of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _readings(text: str, size: int) -> Iterator[tuple[Spelling, bytes]]:
    for encoding in ENCODINGS:
        length = len(Spelling("", encoding).write(bytes(size)))
        start = len(text) - length
        if 0 <= start <= _PREFIX and (start == 0 or text[start - 1] in ":-/ ="):
            spelling = Spelling(text[:start], encoding)
            data = spelling.read(text)
            if data is not None and len(data) == size:
                yield spelling, data


def _candidates(event: Object, payload: str) -> list[str]:
    """Return the pointers to what can be a signature or an id, and is not in the payload."""
    found = [*written(event, SIGNATURE_BYTES), *written(event, DIGEST_BYTES)]
    places = dict.fromkeys(one.at for one in found)
    return [one for one in places if not in_payload(payload, one)]


# Subsets -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subset:
    """Canonical bytes that can have been hashed or signed."""

    pre_image: PreImage
    digest: bytes
    pieces: tuple[bytes, ...]
    """The members that were taken, which subsets share; or the payload."""
    size_bytes: int

    @property
    def text(self) -> bytes:
        """The bytes."""
        if self.pre_image.of == "payload":
            return self.pieces[0]
        head, end = _AROUND[self.pre_image.wrapped]
        return head + b",".join(self.pieces) + end


_AROUND = {False: (b"{", b"}"), True: (b'{"payload":{', b"}}")}
"""What stands around members, bare or wrapped (V4)."""


def subsets(event: Object, payload: str, effort: Effort) -> Iterator[Subset]:
    """Yield everything that can have been hashed, the likeliest first, each text once.

    That is the event less a subset of its members, or less some members of inner objects that can
    be ids and signatures; and the payload alone; each bare and as `{"payload": ...}` (V4).
    """
    seen: set[bytes] = set()
    for subset in _all_subsets(event, payload, effort):
        if not effort.may_hash(subset.size_bytes):
            return
        if subset.digest not in seen:
            seen.add(subset.digest)
            yield subset


def _all_subsets(event: Object, payload: str, effort: Effort) -> Iterator[Subset]:
    if payload:
        yield from _alone(at(event, payload))
    found = _candidates(event, payload)
    nested = [one for one in found if one.count("/") > 1]
    what = "texts within objects can be ids or signatures: not every subset of them was tried"
    inner = effort.first(nested, _INNER, what)
    free = _free_members(event, found, inner, effort)
    options = list(_options(event, inner, free))
    for is_wrapped, (head, _) in _AROUND.items():
        state = _State(hashlib.sha256(head), (), (), len(head), is_wrapped)
        yield from _walk(options, state)


def _free_members(
    event: Object, found: Iterable[str], inner: Sequence[str], effort: Effort
) -> set[str]:
    """Return the members that may be left out: those with ids and signatures, and the shortest."""
    nested, holding = _tops(inner), _tops(found)
    ranked = sorted(
        event,
        key=lambda name: (
            escaped(name) not in nested,
            escaped(name) not in holding,
            len(canonical(event[name])),
            name,
        ),
    )
    count = min(MAX_MEMBERS, _CHOICES - len(inner))
    return set(effort.first(ranked, count, "members: not every subset of them was tried"))


def _tops(pointers: Iterable[str]) -> set[str]:
    return {pointer.split("/")[1] for pointer in pointers}


def _alone(payload: Value) -> Iterator[Subset]:
    for wrapped in (False, True):
        text = canonical({"payload": payload} if wrapped else payload)
        image = PreImage("payload", wrapped=wrapped)
        yield Subset(image, hashlib.sha256(text).digest(), (text,), len(text))


class _Option(NamedTuple):
    """A way of taking members that stand side by side."""

    text: bytes | None
    """As they stand in canonical bytes; None if they are left out."""
    less: tuple[str, ...] = ()
    """Pointers to what is left out."""


def _options(event: Object, inner: Sequence[str], free: set[str]) -> Iterator[list[_Option]]:
    """Yield the ways of taking each member; those that are always taken are one, if adjacent."""
    for is_free, names in groupby(sorted(event), lambda name: name in free):
        if is_free:
            yield from (list(_options_of(name, event[name], inner)) for name in names)
        else:
            yield [_Option(canonical({name: event[name] for name in names})[1:-1])]


def _options_of(name: str, value: Value, inner: Iterable[str]) -> Iterator[_Option]:
    """Yield the ways of taking a member: as it is, less something in it, or not at all."""
    pointer = f"/{escaped(name)}"
    within = [one for one in inner if one.startswith(f"{pointer}/")]
    for count in range(len(within) + 1):
        for less in combinations(within, count):
            rest = PreImage("event", less).text({name: value}, "")
            yield _Option(rest[1:-1], less)
    yield _Option(None, (pointer,))


class _State(NamedTuple):
    hashed: Any
    pieces: tuple[bytes, ...]
    less: tuple[str, ...]
    size_bytes: int
    is_wrapped: bool


def _walk(options: Sequence[list[_Option]], state: _State, depth: int = 0) -> Iterator[Subset]:
    if depth < len(options):
        for option in options[depth]:
            yield from _walk(options, _taken(state, option), depth + 1)
    elif state.pieces:  # of nothing at all, nothing is proved
        hashed = state.hashed.copy()
        hashed.update(_AROUND[state.is_wrapped][1])
        image = PreImage("event", tuple(sorted(state.less)), None, state.is_wrapped)
        yield Subset(image, hashed.digest(), state.pieces, state.size_bytes)


def _taken(state: _State, option: _Option) -> _State:
    less = (*state.less, *option.less)
    if option.text is None:
        return state._replace(less=less)
    hashed = state.hashed.copy()
    if state.pieces:
        hashed.update(b",")
    hashed.update(option.text)
    size_bytes = state.size_bytes + len(option.text)
    return _State(hashed, (*state.pieces, option.text), less, size_bytes, state.is_wrapped)


# Where things stand --------------------------------------------------------------------------


class Sample(NamedTuple):
    """An event, with the record of its bundle."""

    place: str
    """Where it stood."""
    record: Record
    event: Object


_TYPE = re.compile(r"[a-z0-9._]{1,64}")
_HINTS: dict[Role, tuple[str, ...]] = {
    "type": ("event_type", "type", "kind", "action"),
    "subject": ("subject_pith_number", "subject", "pith_number", "about", "record"),
    "time": ("created_at", "time", "timestamp", "at", "ts", "issued_at", "occurred_at", "date"),
    "target": ("target", "object", "scope"),
    "payload": ("payload", "body", "data", "content", "claim"),
    "key": ("key_id", "signing_key_id", "kid", "key", "public_key_fingerprint", "fingerprint"),
}
"""Names that a member may have, the likeliest first."""
_ID_HINTS = ("event_id", "id", "event_hash", "hash", "digest")
_NEEDED: tuple[Role, ...] = ("type", "subject", "time")
_SIDE_BY_SIDE: tuple[Role, ...] = (*_NEEDED, "target")
"""What an event says of itself: it is looked for in one object only."""

_Check: TypeAlias = Callable[[Sample, str], bool]


def payload_of(event: Object) -> str:
    """Return where the payload of an event seems to stand; empty if nowhere."""
    objects = {name: len(canonical(value)) for name, value in event.items()
               if isinstance(value, dict)}  # fmt: skip
    for name in _HINTS["payload"]:
        if name in objects:
            return f"/{name}"
    holding = _tops(one.at for one in written(event, SIGNATURE_BYTES))
    rest = {name: size for name, size in objects.items() if escaped(name) not in holding}
    return f"/{escaped(max(rest, key=rest.__getitem__))}" if rest else ""


def id_rank(pointer: str) -> int:
    """Return how unlikely it is, by its name, that a digest is the event's id."""
    name = pointer.rpartition("/")[2]
    return _ID_HINTS.index(name) if name in _ID_HINTS else len(_ID_HINTS)


def in_payload(payload: str, place: str) -> bool:
    """Whether a place is in the payload, if there is one."""
    return payload != "" and is_within([payload], place)


def places_of(
    profile: Profile, image: PreImage, samples: Sequence[Sample], common: Sequence[str]
) -> dict[Role, str]:
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
    payload = profile.places.get("payload", "")
    covered: dict[str, list[str]] = defaultdict(list)
    for pointer in common:
        if image.covers(pointer, payload):
            covered[_above(pointer)].append(pointer)
    for above in _containers(samples, payload):
        texts = covered[above]
        if any(_is_named(one) or _all(samples, one, _speaks) for one in texts):
            found = _side_by_side(samples, texts, names_only=above == payload != "")
            return {**profile.places, **found}
    return profile.places


def is_wrapper(event: Object, profile: Profile) -> bool:
    """Whether the payload of an event says all of it, and has a payload of its own.

    Somebody who copied events can wrap them so, and the copy would say something else.
    """
    payload = profile.places.get("payload", "")
    held = [at(event, f"{payload}/{hint}") for hint in _HINTS["payload"]]
    says_all = in_payload(payload, profile.places.get("type", ""))
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


def _above(pointer: str) -> str:
    return pointer.rpartition("/")[0]


def _is_named(pointer: str) -> bool:
    """Whether a member of the event itself is named as its type, subject or time would be."""
    return any(pointer == f"/{hint}" for role in _NEEDED for hint in _HINTS[role])


def _containers(samples: Sequence[Sample], payload: str) -> list[str]:
    """Return the pointers to the event, the objects in it, and its payload, in this order."""
    event = samples[0].event
    objects = [f"/{escaped(name)}" for name, value in event.items() if isinstance(value, dict)]
    return ["", *(one for one in objects if one != payload), *([payload] if payload else [])]


def _all(samples: Iterable[Sample], pointer: str, fits: _Check) -> bool:
    return all(fits(one, cast("str", at(one.event, pointer))) for one in samples)


def _side_by_side(
    samples: Sequence[Sample], texts: Sequence[str], *, names_only: bool
) -> dict[Role, str]:
    """Return which of some texts say what an event says of itself.

    By its name, or because it is the only one that can be it; but a payload is full of things.
    """
    places: dict[Role, str] = {}
    for role in _SIDE_BY_SIDE:
        named = [f"{_above(texts[0])}/{hint}" for hint in _HINTS[role]]
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


_FITS: dict[Role, _Check] = {
    "type": lambda _, text: _TYPE.fullmatch(text) is not None,
    "subject": _is_of_record,
    "time": _is_time,
    "target": lambda _, text: 1 <= len(text) <= 128,
}
"""What a text must be in every event (E1)."""
_ALIKE: dict[Role, _Check] = {"subject": _can_be_of_record, "time": _is_time}
"""What a text looks like that needs no name."""
