"""Tar archives, bags or not, as streams of members (rules C2, C3, C5).

An archive is read twice from its start: first for the tag files of the bags in it, whose
manifests may stand behind what they vouch for, then for the members. Nothing is extracted, and
nothing is held but one member at a time.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from mirror.archive.blocks import BLOCK, Header, TarReader, TruncatedError, parse_header
from mirror.archive.inventory import Inventory, is_tag_file_of_interest
from mirror.archive.limits import Limits
from mirror.archive.member import (
    Item,
    Refused,
    fault_of_name,
    is_bundle_name,
    member_or_refusal,
    shown,
)
from mirror.errors import LimitError

__all__ = ["BLOCK", "is_tar", "read_tar"]


def is_tar(head: bytes) -> bool:
    """Whether a stream that begins with `head` (512 bytes) is a tar, also a v7 or an empty one."""
    if head == bytes(BLOCK):
        return True
    try:
        parse_header(head)
    except TruncatedError:
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

    def walk() -> Iterator[_Entry | Refused]:
        return _walk(TarReader(open_stream(), limits, seekable), limits)

    with Inventory() as inventory:
        yield from _take_tag_files(walk(), inventory)
        for entry in walk():
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
    """A member, while the reader stands at it."""

    def __init__(self, reader: TarReader, header: Header) -> None:
        self.header = header
        self.chunks = reader.chunks
        self.name = shown(header.name)
        self.path = posixpath.normpath(header.name)

    def fault(self) -> str | None:
        """Return why the member is refused by its header, or None (C5)."""
        if not self.header.is_regular:
            return "it is not a regular file"
        return fault_of_name(self.header.name)


def _walk(reader: TarReader, limits: Limits) -> Iterator[_Entry | Refused]:
    """Yield each member, and at the end a refusal if the archive does not end as it should."""
    last = "the start"
    try:
        for header in _headers(reader, limits):
            entry = _Entry(reader, header)
            if not header.is_folder or fault_of_name(header.name) is not None:
                yield entry
            last = entry.name
    except TruncatedError as error:
        yield Refused(f"after {last}", "archive.truncated", str(error))
    except LimitError as error:
        yield Refused(f"after {last}", error.code, f"{error.message}; the rest was not read")


def _headers(reader: TarReader, limits: Limits) -> Iterator[Header]:
    for _ in range(limits.members):
        header = reader.next()
        if header is None:
            return
        yield header
    if reader.next() is not None:
        raise LimitError("limit.count", f"more than {limits.members} members")


# First pass: the tag files of bags -----------------------------------------------------------


def _take_tag_files(entries: Iterable[_Entry | Refused], inventory: Inventory) -> Iterator[Refused]:
    """Read declarations and manifests into the inventory; yield the manifests at fault."""
    for entry in entries:
        if isinstance(entry, Refused):
            inventory.is_complete = False
        elif is_tag_file_of_interest(entry.path) and entry.fault() is None:
            try:
                inventory.add_tag_file(entry.path, entry.chunks())
            except (TruncatedError, LimitError):
                inventory.is_complete = False
                break
    yield from inventory.read_manifests()


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
    if is_bundle and entry.header.size > limits.member_bytes:
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
    except (TruncatedError, LimitError):
        return  # the walk meets it again, and says so
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
