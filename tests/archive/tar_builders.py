"""Builds archives and bags from dicts, also invalid ones, and reads them for tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType

import pytest
import zstandard

from mirror.archive import Member, ReadLimits, RefusedMember, open_source
from tests.builders import make_bundle, make_record, to_json

Files = Mapping[str, bytes]
"""Names and contents, in the order of the archive."""

NO_LIMITS = ReadLimits()
BLOCK = 512
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))
"""Changes of a valid file that a search tries."""
END = bytes(2 * BLOCK)
"""The end-of-archive marker of a tar, without the padding that tools add."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}


@cache
def bundle_text(number: int) -> bytes:
    """A bundle that B2 accepts, compact, without a line end; the same for the same number."""
    return to_json(make_bundle(make_record(f"Paper {number}", arxiv_id=f"2401.{number:05}")))


def bundle_files(*names: str) -> dict[str, bytes]:
    """A different bundle under each name."""
    return {name: bundle_text(number) for number, name in enumerate(names, start=1)}


# Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """All items of a source."""

    members: list[tuple[str, bytes]]
    refused: list[tuple[str, str]]
    """Names and codes."""
    told: list[str]
    """Messages about files that are passed over."""

    @property
    def files(self) -> dict[str, bytes]:
        """The members by name."""
        return dict(self.members)

    @property
    def codes(self) -> list[str]:
        """The codes of refused members."""
        return [code for _, code in self.refused]


def read(source: Path | bytes, limits: ReadLimits = NO_LIMITS) -> Reading:
    """Read a file, a folder or the content of a file to its end; fail on a hang."""
    if isinstance(source, bytes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "source")
            path.write_bytes(source)
            return read(path, limits)
    members, refused, told = [], [], []
    with time_limit(), open_source(str(source), limits) as opened:
        for item in opened.items():
            if isinstance(item, Member):
                members.append((item.name, item.data))
            if isinstance(item, RefusedMember) and not item.is_passed_over:
                refused.append((item.name, item.code))
            elif isinstance(item, RefusedMember):
                told.append(item.message)
    return Reading(members, refused, told)


@contextmanager
def time_limit(seconds: float = 60) -> Iterator[None]:
    """Fail on a hang, by an exception that is not an `Exception` and so is not caught.

    A busy machine may be slow, so a limit is far beyond what is needed.
    """

    def fail(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Tars, block by block ------------------------------------------------------------------------


def header(
    name: str | bytes,
    size: int = 0,
    kind: bytes = b"0",
    link: str = "",
    *,
    size_field: bytes | None = None,
) -> bytes:
    """One header block with a correct checksum, for any fields.

    Args:
        name: At most 100 bytes.
        size: As it is written in octal.
        kind: The type flag.
        link: The name a link leads to.
        size_field: 12 bytes in place of `size`.
    """
    raw = name.encode() if isinstance(name, str) else name
    block = bytearray(BLOCK)
    block[0:100] = raw.ljust(100, b"\0")
    block[100:124] = b"0000644\x000000000\x000000000\x00"
    block[124:136] = b"%011o\0" % size if size_field is None else size_field
    block[136:148] = b"%011o\0" % 0
    block[156:157] = kind
    block[157:257] = link.encode().ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    return with_checksum(bytes(block))


def with_checksum(block: bytes) -> bytes:
    """A header block with a correct checksum."""
    blank = block[:148] + b" " * 8 + block[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def base_256(number: int) -> bytes:
    """A number field in GNU tar's base 256, for large and negative numbers."""
    sign = b"\x80" if number >= 0 else b"\xff"
    return sign + (number % 256**11).to_bytes(11, "big")


def padded(data: bytes) -> bytes:
    """Content padded to whole blocks, as in a tar."""
    return data + bytes(-len(data) % BLOCK)


def entry(name: str | bytes, data: bytes = b"", kind: bytes = b"0") -> bytes:
    """A header and its content."""
    return header(name, len(data), kind) + padded(data)


def pax(records: Mapping[str, str | bytes], kind: bytes = b"x") -> bytes:
    """An extended header for the next member, or for all that follow if `kind` is `g`."""
    return entry("PaxHeader", b"".join(pax_record(*record) for record in records.items()), kind)


def pax_record(key: str, value: str | bytes) -> bytes:
    """One record of an extended header: its own length, a key and a value."""
    raw = value.encode() if isinstance(value, str) else value
    body = b" " + key.encode() + b"=" + raw + b"\n"
    length = len(body)
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def plain_tar(files: Files) -> bytes:
    """A tar of regular files, with the shortest complete end-of-archive marker."""
    return b"".join(entry(name, data) for name, data in files.items()) + END


def tar_by_python(files: Files, tar_format: int) -> bytes:
    """A tar as Python writes it in one of its formats."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format, encoding="utf-8") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


# Bags ----------------------------------------------------------------------------------------


def manifest(files: Files, algorithm: str = "sha256") -> bytes:
    """A manifest of these paths, unescaped, in UTF-8."""
    lines = (
        f"{hashlib.new(algorithm, data).hexdigest()}  {name}\n" for name, data in files.items()
    )
    return "".join(lines).encode()


def bag_files(payload: Files, *, algorithm: str = "sha256", encoding: str = "UTF-8") -> Files:
    """The files of a bag, its tag files first; paths are relative to the bag.

    Args:
        payload: Contents by path below `data/`.
        algorithm: Of both manifests.
        encoding: Named by `bagit.txt` and used for the other tag files.
    """
    data = {f"data/{name}": content for name, content in payload.items()}
    tags = {
        "bagit.txt": f"BagIt-Version: 1.0\nTag-File-Character-Encoding: {encoding}\n".encode(),
        "bag-info.txt": "Source-Organization: tests\n".encode(encoding),
        f"manifest-{algorithm}.txt": manifest(data, algorithm).decode().encode(encoding),
    }
    tag_manifest = manifest(tags, algorithm).decode().encode(encoding)
    return {**tags, f"tagmanifest-{algorithm}.txt": tag_manifest, **data}


def below(folder: str, files: Files) -> dict[str, bytes]:
    """The same files in a folder."""
    return {f"{folder}/{name}": data for name, data in files.items()}


def write_files(folder: Path, files: Files) -> Path:
    """Write files to disk, with their folders."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
