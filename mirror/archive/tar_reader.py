"""Reads tar archives block by block: headers and contents (C5; POSIX.1-2017, GNU tar).

Python's `tarfile` is not used for reading. It accepts a damaged header as the end of an archive,
follows negative and absurd sizes, recurses over extended headers, and raises undocumented errors.
Here a header is either valid, or reading stops at it with an error.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mirror.archive.compression import DECOMPRESSION_ERRORS, TRAILING_DATA, has_trailing
from mirror.archive.limits import ReadLimits
from mirror.errors import LimitError

__all__ = ["BLOCK", "Header", "TarReader", "TarTrailingDataError", "TruncatedError", "parse_header"]

BLOCK = 512
"""Bytes of a block; every header and every content begins at a multiple of it."""

_ZEROS = bytes(BLOCK)
_CHUNK = 1 << 20
_REGULAR = frozenset({b"0", b"\0", b"7"})
_EXTENDED_HEADERS = frozenset({b"x", b"g", b"X", b"L", b"K"})
_WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
"""Links, devices, folders and pipes, which have no content, whatever the size in the header."""


class TruncatedError(Exception):
    """The archive ends too early, or is damaged."""


class TarTrailingDataError(Exception):
    """Data other than zeros follows the end-of-archive marker."""


@dataclass(slots=True)
class Header:
    """Header of a member, with the values of the extended headers before it."""

    name: str
    """Path; bytes that are not UTF-8 are decoded as surrogates."""
    size: int
    """Bytes of its content."""
    typeflag: bytes
    """One byte (POSIX `typeflag`)."""
    is_sparse: bool
    """Whether it is a sparse file, in one of GNU's formats."""
    is_extended: bool = False
    """Whether an extended sparse header follows (GNU `isextended`)."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file that is not sparse."""
        return self.typeflag in _REGULAR and not self.is_sparse and not self.is_folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, also one of a v7 tar, or one with a list of names (GNU)."""
        return self.typeflag in {b"5", b"D"} or (self.typeflag == b"\0" and self.name.endswith("/"))

    @property
    def is_volume_label(self) -> bool:
        """Whether it is a volume label (GNU), which is not a member."""
        return self.typeflag == b"V"

    @property
    def has_content(self) -> bool:
        """Whether content follows the header."""
        return self.typeflag == b"D" or not (self.is_folder or self.typeflag in _WITHOUT_CONTENT)


# Headers -------------------------------------------------------------------------------------


def parse_header(block: bytes) -> Header:
    """Parse one header block.

    Raises:
        TruncatedError: If it is invalid.
    """
    if len(block) != BLOCK:
        raise TruncatedError("the archive ends without its end-of-archive marker")
    if not _is_checksum(_number(block[148:156]), block):
        raise TruncatedError("the next header is damaged")
    name = _text(block[:100])
    if block[345] and block[257:263] == b"ustar\0":
        name = f"{_text(block[345:500])}/{name}"
    kind = block[156:157]
    size = _number(block[124:136])
    is_sparse = kind == b"S"
    return Header(name, size, kind, is_sparse, is_sparse and block[482] != 0)


def _is_checksum(chksum: int, block: bytes) -> bool:
    """Whether `chksum` is the sum of a header's bytes, with spaces for the checksum itself."""
    total = _sum(block[:148]) + 8 * ord(" ") + _sum(block[156:334]) + _sum(block[334:])
    if chksum == total:
        return True
    # Some old programs added signed bytes.
    return chksum == total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _sum(data: bytes) -> int:
    """Return the sum of up to 256 bytes: below 65521, one less than half of Adler-32 (RFC 1950)."""
    return (zlib.adler32(data) & 0xFFFF) - 1


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


_OCTAL = re.compile(rb" *([0-7]*) *(?:\0.*)?", re.DOTALL)


def _number(raw: bytes) -> int:
    """Parse a number: octal, or base 256 for larger ones (GNU tar)."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    match = _OCTAL.fullmatch(raw)
    if match is None:
        raise TruncatedError("the next header is damaged: it has an invalid number")
    return int(match[1] or b"0", 8)


_SIZE = re.compile(rb"[0-9]{1,20}")
_LENGTH = re.compile(rb"([1-9][0-9]{0,9}) ")


@dataclass(slots=True)
class _PaxHeaders:
    """Values of extended headers for the next member; other records are ignored."""

    path: str | None = None
    size: int | None = None
    is_sparse: bool = False

    def add_records(self, data: bytes) -> None:
        """Parse the records of a pax header.

        Raises:
            TruncatedError: If a record is invalid.
        """
        position = 0
        while position < len(data):
            match = _LENGTH.match(data, position)
            end = position + int(match[1]) if match else 0
            if match is None or not match.end() < end <= len(data) or data[end - 1] != 0x0A:
                raise TruncatedError("an extended header is damaged")
            key, equals, value = data[match.end() : end - 1].partition(b"=")
            if not equals:
                raise TruncatedError("an extended header is damaged")
            self._add_record(key, value)
            position = end

    def _add_record(self, key: bytes, value: bytes) -> None:
        if key in {b"path", b"GNU.sparse.name"}:
            self.path = value.decode("utf-8", "surrogateescape")
        elif key == b"size":
            if _SIZE.fullmatch(value) is None:
                raise TruncatedError("an extended header has an invalid size")
            self.size = int(value)
        if key.startswith(b"GNU.sparse."):
            self.is_sparse = True

    def apply(self, header: Header) -> None:
        """Replace the values of the next member's header."""
        header.name = header.name if self.path is None else self.path
        header.size = header.size if self.size is None else self.size
        header.is_sparse = header.is_sparse or self.is_sparse


