"""`mirror export`: composed bundles (B6) in a bag (C2), the same bytes for the same facts."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol, cast

from mirror.archive import ReadLimits, translate_temporary_errors, write_bag, write_segments
from mirror.core.composed import compose_members
from mirror.core.msgpack_values import pack
from mirror.core.values import decode, time_text
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.base import ExcludedFacts, open_base
from mirror.engine.export.selection import FactSelection, in_words
from mirror.engine.ingest.base_bag import BASE, BASE_HOLDS
from mirror.errors import StoreError
from mirror.store import OverQuota, RecordFacts, Store, damaged, open_store

__all__ = [
    "NOT_HELD",
    "BagOutput",
    "ExportOptions",
    "ExportResult",
    "bag_files",
    "export_bag",
    "record_export",
    "write_states",
]

NOT_HELD = (
    "trusted keys and profiles",
    "checkpoints",
    "what upstreams said",
    "acknowledgements",
    "where and when each fact came",
)
"""Facts of a store that no bag holds, in words; a backup does."""


KEEP_INVALID = "Pith-Keep-Invalid"
"""The label in `bag-info.txt` of how many facts that are not verified each record may keep."""
LEFT_OUT = "Pith-Left-Out"
"""How many were left out for that."""
KEY_SET = "Pith-Key-Set-SHA256"
"""The digest of the key set under which facts were verified (K3)."""


class BagOutput(Protocol):
    """Something to write a bag to: an `OutputFile`, or standard output."""

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Give a file to write, from start to end."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written."""

    records: int
    large: list[str]
    """The suffixes of records in which a single value exceeds the limits of other mirrors."""
    size_bytes: int
    manifest: str
    """The digest that names the bag."""
    root: str
    """The root of the store's states; empty unless all of them were written."""
    last_arrival: int
    """The last that was written, if all were."""
    description: str
    """What was written, in words."""
    left_out: OverQuota | None
    """The facts that were not written because they are not verified; None if nobody asked so."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to write."""

    record_ids: Collection[int] | None = None
    """The records; None means all."""
    packed: bool = False
    """Whether to write segments (C4), not a file for each bundle (C2)."""
    since: str | None = None
    """The base to leave out: a bag, or the root of one."""
    keep_invalid: int | None = None
    """How many facts of each kind that are not verified are written for each record; None for all
    of them."""


def bag_files(facts: RecordFacts) -> Iterator[tuple[str, bytes]]:
    """Yield (path below `data/`, content) of the files of a record in a plain bag (C2), by path."""
    suffix = facts.record.suffix
    folder = f"pith/{suffix[:2]}/{suffix}"
    members = _members(facts)
    first = next(members)
    for number, text in enumerate(members, 2):
        yield f"{folder}/{number:04}.bundle.json", text
    yield f"{folder}/bundle.json", first  # digits sort before letters


def _members(facts: RecordFacts) -> Iterator[bytes]:
    return compose_members(facts.record, facts.alias_claims, facts.receipts, facts.events)


def export_bag(store: Store, out: BagOutput, order: ExportOptions) -> ExportResult:
    """Write records as a bag; a file appears whole or not at all.

    Args:
        store: The store; its facts are read as they are at one moment.
        out: Where to write.
        order: What to write.

    Returns:
        What was written, and of which records a mirror that keeps to the limits as they come
        (B4) takes no member, since one value is too large.

    Raises:
        OutputError: If `out` cannot be written, or may not be.
        SourceError: If the base cannot be read.
        LookUpError: If the base is a root that is not known.
    """
    with store.snapshot(), ExitStack() as stack:
        base = None if order.since is None else stack.enter_context(open_base(store, order.since))
        writing = _BagContents(store, order, base)
        root = writing.root()
        with out.open() as opened, tempfile.TemporaryFile() as spool:
            file = _CountingFile(opened)
            # Segments take long to make and little space, so they are made once and kept; and of
            # an increment nobody knows how large it is before it is made.
            if order.packed or base is not None:
                payload = _SpooledPayload(spool, writing.payload()).read
            else:
                payload = writing.payload
            manifest = write_bag(cast("IO[bytes]", file), payload, writing.info())
        return ExportResult(
            writing.records,
            sorted(writing.large),
            file.size_bytes,
            manifest,
            root,
            store.facts.last_arrival(),
            writing.description(),
            None if writing.selection is None else writing.selection.left_out,
        )


