"""Bitcoin block headers of the operator: reads them from files, checks and stores them.

A file has one of three forms, known by its content: raw headers of 80 bytes, JSON Lines, or the
archive that was proposed for the OpenTimestamps client (a head of 16 bytes, then raw headers).
Every header is checked for proof of work and for its links to the headers beside it. One fault
refuses the whole file. Which chain it is follows from nothing but the headers: there are no
checkpoints, and the least difficulty is said in words.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Literal, NamedTuple

from mirror.core.block_header import (
    HEADER_BYTES,
    MAX_HEIGHT,
    block_hash,
    difficulty_words,
    display_hash,
    parse_header,
    proven_hash,
    work,
)
from mirror.core.values import Object, is_integer
from mirror.errors import FormatError
from mirror.store import HeaderSegment, Store

__all__ = ["AddedHeaders", "HeaderChain", "HeaderRange", "add_headers", "header_ranges"]

_ARCHIVE_MAGIC = b"OTSH"
_ARCHIVE_HEAD_BYTES = 16
_BATCH = 4096
"""Headers that are checked and stored at once."""
_LINE_BYTES = 1_000
_HEADER = re.compile(r"[0-9A-Fa-f]{160}")
_JSON = re.compile(rb'\s*\{\s*"[ -~\s]*\Z')
"""The beginning of an object in a text; the hash in a raw header is no text."""
_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")


# Reading -------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """Headers of heights in a row."""

    first: int
    headers: list[bytes]


class _HeaderForm(NamedTuple):
    """A form of a file, and the headers in it."""

    words: str
    runs: Iterator[_Run]


def _fault(code: str, message: str, hint: str, height: int | None = None) -> FormatError:
    where = "" if height is None else f"height {height}"
    return FormatError(code, message, where=where, hint=hint)


_FORMS = (
    'give raw headers of 80 bytes with --height, JSON Lines such as {"height": 1, "header": "…"}, '
    "or an archive that begins with OTSH"
)
_EMPTY = "there is no header in the file"


def _read_form(stream: BinaryIO, height: int | None) -> _HeaderForm:
    """Return the form and the headers of a file.

    Args:
        stream: The file, at its beginning.
        height: Height of the first raw header, if one was given.

    Raises:
        FormatError: `headers.shape`, `headers.height`
    """
    head = stream.read(_ARCHIVE_HEAD_BYTES)
    is_archive, is_json = head.startswith(_ARCHIVE_MAGIC), _JSON.match(head) is not None
    if height is not None and (is_archive or is_json):
        message = "the file names the heights of its headers, and --height names one, too"
        raise _fault("headers.height", message, "leave --height out")
    if is_archive:
        start, network = _archive_head(head)
        words = f"an archive of network {network}, as its head says"
        return _HeaderForm(words, _raw_runs(stream, b"", start))
    if is_json:
        return _HeaderForm("JSON Lines", _json_runs(stream, head))
    if not head:
        raise _fault("headers.shape", _EMPTY, _FORMS)
    if height is None:
        message = "it is not JSON Lines, nor an archive; for raw headers, --height is missing"
        raise _fault("headers.height", message, _FORMS)
    return _HeaderForm("raw headers", _raw_runs(stream, head, height))


def _archive_head(head: bytes) -> tuple[int, int]:
    """Return start height and network of an archive: three numbers follow the magic.

    The proposal does not give their byte order, so the one is taken in which the version is 1.
    """
    for order in _ORDERS:
        numbers = [int.from_bytes(head[at : at + 4], order) for at in (4, 8, 12)]
        if len(head) == _ARCHIVE_HEAD_BYTES and numbers[0] == 1:
            return numbers[2], numbers[1]
    message = "an archive of headers of another version than 1, or cut off"
    raise _fault("headers.shape", message, "give the headers in another form")


def _raw_runs(stream: BinaryIO, ahead: bytes, height: int) -> Iterator[_Run]:
    """Yield raw headers; `ahead` was read from the stream before."""
    while data := ahead + stream.read(_BATCH * HEADER_BYTES - len(ahead)):
        ahead = b""
        count, left = divmod(len(data), HEADER_BYTES)
        run = _Run(height, [data[80 * n : 80 * n + 80] for n in range(count)])
        if run.headers:
            yield run
        height += count
        if left:
            message = f"the file ends {left} bytes after the last whole header"
            raise _fault("headers.shape", message, "is it cut off? get it again", height)


def _json_runs(stream: BinaryIO, ahead: bytes) -> Iterator[_Run]:
    """Yield the headers of JSON Lines, those of heights in a row together."""
    run = _Run(0, [])
    for number, line in enumerate(_lines(stream, ahead), 1):
        height, header = _parse_line(line, number)
        if run.headers and (height != run.first + len(run.headers) or len(run.headers) == _BATCH):
            yield run
            run = _Run(height, [])
        run = _Run(run.first if run.headers else height, run.headers)
        run.headers.append(header)
    if run.headers:
        yield run


def _lines(stream: BinaryIO, ahead: bytes) -> Iterator[bytes]:
    """Yield lines; `ahead` was read from the stream before, and ends within the first one.

    A line that is too long is cut one byte after the limit: `_parse_line` refuses it.
    """
    yield ahead + stream.readline(_LINE_BYTES + 1)
    yield from iter(partial(stream.readline, _LINE_BYTES + 1), b"")


def _parse_line(line: bytes, number: int) -> tuple[int, bytes]:
    value = _json(line)
    height, header = value.get("height"), value.get("header")
    if (
        is_integer(height)
        and 0 <= height <= MAX_HEIGHT
        and isinstance(header, str)
        and _HEADER.fullmatch(header)
    ):
        return height, bytes.fromhex(header)
    message = f"line {number} is not an object with a height and a header of 160 digits"
    raise _fault("headers.shape", message, _FORMS)


def _json(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line) if len(line) <= _LINE_BYTES else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


# Checking and storing ------------------------------------------------------------------------


@dataclass(slots=True)
class AddedHeaders:
    """Result of adding a file."""

    form: str
    """The form of the file, in words."""
    first: int | None = None
    """Least height in the file."""
    last: int = 0
    """Greatest height in the file."""
    new: int = 0
    """Headers that were stored."""
    known: int = 0
    """Headers that were in the store already."""

    def count(self, run: _Run, known: int) -> None:
        """Add the headers of a run, of which some were known."""
        last = run.first + len(run.headers) - 1
        self.first = run.first if self.first is None else min(self.first, run.first)
        self.last = max(self.last, last)
        self.new += len(run.headers) - known
        self.known += known

    def to_value(self) -> Object:
        """Return the result as a JSON object."""
        return {
            "form": self.form,
            "first_height": self.first,
            "last_height": self.last,
            "new": self.new,
            "known": self.known,
        }


def add_headers(
    store: Store,
    stream: BinaryIO,
    height: int | None = None,
    progress: Callable[[int], None] = lambda _headers: None,
) -> AddedHeaders:
    """Check the headers of a file and store the new ones, all or none; call within a transaction.

    Args:
        store: The store.
        stream: The file, at its beginning; it is read in pieces.
        height: Height of the first header in a file of raw headers; else None.
        progress: Receives numbers of headers that were checked.

    Raises:
        FormatError: `headers.shape`, `headers.height`, `headers.work`, `headers.link` or
            `headers.conflict`
    """
    form = _read_form(stream, height)
    added, end = AddedHeaders(form.words), _End()
    for run in form.runs:
        end = _add_run(store, run, end, added)
        progress(len(run.headers))
    if added.first is None:
        raise _fault("headers.shape", _EMPTY, _FORMS)
    if added.new:
        store.anchors.enqueue_method("opentimestamps")
    return added


class _End(NamedTuple):
    """Height and hash of the header that was checked last."""

    height: int = -2
    """No header is one above it at the start."""
    hash: bytes = b""


def _add_run(store: Store, run: _Run, end: _End, added: AddedHeaders) -> _End:
    """Check and store a run; return its end."""
    last = run.first + len(run.headers) - 1
    if last > MAX_HEIGHT:
        raise _fault("headers.height", f"a height above {MAX_HEIGHT}", "check --height", last)
    known = store.block_headers.between(run.first - 1, last + 1)
    before, after = known.pop(run.first - 1, None), known.pop(last + 1, None)
    previous = end.hash if end.height == run.first - 1 else before and block_hash(before)
    for height, header in enumerate(run.headers, run.first):
        previous = _check(height, header, previous, known.get(height))
    if after is not None and parse_header(after).previous != previous:
        message = "the stored header of the next height names another one before it"
        raise _fault("headers.link", message, _OTHER_CHAIN, last)
    rows = [one for one in enumerate(run.headers, run.first) if one[0] not in known]
    store.block_headers.add(rows)
    added.count(run, len(known))
    return _End(last, previous or b"")


_OTHER_CHAIN = (
    "it is of another chain, or of a branch that was given up: compare it with a node of yours; "
    "a stored header is never replaced"
)


def _check(height: int, header: bytes, previous: bytes | None, known: bytes | None) -> bytes:
    """Check a header; return its hash.

    Args:
        height: Its height.
        header: 80 bytes.
        previous: Hash of the header before it, if that is known.
        known: The stored header of its height, if there is one.
    """
    digest = proven_hash(header)
    if digest is None:
        message = (
            f"no proof of work: the hash {display_hash(block_hash(header))} exceeds the target"
        )
        hint = "the file is damaged, forged, or no file of headers; get it from another node"
        raise _fault("headers.work", message, hint, height)
    if known is not None and known != header:
        message = f"the store has another header, {display_hash(block_hash(known))}"
        raise _fault("headers.conflict", message, _OTHER_CHAIN, height)
    if previous is not None and header[4:36] != previous:
        message = (
            f"it follows {display_hash(header[4:36])}, but the header before it is "
            f"{display_hash(previous)}"
        )
        raise _fault("headers.link", message, f"check the height; {_OTHER_CHAIN}", height)
    return digest


# Stored headers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeaderRange:
    """Linked headers of heights in a row."""

    first: int
    last: int
    first_hash: str
    first_time: str
    last_hash: str
    last_time: str
    work: int
    """Hashes that all of them cost on average."""
    least_work: int
    """Hashes that the easiest of them cost."""

    @property
    def words(self) -> str:
        """The least difficulty, which is all that the headers say about the chain."""
        return f"least {difficulty_words(self.least_work)}"

    def to_value(self) -> Object:
        """Return the range as a JSON object; work is a string of decimal digits."""
        ends = {"hash": self.first_hash, "time": self.first_time}
        return {
            "first": {"height": self.first, **ends},
            "last": {"height": self.last, "hash": self.last_hash, "time": self.last_time},
            "headers": self.last - self.first + 1,
            "work": str(self.work),
            "least_difficulty": self.words,
        }


class HeaderChain:
    """The stored headers as segments: how much work stands on one of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._segments = store.block_headers.segments()
        self._firsts = [one.first for one in self._segments]

    def header(self, height: int) -> bytes | None:
        """Return the header of a height, 80 bytes; None without one."""
        return self._store.block_headers.get(height) if height <= MAX_HEIGHT else None

    def after(self, height: int) -> tuple[int, int]:
        """Return how many linked headers follow a stored one, and their work in hashes."""
        blocks = hashes = 0
        last = height
        for segment in self._segments[max(0, bisect_right(self._firsts, height) - 1) :]:
            if segment.first > last + 1:
                break
            count = segment.last - max(last, segment.first - 1)
            blocks, hashes, last = blocks + count, hashes + count * work(segment.bits), segment.last
        return blocks, hashes


def header_ranges(store: Store) -> list[HeaderRange]:
    """Return the stored headers as ranges, ascending by height.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    groups: list[list[HeaderSegment]] = []
    for segment in store.block_headers.segments():
        if groups and groups[-1][-1].last + 1 == segment.first:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return [_range(store, one) for one in groups]


def _range(store: Store, segments: list[HeaderSegment]) -> HeaderRange:
    first, last = segments[0].first, segments[-1].last
    ends = [store.block_headers.between(height, height)[height] for height in (first, last)]
    named = [(display_hash(block_hash(one)), parse_header(one).time_text) for one in ends]
    works = [(work(one.bits), one.last - one.first + 1) for one in segments]
    total, least = sum(each * count for each, count in works), min(works)[0]
    return HeaderRange(first, last, *named[0], *named[1], total, least)
