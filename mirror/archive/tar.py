"""Tar archives, bags or not, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first for the tag files of the bags in it, whose
manifests may stand behind what they vouch for, then for the members. Nothing is extracted, and
nothing is held but one member at a time.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from mirror.archive.blocks import BLOCK, Header, TarReader, TruncatedError, parse_header
from mirror.archive.inventory import Inventory, is_tag_file_of_interest
from mirror.archive.limits import Limits
from mirror.archive.member import (
    BUNDLES,
    Bag,
    Item,
    Refused,
    Wanted,
    fault_of_name,
    member_or_refusal,
    shown,
)
from mirror.archive.segment import is_segment_name, read_segment
from mirror.errors import LimitError

__all__ = ["BLOCK", "Extent", "is_tar", "locate_in_tar", "read_extent", "read_tar"]


def is_tar(head: bytes) -> bool:
    """Whether a stream that begins with `head` (512 bytes) is a tar, also a v7 or an empty one."""
    if head == bytes(BLOCK):
        return True
    try:
        parse_header(head)
    except TruncatedError:
        return False
    return True


def read_tar(
    open_stream: Callable[[], BinaryIO],
    limits: Limits,
    wanted: Wanted = BUNDLES,
    *,
    seekable: bool,
) -> Iterator[Item]:
    """Yield what is wanted of an archive and what was refused in it.

    Args:
        open_stream: Gives the uncompressed archive from its start, each time it is called.
        limits: What this mirror accepts.
        wanted: What to look for.
        seekable: Whether the stream can skip what is not read.
    """
    is_sound = True
    for one in _read_contents(open_stream, limits, wanted, seekable=seekable):
        items = read_extent(one.extent, one.data, limits) if isinstance(one, _Content) else (one,)
        for item in items:
            is_sound = is_sound and not isinstance(item, Refused)
            if is_sound or not isinstance(item, Bag):
                yield item


class Extent(NamedTuple):
    """Where in a plain archive the content of a member lies that is wanted."""

    name: str
    """Of the member."""
    start: int
    """Bytes from the start of the archive."""
    size: int
    """Bytes."""
    is_segment: bool
    """Whether it is a packed segment (C4), not a bundle by itself."""


def locate_in_tar(file: BinaryIO, limits: Limits) -> Iterator[Extent | Refused | Bag]:
    """Yield where in a plain archive the bundles are that `read_tar` would give.

    All of it is read once and held against its manifests (C5), so that each part can be read by
    itself afterwards, elsewhere. A segment in which nothing is has no extent. The bag at the end
    is sound only if nothing is refused within an extent, either.
    """

    def from_start() -> BinaryIO:
        file.seek(0)
        return file

    is_sound = True
    for one in _read_contents(from_start, limits, BUNDLES, seekable=True):
        if isinstance(one, _Content):
            if any(True for _ in read_extent(one.extent, one.data, limits)):
                yield one.extent
            continue
        is_sound = is_sound and not isinstance(one, Refused)
        if is_sound or isinstance(one, Refused):
            yield one


def read_extent(extent: Extent, data: bytes, limits: Limits) -> Iterator[Item]:
    """Yield what is in the content of one member."""
    if extent.is_segment:
        yield from read_segment(extent.name, data, limits)
    else:
        yield member_or_refusal(extent.name, data, limits)


class _Content(NamedTuple):
    """The content of a member that is wanted, held against the manifests."""

    extent: Extent
    data: bytes


def _read_contents(
    open_stream: Callable[[], BinaryIO], limits: Limits, wanted: Wanted, *, seekable: bool
) -> Iterator[_Content | Refused | Bag]:
    """Yield what is wanted, what was refused, and at the end the bag that the archive is."""

    def walk() -> Iterator[_Entry | Refused]:
        return _walk(TarReader(open_stream(), limits, seekable), limits)

    with Inventory() as inventory:
        yield from _contents(walk, inventory, limits, wanted)
        if (bag := inventory.bag()) is not None:
            yield bag


def _contents(
    walk: Callable[[], Iterator[_Entry | Refused]],
    inventory: Inventory,
    limits: Limits,
    wanted: Wanted,
) -> Iterator[_Content | Refused]:
    yield from _take_tag_files(walk(), inventory)
    for entry in walk():
        if isinstance(entry, Refused):
            inventory.is_complete = False
            yield entry
        else:
            yield from _read(entry, inventory, limits, wanted)
    if inventory.is_complete:
        for path in inventory.missing():
            yield Refused(path, "archive.fixity", "a manifest lists it, but it is not there")


# Walking the headers -------------------------------------------------------------------------


class _Entry:
    """A member, while the reader stands at it."""

    def __init__(self, reader: TarReader, header: Header) -> None:
        self.header = header
        self.chunks = reader.chunks
        self.start = reader.position
        self.name = shown(header.name)
        self.path = posixpath.normpath(header.name)

    def fault(self) -> str | None:
        """Return why the member is refused by its header, or None (C5)."""
        if not self.header.is_regular:
            return "it is not a regular file"
        return fault_of_name(self.header.name)


def _walk(reader: TarReader, limits: Limits) -> Iterator[_Entry | Refused]:
    """Yield each member, and at the end a refusal if the archive does not end as it should."""
    last = "the start"
    try:
        for header in _headers(reader, limits):
            entry = _Entry(reader, header)
            if not header.is_folder or fault_of_name(header.name) is not None:
                yield entry
            last = entry.name
    except TruncatedError as error:
        yield Refused(f"after {last}", "archive.truncated", str(error))
    except LimitError as error:
        yield Refused(f"after {last}", error.code, f"{error.message}; the rest was not read")


def _headers(reader: TarReader, limits: Limits) -> Iterator[Header]:
    for _ in range(limits.members):
        header = reader.next()
        if header is None:
            return
        yield header
    if reader.next() is not None:
        raise LimitError("limit.count", f"more than {limits.members} members")


# First pass: the tag files of bags -----------------------------------------------------------


def _take_tag_files(entries: Iterable[_Entry | Refused], inventory: Inventory) -> Iterator[Refused]:
    """Read declarations and manifests into the inventory; yield the manifests at fault."""
    for entry in entries:
        if isinstance(entry, Refused):
            inventory.is_complete = False
        elif is_tag_file_of_interest(entry.path) and entry.fault() is None:
            try:
                inventory.add_tag_file(entry.path, entry.chunks())
            except (TruncatedError, LimitError):
                inventory.is_complete = False
                break
    yield from inventory.read_manifests()


# Second pass: the members --------------------------------------------------------------------


def _read(
    entry: _Entry, inventory: Inventory, limits: Limits, wanted: Wanted
) -> Iterator[_Content | Refused]:
    """Yield what is wanted of a member, why it is refused, or nothing if it holds none of that."""
    is_new, expected = inventory.meet(entry.path)
    fault = entry.fault() or (None if is_new else "a member of this name came before")
    if fault is not None:
        yield Refused(entry.name, "archive.member", fault)
        return
    in_bag = inventory.is_in_bag(entry.path)
    inventory.is_just_a_bag = inventory.is_just_a_bag and in_bag
    is_payload = in_bag and inventory.is_payload(entry.path)
    is_bundle = wanted.is_name(entry.path)
    is_segment = wanted.is_in_segments and is_payload and is_segment_name(entry.path)
    limit = _limit(limits, is_wanted=is_bundle, is_segment=is_segment)
    if limit is None or not (is_payload or not in_bag):
        if in_bag:
            _, faults = _check(entry, inventory, expected, keep=False)
            yield from faults
    elif entry.header.size > limit:
        yield Refused(entry.name, "limit.size", f"larger than {limit} bytes")
    else:
        extent = Extent(entry.name, entry.start(), entry.header.size, not is_bundle)
        data, faults = _check(entry, inventory, expected, keep=True)
        yield from faults
        if data is not None:
            yield _Content(extent, data)


def _limit(limits: Limits, *, is_wanted: bool, is_segment: bool) -> int | None:
    """Return how many bytes a member may have that is to be read; None if it is not."""
    if is_wanted:
        return limits.member_bytes
    return limits.segment_bytes if is_segment else None


def _check(
    entry: _Entry, inventory: Inventory, expected: dict[str, str], *, keep: bool
) -> tuple[bytes | None, list[Refused]]:
    """Hold a member's content against the manifests (C2, C5).

    Returns:
        The content, if it is to be kept and is what it should be; and why it is refused.
    """
    hashes = {name: hashlib.new(name) for name in expected}
    chunks = []
    try:
        for chunk in entry.chunks():
            for hashed in hashes.values():
                hashed.update(chunk)
            if keep:
                chunks.append(chunk)
    except (TruncatedError, LimitError):
        return None, []  # the walk meets it again, and says so
    digests = {name: hashed.hexdigest() for name, hashed in hashes.items()}
    fault = inventory.fault_of_digests(entry.path, expected, digests)
    if fault is not None:
        return None, [Refused(entry.name, "archive.fixity", fault)]
    return b"".join(chunks) if keep else None, []
