"""Tar archives, bags or not, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first for the tag files of the bags in it, whose
manifests may stand behind what they vouch for, then for the members. Nothing is extracted, and
nothing is held but one member at a time.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Self, cast

from mirror.archive.compression import DAMAGE
from mirror.archive.inventory import Inventory, is_tag_file_of_interest
from mirror.archive.limits import Limits
from mirror.archive.member import (
    Item,
    Refused,
    fault_of_name,
    is_bundle_name,
    member_or_refusal,
)
from mirror.errors import LimitError

__all__ = ["is_tar", "read_tar"]

BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_SPOOL_BYTES = 1 << 24


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
        yield from _take_tag_files(_walk(open_stream(), mode, limits), inventory)
        for entry in _walk(open_stream(), mode, limits):
            if isinstance(entry, Refused):
                inventory.is_complete = False
                yield entry
            else:
                yield from _read(entry, inventory, limits)
        if inventory.is_complete:
            for path in inventory.missing():
                yield Refused(path, "archive.fixity", "a manifest lists it, but it is not there")


# Walking the headers -------------------------------------------------------------------------


class _Entry:
    """A member as the archive's header describes it, while the stream stands there."""

    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._tar = tar
        self.info = info
        self.name = info.name
        self.path = posixpath.normpath(info.name)

    def open(self) -> IO[bytes]:
        """Return the content of a regular file; it must be read before the walk goes on."""
        return cast("IO[bytes]", self._tar.extractfile(self.info))

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of a regular file piece by piece."""
        content = self.open()
        return iter(lambda: content.read(_CHUNK), b"")

    def fault(self) -> str | None:
        """Return why the member is refused by its header, or None (C5)."""
        if not self.info.isreg() or self.info.issparse():
            return "it is not a regular file"
        return fault_of_name(self.name)


def _walk(stream: BinaryIO, mode: str, limits: Limits) -> Iterator[_Entry | Refused]:
    """Yield each member, and at the end a refusal if the archive does not end as it should."""
    last = "the start"
    end = _End()
    try:
        with tarfile.open(fileobj=stream, mode=mode, tarinfo=_header(limits, end)) as tar:  # type: ignore[call-overload]
            for info in _infos(tar, limits):
                if not info.isdir() or fault_of_name(info.name) is not None:
                    yield _Entry(tar, info)
                last = info.name
    except (tarfile.TarError, *DAMAGE) as error:
        yield Refused(f"after {last}", "archive.truncated", str(error))
    except LimitError as error:
        yield Refused(f"after {last}", error.code, f"{error.message}; the rest was not read")
    else:
        if not end.was_read:
            message = "the archive ends without its end mark, or its next header is damaged"
            yield Refused(f"after {last}", "archive.truncated", message)


def _infos(tar: tarfile.TarFile, limits: Limits) -> Iterator[tarfile.TarInfo]:
    for _ in range(limits.members):
        info = tar.next()
        if info is None:
            return
        cast("Any", tar).members.clear()  # or a list of a million members would grow
        yield info
    if tar.next() is not None:
        raise LimitError("limit.count", f"more than {limits.members} members")


@dataclass(slots=True)
class _End:
    was_read: bool = False


def _header(limits: Limits, end: _End) -> type[tarfile.TarInfo]:
    """Return a class of headers that notes in `end` whether the last one was the end mark.

    `tarfile` takes a missing end mark and a damaged header for the end; C5 does not.
    """

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            end.was_read = buf == bytes(BLOCK)
            header = super().frombuf(buf, encoding, errors)
            if header.type in _EXTENDED and header.size > limits.header_bytes:
                raise LimitError("limit.size", f"an extended header of {header.size} bytes")
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


def _take_tag_files(entries: Iterable[_Entry | Refused], inventory: Inventory) -> Iterator[Refused]:
    """Read declarations and manifests into the inventory; yield the manifests at fault.

    A manifest may come before the `bagit.txt` that makes it one, so manifests wait in temporary
    files until the archive was read through.
    """
    with ExitStack() as stack:
        files: list[tuple[str, IO[bytes]]] = []
        for entry in entries:
            if isinstance(entry, Refused):
                inventory.is_complete = False
            elif is_tag_file_of_interest(entry.path) and entry.fault() is None:
                copy = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
                if not _copy(entry, copy):
                    inventory.is_complete = False
                    break
                files.append((entry.path, copy))
        yield from inventory.add_tag_files(files)


def _copy(entry: _Entry, copy: IO[bytes]) -> bool:
    """Copy a member; False if the archive ends within it."""
    try:
        for chunk in entry.chunks():
            copy.write(chunk)
    except (tarfile.TarError, LimitError, *DAMAGE):
        return False
    copy.seek(0)
    return True


# Second pass: the members --------------------------------------------------------------------


def _read(entry: _Entry, inventory: Inventory, limits: Limits) -> Iterator[Item]:
    """Yield the bundle that a member is, why it is refused, or nothing if it is neither."""
    is_new = inventory.is_new(entry.path)
    fault = entry.fault() or (None if is_new else "a member of this name came before")
    if fault is not None:
        yield Refused(entry.name, "archive.member", fault)
        return
    in_bag = inventory.is_in_bag(entry.path)
    is_bundle = is_bundle_name(entry.path) and (inventory.is_payload(entry.path) or not in_bag)
    if is_bundle and entry.info.size > limits.member_bytes:
        yield Refused(entry.name, "limit.size", f"larger than {limits.member_bytes} bytes")
    elif is_bundle or in_bag:
        yield from _check(entry, inventory, limits, keep=is_bundle)


def _check(entry: _Entry, inventory: Inventory, limits: Limits, *, keep: bool) -> Iterator[Item]:
    """Hold a member's content against the manifests; yield it if it is kept (C2, C5)."""
    hashes = {name: hashlib.new(name) for name in inventory.expected(entry.path)}
    chunks = []
    try:
        for chunk in entry.chunks():
            for hashed in hashes.values():
                hashed.update(chunk)
            if keep:
                chunks.append(chunk)
    except (tarfile.TarError, *DAMAGE) as error:
        yield Refused(entry.name, "archive.truncated", str(error))
        return
    except LimitError as error:
        yield Refused(entry.name, error.code, error.message)
        return
    digests = {name: hashed.hexdigest() for name, hashed in hashes.items()}
    fault = inventory.fault_of_digests(entry.path, digests)
    if fault is not None:
        yield Refused(entry.name, "archive.fixity", fault)
    elif keep:
        yield member_or_refusal(entry.name, b"".join(chunks), limits)
    elif _is_segment(entry.path):
        yield Refused(entry.name, "archive.member", "packed segments are not read yet")


def _is_segment(path: str) -> bool:
    return "/data/segments/" in f"/{path}" and path.endswith(".msgpack.zst")  # C4
