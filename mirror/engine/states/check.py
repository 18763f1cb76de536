"""`mirror check`: everything in a store, verified again from its facts.

Each record is decoded, hashed, judged and merged anew, and what the store remembers is held
against that; then the tables as a whole, and SQLite's own file. Records are checked by ranges of
ids in processes of their own, each reading one state of the store, whatever others write.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from pathlib import Path

from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.core.values import Value, canonical, instant, sha256
from mirror.engine.batching import pages
from mirror.engine.process_pool import StoreTask, map_in_processes
from mirror.engine.states.current import replay, verify_arrival
from mirror.engine.states.rebuild import rebuild, repair
from mirror.errors import CorruptStoreError, SchemaVersionError, StoreError
from mirror.store import (
    ArrivalContents,
    ArrivalRow,
    Damage,
    RecordTotals,
    Store,
    VerdictRow,
    Verdicts,
    key_ids_of,
    open_store,
    state_columns,
    verdict_rows_of,
)
from mirror.store.recover import salvage
from mirror.store.write_ahead_log import file_alone_holds_more, take_file_alone

__all__ = [
    "DAMAGED",
    "CheckReport",
    "CheckScope",
    "check",
    "check_and_repair",
    "check_record",
    "damage_digest",
]

CHUNK_RECORDS = 500
"""Records that one process checks at a time."""
SPREAD_FROM = 4
"""Chunks from which several processes are worth their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckScope:
    """What to check."""

    part: int = 1
    of: int = 1
    """Records whose id leaves the remainder `part` - 1 when divided by `of`."""
    for_s: float | None = None
    """Seconds after which to stop, and go on there the next time."""
    quick: bool = False
    """Only that facts are as they were written; no signature, no merge."""

    @property
    def name(self) -> str:
        """What the place to go on is kept under."""
        return f"{self.part}/{self.of}"


@dataclass(slots=True)
class CheckReport:
    """What a check came to."""

    records: int = 0
    damages: list[Damage] = field(default_factory=list)
    is_complete: bool = True
    """False if time ran out."""
    known: int = 0
    """Damages among these that were acknowledged."""
    is_repaired: bool = False
    """Whether damage was moved aside, and nothing damaged was left."""
    moved: int = 0
    """Facts that are kept aside."""
    need_bundles: list[str] = field(default_factory=list)
    """Pith Numbers of records that lost a fact."""
    aside: list[Path] = field(default_factory=list)
    """The names under which the old file, and the log beside it, are kept."""


DAMAGED = "store.damaged"
"""The code of damage."""


def damage_digest(damage: Damage) -> bytes:
    """Return what identifies a damage when it is found again, 32 bytes."""
    said: list[Value] = [damage.table, damage.row_id, damage.pith_number, damage.reason]
    return sha256(canonical(said))


def check(
    path: Path,
    scope: CheckScope,
    tell: Callable[[Damage], None],
    progress: Callable[[int], None] = lambda _records: None,
) -> CheckReport:
    """Check a store, or a part of it.

    Args:
        path: The store.
        scope: What to check.
        tell: Takes each damage as it is found.
        progress: Told of records that were checked.
    """
    report = CheckReport()

    known: set[tuple[str, bytes]] = set()

    def note(damage: Damage) -> None:
        is_known = (DAMAGED, damage_digest(damage)) in known
        report.damages.append(damage)
        report.known += is_known
        tell(replace(damage, is_known=is_known))

    with open_store(path, read_only=scope.for_s is None, must_exist=True, lenient=True) as store:
        with suppress(sqlite3.DatabaseError):  # the log may be damaged, too
            known |= store.acknowledgements.digests()
        if scope.part == 1:
            for damage in _whole(store, quick=scope.quick):
                note(damage)
        last: int | None = None
        try:
            for checked_to, count, damages in _results(path, scope, _chunks(store, scope)):
                last = checked_to
                report.records += count
                progress(count)
                for damage in damages:
                    note(damage)
            report.is_complete = _is_done(store, scope, last)
        except sqlite3.DatabaseError as error:
            report.is_complete = False
            note(Damage("sqlite", None, None, None, f"the table of records: {error}"))
    return report


def _whole(store: Store, *, quick: bool) -> Iterator[Damage]:
    """Check the file and the tables; what SQLite cannot read at all ends it."""
    try:
        yield from store.integrity.of_file(quick=quick)
        yield from store.integrity.of_tables()
    except sqlite3.DatabaseError as error:
        yield Damage("sqlite", None, None, None, str(error))


