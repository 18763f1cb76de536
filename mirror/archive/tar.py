"""Reads tar archives, with bags or without, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first the tag files of its bags, because a manifest may
follow the files that it lists, then the members. Nothing is extracted, and only one member is in
memory at a time.
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
    drop_invalid_bag,
    refuse_name,
)
from mirror.archive.tar_reader import (
    BLOCK,
    Header,
    TarReader,
    TarTrailingDataError,
    TruncatedError,
    parse_header,
)
from mirror.core.escaping import escape_name
from mirror.errors import LimitError

__all__ = ["BLOCK", "is_tar", "locate_in_tar", "read_tar"]


def is_tar(head: bytes) -> bool:
    """Whether a stream that begins with `head` (512 bytes) is a tar; v7 and empty tars are, too."""
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
    member_filter: MemberFilter = BUNDLES,
    *,
    seekable: bool,
) -> Iterator[MemberOrBag]:
    """Yield the selected members of an archive, refusals, and its bag.

    Args:
        open_stream: Returns the uncompressed archive from its start, at each call.
        limits: Limits on the input.
        member_filter: Selects members.
        seekable: Whether the stream can skip data.
    """
    contents = _read_contents(open_stream, limits, member_filter, seekable=seekable)
    yield from drop_invalid_bag(
        item
        for one in contents
        for item in (
            read_extent(one.extent, one.data, limits) if isinstance(one, CheckedContent) else (one,)
        )
    )


def locate_in_tar(file: BinaryIO, limits: ReadLimits) -> Iterator[Extent | RefusedMember | Bag]:
    """Yield the extents of the bundles in an uncompressed archive, refusals, and its bag.

    The whole archive is checked against its manifests (C5), so that each extent can be read by
    itself later, on another machine. An empty segment has no extent. The bag is valid only if
    nothing is refused within an extent, either.
    """

    def from_start() -> BinaryIO:
        file.seek(0)
        return file

    for one in drop_invalid_bag(_read_contents(from_start, limits, BUNDLES, seekable=True)):
        if not isinstance(one, CheckedContent):
            yield one
        elif any(True for _ in read_extent(one.extent, one.data, limits)):
            yield one.extent


def _read_contents(
    open_stream: Callable[[], BinaryIO],
    limits: ReadLimits,
    member_filter: MemberFilter,
    *,
    seekable: bool,
) -> Iterator[CheckedContent | RefusedMember | Bag]:
    def walk() -> Iterator[ArchiveEntry | RefusedMember]:
        return _walk(TarReader(open_stream(), limits, seekable), limits)

    return read_contents(walk, limits, member_filter)


# Walking the headers -------------------------------------------------------------------------


class _TarEntry:
    """The current member of a tar reader."""

    def __init__(self, reader: TarReader, header: Header) -> None:
        self._is_regular = header.is_regular
        self.chunks = reader.chunks
        self.offset = reader.offset
        self.raw_path = header.name
        self.path = posixpath.normpath(header.name)
        self.size = header.size
        self.is_folder = header.is_folder

    @property
    def name(self) -> str:
        """Name, escaped for display."""
        return escape_name(self.raw_path)

    def refusal(self) -> RefusedMember | None:
        """Return a refusal because of its header, or None (C5)."""
        refused = refuse_name(self.raw_path)
        if refused is None and not (self._is_regular or self.is_folder):
            return RefusedMember(self.name, "archive.member", "it is not a regular file")
        return refused


def _walk(reader: TarReader, limits: ReadLimits) -> Iterator[ArchiveEntry | RefusedMember]:
    """Yield each member, then a refusal if the archive is truncated, damaged or too large."""
    last = "the start"
    try:
        for header in _headers(reader, limits):
            if header.is_volume_label:
                continue
            entry = _TarEntry(reader, header)
            yield entry
            last = header.name
    except TruncatedError as error:
        yield _refuse_rest(last, "archive.truncated", str(error))
    except TarTrailingDataError as error:
        yield _refuse_rest(last, "archive.trailing", str(error))
    except LimitError as error:
        yield _refuse_rest(last, error.code, f"{error.message}; the rest was not read")


def _refuse_rest(last: str, code: str, message: str) -> RefusedMember:
    return RefusedMember(f"after {escape_name(last)}", code, message)


def _headers(reader: TarReader, limits: ReadLimits) -> Iterator[Header]:
    for _ in range(limits.members):
        header = reader.next()
        if header is None:
            return
        yield header
    if reader.next() is not None:
        raise LimitError("limit.count", f"more than {limits.members} members")
