"""A SOURCE of the command line, known by its content: file, folder or standard input (C1, C3)."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from mirror.archive.compression import DECOMPRESSION_ERRORS, is_compressed, open_plain
from mirror.archive.folder import read_folder
from mirror.archive.formats import format_of
from mirror.archive.json_lines import read_document
from mirror.archive.limits import ReadLimits
from mirror.archive.member import BUNDLES, Bag, MemberFilter, MemberOrBag, RefusedMember
from mirror.archive.standard_input import standard_input
from mirror.archive.tar import BLOCK, is_tar, read_tar
from mirror.archive.temporary import temporary_error
from mirror.errors import LimitError, SourceError

__all__ = ["Source", "is_plain_tar", "nothing_in_it", "open_file", "open_source"]


class Source:
    """One source, open; iterate over `items` once."""

    def __init__(
        self, name: str, place: BinaryIO | Path, limits: ReadLimits, wanted: MemberFilter = BUNDLES
    ) -> None:
        self.name = name
        """As the person wrote it."""
        self._place = place
        self._limits = limits
        self._wanted = wanted

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the file; None for a folder, whose size is not known beforehand."""
        return None if isinstance(self._place, Path) else os.fstat(self._place.fileno()).st_size

    @property
    def position_bytes(self) -> int:
        """Bytes of the file that were read so far; 0 for a folder."""
        return 0 if isinstance(self._place, Path) else self._place.tell()

    def items(self) -> Iterator[MemberOrBag]:
        """Yield what is in the source; a refusal where that is nothing at all.

        Raises:
            SourceError: If reading fails for a reason that is not in the content:
            `source.unreadable`, `temporary.unwritable`.
        """
        empty = True
        try:
            for item in self._read():
                empty = empty and _is_nothing(item)
                yield item
        except (OSError, sqlite3.Error) as error:  # SQLite's: of a temporary database
            raise _unreadable(self.name, error) from error
        if empty:
            yield nothing_in_it(self._wanted)

    def _read(self) -> Iterator[MemberOrBag]:
        if isinstance(self._place, Path):
            return read_folder(self._place, self._limits, self._wanted)
        return _read_file(self._place, self._limits, self._wanted)


def _is_nothing(item: MemberOrBag) -> bool:
    """Whether a source that gives only such items holds nothing, and does not say so itself."""
    if isinstance(item, Bag):
        return not item.is_increment
    return isinstance(item, RefusedMember) and not item.is_fault


def nothing_in_it(wanted: MemberFilter) -> RefusedMember:
    """Return the refusal of a source that holds nothing of what is wanted."""
    names = f"{wanted.file_name}, *.{wanted.file_name}"
    kinds = f"{names} or packed segment" if wanted.is_in_segments else names.replace(", ", " or ")
    message = f"no {kinds} is in it"
    return RefusedMember("", "archive.empty", message)


def _read_file(file: BinaryIO, limits: ReadLimits, wanted: MemberFilter) -> Iterator[MemberOrBag]:
    head = file.read(4)
    is_plain = not is_compressed(head)
    block = _first_block(open_plain(file, limits))
    if is_tar(block):
        yield from read_tar(lambda: open_plain(file, limits), limits, wanted, seekable=is_plain)
    elif (found := format_of(block)) is not None:
        yield _of_another_format(found, is_plain=is_plain)
    elif is_plain:
        yield from read_document(open_plain(file, limits), limits)
    else:
        yield from read_document(io.BufferedReader(cast("Any", open_plain(file, limits))), limits)


def _of_another_format(found: str, *, is_plain: bool) -> RefusedMember:
    inside = "" if is_plain else " within gzip or zstd, of which one layer is undone"
    message = (
        f"it is {found}{inside}; it is not read: unpack it, and give what was in it"
        " as it is, or as tar, gzip or zstd"
    )
    return RefusedMember("", "archive.format", message)


def is_plain_tar(head: bytes) -> bool:
    """Whether a file that begins with `head` (512 bytes) is taken for a tar, and as it stands."""
    return not is_compressed(head[:4]) and is_tar(head)


def _first_block(stream: BinaryIO) -> bytes:
    """Return the first 512 bytes, or as many as there are."""
    block = b""
    try:
        while len(block) < BLOCK and (more := stream.read(BLOCK - len(block))):
            block += more
    except (*DECOMPRESSION_ERRORS, LimitError):
        pass  # whoever reads it as what it is meets the same, and says so
    return block


@contextmanager
def open_source(name: str, limits: ReadLimits, wanted: MemberFilter = BUNDLES) -> Iterator[Source]:
    """Open a source by its path, or standard input for `-`; it yields what is wanted of it.

    Raises:
        SourceError: `source.unreadable` if there is no such file or it may not be read;
            `temporary.unwritable` if a pipe cannot be copied.
    """
    try:
        place = _open(name)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise _unreadable(name, error) from error
    try:
        yield Source(name, place, limits, wanted)
    finally:
        if not isinstance(place, Path):
            place.close()


def _open(name: str) -> BinaryIO | Path:
    if not name:
        raise ValueError("the path is empty")
    if name == "-":
        return _spool(standard_input())
    path = Path(name)
    if path.is_dir():
        return path
    file = open_file(path)
    if path.is_file():
        return file
    with file as pipe:
        return _spool(pipe)


def open_file(path: Path) -> BinaryIO:
    """Open a file or pipe for reading.

    Raises:
        OSError: If it cannot be opened, or is a device: `/dev/zero` would fill the disk.
    """
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.ENODEV, "it is a device, not a file")
    return path.open("rb")


def _spool(stream: BinaryIO) -> BinaryIO:
    """Copy a pipe to an unnamed file: a container is read more than once from its start."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
    except BaseException:
        with suppress(OSError):  # what is left in its buffer does not fit, either
            copy.close()
        raise
    return cast("BinaryIO", copy)


def _unreadable(name: str, error: OSError | ValueError | sqlite3.Error) -> SourceError:
    if isinstance(error, OSError | sqlite3.Error) and (found := temporary_error(error)):
        return found
    reason = getattr(error, "strerror", None) or str(error)
    return SourceError("source.unreadable", reason, where=name, hint="check the path")
