"""Input splits: a small source, some files of a folder, or some extents of a large archive.

One task first scans a folder or a large uncompressed archive: it lists the content, checks it
against the manifests, and divides it into splits, which any worker can read. A compressed archive
can only be read from its start, so it is one split.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import orjson

from mirror.archive import (
    BUNDLES,
    Bag,
    Extent,
    FileTree,
    Listing,
    LocalFileTree,
    Member,
    ReadLimits,
    RefusedMember,
    empty_source,
    is_relevant_name,
    is_uncompressed_tar,
    list_folder,
    locate_in_tar,
    open_source,
    read_extent,
    read_file_in_folder,
    read_member,
    refuse_name,
)
from mirror.core.msgpack_values import pack, unpack
from mirror.core.redaction import redact
from mirror.engine.batching import batched
from mirror.engine.cluster.storage import StoragePath, translate_read_errors
from mirror.engine.cluster.task import WORK_FOLDER, TaskContext
from mirror.errors import SourceError

__all__ = ["InputSource", "InputSplit", "SourceScan", "read_split", "scan_source", "stat_source"]

SplitItem: TypeAlias = Member | RefusedMember | Bag
_Entry: TypeAlias = Extent | str | RefusedMember
"""An extent of an archive, the path of a file in a folder, or a refusal."""

_HEAD_BYTES = 512
_RETRY_DELAYS_S = (0.1, 0.5, 0)
"""Delay after each failed attempt to read the status of a source."""
_SPLIT_ENTRIES = 20_000
"""Largest number of entries of a split."""


@dataclass(frozen=True, slots=True)
class InputSource:
    """A source of the run."""

    number: int
    """Index among the sources."""
    name: str
    """Name given on the command line."""
    url: str
    version: str = ""
    """Digest that changes with the source; empty if its status cannot be read."""
    is_splittable: bool = False
    """Whether it is divided into splits."""

    @property
    def name_prefix(self) -> str:
        """Prefix of the names of its files."""
        return f"source-{self.number:06}"


@dataclass(frozen=True, slots=True)
class InputSplit:
    """A part of a source that one task reads; the whole source if that is not splittable."""

    source: InputSource
    number: int = 0
    """Index among the splits of the source."""

    @property
    def name_prefix(self) -> str:
        """Prefix of the names of its files, which sort in the order of the content."""
        return f"{self.source.name_prefix}-part-{self.number:06}"

    @property
    def list_path(self) -> str:
        """Path of the list of its entries, if its source is splittable."""
        return f"{WORK_FOLDER}/splits/{self.name_prefix}.list"


def stat_source(source: InputSource, split_bytes: int) -> InputSource:
    """Return a source with its version, without reading it; read errors are reported later."""
    for pause_s in _RETRY_DELAYS_S:
        with suppress(SourceError):
            return _stat(source, split_bytes)
        time.sleep(pause_s)  # a server may be busy
    return replace(source, version="", is_splittable=False)


def _stat(source: InputSource, split_bytes: int) -> InputSource:
    storage = StoragePath(source.url)
    version = storage.version(is_relevant_name)
    is_splittable = storage.is_folder() or (
        storage.size_bytes() > max(split_bytes, _HEAD_BYTES)
        and is_uncompressed_tar(storage.read_bytes(start=0, end=_HEAD_BYTES))
    )
    return replace(source, version=version, is_splittable=is_splittable)


# Scans ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceScan:
    """Result of scanning a source."""

    splits: int
    """Number of splits."""
    bag: Bag | None
    """The bag of the source, valid if nothing is refused in its splits."""

    @staticmethod
    def path_of(source: InputSource) -> str:
        """Return the path of the scan of a source, in the folder of the results."""
        return f"{WORK_FOLDER}/splits/{source.name_prefix}.json"

    def to_bytes(self) -> bytes:
        """Return it as JSON text."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> SourceScan:
        """Return the scan of a text from `to_bytes`."""
        value = orjson.loads(data)
        bag = value["bag"]
        return cls(value["splits"], None if bag is None else Bag(**bag))


