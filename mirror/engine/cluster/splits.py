"""What one task reads: a small source, some files of a folder, or a stretch of a large archive.

A folder and a large plain archive are surveyed first, by one task: what is in them is listed, held
against the manifests, and cut into parts that are read anywhere. What is compressed as a whole
can only be read from its start, and is one part.
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
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

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
    check_name,
    empty_source,
    is_relevant_name,
    is_uncompressed_tar,
    list_folder,
    locate_in_tar,
    open_source,
    read_extent,
    read_file_in_folder,
    read_member,
)
from mirror.core.escaping import escape_name
from mirror.core.msgpack_values import pack, unpack
from mirror.core.redaction import redact
from mirror.core.values import Value
from mirror.engine.batching import batched
from mirror.engine.cluster.storage import StoragePath, reading
from mirror.engine.cluster.task import WORK, TaskContext
from mirror.errors import SourceError

__all__ = ["InputSource", "InputSplit", "SourceScan", "read_part", "stat_source", "survey"]

SplitItem: TypeAlias = Member | RefusedMember | Bag
_Entry: TypeAlias = Extent | str | RefusedMember
"""A stretch of an archive, a file's path in its folder, or what was refused in its place."""

_HEAD_BYTES = 512
_PAUSES_S = (0.1, 0.5, 0)
"""After each time that a source could not be looked at."""
_LIST_ENTRIES = 20_000
"""Of one part at most, however small they are."""


@dataclass(frozen=True, slots=True)
class InputSource:
    """A source of the run."""

    number: int
    """Its place among the sources."""
    name: str
    """As the person wrote it."""
    url: str
    version: str = ""
    """What changes when it does; empty where nothing could be found out."""
    is_surveyed: bool = False
    """Whether it is cut into parts."""

    @property
    def file(self) -> str:
        """What files about it are called."""
        return f"source-{self.number:06}"


@dataclass(frozen=True, slots=True)
class InputSplit:
    """What one task reads of a source: all of it, unless that is surveyed."""

    origin: InputSource
    number: int = 0
    """Its place among the parts of the source."""

    @property
    def file(self) -> str:
        """What files about it are called; their order is that of what is in them."""
        return f"{self.origin.file}-part-{self.number:06}"

    @property
    def list_name(self) -> str:
        """Where the list of what is in it lies, if its source is surveyed."""
        return f"{WORK}/parts/{self.file}.list"


def stat_source(origin: InputSource, part_bytes: int) -> InputSource:
    """Return what can be told of a source without reading it; who reads it says why it cannot."""
    for pause_s in _PAUSES_S:
        with suppress(SourceError):
            return _scanned(origin, part_bytes)
        time.sleep(pause_s)  # a server may be busy for a moment
    return replace(origin, version="", is_surveyed=False)


def _scanned(origin: InputSource, part_bytes: int) -> InputSource:
    place = StoragePath(origin.url)
    version = place.version(is_relevant_name)
    is_surveyed = place.is_folder() or (
        place.size_bytes() > max(part_bytes, _HEAD_BYTES)
        and is_uncompressed_tar(place.read(start=0, end=_HEAD_BYTES))
    )
    return replace(origin, version=version, is_surveyed=is_surveyed)