# The reader ----------------------------------------------------------------------------------


@dataclass(slots=True)
class TarReader:
    """Reads the members of a tar, one after the other.

    All data before a damaged place is returned, and skipping stops at the end of the file.
    """

    stream: BinaryIO
    """The uncompressed archive; a read may return fewer bytes than requested."""
    limits: ReadLimits
    is_seekable: bool
    _global: _PaxHeaders | None = None
    _error: Exception | None = None
    """The error, or end of file, at which the stream ended."""
    _unread: int = 0
    """Bytes of the current member's content that are not read yet."""
    _unread_padded: int = 0
    """The same with the padding after the content."""
    _end: int = 0
    """Bytes of a seekable stream; 0 before the first use."""

    def next(self) -> Header | None:
        """Go to the next member; None at the end-of-archive marker.

        Raises:
            TruncatedError: If the archive ends too early, or is damaged.
            TarTrailingDataError: If other data follows the end of the archive.
            LimitError: If it exceeds a limit.
        """
        self._skip()
        extended: _PaxHeaders | None = None
        extended_bytes = 0
        while True:
            block = self._read(BLOCK)
            if block == _ZEROS:
                self._require_end(is_expected=extended_bytes == 0)
                return None
            header = parse_header(block)
            if header.typeflag not in _EXTENDED_HEADERS:
                for one in (self._global, extended):
                    if one is not None:
                        one.apply(header)
                return self._go_to_content(header)
            extended = extended or _PaxHeaders()
            extended_bytes += BLOCK + header.size
            if extended_bytes > self.limits.header_bytes:
                raise LimitError("limit.size", f"extended headers of {extended_bytes} bytes")
            self._parse_extended(header.typeflag, self._read_padded(header.size), extended)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the current member in chunks.

        Raises:
            TruncatedError: If the archive ends within it.
            LimitError: If it exceeds a limit.
        """
        while self._unread:
            chunk = self._read(min(_CHUNK, self._unread))
            self._unread -= len(chunk)
            self._unread_padded -= len(chunk)
            yield chunk

    def offset(self) -> int:
        """Return the offset of the current content in a seekable stream; -1 in others."""
        return self.stream.tell() if self.is_seekable else -1

    def _parse_extended(self, typeflag: bytes, data: bytes, extended: _PaxHeaders) -> None:
        if typeflag == b"L":
            extended.path = _text(data)
        elif typeflag == b"g":
            self._global = self._global or _PaxHeaders()
            self._global.add_records(data)
        elif typeflag in {b"x", b"X"}:
            extended.add_records(data)

    def _go_to_content(self, header: Header) -> Header:
        """Go to the content of a member, after its extended sparse headers."""
        is_extended = header.is_extended
        while is_extended:
            is_extended = self._read_padded(BLOCK)[504] != 0
        if not header.has_content:
            header.size = 0
        self._unread = header.size
        self._unread_padded = header.size + -header.size % BLOCK
        return header

    def _require_end(self, *, is_expected: bool) -> None:
        """Require that the block of zeros is the end-of-archive marker, and only zeros follow."""
        second = self._read_some(BLOCK)
        if not is_expected or second.strip(b"\0"):
            raise TruncatedError("a header of zeros that is not the end-of-archive marker")
        while rest := self._read_some(_CHUNK):  # to its end, where a checksum may show damage
            if rest.strip(b"\0"):
                raise TarTrailingDataError("data after the end-of-archive marker was not read")
        if isinstance(self._error, LimitError):
            raise self._error
        if self._error is not None and not isinstance(self._error, EOFError):
            raise TruncatedError(str(self._error))
        if has_trailing(self.stream):
            raise TarTrailingDataError(TRAILING_DATA)

    def _skip(self) -> None:
        """Skip the unread content of the current member."""
        count, self._unread_padded, self._unread = self._unread_padded, 0, 0
        if count and self.is_seekable:
            self._seek(self.stream.tell() + count)
        else:
            while count:
                count -= len(self._read(min(count, _CHUNK)))

    def _seek(self, position: int) -> None:
        if position > self._end:  # seeking to the end clears the buffer of a file, so do it rarely
            self._end = self.stream.seek(0, io.SEEK_END)
        self.stream.seek(min(position, self._end))
        if position > self._end:
            raise TruncatedError("the archive ends within a member")

    def _read_padded(self, size: int) -> bytes:
        data = b""
        padded = size + -size % BLOCK
        while len(data) < padded:
            data += self._read(padded - len(data))
        return data[:size]

    def _read(self, count: int) -> bytes:
        """Return up to `count` bytes, at least one.

        Raises:
            TruncatedError: If the stream has ended.
            LimitError: If it exceeded a limit there.
        """
        data = self._read_some(count)
        if data or not count:
            return data
        if isinstance(self._error, LimitError):
            raise self._error
        raise TruncatedError(str(self._error))

    def _read_some(self, count: int) -> bytes:
        """Return `count` bytes, or fewer where the stream ends or is damaged."""
        part = self._read_once(count)
        if len(part) == count:
            return part
        parts = [part]
        while (count := count - len(part)) and self._error is None:
            part = self._read_once(count)
            parts.append(part)
        return b"".join(parts)

    def _read_once(self, count: int) -> bytes:
        if self._error is not None or not count:
            return b""
        try:
            part = self.stream.read(min(count, _CHUNK))
        except (*DECOMPRESSION_ERRORS, LimitError) as error:
            # An EOFError means only the normal end below; truncated data is damage.
            self._error = error if isinstance(error, LimitError) else ValueError(str(error))
            return b""
        if not part:
            self._error = EOFError("the archive ends without its end-of-archive marker")
        return part
