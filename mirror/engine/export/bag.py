"""`mirror export`: composed bundles (B6) in a bag (C2), the same bytes for the same facts."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from mirror.archive import ReadLimits, translate_temporary_errors, write_bag, write_segments
from mirror.core.composed import compose_members
from mirror.core.msgpack_values import pack
from mirror.core.values import decode, time_text
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.base import ExcludedFacts, open_base
from mirror.engine.export.selection import FactSelection, in_words
from mirror.engine.ingest.base_bag import BASE, BASE_HOLDS
from mirror.engine.states.past import keys_at
from mirror.errors import StoreError
from mirror.store import OverQuota, RecordFacts, Store, StoreVersion, damaged, open_store

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
    "block headers",
    "time-stamp authorities",
    "answers of archives",
    "titles and abstracts",
)
"""Facts of a store that a bag does not hold and a backup does, in words."""

KEEP_INVALID = "Pith-Keep-Invalid"
"""Label in `bag-info.txt`: the value of `keep_invalid`."""
LEFT_OUT = "Pith-Left-Out"
"""Label in `bag-info.txt`: numbers of facts that were left out."""
KEY_SET = "Pith-Key-Set-SHA256"
"""Label in `bag-info.txt`: digest of the key set under which facts were verified (K3)."""


class BagOutput(Protocol):
    """Output of an export: an `OutputFile`, or standard output."""

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open the file, which is written from start to end."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of an export."""

    records: int
    large: list[str]
    """Suffixes of records with a value that exceeds the default limits of mirrors (B4)."""
    size_bytes: int
    manifest: str
    """SHA-256 of the manifest, which identifies the bag."""
    root: str
    """Root of the states; empty unless all records were written and the states are up to date."""
    last_arrival: int
    """The last arrival in the store."""
    description: str
    """Description of the content, in words."""
    left_out: OverQuota | None
    """Numbers of unverified facts that were left out; None if `keep_invalid` is None."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of an export."""

    record_ids: Collection[int] | None = None
    """The records; None for all."""
    packed: bool = False
    """Whether to write segments (C4) instead of a file for each bundle (C2)."""
    since: str | None = None
    """The base of an increment: the path of a bag, or the root of an earlier export."""
    version: StoreVersion | None = None
    """The version of the store whose facts are written; None for the current one."""
    keep_invalid: int | None = None
    """Unverified facts of each kind that are written for each record; None for all of them."""


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


def export_bag(store: Store, out: BagOutput, options: ExportOptions) -> ExportResult:
    """Write records as a bag.

    Args:
        store: The store; its facts are read within one snapshot.
        out: The output; a file appears only when it is complete.
        options: The records, the form and the base.

    Raises:
        OutputError: If `out` cannot be written, or may not be.
        SourceError: If the base cannot be read.
        LookUpError: If the base is an unknown root.
    """
    with store.snapshot(), ExitStack() as stack:
        since = options.since
        base = None if since is None else stack.enter_context(open_base(store, since))
        contents = _BagContents(store, options, base)
        root = contents.root()
        with out.open() as file, tempfile.TemporaryFile() as spool:
            # Segments take long to make and little space, so they are made once. The size of an
            # increment is not known before it is made.
            if options.packed or base is not None:
                payload = _SpooledPayload(spool, contents.payload()).read
            else:
                payload = contents.payload
            written = write_bag(file, payload, contents.info())
        return ExportResult(
            contents.records,
            sorted(contents.large),
            written.size_bytes,
            written.manifest_sha256,
            root,
            contents.version.arrival,
            contents.description(),
            None if contents.selection is None else contents.selection.left_out,
        )


