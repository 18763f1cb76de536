"""Tar archives block by block: headers, extended headers, contents (C5; POSIX.1-2017, GNU tar).

Python's `tarfile` is not used to read. It takes a damaged header for the end of an archive, follows
negative and absurd sizes, recurses over extended headers, and raises whatever it happens to meet.
Here a header is either understood whole, or the archive ends at it, and that is said.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mirror.archive.compression import DECOMPRESSION_ERRORS, has_trailing
from mirror.archive.limits import ReadLimits
from mirror.errors import LimitError

__all__ = ["BLOCK", "Header", "TarReader", "TarTrailingDataError", "TruncatedError", "parse_header"]

BLOCK = 512
"""Bytes of a block: everything in a tar begins at a multiple of it."""

_ZEROS = bytes(BLOCK)
_CHUNK = 1 << 20
_REGULAR = frozenset({b"0", b"\0", b"7"})
_EXTENDED = frozenset({b"x", b"g", b"X", b"L", b"K"})
_WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
"""Links, devices, folders and pipes: what their headers give as size is no content."""


class TruncatedError(Exception):
    """The archive ends here, other than it should."""


class TarTrailingDataError(Exception):
    """Something else than zeros follows the archive's end mark."""


@dataclass(slots=True)
class Header:
    """What a header, and the extended headers before it, say of a member."""

    name: str
    """Bytes that are not UTF-8 stand in it as surrogates."""
    size: int
    """Bytes of its content."""
    kind: bytes
    """The type flag, one byte."""
    is_sparse: bool
    """Whether its content is a file with holes, written in one of GNU's ways."""
    goes_on: bool = False
    """Whether a block with more of a sparse file's map follows."""

    @property
    def is_regular(self) -> bool:
        """Whether the member is a file whose content is what stands there."""
        return self.kind in _REGULAR and not self.is_sparse and not self.is_folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, also in the way of the oldest tars, or with a list (GNU)."""
        return self.kind in {b"5", b"D"} or (self.kind == b"\0" and self.name.endswith("/"))

    @property
    def is_label(self) -> bool:
        """Whether it is the label of a volume (GNU), which is no member."""
        return self.kind == b"V"

    @property
    def has_content(self) -> bool:
        """Whether what stands behind the header belongs to it."""
        return self.kind == b"D" or not (self.is_folder or self.kind in _WITHOUT_CONTENT)


# Headers -------------------------------------------------------------------------------------


def parse_header(block: bytes) -> Header:
    """Read one header block.

    Raises:
        TruncatedError: If it is none.
    """
    if len(block) != BLOCK:
        raise TruncatedError("the archive ends without its end mark")
    if not _is_sum(_number(block[148:156]), block):
        raise TruncatedError("the next header is damaged")
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    kind = block[156:157]
    return Header(
        name=f"{prefix}/{name}" if prefix else name,
        size=_number(block[124:136]),
        kind=kind,
        is_sparse=kind == b"S",
        goes_on=kind == b"S" and block[482] != 0,
    )


def _is_sum(claimed: int, block: bytes) -> bool:
    """Whether a header's bytes add up to what it says, its own checksum taken for spaces."""
    blank = block[:148] + b" " * 8 + block[156:]
    total = sum(blank)
    # Some old tars took the bytes for signed numbers.
    return claimed == total or claimed == total - 256 * sum(byte > 127 for byte in blank)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


_OCTAL = re.compile(rb" *([0-7]*) *")


def _number(raw: bytes) -> int:
    """Read a number: octal, or base 256 as GNU tar writes what is larger."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    match = _OCTAL.fullmatch(raw.partition(b"\0")[0])
    if match is None:
        raise TruncatedError("the next header is damaged: a number in it is none")
    return int(match[1] or b"0", 8)


_SIZE = re.compile(rb"[0-9]{1,20}")
_LENGTH = re.compile(rb"([1-9][0-9]{0,9}) ")


@dataclass(slots=True)
class _PaxHeaders:
    """What extended headers say of the next member; all else in them is passed over."""

    path: str | None = None
    size: int | None = None
    is_sparse: bool = False

    def add_records(self, data: bytes) -> None:
        """Take the records of a pax header.

        Raises:
            TruncatedError: If one of them is none.
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
                raise TruncatedError("an extended header gives a size that is none")
            self.size = int(value)
        if key.startswith(b"GNU.sparse."):
            self.is_sparse = True


# The reader ----------------------------------------------------------------------------------


