"""Reads a folder of bundles, and the bags in it (rules C2, C3, C5).

A folder with a `bagit.txt` is a bag, at any depth: its files are checked against its manifests, as
in a tar. Other files are listed and read one by one.
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
    apple_double_owner,
    drop_invalid_bag,
    file_or_refusal,
    refuse_name,
)
from mirror.archive.passed_over import PassedOver
from mirror.archive.segment import is_segment_name, read_segment
from mirror.core.escaping import escape_name

__all__ = [
    "FileTree",
    "Listing",
    "LocalFileTree",
    "is_relevant_name",
    "list_folder",
    "read_file_in_folder",
    "read_folder",
    "read_member",
]

_CHUNK = 1 << 20


@dataclass(slots=True)
class Listing:
    """Names of the entries of one folder, not sorted."""

    files: list[str] = field(default_factory=list)
    """Entries that are neither folders nor links to folders."""
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """Symbolic links to folders."""


class FileTree(Protocol):
    """A folder with everything below it, local or remote; paths are relative to it."""

    def listing(self, folder: str) -> Listing:
        """Return the entries of a folder; the empty path is the tree itself.

        Raises:
            OSError: If it cannot be read.
        """

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes; None if it is not a regular file.

        Raises:
            OSError: If its status cannot be read.
        """

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file.

        Raises:
            OSError: If it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class LocalFileTree:
    """A local folder. Links in it are not followed."""

    root: str

    def listing(self, folder: str) -> Listing:
        """Return the entries of a folder."""
        found = Listing()
        with os.scandir(f"{self.root}/{folder}") as entries:
            for entry in entries:
                _list_for(entry, found).append(entry.name)
        return found

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes; None if it is not a regular file."""
        status = os.lstat(f"{self.root}/{path}")
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file."""
        return Path(f"{self.root}/{path}").open("rb")


def _list_for(entry: os.DirEntry[str], listing: Listing) -> list[str]:
    """Return the list of a listing to which an entry belongs."""
    try:
        if not entry.is_dir():
            return listing.files
    except OSError:  # a link to itself
        return listing.files
    return listing.links if entry.is_symlink() else listing.folders


# Reading -------------------------------------------------------------------------------------


def read_folder(
    folder: Path, limits: ReadLimits, member_filter: MemberFilter = BUNDLES
) -> Iterator[MemberOrBag]:
    """Yield the content of each selected file below `folder`, sorted by path, and refusals.

    Links are not followed: a link is refused.

    Raises:
        OSError: If the folder itself cannot be read.
    """
    yield from drop_invalid_bag(_read(os.fspath(folder), limits, member_filter))


def _read(root: str, limits: ReadLimits, member_filter: MemberFilter) -> Iterator[MemberOrBag]:
    for one in _find(LocalFileTree(root), limits, member_filter):
        if isinstance(one, str):
            yield from read_file_in_folder(root, one, limits)
        elif isinstance(one, CheckedContent):
            yield from read_extent(one.extent, one.data, limits)
        else:
            yield one


def list_folder(
    tree: FileTree, limits: ReadLimits, member_filter: MemberFilter = BUNDLES
) -> Iterator[str | RefusedMember | Bag]:
    """Yield the path of each selected file in a folder, in the order of `read_folder`.

    The files of bags are checked against their manifests (C5), so that each file can be read by
    itself later, on another machine. The bag at the end is valid only if nothing is refused within
    a file, either.

    Raises:
        OSError: If the folder itself cannot be read.
    """
    for one in drop_invalid_bag(_find(tree, limits, member_filter)):
        if not isinstance(one, CheckedContent):
            yield one
        elif any(True for _ in read_extent(one.extent, one.data, limits)):
            yield one.raw_path


