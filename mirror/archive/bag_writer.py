"""Writes a BagIt 1.0 bag as one tar, reproducibly: same content, same bytes (C2; RFC 8493)."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import IO, NamedTuple, TypeAlias

from mirror.archive.temporary import translate_temporary_errors

__all__ = ["Payload", "bag_blocks", "write_bag"]

BAG_NAME = "pith"
"""Base directory of every bag written here; it must not depend on the name of the file."""

Payload: TypeAlias = Iterable[tuple[str, bytes]]
"""Pairs of a path below `data/` and its content, ascending by path."""

_BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_SPOOL_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 1 << 20
"""Bytes of the manifest that are read at once."""


class WrittenBag(NamedTuple):
    """A bag that was written."""

    manifest_sha256: str
    """See `bag_blocks`."""
    size_bytes: int


def write_bag(
    out: IO[bytes], payload: Callable[[], Payload], info: Iterable[tuple[str, str]] = ()
) -> WrittenBag:
    """Write a bag to `out`; the other arguments are those of `bag_blocks`.

    Raises:
        OSError: If `out` cannot be written.
    """
    blocks, size_bytes = bag_blocks(payload, info), 0
    while True:
        try:
            block = next(blocks)
        except StopIteration as end:
            return WrittenBag(str(end.value), size_bytes)
        out.write(block)
        size_bytes += len(block)


def bag_blocks(
    payload: Callable[[], Payload], info: Iterable[tuple[str, str]] = ()
) -> Generator[bytes, None, str]:
    """Yield the bytes of a bag, with sorted names and fixed times, owners and modes.

    Args:
        payload: Called twice, to hash and to write, so that it is never in memory as a whole; both
            calls must return the same.
        info: Labels and values for `bag-info.txt`, besides `Payload-Oxum`.

    Returns:
        SHA-256 of its `manifest-sha256.txt`, in hexadecimal, which identifies the bag.
    """
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as manifest:
        size, count = _write_manifest(payload(), manifest)
        oxum = f"{size}.{count}"
        head = {"bag-info.txt": _bag_info([*info, ("Payload-Oxum", oxum)]), "bagit.txt": _BAGIT}
        digests = {name: hashlib.sha256(text).hexdigest() for name, text in head.items()}
        digest = digests["manifest-sha256.txt"] = _digest(manifest)
        tail = "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()

        def members() -> Iterator[bytes]:
            yield from (_file(name, text) for name, text in head.items())
            if not count:  # a bag has a payload directory, even an empty one
                yield _header("data", tarfile.DIRTYPE, 0o755)
            yield from (_file(f"data/{path}", content) for path, content in payload())
            yield _header("manifest-sha256.txt", size=manifest.tell())
            yield from _read(manifest)
            yield _padding(manifest.tell())
            yield _file("tagmanifest-sha256.txt", tail)

        yield from _whole_records(members())
        return digest


def _write_manifest(payload: Payload, manifest: IO[bytes]) -> tuple[int, int]:
    """Write the payload manifest; return the bytes and the number of files that it lists."""
    size = count = 0
    for path, content in payload:
        with translate_temporary_errors():
            manifest.write(f"{hashlib.sha256(content).hexdigest()}  data/{path}\n".encode())
        size += len(content)
        count += 1
    return size, count


def _bag_info(info: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{label}: {value}\n" for label, value in sorted(info)).encode()


def _read(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file from its start to its end."""
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        yield block


def _digest(file: IO[bytes]) -> str:
    hashed = hashlib.sha256()
    for block in _read(file):
        hashed.update(block)
    return hashed.hexdigest()


# tar (POSIX.1-1988 ustar) --------------------------------------------------------------------


def _file(name: str, content: bytes) -> bytes:
    size = len(content)
    return b"".join((_header(name, size=size), content, _padding(size)))


def _header(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, size: int = 0) -> bytes:
    member = tarfile.TarInfo(f"{BAG_NAME}/{name}")
    member.type, member.mode, member.size = kind, mode, size
    return member.tobuf(tarfile.USTAR_FORMAT, "utf-8")


def _padding(size: int) -> bytes:
    """Return the padding of a member's last block."""
    return bytes(-size % tarfile.BLOCKSIZE)


def _whole_records(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks, then the end-of-archive marker, padded to a whole record."""
    size = 0
    for block in blocks:
        size += len(block)
        yield block
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(size + end) % tarfile.RECORDSIZE)