class _BagContents:
    """What goes into a bag."""

    def __init__(self, store: Store, order: ExportOptions, base: ExcludedFacts | None) -> None:
        self._store = store
        self._order = order
        self._base = base
        self.large: set[str] = set()
        self.records = 0
        self.selection: FactSelection | None = None

    def payload(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path below `data/`, content), ascending by path."""
        self.records = 0
        if self._order.keep_invalid is not None:
            self.selection = FactSelection(self._order.keep_invalid)
        if self._order.packed:
            return write_segments(self._packed())
        return self._files()

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for facts in self._lacking():
            for path, text in bag_files(facts):
                self._record_size(facts, text)
                yield path, text

    def _packed(self) -> Iterator[bytes]:
        for facts in self._lacking():
            for text in _members(facts):
                packed = pack(decode(text))
                self._record_size(facts, text)
                self._record_size(facts, packed)
                yield packed

    def _record_size(self, facts: RecordFacts, text: bytes) -> None:
        """Note a record of which a single value is more than mirrors take by default (B4)."""
        if len(text) > ReadLimits().member_bytes:
            self.large.add(facts.record.suffix)

    def _lacking(self) -> Iterator[RecordFacts]:
        """Yield the facts of each record of which anything is to be written, in a bag's order."""
        for _, record_id in self._store.records.in_bag_order(self._order.record_ids):
            facts = self._facts(record_id)
            if facts is not None:
                self.records += 1
                yield facts

    def _facts(self, record_id: int) -> RecordFacts | None:
        """Return what is to be written of a record; None if the base has all of that."""
        store, base = self._store, self._base
        facts = store.facts.load(record_id) if base is None else base.lacks(store, record_id)
        if facts is None or self.selection is None:
            return facts
        selected = self.selection.of(store, record_id, facts)
        is_nothing = not (selected.alias_claims or selected.receipts or selected.events)
        return (
            None if is_nothing and base is not None and base.knows(store, record_id) else selected
        )

    def root(self) -> str:
        """Return the root of all states; empty where not all are written, or they lag behind."""
        if self._order.record_ids is not None or self._store.states.stale(1):
            return ""
        root = self._store.state_tree.current_root()
        if root.size != self._store.records.count():
            raise damaged("the number of records is not that of the tree", "record")
        return root.digest.hex()

    def description(self) -> str:
        """Say what is written."""
        keep, words = self._order.keep_invalid, f"Pith Open Graph bundles of {self.records} records"
        if keep is None:
            return words
        return f"{words}, verified facts only" if keep == 0 else f"{words}, less unverified facts"

    def info(self) -> Iterator[tuple[str, str]]:
        """Yield the labels of `bag-info.txt`; read when all was written once, and counted.

        None of them rests on whom this mirror trusts, so that the same facts give the same bag;
        where only verified facts are written, all of it does, and the key set is named.
        """
        yield "Bag-Group-Identifier", "pith-open-graph"
        yield "External-Description", self.description()
        if self._base is not None:
            yield BASE, self._base.manifest
            yield BASE_HOLDS, self._base.description
        if self.selection is not None:
            yield KEEP_INVALID, str(self.selection.keep)
            yield LEFT_OUT, in_words(self.selection.left_out)
            yield KEY_SET, self._store.trust_log.key_set().digest


class _CountingFile:
    """A file that is written from start to end, and how many bytes that were."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        """Write `data`."""
        self.size_bytes += len(data)
        return self._file.write(data)


class _SpooledPayload:
    """A payload that is made once and read often."""

    def __init__(self, file: IO[bytes], payload: Iterable[tuple[str, bytes]]) -> None:
        self._file = file
        with translate_temporary_errors():
            self._sizes = [(path, file.write(content)) for path, content in payload]
            file.flush()

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield it."""
        self._file.seek(0)
        for path, size in self._sizes:
            yield path, self._file.read(size)


def record_export(path: Path, exported: ExportResult) -> None:
    """Note an export of all in its store, so that it can be a base by its root.

    A store that cannot be written now goes without: the bag itself can always be named.
    """
    at = time_text(datetime.now(UTC))
    try:
        with open_store(path, must_exist=True) as store, store.transaction():
            store.source_cache.put_root(
                bytes.fromhex(exported.root),
                exported.last_arrival,
                bytes.fromhex(exported.manifest),
                exported.description,
                at,
            )
            store.source_cache.put_bag(bytes.fromhex(exported.manifest), "exported here", at)
    except StoreError:
        return


def write_states(store: Store, out: Path, inputs: tuple[Path, ...] = ()) -> None:
    """Write the state of each record of this run to `<out>/<suffix>/state.json` (M13).

    A state that was written there before is replaced.

    Args:
        store: The store.
        out: The folder.
        inputs: What this run reads, which is never replaced.

    Raises:
        OutputError: If one cannot be written, or may not be.
    """
    for state in store.states.seen_states():
        path = out / state.suffix / "state.json"
        with OutputFile(path, force=True, inputs=inputs).open(make_folder=True) as file:
            file.write(state.text)