def scan_source(source: InputSource, context: TaskContext) -> SourceScan:
    """Write a list of entries for each split beside the results, unless it exists.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`
        OutputError: `output.failed`
    """
    out, _ = context.begin()
    if out.exists(SourceScan.path_of(source)):
        return SourceScan.from_bytes(out.read_bytes(SourceScan.path_of(source)))
    bags: list[Bag] = []
    entries = _entries(StoragePath(source.url), out, context.limits, bags.append)
    count = 0
    size_of = attrgetter("size_bytes")
    batches = batched(entries, _SPLIT_ENTRIES, size_of, context.task_sizes.split_bytes)
    for count, batch in enumerate(batches, 1):
        out.put_bytes(
            InputSplit(source, count - 1).list_path,
            pack([_entry_value(one.entry) for one in batch]),
        )
    done = SourceScan(count, bags[0] if bags else None)
    out.put_bytes(SourceScan.path_of(source), done.to_bytes())
    return done


class _SizedEntry(NamedTuple):
    entry: _Entry
    size_bytes: int


def _entries(
    storage: StoragePath, out: StoragePath, limits: ReadLimits, on_bag: Callable[[Bag], None]
) -> Iterator[_SizedEntry]:
    """Yield the entries of a source, in its order; a refusal if it is empty."""
    is_empty = True
    with translate_read_errors(storage.url):
        is_folder = storage.is_folder()
        for one in _list_folder(storage, out, limits) if is_folder else _list_tar(storage, limits):
            if isinstance(one, Bag):
                on_bag(one)
                is_empty &= not one.is_increment
            else:
                is_empty &= isinstance(one.entry, RefusedMember) and one.entry.is_passed_over
                yield one
    if is_empty:
        yield _SizedEntry(empty_source(BUNDLES), 0)


def _list_tar(storage: StoragePath, limits: ReadLimits) -> Iterator[_SizedEntry | Bag]:
    with storage.open() as file:
        for one in locate_in_tar(file, limits):
            if isinstance(one, Bag):
                yield one
            else:
                yield _SizedEntry(one, one.size if isinstance(one, Extent) else 0)


def _list_folder(
    storage: StoragePath, out: StoragePath, limits: ReadLimits
) -> Iterator[_SizedEntry | Bag]:
    local = storage.local_path
    tree: FileTree = _ObjectStoreTree(storage) if local is None else LocalFileTree(local)
    if (results := _path_within(storage, out)) is not None:
        tree = _TreeWithoutFolder(tree, results)
    for one in list_folder(tree, limits):
        if isinstance(one, Bag):
            yield one
        else:
            yield _SizedEntry(one, 0 if isinstance(one, RefusedMember) else _size(tree, one))


def _size(tree: FileTree, name: str) -> int:
    try:
        return tree.size(name) or 0
    except OSError:
        return 0  # the task that reads it reports the error


def _path_within(storage: StoragePath, out: StoragePath) -> str | None:
    """Return the relative path of the results in a folder; None if they are elsewhere."""
    above = (storage.local_path or storage.url).rstrip("/") + "/"
    path = (out.local_path or out.url).rstrip("/")
    return path.removeprefix(above) if path.startswith(above) else None


class _TreeWithoutFolder:
    """A tree without one folder: the results of the run, which grow while it is listed."""

    def __init__(self, tree: FileTree, folder: str) -> None:
        self._tree = tree
        self._above, _, self._name = folder.rpartition("/")
        self.size = tree.size
        self.open = tree.open

    def listing(self, folder: str) -> Listing:
        """Return the entries of a folder."""
        found = self._tree.listing(folder)
        if folder == self._above:
            found.folders = [one for one in found.folders if one != self._name]
        return found


