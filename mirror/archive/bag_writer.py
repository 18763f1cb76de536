"""Writing a BagIt 1.0 bag as one tar, the same bytes for the same content (C2; RFC 8493)."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from typing import IO, Any, TypeAlias, cast

from mirror.archive.temporary import naming_temporary_folder

__all__ = ["Payload", "write_bag"]

BAG_NAME = "pith"
"""The folder in every bag written here; it must not depend on the name of the file."""

Payload: TypeAlias = Iterable[tuple[str, bytes]]
"""Pairs of a path below `data/` and its content, ascending by path."""

_BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_SPOOL_BYTES = 16 * 1024 * 1024


def write_bag(
    out: IO[bytes], payload: Callable[[], Payload], info: Iterable[tuple[str, str]] = ()
) -> str:
    """Write a bag to `out`: names sorted; times, owners and modes fixed.

    Args:
        out: Where the tar is written, from start to end.
        payload: Called twice, once to count and hash and once to write, so that nothing of it is
            held; it must give the same both times.
        info: Labels and values for `bag-info.txt`, beside the payload's size.

    Returns:
        The SHA-256 of its `manifest-sha256.txt`, in hexadecimal: what names the bag.

    Raises:
        OSError: If `out` cannot be written.
    """
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as manifest:
        size, count = _write_manifest(payload(), manifest)
        oxum = f"{size}.{count}"
        head = {"bag-info.txt": _bag_info([*info, ("Payload-Oxum", oxum)]), "bagit.txt": _BAGIT}
        digests = {name: hashlib.sha256(text).hexdigest() for name, text in head.items()}
        digests["manifest-sha256.txt"] = _digest(manifest)
        tail = "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()
        with tarfile.open(
            fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT, encoding="utf-8"
        ) as tar:
            for name, text in head.items():
                _add(tar, name, io.BytesIO(text))
            if not count:  # a bag has a payload folder, even if nothing is in it
                _add_folder(tar, "data")
            for path, content in payload():
                _add(tar, f"data/{path}", io.BytesIO(content))
            _add(tar, "manifest-sha256.txt", manifest)
            _add(tar, "tagmanifest-sha256.txt", io.BytesIO(tail))
        return digests["manifest-sha256.txt"]


def _write_manifest(payload: Payload, manifest: IO[bytes]) -> tuple[int, int]:
    """Write the payload manifest; return how many bytes and files it lists."""
    size = count = 0
    for path, content in payload:
        with naming_temporary_folder():
            manifest.write(f"{hashlib.sha256(content).hexdigest()}  data/{path}\n".encode())
        size += len(content)
        count += 1
    return size, count


def _bag_info(info: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{label}: {value}\n" for label, value in sorted(info)).encode()


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    hashed = hashlib.sha256()
    while block := file.read(1 << 20):
        hashed.update(block)
    return hashed.hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(f"{BAG_NAME}/{name}")
    member.size = content.seek(0, io.SEEK_END)
    member.mode = 0o644
    content.seek(0)
    tar.addfile(member, content)
    cast("Any", tar).members.clear()  # or a list of a million members would grow


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(f"{BAG_NAME}/{name}")
    folder.type = tarfile.DIRTYPE
    folder.mode = 0o755
    tar.addfile(folder)
