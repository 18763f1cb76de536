"""Magic numbers of formats that are not read, so that an error can name the format."""

from __future__ import annotations

__all__ = ["MAGIC_BYTES", "format_of"]

MAGIC_BYTES = 16
"""Number of leading bytes that identify a format."""

_FORMATS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x9d", "compress (.Z)"),
    (b"\x1f\xa0", "compress (.Z)"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"LZIP", "lzip"),
    (b"\x89LZO\x00", "lzop"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"xar!", "xar"),
    (b"MSCF", "a cabinet file"),
    (b"!<arch>\n", "an ar archive"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"\xc7\x71", "cpio"),
    (b"SQLite format 3\x00", "a SQLite database, perhaps a store"),
    (b"PAR1", "Parquet"),
    (b"%PDF-", "PDF"),
)
"""Leading bytes and names, as in the database of `file` (magic(5))."""


def format_of(head: bytes) -> str | None:
    """Return the name of the format of a file that begins with `head`, or None.

    JSON starts with none of these bytes. gzip and zstd are listed for compressed data within
    compressed data, which is not read.
    """
    if head[:1] in {b"{", b"["}:
        return None
    return next((name for first, name in _FORMATS if head.startswith(first)), None)
