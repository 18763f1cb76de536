"""Opens a SOURCE of the command line: a file, a folder or standard input (C1, C3)."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

from mirror.archive.compression import (
    DECOMPRESSION_ERRORS,
    is_compressed,
    open_buffered,
    open_decompressed,
)
from mirror.archive.folder import read_folder
from mirror.archive.formats import format_of
from mirror.archive.json_lines import read_json
from mirror.archive.limits import ReadLimits
from mirror.archive.member import (
    BUNDLES,
    Bag,
    MemberFilter,
    MemberOrBag,
    RefusedMember,
    is_refusal,
)
from mirror.archive.standard_input import standard_input
from mirror.archive.tar import BLOCK, is_tar, read_tar
from mirror.archive.temporary import temporary_error
from mirror.errors import LimitError, SourceError

__all__ = [
    "Source",
    "empty_source",
    "is_uncompressed_tar",
    "open_file",
    "open_source",
    "unreadable",
]

_COPIED_BYTES = 1 << 16
"""Most bytes that are copied at once, as many as a pipe holds."""


class Source:
    """An open source; iterate over `items` once."""

    def __init__(
        self,
        name: str,
        content: BinaryIO | Path,
        limits: ReadLimits,
        member_filter: MemberFilter = BUNDLES,
    ) -> None:
        self.name = name
        """Name given on the command line."""
        self._content = content
        self._limits = limits
        self._filter = member_filter

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the file; None for a folder."""
        return None if isinstance(self._content, Path) else os.fstat(self._content.fileno()).st_size

    @property
    def position_bytes(self) -> int:
        """Bytes of the file that have been read; 0 for a folder."""
        return 0 if isinstance(self._content, Path) else self._content.tell()

    def items(self) -> Iterator[MemberOrBag]:
        """Yield members, refusals and the bag of the source; a refusal if it is empty.

        Raises:
            SourceError: `source.unreadable`, `temporary.unwritable`: reading failed for a reason
                other than the content.
        """
        is_empty = True
        try:
            for item in self._read():
                is_empty = is_empty and _is_empty(item)
                yield item
        except (OSError, sqlite3.Error) as error:  # of the source, or of a temporary database
            raise unreadable(self.name, error) from error
        if is_empty:
            yield empty_source(self._filter)

    def _read(self) -> Iterator[MemberOrBag]:
        if isinstance(self._content, Path):
            return read_folder(self._content, self._limits, self._filter)
        return _read_file(self._content, self._limits, self._filter)


def _is_empty(item: MemberOrBag) -> bool:
    """Whether a source with only such items is empty, and no item reports it."""
    if isinstance(item, Bag):
        return not item.is_increment
    return isinstance(item, RefusedMember) and not is_refusal(item)


def empty_source(member_filter: MemberFilter) -> RefusedMember:
    """Return the refusal of a source without any selected member."""
    names = f"{member_filter.file_name}, *.{member_filter.file_name}"
    is_in_segments = member_filter.is_in_segments
    kinds = f"{names} or packed segment" if is_in_segments else names.replace(", ", " or ")
    return RefusedMember("", "archive.empty", f"no {kinds} is in it")


def _read_file(
    file: BinaryIO, limits: ReadLimits, member_filter: MemberFilter
) -> Iterator[MemberOrBag]:
    def open_stream() -> BinaryIO:
        return open_decompressed(file, limits)

    is_plain = not is_compressed(file.read(4))
    block = _first_block(open_stream())
    if is_tar(block):
        yield from read_tar(open_stream, limits, member_filter, seekable=is_plain)
    elif (found := format_of(block)) is not None:
        yield _unsupported_format(found, is_plain=is_plain)
    else:
        yield from read_json(open_buffered(file, limits), limits)


def _unsupported_format(name: str, *, is_plain: bool) -> RefusedMember:
    inside = "" if is_plain else " within gzip or zstd, of which only one layer is decompressed"
    message = (
        f"it is {name}{inside}; this format is not read: unpack it, and pass its content"
        " as it is, or as tar, gzip or zstd"
    )
    return RefusedMember("", "archive.format", message)


def is_uncompressed_tar(head: bytes) -> bool:
    """Whether a file that begins with `head` (512 bytes) is a tar that is not compressed."""
    return not is_compressed(head[:4]) and is_tar(head)


def _first_block(stream: BinaryIO) -> bytes:
    """Return the first 512 bytes, or all bytes of a shorter stream."""
    block = b""
    try:
        while len(block) < BLOCK and (more := stream.read(BLOCK - len(block))):
            block += more
    except (*DECOMPRESSION_ERRORS, LimitError):
        pass  # the reader of the format reports it
    return block


@contextmanager
def open_source(
    name: str, limits: ReadLimits, member_filter: MemberFilter = BUNDLES
) -> Iterator[Source]:
    """Open a source by its path, or standard input for `-`.

    Raises:
        SourceError: `source.unreadable` if the file does not exist or cannot be read;
            `temporary.unwritable` if a pipe cannot be copied.
    """
    try:
        content = Path(name) if name not in {"", "-"} and Path(name).is_dir() else open_file(name)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise unreadable(name, error) from error
    try:
        yield Source(name, content, limits, member_filter)
    finally:
        if not isinstance(content, Path):
            content.close()


def open_file(name: str) -> BinaryIO:
    """Open a file by its path, or standard input for `-`; a pipe is copied, so that it is seekable.

    Raises:
        OSError: If it cannot be opened, or is a device: `/dev/zero` would fill the disk.
        ValueError: If the path is empty or contains a NUL.
        SourceError: `source.unreadable` if standard input is closed.
    """
    if not name:
        raise ValueError("the path is empty")
    if name == "-":
        return _spool(cast("BufferedIOBase", standard_input()))
    path = Path(name)
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.ENODEV, "it is a device, not a file")
    file = path.open("rb")
    if stat.S_ISREG(mode):
        return file
    with file as pipe:
        return _spool(pipe)


def _spool(stream: BufferedIOBase) -> BinaryIO:
    """Copy a stream to an unnamed temporary file, which can be read again from its start.

    `read1` returns what is there. `read` would wait for a whole block, and Python would not see
    a Ctrl-C that came before it began to wait until then.
    """
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        for block in iter(lambda: stream.read1(_COPIED_BYTES), b""):
            copy.write(block)
        copy.seek(0)
    except BaseException:
        with suppress(OSError):  # closing writes the buffer, which does not fit, either
            copy.close()
        raise
    return copy


def unreadable(name: str, error: OSError | ValueError | sqlite3.Error) -> SourceError:
    """Return the error to report if a source cannot be read, or a temporary file written."""
    if isinstance(error, OSError | sqlite3.Error) and (found := temporary_error(error)):
        return found
    reason = getattr(error, "strerror", None) or str(error)
    return SourceError("source.unreadable", reason, where=name, hint="check the path")