class _BagContents:
    """Payload and labels of a bag."""

    def __init__(self, store: Store, options: ExportOptions, base: ExcludedFacts | None) -> None:
        self._store = store
        self._options = options
        self._base = base
        self.version = options.version or store.version()
        self.large: set[str] = set()
        self.records = 0
        self.selection: FactSelection | None = None

    def payload(self) -> Iterator[tuple[str, bytes]]:
        """Yield (path below `data/`, content), ascending by path."""
        self.records = 0
        if self._options.keep_invalid is not None:
            self.selection = FactSelection(self._options.keep_invalid, self.version)
        if self._options.packed:
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
        """Record a value that exceeds the default limits of mirrors (B4)."""
        if len(text) > ReadLimits().member_bytes:
            self.large.add(facts.record.suffix)

    def _lacking(self) -> Iterator[RecordFacts]:
        """Yield the facts to write of each record that has any, in the order of a bag."""
        for _, record_id in self._store.records.in_bag_order(self._options.record_ids):
            if self._store.facts.first_arrival(record_id) > self.version.arrival:
                continue
            facts = self._facts(record_id)
            if facts is not None:
                self.records += 1
                yield facts

    def _facts(self, record_id: int) -> RecordFacts | None:
        """Return the facts to write of a record; None if the base has all of them."""
        store, base, until = self._store, self._base, self.version.arrival
        if base is None:
            facts: RecordFacts | None = store.facts.load(record_id, until=until)
        else:
            facts = base.lacks(store, record_id, until)
        if facts is None or self.selection is None:
            return facts
        selected = self.selection.of(store, record_id, facts)
        is_nothing = not (selected.alias_claims or selected.receipts or selected.events)
        return (
            None if is_nothing and base is not None and base.knows(store, record_id) else selected
        )

    def root(self) -> str:
        """Return the root of the states; empty if not all are written, or it is out of date."""
        is_current = self.version == self._store.version() and not self._store.states.stale(1)
        if self._options.record_ids is not None or not is_current:
            return ""
        root = self._store.state_tree.current_root()
        if root.size != self._store.records.count():
            raise damaged("the tree has another number of records", "record")
        return root.digest.hex()

    def description(self) -> str:
        """Return the description of the content."""
        keep = self._options.keep_invalid
        words = f"Pith Open Graph bundles of {self.records} records"
        if keep is None:
            return words
        return f"{words}, verified facts only" if keep == 0 else f"{words}, less unverified facts"

    def info(self) -> Iterator[tuple[str, str]]:
        """Yield the labels of `bag-info.txt`, once the payload was read and counted.

        The same facts give the same labels, whatever keys this mirror trusts. Only where
        unverified facts are left out, the content depends on the key set, which is named then.
        """
        yield "Bag-Group-Identifier", "pith-open-graph"
        yield "External-Description", self.description()
        if self._base is not None:
            yield BASE, self._base.manifest
            yield BASE_HOLDS, self._base.description
        if self.selection is not None:
            yield KEEP_INVALID, str(self.selection.keep)
            yield LEFT_OUT, in_words(self.selection.left_out)
            yield KEY_SET, keys_at(self._store, self.version).digest


class _SpooledPayload:
    """A payload that is made once and read twice."""

    def __init__(self, file: IO[bytes], payload: Iterable[tuple[str, bytes]]) -> None:
        self._file = file
        with translate_temporary_errors():
            self._sizes = [(path, file.write(content)) for path, content in payload]
            file.flush()

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the payload."""
        self._file.seek(0)
        for path, size in self._sizes:
            yield path, self._file.read(size)


def record_export(path: Path, exported: ExportResult) -> None:
    """Store the root of an export, so that it can be the base of an increment.

    If the store cannot be written, nothing is stored: the path of the bag can still be given.
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

    An earlier state is replaced.

    Args:
        store: The store.
        out: The folder.
        inputs: Files that this run reads, which are never replaced.

    Raises:
        OutputError: If a file cannot be written, or may not be.
    """
    for state in store.states.seen_states():
        path = out / state.suffix / "state.json"
        with OutputFile(path, force=True, inputs=inputs).open(make_folder=True) as file:
            file.write(state.text)
