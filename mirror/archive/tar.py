"""Tar archives, bags or not, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first for the tag files of the bags in it, whose
manifests may stand behind what they vouch for, then for the members. Nothing is extracted, and
nothing is held but one member at a time.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from mirror.archive.compression import DAMAGE
from mirror.archive.inventory import Inventory, is_tag_file_of_interest
from mirror.archive.limits import Limits
from mirror.archive.member import Item, Member, Refused, fault_of_name, is_bundle_name

__all__ = ["is_tar", "read_tar"]

BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20


def is_tar(head: bytes) -> bool:
    """Whether a stream that begins with `head` (512 bytes) is a tar, also a v7 or an empty one."""
    if head == bytes(BLOCK):
        return True
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def read_tar(
    open_stream: Callable[[], BinaryIO], limits: Limits, *, seekable: bool
) -> Iterator[Item]:
    """Yield the bundles of an archive and what was refused in it.

    Args:
        open_stream: Gives the uncompressed archive from its start, each time it is called.
        limits: What this mirror accepts.
        seekable: Whether the stream can skip what is not read.
    """
    mode = "r:" if seekable else "r|"
    with Inventory() as inventory:
        for item in _walk(open_stream(), mode, limits):
            if isinstance(item, _Entry):
                yield from _take_tag_file(item, inventory, limits)
        for item in _walk(open_stream(), mode, limits):
            yield from [item] if isinstance(item, Refused) else _read(item, inventory, limits)
        for path in inventory.missing():
            yield Refused(path, "archive.fixity", "listed in the manifest, but not in the archive")


# Walking the headers -------------------------------------------------------------------------


class _Entry:
    """A member as the archive's header describes it, while the stream stands there."""

    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._tar = tar
        self.info = info
        self.name = info.name
        self.path = posixpath.normpath(info.name)

    def open(self) -> IO[bytes]:
        """Return the content; it must be read before the walk goes on."""
        content = self._tar.extractfile(self.info)
        if content is None:  # pragma: no cover - only regular files are opened
            raise ValueError(f"{self.name} has no content")
        return content

    def fault(self) -> str | None:
        """Return why the member is refused by its header, or None (C5)."""
        if not self.info.isreg() or self.info.issparse():
            return "it is not a regular file"
        return fault_of_name(self.name)


def _walk(stream: BinaryIO, mode: str, limits: Limits) -> Iterator[_Entry | Refused]:
    """Yield each member, and at the end a refusal if the archive does not end as it should."""
    last = "the start"
    header = _header_class(limits)
    try:
        with tarfile.open(fileobj=stream, mode=mode, tarinfo=header, errorlevel=2) as tar:  # type: ignore[call-overload]
            while (info := tar.next()) is not None:
                tar.members.clear()  # or a list of a million members would grow
                if not info.isdir() or fault_of_name(info.name) is not None:
                    yield _Entry(tar, info)
                last = info.name
    except (tarfile.TarError, *DAMAGE) as error:
        yield Refused(f"after {last}", "archive.truncated", str(error))
        return
    if not header.ended:
        message = "the archive ends without its end mark, or its next header is damaged"
        yield Refused(f"after {last}", "archive.truncated", message)


def _header_class(limits: Limits) -> type[tarfile.TarInfo]:
    """Return a class of headers that notes whether the end mark of one archive was read.

    `tarfile` takes a missing end mark and a damaged header for the end; C5 does not.
    """

    class Header(tarfile.TarInfo):
        ended = False

        @classmethod
        def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
            cls.ended = buf == bytes(BLOCK)
            header = super().frombuf(buf, encoding, errors)
            if header.type in _EXTENDED and header.size > limits.header_bytes:
                message = f"an extended header of {header.size} bytes"
                raise tarfile.ReadError(message)
            return header

    return Header


_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


# First pass: the tag files of bags -----------------------------------------------------------


def _take_tag_file(entry: _Entry, inventory: Inventory, limits: Limits) -> Iterator[Refused]:
    if not is_tag_file_of_interest(entry.path) or entry.fault() is not None:
        return
    if posixpath.basename(entry.path) == "bagit.txt":
        inventory.add_declaration(entry.path, entry.open().read(limits.tag_line_bytes))
        return