@dataclass(slots=True)
class TarReader:
    """The members of a tar, one after the other.

    What was read is never lost to damage behind it, and skipping ends where the file does.
    """

    stream: BinaryIO
    """The archive, uncompressed; it may give less than it is asked for."""
    limits: ReadLimits
    is_seekable: bool
    _global: _PaxHeaders = field(default_factory=_PaxHeaders)
    _fault: Exception | None = None
    """Why the stream gives nothing more."""
    _content: int = 0
    """Bytes of the present member's content that were not read."""
    _left: int = 0
    """The same, with the padding after it."""

    def next(self) -> Header | None:
        """Go to the next member; None at the end mark.

        Raises:
            TruncatedError: If the archive ends otherwise.
            TrailingError: If it ends so, and the file does not.
            LimitError: If it gives more than this mirror accepts.
        """
        self._skip()
        own = _PaxHeaders()
        extended_bytes = 0
        while True:
            block = self._read(BLOCK)
            if block == _ZEROS:
                self._require_end(is_expected=extended_bytes == 0)
                return None
            header = parse_header(block)
            if header.kind not in _EXTENDED:
                return self._open(header, own)
            extended_bytes += BLOCK + header.size
            if extended_bytes > self.limits.header_bytes:
                raise LimitError("limit.size", f"extended headers of {extended_bytes} bytes")
            self._read_bytes(header.kind, self._read_padded(header.size), own)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the present member piece by piece.

        Raises:
            TruncatedError: If the archive ends within it.
            LimitError: As `next`.
        """
        while self._content:
            chunk = self._read(min(_CHUNK, self._content))
            self._content -= len(chunk)
            self._left -= len(chunk)
            yield chunk

    def position(self) -> int:
        """Return how many bytes of a stream that can be skipped in come before what is next."""
        return self.stream.tell() if self.is_seekable else -1

    def _read_bytes(self, kind: bytes, data: bytes, own: _PaxHeaders) -> None:
        if kind == b"L":
            own.path = _text(data)
        elif kind == b"g":
            self._global.add_records(data)
        elif kind in {b"x", b"X"}:
            own.add_records(data)

    def _open(self, header: Header, own: _PaxHeaders) -> Header:
        """Apply extended headers to a member's own, and stand at its content."""
        for extended in (self._global, own):
            header.name = header.name if extended.path is None else extended.path
            header.size = header.size if extended.size is None else extended.size
            header.is_sparse = header.is_sparse or extended.is_sparse
        goes_on = header.goes_on
        while goes_on:
            goes_on = self._read_padded(BLOCK)[504] != 0
        if not header.has_content:
            header.size = 0
        self._content = header.size
        self._left = header.size + -header.size % BLOCK
        return header

    def _require_end(self, *, is_expected: bool) -> None:
        """Require that a block of zeros is the end mark, and that nothing but zeros follows."""
        second = self._read_some(BLOCK)
        if not is_expected or second.strip(b"\0"):
            raise TruncatedError("a header of zeros, and no end mark")
        while rest := self._read_some(_CHUNK):  # damage may only show in a checksum at its end
            if rest.strip(b"\0"):
                raise TarTrailingDataError("more follows the end mark, and was not read")
        if isinstance(self._fault, LimitError):
            raise self._fault
        if self._fault is not None and not isinstance(self._fault, EOFError):
            raise TruncatedError(str(self._fault))
        if has_trailing(self.stream):
            raise TarTrailingDataError("more follows the compressed data, and was not read")

    def _skip(self) -> None:
        """Pass over what was not read of the present member."""
        count, self._left, self._content = self._left, 0, 0
        if self.is_seekable:
            here = self.stream.tell()
            end = self.stream.seek(0, io.SEEK_END)
            self.stream.seek(min(here + count, end))
            if here + count > end:
                raise TruncatedError("the archive ends within a member")
        else:
            while count:
                count -= len(self._read(min(count, _CHUNK)))

    def _read_padded(self, size: int) -> bytes:
        data = b""
        padded = size + -size % BLOCK
        while len(data) < padded:
            data += self._read(padded - len(data))
        return data[:size]

    def _read(self, count: int) -> bytes:
        """Return `count` bytes, or what there is of them if that is anything.

        Raises:
            TruncatedError: If there is nothing.
            LimitError: If there would be, but too much.
        """
        data = self._read_some(count)
        if data or not count:
            return data
        if isinstance(self._fault, LimitError):
            raise self._fault
        raise TruncatedError(str(self._fault))

    def _read_some(self, count: int) -> bytes:
        """Return up to `count` bytes; fewer only where the stream ends or is damaged."""
        parts: list[bytes] = []
        while count and self._fault is None:
            try:
                part = self.stream.read(min(count, _CHUNK))
            except (*DECOMPRESSION_ERRORS, LimitError) as error:
                # What ends too early is damage, too; the plain end below is told apart from it.
                self._fault = error if isinstance(error, LimitError) else ValueError(str(error))
                break
            if not part:
                self._fault = EOFError("the archive ends without its end mark")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