# Surveys -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceScan:
    """What a survey came to."""

    parts: int
    bag: Bag | None
    """The bag that the source is, if nothing is refused in its parts, either."""

    @staticmethod
    def file_of(origin: InputSource) -> str:
        """Where the survey of a source is kept."""
        return f"{WORK}/parts/{origin.file}.json"

    def to_bytes(self) -> bytes:
        """Return it as it is kept."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> SourceScan:
        """Return what `to_bytes` gave."""
        value = orjson.loads(data)
        bag = value["bag"]
        return cls(value["parts"], None if bag is None else Bag(**bag))


def survey(origin: InputSource, errand: TaskContext) -> SourceScan:
    """List what is in a source, part by part, beside the results; do nothing twice.

    Raises:
        ClusterError: `cluster.versions`
        SourceError: `source.unreadable`
        OutputError: `output.failed`
    """
    out, _ = errand.begin()
    if out.has(SourceScan.file_of(origin)):
        return SourceScan.from_bytes(out.read(SourceScan.file_of(origin)))
    bags: list[Bag] = []
    entries = _entries(StoragePath(origin.url), out, errand.limits, bags.append)
    count = 0
    size_of = attrgetter("size_bytes")
    groups = batched(entries, _LIST_ENTRIES, size_of, errand.sizes.part_bytes)
    for count, group in enumerate(groups, 1):
        out.publish_bytes(
            InputSplit(origin, count - 1).list_name,
            pack([_entry_value(one.entry) for one in group]),
        )
    done = SourceScan(count, bags[0] if bags else None)
    out.publish_bytes(SourceScan.file_of(origin), done.to_bytes())
    return done


class _SizedEntry(NamedTuple):
    entry: _Entry
    size_bytes: int


def _entries(
    place: StoragePath, out: StoragePath, limits: ReadLimits, note_bag: Callable[[Bag], None]
) -> Iterator[_SizedEntry]:
    """Yield what is in a source, in its order; a refusal where that is nothing at all."""
    is_empty = True
    with reading(place.url):
        is_folder = place.is_folder()
        for one in _list_folder(place, out, limits) if is_folder else _list_tar(place, limits):
            if isinstance(one, Bag):
                note_bag(one)
                is_empty = is_empty and not one.is_increment
            else:
                fault = one.entry if isinstance(one.entry, RefusedMember) else None
                is_empty = is_empty and fault is not None and fault.is_passed_over
                yield one
    if is_empty:
        yield _SizedEntry(empty_source(BUNDLES), 0)


def _list_tar(place: StoragePath, limits: ReadLimits) -> Iterator[_SizedEntry | Bag]:
    with place.open() as file:
        for one in locate_in_tar(file, limits):
            if isinstance(one, Bag):
                yield one
            else:
                yield _SizedEntry(one, one.size if isinstance(one, Extent) else 0)


def _list_folder(
    place: StoragePath, out: StoragePath, limits: ReadLimits
) -> Iterator[_SizedEntry | Bag]:
    local = place.local_path
    tree: FileTree = _ObjectStoreTree(place) if local is None else LocalFileTree(local)
    if (results := _path_within(place, out)) is not None:
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
        return 0  # whoever reads it says why it cannot be read


def _path_within(place: StoragePath, out: StoragePath) -> str | None:
    """Return the path of the results within a folder; None if they lie elsewhere."""
    above = (place.local_path or place.url).rstrip("/") + "/"
    path = (out.local_path or out.url).rstrip("/")
    return path.removeprefix(above) if path.startswith(above) else None


class _TreeWithoutFolder:
    """A folder but for one in it: the results of the run, which grow as it is listed."""

    def __init__(self, tree: FileTree, folder: str) -> None:
        self._tree = tree
        self._above, _, self._name = folder.rpartition("/")
        self.size = tree.size
        self.open = tree.open

    def listing(self, folder: str) -> Listing:
        """Return what stands in a folder."""
        found = self._tree.listing(folder)
        if folder == self._above:
            found.folders = [one for one in found.folders if one != self._name]
        return found


class _ObjectStoreTree:
    """The objects of a store, as the folder that their names make them."""

    def __init__(self, place: StoragePath) -> None:
        self._place = place
        self._sizes = place.files()
        self._listings = {"": Listing()}
        for name in self._sizes:
            folder, _, last = name.rpartition("/")
            self._listing(folder).files.append(last)
        for folder in filter(None, self._listings):
            above, _, last = folder.rpartition("/")
            self._listings[above].folders.append(last)

    def _listing(self, folder: str) -> Listing:
        """Return the listing of a folder, and make those above it."""
        found = self._listings.setdefault(folder, Listing())
        above = folder
        while (above := above.rpartition("/")[0]) not in self._listings:
            self._listings[above] = Listing()
        return found

    def listing(self, folder: str) -> Listing:
        """Return what stands in a folder."""
        return self._listings[folder]

    def size(self, place: str) -> int:
        """Return the bytes of an object."""
        return self._sizes[place]

    def open(self, place: str) -> AbstractContextManager[BinaryIO]:
        """Open an object."""
        return self._place.open(place)


def _entry_value(entry: _Entry) -> Value:
    """Return an entry as a list keeps it; names of files may be no text at all."""
    if isinstance(entry, str):
        return cast("Value", os.fsencode(entry))
    if isinstance(entry, Extent):
        return [*entry]
    return {"name": entry.name, "code": entry.code, "message": entry.message}


def _entry(value: Any) -> _Entry:
    if isinstance(value, bytes):
        return os.fsdecode(value)
    return Extent(*value) if isinstance(value, list) else RefusedMember(**value)


# Reading -------------------------------------------------------------------------------------


def read_part(part: InputSplit, out: StoragePath, limits: ReadLimits) -> Iterator[SplitItem]:
    """Yield what a part holds, as reading the whole source yields it at that place.

    Raises:
        SourceError: `source.unreadable`, or `source.changed`.
    """
    place = StoragePath(part.origin.url)
    if not part.origin.is_surveyed:
        yield from _read_whole(place, limits)
        return
    entries = [_entry(one) for one in cast("list[Any]", unpack(out.read(part.list_name)))]
    if place.is_folder():
        yield from _read_files(place, entries, limits)
    else:
        yield from _read_extents(place, entries, limits)


def _read_whole(place: StoragePath, limits: ReadLimits) -> Iterator[SplitItem]:
    if place.local_path is not None:
        with open_source(place.local_path, limits) as source:
            yield from source.items()
        return
    with tempfile.TemporaryDirectory(prefix="mirror-") as folder:
        copy = Path(folder, "source")
        place.copy_to(copy)
        with open_source(str(copy), limits) as source:
            yield from source.items()


def _read_files(
    place: StoragePath, entries: Iterable[_Entry], limits: ReadLimits
) -> Iterator[SplitItem]:
    for one in entries:
        if not isinstance(one, str):
            yield cast("RefusedMember", one)
        elif place.local_path is not None:
            yield from read_file_in_folder(place.local_path, one, limits)
        elif fault := check_name(one):
            yield RefusedMember(escape_name(one), "archive.member", fault)
        else:
            most = max(limits.member_bytes, limits.segment_bytes)
            yield from read_member(one, place.read(one, start=0, end=most + 1), limits)


def _read_extents(
    place: StoragePath, entries: Iterable[_Entry], limits: ReadLimits
) -> Iterator[SplitItem]:
    with reading(place.url), place.open() as file:
        for one in entries:
            if isinstance(one, Extent):
                yield from read_extent(one, _stretch(file, one, place.url), limits)
            else:
                yield cast("RefusedMember", one)


def _stretch(file: Any, extent: Extent, url: str) -> bytes:
    file.seek(extent.offset)
    data = bytes(file.read(extent.size))
    if len(data) < extent.size:
        raise SourceError(
            "source.changed",
            f"{extent.name} is shorter than it was when the archive was surveyed",
            where=redact(url),
            hint="start again, in another folder for the results",
        )
    return data