def check_and_repair(
    path: Path,
    scope: CheckScope,
    tell: Callable[[Damage], None],
    progress: Callable[[int], None] = lambda _records: None,
) -> CheckReport:
    """Check a whole store, move aside what is damaged, and derive everything again.

    A file that SQLite itself finds broken is first copied, as far as it can be read, to a new
    one that takes its place; the old one is kept. If the file alone has facts that are not there
    when the `-wal` beside it is read, too, that log is of another file: it is set aside first. No
    other process may have the store open.

    Args:
        path: The store.
        scope: All of it.
        tell: Takes each damage as it is found.
        progress: Told of records that were checked.

    Raises:
        CorruptStoreError: If what is left does not check out either.
    """
    report = _check_anything(path, scope, tell, progress)
    if not report.damages:
        return report
    found = report.damages
    if file_alone_holds_more(path):
        report.aside.append(_free_name(path))
        take_file_alone(path, report.aside[-1])
        found = check(path, scope, lambda _damage: None).damages
        if not found:
            report.is_repaired = True
            return report
    if any(damage.table == "sqlite" for damage in found):
        report.aside.append(_free_name(path))
        salvage(path, report.aside[-1])
        with open_store(path, lenient=True) as store:
            rebuild(store)  # only facts were saved, and they are held against what follows
        found = [*found, *check(path, scope, lambda _damage: None).damages]
    with open_store(path, lenient=True) as store:
        repair(store, found)
        moved = store.integrity.quarantined()
    report.moved = len(moved)
    numbers = {number for _, _, number, _ in moved} | {damage.pith_number for damage in found}
    report.need_bundles = sorted(number for number in numbers if number is not None)
    left = check(path, scope, tell)
    report.is_repaired = not left.damages
    return report


