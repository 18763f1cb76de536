"""A folder of bundles, and the bags in it (rules C2, C3, C5).

A folder in which `bagit.txt` stands is a bag, whatever folders it lies in: its files are held
against its manifests as those in a tar are. All else is listed, and read file by file.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from mirror.archive.bag_manifest import is_tag_file_of_interest
from mirror.archive.contents import CheckedContent, UnreadableError, read_contents, read_extent
from mirror.archive.limits import ReadLimits
from mirror.archive.member import (
    BUNDLES,
    Bag,
    MemberFilter,
    MemberOrBag,
    RefusedMember,
    check_name,
    file_or_refusal,
    is_name_too_long,
    owner_of_apple_double,
)
from mirror.archive.passed_over import PassedOver
from mirror.archive.segment import is_segment_name, read_segment
from mirror.core.escaping import NAME_CHARACTERS, escape_name

__all__ = [
    "FileTree",
    "Listing",
    "LocalFileTree",
    "is_looked_at",
    "list_folder",
    "read_folder",
    "read_in_folder",
    "read_member",
]

_CHUNK = 1 << 20


@dataclass(slots=True)
class Listing:
    """The entries of one folder; names, in no order."""

    files: list[str] = field(default_factory=list)
    """Everything that is no folder."""
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """Links that lead to folders."""


class FileTree(Protocol):
    """A folder with all below it, on this machine or elsewhere; paths are within it."""

    def listing(self, folder: str) -> Listing:
        """Return what stands in a folder; the empty path is the whole.

        Raises:
            OSError: If it cannot be read.
        """

    def size(self, place: str) -> int | None:
        """Return the bytes of a file; None if it is no regular file.

        Raises:
            OSError: If that cannot be found out.
        """

    def open(self, place: str) -> AbstractContextManager[BinaryIO]:
        """Open a file.

        Raises:
            OSError: If it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class LocalFileTree:
    """A folder on this machine. Links in it are not followed."""

    root: str

    def listing(self, folder: str) -> Listing:
        """Return what stands in a folder."""
        found = Listing()
        with os.scandir(f"{self.root}/{folder}") as entries:
            for entry in entries:
                _kind_of(entry, found).append(entry.name)
        return found

    def size(self, place: str) -> int | None:
        """Return the bytes of a file; None if it is no regular file."""
        about = os.lstat(f"{self.root}/{place}")
        return about.st_size if stat.S_ISREG(about.st_mode) else None

    def open(self, place: str) -> AbstractContextManager[BinaryIO]:
        """Open a file."""
        return Path(f"{self.root}/{place}").open("rb")


def _kind_of(entry: os.DirEntry[str], listing: Listing) -> list[str]:
    """Return the list of a listing in which an entry belongs."""
    try:
        if not entry.is_dir():
            return listing.files
    except OSError:  # a link that leads to itself
        return listing.files
    return listing.links if entry.is_symlink() else listing.folders


# Reading -------------------------------------------------------------------------------------


def read_folder(
    folder: Path, limits: ReadLimits, wanted: MemberFilter = BUNDLES
) -> Iterator[MemberOrBag]:
    """Yield each file below `folder` that is wanted, in the order of their paths.

    Links are not followed: what they hide is refused, not left out in silence.

    Raises:
        OSError: If the folder itself cannot be read.
    """
    root = os.fspath(folder)
    is_sound = True
    for one in _find(LocalFileTree(root), limits, wanted):
        for item in _items(root, one, limits):
            is_sound = is_sound and not (isinstance(item, RefusedMember) and item.is_fault)
            if is_sound or not isinstance(item, Bag):
                yield item


def _items(
    root: str, one: str | CheckedContent | RefusedMember | Bag, limits: ReadLimits
) -> Iterator[MemberOrBag]:
    if isinstance(one, str):
        yield from read_in_folder(root, one, limits)
    elif isinstance(one, CheckedContent):
        yield from read_extent(one.extent, one.data, limits)
    else:
        yield one