class _ObjectStoreTree:
    """A tree of folders made from the names of objects in an object store."""

    def __init__(self, storage: StoragePath) -> None:
        self._storage = storage
        self._sizes = storage.files()
        self._listings = {"": Listing()}
        for name in self._sizes:
            folder, _, last = name.rpartition("/")
            self._listing(folder).files.append(last)
        for folder in filter(None, self._listings):
            above, _, last = folder.rpartition("/")
            self._listings[above].folders.append(last)

    def _listing(self, folder: str) -> Listing:
        """Return the listing of a folder; create it and those of its parents."""
        found = self._listings.setdefault(folder, Listing())
        above = folder
        while (above := above.rpartition("/")[0]) not in self._listings:
            self._listings[above] = Listing()
        return found

    def listing(self, folder: str) -> Listing:
        """Return the entries of a folder."""
        return self._listings[folder]

    def size(self, path: str) -> int:
        """Return the size of an object in bytes."""
        return self._sizes[path]

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open an object."""
        return self._storage.open(path)


def _entry_value(entry: _Entry) -> Any:
    """Return an entry for MessagePack; names of files may not be UTF-8."""
    if isinstance(entry, str):
        return os.fsencode(entry)
    if isinstance(entry, Extent):
        return [*entry]
    return {"name": entry.name, "code": entry.code, "message": entry.message}


def _parse_entry(value: Any) -> _Entry:
    if isinstance(value, bytes):
        return os.fsdecode(value)
    return Extent(*value) if isinstance(value, list) else RefusedMember(**value)


# Reading -------------------------------------------------------------------------------------


def read_split(split: InputSplit, out: StoragePath, limits: ReadLimits) -> Iterator[SplitItem]:
    """Yield the items of a split, in the order of the whole source.

    Raises:
        SourceError: `source.unreadable`, or `source.changed`.
    """
    storage = StoragePath(split.source.url)
    if not split.source.is_splittable:
        yield from _read_whole(storage, limits)
        return
    values: Any = unpack(out.read_bytes(split.list_path))
    entries = [_parse_entry(one) for one in values]
    if storage.is_folder():
        yield from _read_files(storage, entries, limits)
    else:
        yield from _read_extents(storage, entries, limits)


def _read_whole(storage: StoragePath, limits: ReadLimits) -> Iterator[SplitItem]:
    if storage.local_path is not None:
        with open_source(storage.local_path, limits) as source:
            yield from source.items()
        return
    with tempfile.TemporaryDirectory(prefix="mirror-") as folder:
        copy = Path(folder, "source")
        storage.get_file(copy)
        with open_source(str(copy), limits) as source:
            yield from source.items()


def _read_files(
    storage: StoragePath, entries: Iterable[_Entry], limits: ReadLimits
) -> Iterator[SplitItem]:
    for one in entries:
        if isinstance(one, RefusedMember):
            yield one
        elif not isinstance(one, str):
            raise _changed(storage.url, one.name, "is no longer in an archive")
        elif storage.local_path is not None:
            yield from read_file_in_folder(storage.local_path, one, limits)
        elif (refused := refuse_name(one)) is not None:
            yield refused
        else:
            limit = max(limits.member_bytes, limits.segment_bytes)
            yield from read_member(one, storage.read_bytes(one, start=0, end=limit + 1), limits)


def _read_extents(
    storage: StoragePath, entries: Iterable[_Entry], limits: ReadLimits
) -> Iterator[SplitItem]:
    with translate_read_errors(storage.url), storage.open() as file:
        for one in entries:
            if isinstance(one, Extent):
                yield from read_extent(one, _read_extent(file, one, storage.url), limits)
            elif isinstance(one, RefusedMember):
                yield one
            else:
                raise _changed(storage.url, one, "is no longer in a folder")


def _read_extent(file: Any, extent: Extent, url: str) -> bytes:
    file.seek(extent.offset)
    data = bytes(file.read(extent.size))
    if len(data) < extent.size:
        raise _changed(url, extent.name, "is shorter than when the archive was scanned")
    return data


def _changed(url: str, name: str, change: str) -> SourceError:
    hint = "start again with another folder for the results"
    return SourceError("source.changed", f"{name} {change}", where=redact(url), hint=hint)