def read_file_in_folder(folder: str, path: str, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the content of a file of a folder, or a refusal.

    Args:
        folder: The folder.
        path: Path of the file, relative to the folder.
        limits: Limits on the input.
    """
    refusal = refuse_name(path)
    if refusal is not None:
        yield refusal
        return
    full_path = f"{folder}/{path}"
    limit = _size_limit(path, limits)
    try:
        status = os.lstat(full_path)
        if not stat.S_ISREG(status.st_mode):
            yield RefusedMember(escape_name(path), "archive.member", "it is not a regular file")
            return
        with open(full_path, "rb") as file:  # noqa: PTH123 - there may be millions
            # Python allocates the requested size, so a large request would be slower than reading.
            data = file.read(min(status.st_size, limit) + 1)
            if len(data) > status.st_size:
                data += file.read(max(0, limit + 1 - len(data)))
    except OSError as error:
        yield RefusedMember(escape_name(path), "source.unreadable", error.strerror or str(error))
        return
    yield from read_member(path, data, limits)


def read_member(path: str, data: bytes, limits: ReadLimits) -> Iterator[MemberOrBag]:
    """Yield the bundle or the bundles of a segment in a file, or a refusal.

    Args:
        path: Path of the file, relative to the folder.
        data: Content of the file, or a part of it that exceeds the limit.
        limits: Limits on the input.
    """
    limit = _size_limit(path, limits)
    if len(data) > limit:
        yield RefusedMember(escape_name(path), "limit.size", f"larger than {limit} bytes")
    elif is_segment_name(path):
        yield from read_segment(escape_name(path), data, limits)
    else:
        yield file_or_refusal(path, data, limits)


def is_relevant_name(path: str) -> bool:
    """Whether a file of this name can affect the result of reading its folder."""
    return BUNDLES.is_name(path) or is_segment_name(path) or is_tag_file_of_interest(path)


def _size_limit(path: str, limits: ReadLimits) -> int:
    return limits.segment_bytes if is_segment_name(path) else limits.member_bytes


# Search --------------------------------------------------------------------------------------


def _find(
    tree: FileTree, limits: ReadLimits, member_filter: MemberFilter
) -> Iterator[str | CheckedContent | RefusedMember | Bag]:
    """Yield paths of selected files outside of bags, and selected content of bags, with refusals.

    The last item is the bag, if the folder is or contains exactly one, and no other files.
    """
    search = _FolderSearch(tree, limits, member_filter)
    yield from search.find()
    yield from search.passed_over.refusals()
    if len(search.bags) == 1 and not search.has_others and search.bags[0] is not None:
        yield search.bags[0]


class _FolderSearch:
    def __init__(self, tree: FileTree, limits: ReadLimits, member_filter: MemberFilter) -> None:
        self._tree = tree
        self._limits = limits
        self._filter = member_filter
        self._count = 0
        self.passed_over = PassedOver()
        self.bags: list[Bag | None] = []
        """The bags of the tree; None for an invalid one."""
        self.has_others = False
        """Whether there is a file outside of bags."""

    def find(self) -> Iterator[str | CheckedContent | RefusedMember]:
        """Yield selected files and refusals, folder by folder, up to the limit."""
        for folder, listing in _folders(self._tree, "", is_pruned=_is_bag):
            if isinstance(listing, RefusedMember):
                yield listing
            elif _is_bag(listing):
                yield from self._read_bag(folder)
            else:
                yield from _refused_links(folder, listing)
                for path in self._paths(folder, listing):
                    self._count += 1
                    if self._count > self._limits.members:
                        yield _too_many(path, self._limits)
                        return
                    yield path

    def _paths(self, folder: str, listing: Listing) -> Iterator[str]:
        names = {*listing.files, *listing.folders}
        for name in sorted(listing.files):
            if apple_double_owner(name) in names:
                continue
            path = posixpath.join(folder, name)
            self.has_others = True
            if self._filter.is_name(name):
                yield path
            else:
                self.passed_over.count(path)

    def _read_bag(self, folder: str) -> Iterator[CheckedContent | RefusedMember]:
        def walk() -> Iterator[_BagFile | RefusedMember]:
            return _bag_files(self._tree, folder, self._limits)

        bag = None
        for one in read_contents(walk, self._limits, self._filter):
            if isinstance(one, Bag):
                bag = one
            else:
                yield one
        self.bags.append(bag)


def _is_bag(listing: Listing) -> bool:
    return "bagit.txt" in listing.files


def _too_many(path: str, limits: ReadLimits) -> RefusedMember:
    message = f"more than {limits.members} files; the rest was not read"
    return RefusedMember(escape_name(path), "limit.count", message)


def _refused_links(folder: str, listing: Listing) -> Iterator[RefusedMember]:
    for name in sorted(listing.links):
        path = escape_name(posixpath.join(folder, name))
        yield RefusedMember(path, "archive.member", "it is a link to a folder")


def _never(_listing: Listing) -> bool:
    return False


def _folders(
    tree: FileTree, top: str, is_pruned: Callable[[Listing], bool] = _never
) -> Iterator[tuple[str, Listing | RefusedMember]]:
    """Yield `top` and each folder below it, sorted by name; an unreadable one as a refusal.

    This is a loop, not a recursion: folders may be nested deeper than Python's stack.

    Args:
        tree: The tree of the folders.
        top: Path of the first folder.
        is_pruned: Whether to skip the folders below one.

    Raises:
        OSError: If the root of the tree cannot be read.
    """
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            listing = tree.listing(folder)
        except OSError as error:
            if not folder:
                raise
            message = f"{error.strerror or error}; its content was not read"
            yield folder, RefusedMember(f"{escape_name(folder)}/", "source.unreadable", message)
            continue
        yield folder, listing
        if not is_pruned(listing):
            inner = sorted(listing.folders, reverse=True)
            waiting.extend(posixpath.join(folder, name) for name in inner)


# Bags ----------------------------------------------------------------------------------------


class _BagFile:
    """A file of a bag."""

    def __init__(self, tree: FileTree, path: str) -> None:
        self._tree = tree
        self.name = escape_name(path)
        self.raw_path = self.path = path
        self.is_folder = False
        self.size = 0
        self._refusal = refuse_name(path) or self._stat()

    def _stat(self) -> RefusedMember | None:
        try:
            size = self._tree.size(self.path)
        except OSError as error:
            return RefusedMember(self.name, "source.unreadable", error.strerror or str(error))
        if size is None:
            return RefusedMember(self.name, "archive.member", "it is not a regular file")
        self.size = size
        return None

    def refusal(self) -> RefusedMember | None:
        """Return a refusal that does not depend on the content, or None (C5)."""
        return self._refusal

    def offset(self) -> int:
        """Return -1: a file in a folder has no offset."""
        return -1

    def chunks(self) -> Iterator[bytes]:
        """Yield its content in chunks, up to the size that it had at first.

        Raises:
            UnreadableError: If it cannot be read.
        """
        remaining = self.size
        try:
            with self._tree.open(self.path) as file:
                while remaining and (chunk := file.read(min(_CHUNK, remaining))):
                    remaining -= len(chunk)
                    yield chunk
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error


def _bag_files(tree: FileTree, top: str, limits: ReadLimits) -> Iterator[_BagFile | RefusedMember]:
    """Yield each file below `top`, sorted by path, and refusals."""
    count = 0
    for folder, listing in _folders(tree, top):
        if isinstance(listing, RefusedMember):
            yield listing
            continue
        yield from _refused_links(folder, listing)
        for name in sorted(listing.files):
            path = posixpath.join(folder, name)
            count += 1
            if count > limits.members:
                yield _too_many(path, limits)
                return
            yield _BagFile(tree, path)