def list_folder(
    tree: FileTree, limits: ReadLimits, wanted: MemberFilter = BUNDLES
) -> Iterator[str | RefusedMember | Bag]:
    """Yield the path within a folder of each file that is wanted, in the order of `read_folder`.

    What lies in bags is read and held against their manifests (C5), so that each file can be read
    by itself afterwards, elsewhere. The bag at the end is sound only if nothing is refused in a
    file, either.

    Raises:
        OSError: If the folder itself cannot be read.
    """
    is_sound = True
    for one in _find(tree, limits, wanted):
        if isinstance(one, CheckedContent):
            if any(True for _ in read_extent(one.extent, one.data, limits)):
                yield one.place
            continue
        is_sound = is_sound and not (isinstance(one, RefusedMember) and one.is_fault)
        if is_sound or not isinstance(one, Bag):
            yield one


def read_in_folder(folder: str, place: str, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield what is in a file of a folder, or why it is refused.

    Args:
        folder: The folder.
        place: The file's path within it.
        limits: What this mirror accepts.
    """
    fault = _fault(place)
    if fault is not None:
        yield fault
        return
    path = f"{folder}/{place}"
    most = _most(place, limits)
    try:
        about = os.lstat(path)
        if not stat.S_ISREG(about.st_mode):
            yield RefusedMember(escape_name(place), "archive.member", "it is not a regular file")
            return
        with open(path, "rb") as file:  # noqa: PTH123 - there may be millions
            # To ask for far more than there is would cost more than the reading itself.
            data = file.read(min(about.st_size, most) + 1)
            if len(data) > about.st_size:
                data += file.read(max(0, most + 1 - len(data)))
    except OSError as error:
        yield RefusedMember(escape_name(place), "source.unreadable", error.strerror or str(error))
        return
    yield from read_member(place, data, limits)


def read_member(place: str, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield what is in a file's content, if this mirror accepts it.

    Args:
        place: Its path within the folder.
        data: Its content, or more of it than is accepted.
        limits: What this mirror accepts.
    """
    most = _most(place, limits)
    if len(data) > most:
        yield RefusedMember(escape_name(place), "limit.size", f"larger than {most} bytes")
    elif is_segment_name(place):
        yield from read_segment(escape_name(place), data, limits)
    else:
        yield file_or_refusal(place, data, limits)


def is_looked_at(place: str) -> bool:
    """Whether a change of a file of this name may change what reading its folder gives."""
    return BUNDLES.is_name(place) or is_segment_name(place) or is_tag_file_of_interest(place)


def _most(place: str, limits: ReadLimits) -> int:
    return limits.segment_bytes if is_segment_name(place) else limits.member_bytes


def _fault(place: str) -> RefusedMember | None:
    """Return why a file is refused for its name, or None (C5)."""
    if is_name_too_long(place):
        message = f"its path is longer than {NAME_CHARACTERS} characters"
        return RefusedMember(escape_name(place), "limit.size", message)
    fault = check_name(place)
    return None if fault is None else RefusedMember(escape_name(place), "archive.member", fault)


# Looking for what is wanted ------------------------------------------------------------------


def _find(
    tree: FileTree, limits: ReadLimits, wanted: MemberFilter
) -> Iterator[str | CheckedContent | RefusedMember | Bag]:
    """Yield paths of files that are wanted, and of bags what is wanted in them.

    At the end comes the bag that the folder is, or holds, if there is nothing else in it.
    """
    search = _FolderSearch(tree, limits, wanted)
    yield from search.find()
    yield from search.passed_over.refusals()
    if len(search.bags) == 1 and not search.has_others and search.bags[0] is not None:
        yield search.bags[0]


class _FolderSearch:
    def __init__(self, tree: FileTree, limits: ReadLimits, wanted: MemberFilter) -> None:
        self._tree = tree
        self._limits = limits
        self._wanted = wanted
        self._count = 0
        self.passed_over = PassedOver()
        self.bags: list[Bag | None] = []
        """The bag of each folder that is one, if its files are just those that it lists."""
        self.has_others = False
        """Whether a file lies outside of bags."""

    def find(self) -> Iterator[str | CheckedContent | RefusedMember]:
        """Yield what is wanted, folder by folder, up to the limit."""
        for folder, listing in _folders(self._tree, "", is_pruned=_is_bag):
            if isinstance(listing, RefusedMember):
                yield listing
            elif _is_bag(listing):
                yield from self._read_bag(folder)
            else:
                yield from _refused_links(folder, listing)
                for place in self._places(folder, listing):
                    self._count += 1
                    if self._count > self._limits.members:
                        yield _too_many(place, self._limits)
                        return
                    yield place

    def _places(self, folder: str, listing: Listing) -> Iterator[str]:
        names = {*listing.files, *listing.folders}
        for name in sorted(listing.files):
            if owner_of_apple_double(name) in names:
                continue
            place = posixpath.join(folder, name)
            self.has_others = True
            if self._wanted.is_name(name):
                yield place
            else:
                self.passed_over.count(place)

    def _read_bag(self, folder: str) -> Iterator[CheckedContent | RefusedMember]:
        def walk() -> Iterator[_BagFile | RefusedMember]:
            return _files(self._tree, folder, self._limits)

        bag = None
        for one in read_contents(walk, self._limits, self._wanted):
            if isinstance(one, Bag):
                bag = one
            else:
                yield one
        self.bags.append(bag)


def _is_bag(listing: Listing) -> bool:
    return "bagit.txt" in listing.files


def _too_many(place: str, limits: ReadLimits) -> RefusedMember:
    message = f"more than {limits.members} files; the rest was not read"
    return RefusedMember(escape_name(place), "limit.count", message)


def _refused_links(folder: str, listing: Listing) -> Iterator[RefusedMember]:
    for name in sorted(listing.links):
        place = escape_name(posixpath.join(folder, name))
        yield RefusedMember(place, "archive.member", "it is a link to a folder")


def _never(_listing: Listing) -> bool:
    return False


def _folders(
    tree: FileTree, top: str, is_pruned: Callable[[Listing], bool] = _never
) -> Iterator[tuple[str, Listing | RefusedMember]]:
    """Yield each folder below `top`, itself first, by name; one that cannot be read is refused.

    Nothing here calls itself: folders may nest deeper than Python's stack.

    Args:
        tree: Where they lie.
        top: The first of them.
        is_pruned: Whether to leave out what lies below one.

    Raises:
        OSError: If that is the whole tree.
    """
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            listing = tree.listing(folder)
        except OSError as error:
            if not folder:
                raise
            message = f"{error.strerror or error}; what is in it was not read"
            yield folder, RefusedMember(f"{escape_name(folder)}/", "source.unreadable", message)
            continue
        yield folder, listing
        if not is_pruned(listing):
            inner = sorted(listing.folders, reverse=True)
            waiting.extend(posixpath.join(folder, name) for name in inner)


# Bags ----------------------------------------------------------------------------------------


class _BagFile:
    """A file of a bag."""

    def __init__(self, tree: FileTree, place: str) -> None:
        self._tree = tree
        self.name = escape_name(place)
        self.place = self.path = place
        self.is_folder = False
        self.size = 0
        self._fault = _fault(place) or self._look()

    def _look(self) -> RefusedMember | None:
        try:
            size = self._tree.size(self.place)
        except OSError as error:
            return RefusedMember(self.name, "source.unreadable", error.strerror or str(error))
        if size is None:
            return RefusedMember(self.name, "archive.member", "it is not a regular file")
        self.size = size
        return None

    def fault(self) -> RefusedMember | None:
        """Return why it is refused whatever is in it, or None (C5)."""
        return self._fault

    def start(self) -> int:
        """Return -1: a file has no place in its folder."""
        return -1

    def chunks(self) -> Iterator[bytes]:
        """Yield its content piece by piece, as much as there was when it was looked at.

        Raises:
            UnreadableError: If it cannot be read.
        """
        left = self.size
        try:
            with self._tree.open(self.place) as file:
                while left and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error


def _files(tree: FileTree, top: str, limits: ReadLimits) -> Iterator[_BagFile | RefusedMember]:
    """Yield each file below `top`, in the order of their paths."""
    count = 0
    for folder, listing in _folders(tree, top):
        if isinstance(listing, RefusedMember):
            yield listing
            continue
        yield from _refused_links(folder, listing)
        for name in sorted(listing.files):
            place = posixpath.join(folder, name)
            count += 1
            if count > limits.members:
                yield _too_many(place, limits)
                return
            yield _BagFile(tree, place)
