"""Pre-images: every text that an id or a signature of an event may be over.

Every subset of members is hashed. The canonical bytes of an object are those of its members, in the
order of their names. So members are hashed one after the other, each either taken or left out, and
subsets that begin alike share the hash so far: 16,384 subsets of 14 members take some 30,000 steps.

An event from anybody can have any number of members. So every search has a limit, and a
`SearchBudget` lists the limits that were reached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Any, NamedTuple, TypeVar

from mirror.core.json_pointer import escape_token, get_pointer, is_below, join_pointer
from mirror.core.profile import (
    DIGEST_BYTES,
    ENCODINGS,
    SIGNATURE_BYTES,
    Encoding,
    Part,
    SignedContent,
)
from mirror.core.values import Object, Value, ascii_form, canonical

__all__ = [
    "MAX_TRIES",
    "EncodedText",
    "SearchBudget",
    "SignedSubset",
    "in_payload",
    "is_ascii_only",
    "strings",
    "subsets",
    "tops",
    "written",
]

MAX_MEMBERS = 14
"""Members of an event up to which every subset is tried."""
MAX_TRIES = 2_000_000
"""Texts and signatures that are tried: about two minutes on one processor."""
_TRY_BYTES = 32_768
"""Bytes whose hashing takes about as long as verifying a signature."""
_DEPTH = 3
"""Levels of nested objects that are searched for ids and signatures."""
_PREFIX = 24
"""Characters of a prefix of a digest or a signature, such as `sha256:`."""
_INNER = 4
"""Members of inner objects that subsets may leave out."""
_CHOICES = 16
"""Members of an event and of inner objects together that subsets may leave out."""
_PROGRESS_TRIES = 1000
"""Tries after which progress is reported."""

_T = TypeVar("_T")


@dataclass(slots=True)
class SearchBudget:
    """Limit of a search, and a count of its tries."""

    progress: Callable[[int], None] = lambda _tried: None
    """Called after every thousand tries with their number."""
    most: int = MAX_TRIES
    """The most tries; one with a text of more than 32 KiB counts as several."""
    texts: int = 0
    """Number of texts hashed."""
    signatures: int = 0
    """Number of signatures tried."""
    bounds: list[str] = field(default_factory=list)
    """Limits that were reached, each once, in words for a person."""
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
            self.record_skipped(
                f"the search ended after {self.most:,} tries; --max-tries allows more"
            )
            return False
        self._spent += 1 + size_bytes // _TRY_BYTES
        if (self.texts + self.signatures) % _PROGRESS_TRIES == _PROGRESS_TRIES - 1:
            self.progress(_PROGRESS_TRIES)
        return True

    def first(self, found: Sequence[_T], count: int, what: str) -> list[_T]:
        """Return the first items; if there are more, record that."""
        if len(found) > count:
            self.record_skipped(f"more than {count} {what}")
        return list(found[:count])

    def record_skipped(self, bound: str) -> None:
        """Record a limit that was reached."""
        if bound not in self.bounds:
            self.bounds.append(bound)


class EncodedText(NamedTuple):
    """A text in an event that may be a digest or a signature."""

    at: str
    """The JSON Pointer of the text."""
    spelling: Encoding
    data: bytes


def written(event: Object, size: int) -> list[EncodedText]:
    """Return the texts of an event that encode so many bytes, after a prefix."""
    return [
        EncodedText(pointer, spelling, data)
        for pointer, value in strings(event)
        for spelling, data in _readings(value, size)
    ]


def strings(value: Value, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the texts in an object down to a depth, each with its pointer."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict) and depth <= _DEPTH:
        for name, member in value.items():
            yield from strings(member, join_pointer(pointer, name), depth + 1)


def _readings(text: str, size: int) -> Iterator[tuple[Encoding, bytes]]:
    seen = set[bytes]()
    for encoding in ENCODINGS:
        length = len(Encoding("", encoding).write(bytes(size)))
        start = len(text) - length
        head = text[: max(start, 0)]
        if 0 <= start <= _PREFIX and (head in {"", "0x"} or head[-1] in ":-/ ="):
            spelling = Encoding(text[:start], encoding)
            data = spelling.read(text)
            if data is not None and len(data) == size and data not in seen:
                seen.add(data)  # two encodings may agree on a text
                yield spelling, data


def _candidates(event: Object, payload: str) -> list[str]:
    """Return pointers to texts outside the payload that may be a signature or an id."""
    found = [*written(event, SIGNATURE_BYTES), *written(event, DIGEST_BYTES)]
    places = dict.fromkeys(one.at for one in found)
    return [one for one in places if not in_payload(payload, one)]


def in_payload(payload: str, place: str) -> bool:
    """Whether a place is in the payload, if there is one."""
    return payload != "" and is_below([payload], place)


# Subsets -------------------------------------------------------------------------------------


class SignedSubset(NamedTuple):
    """Canonical bytes, or an ASCII form, that may have been hashed or signed."""

    of: Part
    is_wrapped: bool
    is_ascii: bool
    excluded: tuple[str, ...]
    """Pointers to the members that are left out, in any order."""
    digest: bytes
    pieces: tuple[bytes, ...]
    """The encoded members, which subsets share; or the encoded payload."""
    size_bytes: int

    @property
    def pre_image(self) -> SignedContent:
        """The part of the event: few of many subsets are asked for it."""
        excluded = tuple(sorted(self.excluded))
        return SignedContent(self.of, excluded, None, self.is_wrapped, self.is_ascii)

    @property
    def text(self) -> bytes:
        """The bytes."""
        if self.of == "payload":
            return self.pieces[0]
        head, end = _AROUND[self.is_wrapped]
        return head + b",".join(self.pieces) + end


_AROUND = {False: (b"{", b"}"), True: (b'{"payload":{', b"}}")}
"""The bytes around members, bare or wrapped (V4)."""


def subsets(event: Object, payload: str, effort: SearchBudget) -> Iterator[SignedSubset]:
    """Yield every text that may have been hashed, the likeliest first, each once.

    A text is the payload alone, or the event without a subset of its members and of members of
    inner objects that may be ids and signatures. It is bare or `{"payload": ...}` (V4), and in
    ASCII form (V7), too, if the event is not all ASCII.
    """
    seen: set[bytes] = set()
    for subset in _all_subsets(event, payload, effort):
        if not effort.may_hash(subset.size_bytes):
            return
        if subset.digest not in seen:
            seen.add(subset.digest)
            yield subset


def _all_subsets(event: Object, payload: str, effort: SearchBudget) -> Iterator[SignedSubset]:
    forms = _forms_of(event)
    if payload:
        yield from (one for form in forms for one in _alone(get_pointer(event, payload), form))
    found = _candidates(event, payload)
    nested = [one for one in found if one.count("/") > 1]
    what = "texts within objects can be ids or signatures: not every subset of them was tried"
    inner = effort.first(nested, _INNER, what)
    free = _free_members(event, found, inner, effort)
    for is_ascii, spell in forms:
        options = [[one.spelled(spell) for one in ways] for ways in _options(event, inner, free)]
        for is_wrapped, (head, _) in _AROUND.items():
            start = _SearchState(hashlib.sha256(head), (), (), len(head))
            yield from _walk(options, start, is_wrapped=is_wrapped, is_ascii=is_ascii)


class _TextForm(NamedTuple):
    """A form of the bytes that are hashed: V2 or V7."""

    is_ascii: bool
    spell: Callable[[bytes], bytes]
    """Converts canonical bytes to the form."""


def _forms_of(event: Object) -> list[_TextForm]:
    """Return the forms in which the bytes of an event differ: one, if it is all ASCII."""
    forms = [_TextForm(False, bytes), _TextForm(True, ascii_form)]  # noqa: FBT003
    return forms[: 1 + (not is_ascii_only(canonical(event)))]


def is_ascii_only(text: bytes) -> bool:
    """Whether canonical bytes (V2) equal the ASCII form (V7)."""
    return ascii_form(text) == text


def _free_members(
    event: Object, found: Iterable[str], inner: Sequence[str], effort: SearchBudget
) -> set[str]:
    """Return the members that may be left out: those with ids and signatures, and the shortest."""
    nested, holding = tops(inner), tops(found)
    ranked = sorted(
        event,
        key=lambda name: (
            escape_token(name) not in nested,
            escape_token(name) not in holding,
            len(canonical(event[name])),
            name,
        ),
    )
    count = min(MAX_MEMBERS, _CHOICES - len(inner))
    return set(effort.first(ranked, count, "members: not every subset of them was tried"))


def tops(pointers: Iterable[str]) -> set[str]:
    """Return the first token of each pointer, escaped."""
    return {pointer.split("/")[1] for pointer in pointers}


def _alone(payload: Value, form: _TextForm) -> Iterator[SignedSubset]:
    for wrapped in (False, True):
        text = form.spell(canonical({"payload": payload} if wrapped else payload))
        digest = hashlib.sha256(text).digest()
        yield SignedSubset("payload", wrapped, form.is_ascii, (), digest, (text,), len(text))


class _Option(NamedTuple):
    """A way of taking adjacent members."""

    text: bytes | None
    """Their part of the canonical bytes; None if they are left out."""
    excluded: tuple[str, ...] = ()
    """Pointers to the members that are left out."""

    def spelled(self, spell: Callable[[bytes], bytes]) -> _Option:
        """Return the option with its text in another form."""
        return self if self.text is None else self._replace(text=spell(self.text))


def _options(event: Object, inner: Sequence[str], free: set[str]) -> Iterator[list[_Option]]:
    """Yield the ways of taking each member; those that are always taken are one, if adjacent."""
    for is_free, names in groupby(sorted(event), lambda name: name in free):
        if is_free:
            yield from (list(_options_of(name, event[name], inner)) for name in names)
        else:
            yield [_Option(canonical({name: event[name] for name in names})[1:-1])]


def _options_of(name: str, value: Value, inner: Iterable[str]) -> Iterator[_Option]:
    """Yield the ways of taking a member: whole, without some members of its own, or not at all."""
    pointer = join_pointer("", name)
    within = [one for one in inner if one.startswith(f"{pointer}/")]
    for count in range(len(within) + 1):
        for less in combinations(within, count):
            rest = SignedContent("event", less).text({name: value}, "")
            yield _Option(rest[1:-1], less)
    yield _Option(None, (pointer,))


class _SearchState(NamedTuple):
    """The members up to some place, each taken or left out."""

    hashed: Any
    pieces: tuple[bytes, ...]
    excluded: tuple[str, ...]
    size_bytes: int
    depth: int = 0
    """The number of members."""


def _walk(
    options: Sequence[list[_Option]], start: _SearchState, *, is_wrapped: bool, is_ascii: bool
) -> Iterator[SignedSubset]:
    """Yield each subset, those that begin alike one after the other."""
    end = _AROUND[is_wrapped][1]
    waiting = [start]
    while waiting:
        state = waiting.pop()
        if state.depth < len(options):
            ways = options[state.depth]
            waiting += [_counted(state, option) for option in reversed(ways)]
        elif state.pieces:  # a signature of nothing proves nothing
            hashed = state.hashed.copy()
            hashed.update(end)
            yield SignedSubset(
                "event",
                is_wrapped,
                is_ascii,
                state.excluded,
                hashed.digest(),
                state.pieces,
                state.size_bytes,
            )


def _counted(state: _SearchState, option: _Option) -> _SearchState:
    hashed, pieces, excluded, size_bytes, depth = state
    text, less = option
    excluded += less
    if text is None:
        return _SearchState(hashed, pieces, excluded, size_bytes, depth + 1)
    hashed = hashed.copy()
    hashed.update(b"," + text if pieces else text)
    return _SearchState(hashed, (*pieces, text), excluded, size_bytes + len(text), depth + 1)
