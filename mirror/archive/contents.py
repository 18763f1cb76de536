"""Checks the files of an archive or a folder against the manifests of its bags (C2, C3, C5).

They are read twice: first the tag files, because a manifest may follow the files it lists, then
the members. Nothing is extracted, and only one member is in memory at a time.
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
    """A file of a folder cannot be read, for a reason other than its content."""


class Extent(NamedTuple):
    """Location of the content of a selected member in an uncompressed archive."""

    name: str
    """Name of the member."""
    offset: int
    """Bytes from the start of the archive."""
    size: int
    """Bytes."""
    is_segment: bool
    """Whether it is a packed segment (C4) instead of a bundle."""


class CheckedContent(NamedTuple):
    """Content of a selected member, checked against the manifests."""

    extent: Extent
    data: bytes
    raw_path: str
    """Path as it is in the source."""


class ArchiveEntry(Protocol):
    """The current member of an archive, or a file of a folder."""

    raw_path: str
    """Path as it is in the source; bytes that are not UTF-8 are decoded as surrogates."""
    path: str
    """Normalized path, without `./`, `//` and `x/..`."""
    size: int
    """Bytes."""
    is_folder: bool

    @property
    def name(self) -> str:
        """Name, escaped for display."""

    def refusal(self) -> RefusedMember | None:
        """Return a refusal that does not depend on the content, or None (C5)."""

    def offset(self) -> int:
        """Return the offset of its content in the source, in bytes; -1 if it has none."""

    def chunks(self) -> Iterator[bytes]:
        """Yield its content in chunks.

        Raises:
            TruncatedError: If the archive ends within it.
            LimitError: If it exceeds a limit.
            UnreadableError: If it is a file that cannot be read.
        """


Walk: TypeAlias = Callable[[], Iterator[ArchiveEntry | RefusedMember]]
"""Returns an iterator over all entries, a new one at each call."""


def read_extent(extent: Extent, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the bundle of an extent, or the bundles of its segment."""
    if extent.is_segment:
        yield from read_segment(extent.name, data, limits)
    else:
        yield file_or_refusal(extent.name, data, limits)


def read_contents(
    walk: Walk, limits: ReadLimits, member_filter: MemberFilter
) -> Iterator[CheckedContent | RefusedMember | Bag]:
    """Yield selected members and refusals, then the bag if all entries are one valid bag."""
    with BagManifests() as manifests:
        yield from _contents(walk, manifests, limits, member_filter)
        if (bag := manifests.bag()) is not None:
            yield bag


def _contents(
    walk: Walk, manifests: BagManifests, limits: ReadLimits, member_filter: MemberFilter
) -> Iterator[CheckedContent | RefusedMember]:
    yield from _read_tag_files(walk(), manifests)
    passed_over = PassedOver()
    for entry in walk():
        if isinstance(entry, RefusedMember):
            manifests.is_fully_read &= not is_incomplete(entry)
            yield entry
        else:
            yield from _read(entry, manifests, limits, member_filter, passed_over)
    if manifests.is_fully_read:
        yield from manifests.missing()
    yield from passed_over.refusals()


def is_incomplete(refused: RefusedMember) -> bool:
    """Whether entries may be missing because of this refusal."""
    return refused.code != "archive.trailing"


# First pass: the tag files of bags -----------------------------------------------------------


def _read_tag_files(
    entries: Iterable[ArchiveEntry | RefusedMember], manifests: BagManifests
) -> Iterator[RefusedMember]:
    """Read bag declarations and manifests; yield refusals of manifests."""
    for entry in entries:
        if isinstance(entry, RefusedMember):
            manifests.is_fully_read &= not is_incomplete(entry)
        elif not _read_tag_file(entry, manifests):
            manifests.is_fully_read = False
            break
    yield from manifests.read_manifests()


def _read_tag_file(entry: ArchiveEntry, manifests: BagManifests) -> bool:
    """Record the name of an entry, and the content of a tag file; False if the archive ends."""
    if entry.refusal() is not None:
        return True
    manifests.record_name(entry.path)
    if entry.is_folder or not is_tag_file_of_interest(entry.path):
        return True
    try:
        manifests.add_tag_file(entry.path, entry.chunks())
    except UnreadableError:
        return True  # the second pass reports it
    except (TruncatedError, LimitError):
        return False
    return True


# Second pass: the members --------------------------------------------------------------------


def _read(
    entry: ArchiveEntry,
    manifests: BagManifests,
    limits: ReadLimits,
    member_filter: MemberFilter,
    passed_over: PassedOver,
) -> Iterator[CheckedContent | RefusedMember]:
    """Yield the content of a selected member, or refusals, or nothing."""
    refusal = entry.refusal()
    if entry.is_folder or refusal is not None:
        if refusal is not None:
            if refusal.code != "limit.size":  # no manifest can list a name that is too long
                manifests.register(entry.path)
            yield refusal
        return
    is_new, listed = manifests.register(entry.path)
    if not is_new:
        yield RefusedMember(entry.name, "archive.member", "a member of this name came before")
        return
    is_apple_double = manifests.is_apple_double(entry.path)
    if is_apple_double and not listed:
        return
    in_bag = manifests.is_in_bag(entry.path)
    manifests.has_only_bags &= in_bag
    is_payload = in_bag and manifests.is_payload(entry.path)
    is_bundle = member_filter.is_name(entry.path) and not is_apple_double
    is_segment = is_payload and member_filter.is_in_segments and is_segment_name(entry.path)
    limit = _limit(limits, is_bundle=is_bundle, is_segment=is_segment)
    if limit is None or not (is_payload or not in_bag):
        if in_bag:
            _, refusals = _check(entry, manifests, listed, keep=False)
            yield from refusals
        else:
            passed_over.count(entry.path)
    elif entry.size > limit:
        yield RefusedMember(entry.name, "limit.size", f"larger than {limit} bytes")
    else:
        extent = Extent(entry.name, entry.offset(), entry.size, not is_bundle)
        data, refusals = _check(entry, manifests, listed, keep=True)
        yield from refusals
        if data is not None:
            yield CheckedContent(extent, data, entry.raw_path)


def _limit(limits: ReadLimits, *, is_bundle: bool, is_segment: bool) -> int | None:
    """Return the largest size in bytes of a member that is to be read; None for other members."""
    if is_bundle:
        return limits.member_bytes
    return limits.segment_bytes if is_segment else None


def _check(
    entry: ArchiveEntry, manifests: BagManifests, listed: dict[str, str], *, keep: bool
) -> tuple[bytes | None, list[RefusedMember]]:
    """Check the content of a member against the manifests (C2, C5).

    Returns:
        The content, None if it is refused or not to be kept; and refusals.
    """
    hashes = {name: getattr(hashlib, name)() for name in listed}
    chunks = []
    try:
        for chunk in entry.chunks():
            for hashed in hashes.values():
                hashed.update(chunk)
            if keep:
                chunks.append(chunk)
    except (TruncatedError, LimitError):
        return None, []  # the iterator over the entries reports it
    except UnreadableError as error:
        return None, [RefusedMember(entry.name, "source.unreadable", str(error))]
    digests = {name: hashed.hexdigest() for name, hashed in hashes.items()}
    reason = manifests.check_digests(entry.path, listed, digests)
    if reason is not None:
        return None, [RefusedMember(entry.name, "archive.fixity", reason)]
    return b"".join(chunks) if keep else None, []
