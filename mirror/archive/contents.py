"""The files of an archive or a folder, held against the manifests of the bags in it (C2, C3, C5).

They are gone through twice: first for the tag files of bags, whose manifests may stand behind what
they vouch for, then for the members. Nothing is extracted, and nothing is held but one member at a
time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from mirror.archive.bag_manifest import BagManifests, is_tag_file_of_interest
from mirror.archive.limits import ReadLimits
from mirror.archive.member import Bag, MemberFilter, MemberOrBag, RefusedMember, file_or_refusal
from mirror.archive.passed_over import PassedOver
from mirror.archive.segment import is_segment_name, read_segment
from mirror.archive.tar_reader import TruncatedError
from mirror.errors import LimitError

__all__ = [
    "ArchiveEntry",
    "CheckedContent",
    "Extent",
    "UnreadableError",
    "Walk",
    "is_incomplete",
    "read_contents",
    "read_extent",
]


class UnreadableError(Exception):
    """One file of a folder cannot be read, for a reason that is not in it."""


class Extent(NamedTuple):
    """Where in a plain archive the content of a member lies that is wanted."""

    name: str
    """The name of the member."""
    start: int
    """Bytes from the start of the archive."""
    size: int
    """Bytes."""
    is_segment: bool
    """Whether it is a packed segment (C4), not a bundle by itself."""


class CheckedContent(NamedTuple):
    """The content of a member that is wanted, held against the manifests."""

    extent: Extent
    data: bytes
    place: str
    """Its path as the source spells it."""


class ArchiveEntry(Protocol):
    """A member of an archive, or a file of a folder, while the reader stands at it."""

    name: str
    """The name as it is printed."""
    place: str
    """Its path as the source spells it; bytes that are not UTF-8 stand in it as surrogates."""
    path: str
    """The same without `./` and the like."""
    size: int
    """Bytes."""
    is_folder: bool

    def fault(self) -> RefusedMember | None:
        """Return why it is refused whatever is in it, or None (C5)."""

    def start(self) -> int:
        """Return how many bytes of the source come before its content; -1 if that says nothing."""

    def chunks(self) -> Iterator[bytes]:
        """Yield its content piece by piece.

        Raises:
            TruncatedError: If the archive ends within it.
            LimitError: If it gives more than this mirror accepts.
            UnreadableError: If it is a file that cannot be read.
        """


Walk: TypeAlias = Callable[[], Iterator[ArchiveEntry | RefusedMember]]
"""Gives the entries from the first one on, each time that it is called."""


def read_extent(extent: Extent, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield what is in the content of one member."""
    if extent.is_segment:
        yield from read_segment(extent.name, data, limits)
    else:
        yield file_or_refusal(extent.name, data, limits)


def read_contents(
    walk: Walk, limits: ReadLimits, wanted: MemberFilter
) -> Iterator[CheckedContent | RefusedMember | Bag]:
    """Yield what is wanted, what was refused, and at the end the bag that all of it is."""
    with BagManifests() as inventory:
        yield from _contents(walk, inventory, limits, wanted)
        if (bag := inventory.bag()) is not None:
            yield bag


def _contents(
    walk: Walk, inventory: BagManifests, limits: ReadLimits, wanted: MemberFilter
) -> Iterator[CheckedContent | RefusedMember]:
    yield from _read_tag_files(walk(), inventory)
    passed_over = PassedOver()
    for entry in walk():
        if isinstance(entry, RefusedMember):
            inventory.is_complete = inventory.is_complete and not is_incomplete(entry)
            yield entry
        else:
            yield from _read(entry, inventory, limits, wanted, passed_over)
    if inventory.is_complete:
        yield from inventory.missing()
    yield from passed_over.refusals()


def is_incomplete(refused: RefusedMember) -> bool:
    """Whether what a manifest lists may lie in what was not read."""
    return refused.code != "archive.trailing"


# First pass: the tag files of bags -----------------------------------------------------------


