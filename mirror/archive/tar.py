"""Tar archives, bags or not, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first for the tag files of the bags in it, whose
manifests may stand behind what they vouch for, then for the members. Nothing is extracted, and
nothing is held but one member at a time.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from typing import BinaryIO

from mirror.archive.contents import ArchiveEntry, CheckedContent, Extent, read_contents, read_extent
from mirror.archive.limits import ReadLimits
from mirror.archive.member import (
    BUNDLES,
    Bag,
    MemberFilter,
    MemberOrBag,
    RefusedMember,
    check_name,
    is_name_too_long,
)
from mirror.archive.tar_reader import (
    BLOCK,
    Header,
    TarReader,
    TarTrailingDataError,
    TruncatedError,
    parse_header,
)
from mirror.core.escaping import NAME_CHARACTERS, escape_name
from mirror.errors import LimitError

__all__ = ["BLOCK", "is_tar", "locate_in_tar", "read_tar"]


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
    limits: ReadLimits,
    wanted: MemberFilter = BUNDLES,
    *,
    seekable: bool,
) -> Iterator[MemberOrBag]:
    """Yield what is wanted of an archive and what was refused in it.

    Args:
        open_stream: Gives the uncompressed archive from its start, each time it is called.
        limits: What this mirror accepts.
        wanted: What to look for.
        seekable: Whether the stream can skip what is not read.
    """
    is_sound = True
    for one in _read_contents(open_stream, limits, wanted, seekable=seekable):
        items = (
            read_extent(one.extent, one.data, limits) if isinstance(one, CheckedContent) else (one,)
        )
        for item in items:
            is_sound = is_sound and not (isinstance(item, RefusedMember) and item.is_fault)
            if is_sound or not isinstance(item, Bag):
                yield item


def locate_in_tar(file: BinaryIO, limits: ReadLimits) -> Iterator[Extent | RefusedMember | Bag]:
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
        if isinstance(one, CheckedContent):
            if any(True for _ in read_extent(one.extent, one.data, limits)):
                yield one.extent
            continue
        is_sound = is_sound and not (isinstance(one, RefusedMember) and one.is_fault)
        if is_sound or isinstance(one, RefusedMember):
            yield one


def _read_contents(
    open_stream: Callable[[], BinaryIO], limits: ReadLimits, wanted: MemberFilter, *, seekable: bool
) -> Iterator[CheckedContent | RefusedMember | Bag]:
    """Yield what is wanted, what was refused, and at the end the bag that the archive is."""

    def walk() -> Iterator[ArchiveEntry | RefusedMember]:
        return _walk(TarReader(open_stream(), limits, seekable), limits)

    return read_contents(walk, limits, wanted)


# Walking the headers -------------------------------------------------------------------------


class _TarEntry:
    """A member, while the reader stands at it."""

    def __init__(self, reader: TarReader, header: Header) -> None:
        self._header = header
        self.chunks = reader.chunks
        self.start = reader.position
        self.name = escape_name(header.name)
        self.place = header.name
        self.path = posixpath.normpath(header.name)
        self.size = header.size
        self.is_folder = header.is_folder

    def fault(self) -> RefusedMember | None:
        """Return why the member is refused by its header, or None (C5)."""
        if is_name_too_long(self.place):
            message = f"its name is longer than {NAME_CHARACTERS} characters"
            return RefusedMember(self.name, "limit.size", message)
        if not (self._header.is_regular or self.is_folder):
            return RefusedMember(self.name, "archive.member", "it is not a regular file")
        fault = check_name(self.place)
        return None if fault is None else RefusedMember(self.name, "archive.member", fault)


def _walk(reader: TarReader, limits: ReadLimits) -> Iterator[ArchiveEntry | RefusedMember]:
    """Yield each member, and at the end a refusal if the archive does not end as it should."""
    last = "the start"
    try:
        for header in _headers(reader, limits):
            if header.is_label:
                continue
            entry = _TarEntry(reader, header)
            yield entry
            last = entry.name
    except TruncatedError as error:
        yield RefusedMember(f"after {last}", "archive.truncated", str(error))
    except TarTrailingDataError as error:
        yield RefusedMember(f"after {last}", "archive.trailing", str(error))
    except LimitError as error:
        yield RefusedMember(f"after {last}", error.code, f"{error.message}; the rest was not read")


def _headers(reader: TarReader, limits: ReadLimits) -> Iterator[Header]:
    for _ in range(limits.members):
        header = reader.next()
        if header is None:
            return
        yield header
    if reader.next() is not None:
        raise LimitError("limit.count", f"more than {limits.members} members")