def _free_name(path: Path) -> Path:
    """Return the name under which a broken file is kept: one that no file has."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    first = path.with_name(f"{path.name}.damaged-{stamp}")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(one for one in chain([first], others) if not one.exists())


def _check_anything(
    path: Path,
    scope: CheckScope,
    tell: Callable[[Damage], None],
    progress: Callable[[int], None],
) -> CheckReport:
    """Check a store, also one that SQLite cannot open as it should be."""
    try:
        return check(path, scope, tell, progress)
    except SchemaVersionError:
        raise
    except StoreError as error:
        if error.code not in {"store.corrupt", "store.unreadable"}:
            raise
        damage = Damage("sqlite", None, None, None, error.message)
        tell(damage)
        return CheckReport(damages=[damage], is_complete=False)


# Ranges of records ---------------------------------------------------------------------------


def _chunks(store: Store, scope: CheckScope) -> Iterator[list[int]]:
    """Yield the ids to check, chunk by chunk, until the time is over."""
    last = store.integrity.resume_after(scope.name) if scope.for_s is not None else 0
    end = time.monotonic() + (scope.for_s if scope.for_s is not None else float("inf"))
    fetch = partial(store.integrity.ids, scope.part, scope.of)
    for chunk in pages(fetch, CHUNK_RECORDS, int, last):
        if time.monotonic() >= end:
            return
        if chunk[0] <= last or sorted(set(chunk)) != chunk:
            raise sqlite3.DatabaseError("the ids of records do not ascend")
        yield chunk
        last = chunk[-1]


def _is_done(store: Store, scope: CheckScope, last: int | None) -> bool:
    """Whether the end was reached; note where to go on if not."""
    if scope.for_s is None:
        return True
    after = store.integrity.resume_after(scope.name) if last is None else last
    is_done = not store.integrity.ids(scope.part, scope.of, after, 1)
    with store.transaction():
        store.integrity.record_progress(scope.name, None if is_done else after)
    return is_done


_Result = tuple[int, int, list[Damage]]
"""The last id of a chunk, how many records it had, and what is damaged."""


def _results(path: Path, scope: CheckScope, chunks: Iterator[list[int]]) -> Iterator[_Result]:
    """Check chunks in order, on every core if they are many."""
    with StoreTask(path, partial(_check_chunk, quick=scope.quick), lenient=True) as task:
        yield from map_in_processes(chunks, task, few=SPREAD_FROM - 1)


def _check_chunk(store: Store, chunk: list[int], *, quick: bool) -> _Result:
    keys = _keys(store)
    found = [damage for one in chunk for damage in check_record(store, one, keys, quick=quick)]
    return chunk[-1], len(chunk), found


def _keys(store: Store) -> KeySet:
    """Return whom the store trusts; of a broken log, which is reported, the built-in key."""
    try:
        return store.trust_log.key_set()
    except (CorruptStoreError, sqlite3.DatabaseError):
        return KeySet()


# One record ----------------------------------------------------------------------------------


def check_record(
    store: Store, record_id: int, keys: KeySet, *, quick: bool = False
) -> Iterator[Damage]:
    """Yield everything about a record that is not as it was written, or does not follow.

    Args:
        store: The store.
        record_id: The record.
        keys: The store's key set.
        quick: Only the facts.
    """
    try:
        yield from _check_record(store, record_id, keys, quick=quick)
    except CorruptStoreError as error:
        number = error.where.partition(", ")[2] or None
        yield Damage("record", record_id, record_id, number, error.message)
    except sqlite3.DatabaseError as error:
        yield Damage("sqlite", record_id, record_id, None, f"record {record_id}: {error}")


def _check_record(store: Store, record_id: int, keys: KeySet, *, quick: bool) -> Iterator[Damage]:
    record = store.records.get(record_id)
    judged: list[tuple[ArrivalRow, ArrivalContents, Verdicts]] = []
    is_whole = True
    for row in store.facts.arrivals(record_id):
        why = _check_arrival(record, row)
        if why is not None:
            is_whole = False
            yield Damage("arrival", row.id, record_id, record.pith_number, why)
        elif not quick:
            contents = row.contents()
            judged.append((row, contents, verify_arrival(record, row, contents, keys)))
    if quick or not is_whole:
        return
    stale = store.states.staleness(record_id)
    if stale is None or not stale.needs_verdicts:
        yield from _check_verdicts(store, record_id, record, judged, keys)
    if stale is None:
        yield from _check_state(store, record_id, record, keys)
    elif not stale.is_queued:
        why = "the state is missing, or is that of other facts"
        yield Damage("state", record_id, record_id, record.pith_number, why)


def _check_arrival(record: Record, row: ArrivalRow) -> str | None:
    """Return why an arrival is not as it was written, or None."""
    if not row.is_whole():
        return "checksum mismatch"
    try:
        contents = row.contents()
    except CorruptStoreError as error:
        return error.message
    for digest, value in (*contents.receipts, *contents.events):
        if sha256(canonical(value)) != digest:
            return "a value does not hash to its digest"
    for kind, alias, created_at in contents.claims:
        if (kind, alias) not in record.aliases or instant(created_at) is None:
            return "an alias claim is not of its record at a time"
    return None


def _check_verdicts(
    store: Store,
    record_id: int,
    record: Record,
    judged: list[tuple[ArrivalRow, ArrivalContents, Verdicts]],
    keys: KeySet,
) -> Iterator[Damage]:
    """Yield verdicts that are not what the facts and the keys give, and what rests on them."""
    number = record.pith_number
    fresh = RecordTotals()
    for row, contents, verdicts in judged:
        verdict_rows = list(verdict_rows_of(verdicts))
        fresh.add(row.id, row.checksum, contents, verdict_rows)
        for kind, position in _differing(row.verdict_rows, verdict_rows):
            why = f"the verdict on its {kind} {position} is not what that comes to"
            yield Damage("verdict", row.id, record_id, number, why)
        if store.integrity.lacks_key(record_id, key_ids_of(verdicts, keys)):
            yield Damage("key_dependency", None, record_id, number, "a key it names is not indexed")
    if store.facts.totals(record_id) != fresh:
        yield Damage(
            "record_totals", record_id, record_id, number, "facts and verdicts do not add up"
        )


def _differing(kept: list[VerdictRow], fresh: list[VerdictRow]) -> list[tuple[str, int]]:
    """Return which facts of an arrival have a verdict in one list that the other does not give."""
    return sorted({(row.kind, row.position) for row in set(kept) ^ set(fresh)})


def _check_state(store: Store, record_id: int, record: Record, keys: KeySet) -> Iterator[Damage]:
    try:
        state = replay(store.facts.load(record_id), keys)
    except CorruptStoreError:
        return  # the verdicts or the ledger are named already
    columns = state_columns(state)
    expected = columns._replace(outline=state.outline, citing=())
    if store.states.columns(record_id) != expected:
        why = "it is not what the facts come to"
        yield Damage("state", record_id, record_id, record.pith_number, why)
    if store.citations.citing(record_id) != columns.citing:
        why = "the index of citations is not that of the state"
        yield Damage("citation", record_id, record_id, record.pith_number, why)