def _read_tag_files(
    entries: Iterable[ArchiveEntry | RefusedMember], inventory: BagManifests
) -> Iterator[RefusedMember]:
    """Read declarations and manifests into the inventory; yield the manifests at fault."""
    for entry in entries:
        if isinstance(entry, RefusedMember):
            inventory.is_complete = inventory.is_complete and not is_incomplete(entry)
        elif not _read_tag_file(entry, inventory):
            inventory.is_complete = False
            break
    yield from inventory.read_manifests()


def _read_tag_file(entry: ArchiveEntry, inventory: BagManifests) -> bool:
    """Take what an entry says of others; False if the archive ends here."""
    if entry.fault() is not None:
        return True
    inventory.record_name(entry.path)
    if entry.is_folder or not is_tag_file_of_interest(entry.path):
        return True
    try:
        inventory.add_tag_file(entry.path, entry.chunks())
    except UnreadableError:
        return True  # the second pass says so
    except (TruncatedError, LimitError):
        return False
    return True


# Second pass: the members --------------------------------------------------------------------


def _read(
    entry: ArchiveEntry,
    inventory: BagManifests,
    limits: ReadLimits,
    wanted: MemberFilter,
    passed_over: PassedOver,
) -> Iterator[CheckedContent | RefusedMember]:
    """Yield what is wanted of a member, why it is refused, or nothing if it holds none of that."""
    fault = entry.fault()
    if entry.is_folder or fault is not None:
        if fault is not None:
            if fault.code != "limit.size":  # a name that is too long is looked for nowhere
                inventory.register(entry.path)
            yield fault
        return
    is_new, expected = inventory.register(entry.path)
    if not is_new:
        yield RefusedMember(entry.name, "archive.member", "a member of this name came before")
        return
    is_apple_double = inventory.is_apple_double(entry.path)
    if is_apple_double and not expected:
        return
    in_bag = inventory.is_in_bag(entry.path)
    inventory.is_just_a_bag = inventory.is_just_a_bag and in_bag
    is_payload = in_bag and inventory.is_payload(entry.path)
    is_bundle = wanted.is_name(entry.path) and not is_apple_double
    is_segment = wanted.is_in_segments and is_payload and is_segment_name(entry.path)
    limit = _limit(limits, is_wanted=is_bundle, is_segment=is_segment)
    if limit is None or not (is_payload or not in_bag):
        if in_bag:
            _, faults = _check(entry, inventory, expected, keep=False)
            yield from faults
        else:
            passed_over.count(entry.path)
    elif entry.size > limit:
        yield RefusedMember(entry.name, "limit.size", f"larger than {limit} bytes")
    else:
        extent = Extent(entry.name, entry.start(), entry.size, not is_bundle)
        data, faults = _check(entry, inventory, expected, keep=True)
        yield from faults
        if data is not None:
            yield CheckedContent(extent, data, entry.place)


def _limit(limits: ReadLimits, *, is_wanted: bool, is_segment: bool) -> int | None:
    """Return how many bytes a member may have that is to be read; None if it is not."""
    if is_wanted:
        return limits.member_bytes
    return limits.segment_bytes if is_segment else None


def _check(
    entry: ArchiveEntry, inventory: BagManifests, expected: dict[str, str], *, keep: bool
) -> tuple[bytes | None, list[RefusedMember]]:
    """Hold a member's content against the manifests (C2, C5).

    Returns:
        The content, if it is to be kept and is what it should be; and why it is refused.
    """
    hashes = {name: hashlib.new(name) for name in expected}
    chunks = []
    try:
        for chunk in entry.chunks():
            for hashed in hashes.values():
                hashed.update(chunk)
            if keep:
                chunks.append(chunk)
    except (TruncatedError, LimitError):
        return None, []  # the walk meets it again, and says so
    except UnreadableError as error:
        return None, [RefusedMember(entry.name, "source.unreadable", str(error))]
    digests = {name: hashed.hexdigest() for name, hashed in hashes.items()}
    fault = inventory.check_digests(entry.path, expected, digests)
    if fault is not None:
        return None, [RefusedMember(entry.name, "archive.fixity", fault)]
    return b"".join(chunks) if keep else None, []
