"""`mirror check`: verifies everything in a store again, from its facts.

Each record is decoded, hashed, verified and merged again, and the stored verdicts and state are
compared with the result. The tables as a whole and the SQLite file are checked, too. Ranges of
record ids are checked in several processes, each in one snapshot of the store.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from pathlib import Path

from mirror.core.keys import KeySet
from mirror.core.record import Record
from mirror.core.values import Value, canonical, instant, sha256
from mirror.engine.batching import pages
from mirror.engine.native_engine import engine_for
from mirror.engine.process_pool import StoreTask
from mirror.engine.states.current import replay, verify_arrival
from mirror.engine.states.rebuild import rebuild, repair
from mirror.engine.thread_pool import map_in_order
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
from mirror.store.recover import recover
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
"""Chunks from which on several processes are started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckScope:
    """Parts of a store to check."""

    part: int = 1
    of: int = 1
    """Records whose id leaves the remainder `part` - 1 when divided by `of`."""
    time_limit_s: float | None = None
    """Seconds after which the check stops; the next one resumes there."""
    quick: bool = False
    """Check only the checksums of the facts: no signature, no merge."""

    @property
    def name(self) -> str:
        """The key under which the progress is stored."""
        return f"{self.part}/{self.of}"


@dataclass(slots=True)
class CheckReport:
    """Result of a check."""

    records: int = 0
    damages: list[Damage] = field(default_factory=list)
    is_complete: bool = True
    """False if time ran out."""
    known: int = 0
    """Damages among these that were acknowledged."""
    is_repaired: bool = False
    """Whether damage was found and moved into quarantine, and none is left."""
    quarantined: int = 0
    """Facts in quarantine."""
    need_bundles: list[str] = field(default_factory=list)
    """Pith Numbers of records that lost a fact."""
    old_files: list[Path] = field(default_factory=list)
    """The paths to which the old file and its log were moved."""


MoreChecks = Callable[[Store], Iterable[Damage]]


def _no_more(_store: Store) -> Iterable[Damage]:
    return ()


DAMAGED = "store.damaged"
"""The code of damage."""


def damage_digest(damage: Damage) -> bytes:
    """Return the SHA-256 that identifies a damage when it is found again, 32 bytes."""
    identity: list[Value] = [damage.table, damage.row_id, damage.pith_number, damage.reason]
    return sha256(canonical(identity))


def check(
    path: Path,
    scope: CheckScope,
    on_damage: Callable[[Damage], None],
    progress: Callable[[int], None] = lambda _records: None,
    more: MoreChecks = _no_more,
) -> CheckReport:
    """Check a store, or a part of it.

    Args:
        path: The store.
        scope: What to check.
        on_damage: Receives each damage as it is found.
        progress: Receives numbers of records that were checked.
        more: Yields the damage of derived data that a capability after this one makes.
    """
    report = CheckReport()
    known: set[tuple[str, bytes]] = set()

    def record(damage: Damage) -> None:
        is_known = (DAMAGED, damage_digest(damage)) in known
        report.damages.append(damage)
        report.known += is_known
        on_damage(replace(damage, is_known=is_known))

    with open_store(
        path, read_only=scope.time_limit_s is None, must_exist=True, lenient=True
    ) as store:
        with suppress(sqlite3.DatabaseError):  # the log may be damaged, too
            known |= store.acknowledgements.digests()
        if scope.part == 1:
            for damage in chain(_whole(store, quick=scope.quick), _more(store, scope, more)):
                record(damage)
        last: int | None = None
        try:
            for checked_to, count, damages in _results(path, scope, _chunks(store, scope)):
                last = checked_to
                report.records += count
                progress(count)
                for damage in damages:
                    record(damage)
            report.is_complete = _is_done(store, scope, last)
        except sqlite3.DatabaseError as error:
            report.is_complete = False
            record(Damage("sqlite", None, None, None, f"the table of records: {error}"))
    return report


def _more(store: Store, scope: CheckScope, more: MoreChecks) -> Iterator[Damage]:
    try:
        yield from () if scope.quick else more(store)
    except sqlite3.DatabaseError as error:
        yield Damage("sqlite", None, None, None, str(error))


def _whole(store: Store, *, quick: bool) -> Iterator[Damage]:
    """Check the file and the tables, up to the first thing that SQLite cannot read."""
    try:
        yield from store.integrity.check_file(quick=quick)
        yield from store.integrity.check_tables()
    except sqlite3.DatabaseError as error:
        yield Damage("sqlite", None, None, None, str(error))


def check_and_repair(
    path: Path,
    scope: CheckScope,
    on_damage: Callable[[Damage], None],
    progress: Callable[[int], None] = lambda _records: None,
    more: MoreChecks = _no_more,
) -> CheckReport:
    """Check a whole store, move damaged facts into quarantine, and derive everything again.

    A file that SQLite finds corrupt is first copied, as far as it can be read, to a new file that
    takes its place; the old one is kept. If the file has facts that disappear when the `-wal`
    beside it is read too, that log belongs to another file and is moved away first. No other
    process may have the store open.

    Args:
        path: The store.
        scope: The whole store.
        on_damage: Receives each damage as it is found.
        progress: Receives numbers of records that were checked.
        more: As for `check`.

    Raises:
        CorruptStoreError: If the store is still damaged and cannot be derived again.
    """
    report = _check_unopened(path, scope, on_damage, progress, more)
    if not report.damages:
        return report
    found = report.damages
    if file_alone_holds_more(path):
        report.old_files.append(_unused_path(path))
        take_file_alone(path, report.old_files[-1])
        found = check(path, scope, lambda _damage: None).damages
        if not found:
            report.is_repaired = True
            return report
    if any(damage.table == "sqlite" for damage in found):
        report.old_files.append(_unused_path(path))
        recover(path, report.old_files[-1])
        with open_store(path, lenient=True) as store:
            rebuild(store)  # only facts were saved; the check below compares with what follows
        found = [*found, *check(path, scope, lambda _damage: None).damages]
    with open_store(path, lenient=True) as store:
        repair(store, found)
        moved = store.integrity.quarantined()
    report.quarantined = len(moved)
    numbers = {number for _, _, number, _ in moved} | {damage.pith_number for damage in found}
    report.need_bundles = sorted(number for number in numbers if number is not None)
    left = check(path, scope, on_damage, more=more)
    report.is_repaired = not left.damages
    return report


def _unused_path(path: Path) -> Path:
    """Return an unused name for a corrupt file."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    first = path.with_name(f"{path.name}.damaged-{stamp}")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(one for one in chain([first], others) if not one.exists())


def _check_unopened(
    path: Path,
    scope: CheckScope,
    on_damage: Callable[[Damage], None],
    progress: Callable[[int], None],
    more: MoreChecks,
) -> CheckReport:
    """Check a store; one that cannot be opened is a damage."""
    try:
        return check(path, scope, on_damage, progress, more)
    except SchemaVersionError:
        raise
    except StoreError as error:
        if error.code not in {"store.corrupt", "store.unreadable"}:
            raise
        damage = Damage("sqlite", None, None, None, error.message)
        on_damage(damage)
        return CheckReport(damages=[damage], is_complete=False)


# Ranges of records ---------------------------------------------------------------------------


def _chunks(store: Store, scope: CheckScope) -> Iterator[list[int]]:
    """Yield the ids to check, chunk by chunk, until the time is over."""
    last = store.integrity.resume_after(scope.name) if scope.time_limit_s is not None else 0
    end = time.monotonic() + (
        scope.time_limit_s if scope.time_limit_s is not None else float("inf")
    )
    fetch = partial(store.integrity.ids, scope.part, scope.of)
    for chunk in pages(fetch, CHUNK_RECORDS, int, last):
        if time.monotonic() >= end:
            return
        if chunk[0] <= last or sorted(set(chunk)) != chunk:
            raise sqlite3.DatabaseError("the ids of records do not ascend")
        yield chunk
        last = chunk[-1]


def _is_done(store: Store, scope: CheckScope, last: int | None) -> bool:
    """Whether the end was reached; if not, store where to resume."""
    if scope.time_limit_s is None:
        return True
    after = store.integrity.resume_after(scope.name) if last is None else last
    is_done = not store.integrity.ids(scope.part, scope.of, after, 1)
    with store.transaction():
        store.integrity.record_progress(scope.name, None if is_done else after)
    return is_done


_Result = tuple[int, int, list[Damage]]
"""The last id of a chunk, its number of records, and its damages."""


def _results(path: Path, scope: CheckScope, chunks: Iterator[list[int]]) -> Iterator[_Result]:
    """Check chunks in order, on every core if they are many."""
    with StoreTask(path, partial(_check_chunk, quick=scope.quick), lenient=True) as task:
        yield from map_in_order(chunks, task, few=SPREAD_FROM - 1)


def _check_chunk(store: Store, chunk: list[int], *, quick: bool) -> _Result:
    keys = _keys(store)
    right = set() if quick else _right_records(store, chunk, keys)
    found = [
        damage
        for one in chunk
        if one not in right
        for damage in check_record(store, one, keys, quick=quick)
    ]
    return chunk[-1], len(chunk), found


def _right_records(store: Store, chunk: list[int], keys: KeySet) -> set[int]:
    """Return the records that the native engine finds right in every row."""
    engine = engine_for(keys)
    if engine is None:
        return set()
    try:
        stored, states = store.stored_records.rows(chunk), store.stored_records.states(chunk)
        citing = store.citations.citing_many(chunk)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return set()  # looking at one after the other finds what is damaged
    pairs = {one: (stored[one], states[one]) for one in stored if one in states}
    checked = zip(pairs, engine.check(list(pairs.values())), strict=True)
    return {
        one
        for one, found in checked
        if found is not None
        and found.citing == citing.get(one, ())
        and not store.integrity.lacks_key_dependency(one, found.key_ids)
    }


def _keys(store: Store) -> KeySet:
    """Return the trusted keys; the built-in key if the log is damaged, which is reported."""
    try:
        return store.trust_log.key_set()
    except (CorruptStoreError, sqlite3.DatabaseError):
        return KeySet()


_VerifiedArrival = tuple[ArrivalRow, ArrivalContents, Verdicts]

# One record ----------------------------------------------------------------------------------


def check_record(
    store: Store, record_id: int, keys: KeySet, *, quick: bool = False
) -> Iterator[Damage]:
    """Yield damaged facts of a record, and derived rows that do not follow from its facts.

    Args:
        store: The store.
        record_id: The record.
        keys: The store's key set.
        quick: Check only the facts.
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
    verified: list[_VerifiedArrival] = []
    is_whole = True
    for row in store.facts.arrivals(record_id):
        why = _check_arrival(record, row)
        if why is not None:
            is_whole = False
            yield Damage("arrival", row.id, record_id, record.pith_number, why)
        elif not quick:
            contents = row.contents()
            verified.append((row, contents, verify_arrival(record, row, contents, keys)))
    if quick or not is_whole:
        return
    stale = store.states.staleness(record_id)
    if stale is None or not stale.needs_verdicts:
        yield from _check_verdicts(store, record_id, record, verified, keys)
    if stale is None:
        yield from _check_state(store, record_id, record, keys)
    elif not stale.is_queued:
        why = "the state is missing, or was made from other facts"
        yield Damage("state", record_id, record_id, record.pith_number, why)


def _check_arrival(record: Record, row: ArrivalRow) -> str | None:
    """Return why an arrival is damaged, or None."""
    if row.computed_checksum() != row.checksum:
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
            return "an alias claim has no time, or an alias of another record"
    return None


def _check_verdicts(
    store: Store,
    record_id: int,
    record: Record,
    verified: list[_VerifiedArrival],
    keys: KeySet,
) -> Iterator[Damage]:
    """Yield verdicts, and rows derived from them, that do not follow from facts and keys."""
    number = record.pith_number
    fresh = RecordTotals()
    for row, contents, verdicts in verified:
        verdict_rows = list(verdict_rows_of(verdicts))
        fresh.add(row, contents, verdict_rows)
        for kind, position in _differing(row.verdict_rows, verdict_rows):
            why = f"the stored verdict on {kind} {position} is wrong"
            yield Damage("verdict", row.id, record_id, number, why)
        if store.integrity.lacks_key_dependency(record_id, key_ids_of(verdicts, keys)):
            yield Damage(
                "key_dependency",
                None,
                record_id,
                number,
                "a key that its events name is not indexed",
            )
    if store.facts.totals(record_id) != fresh:
        yield Damage(
            "record_totals",
            record_id,
            record_id,
            number,
            "the totals do not match facts and verdicts",
        )


def _differing(kept: list[VerdictRow], fresh: list[VerdictRow]) -> list[tuple[str, int]]:
    """Return kind and position of the facts whose verdicts differ."""
    return sorted({(row.kind, row.position) for row in set(kept) ^ set(fresh)})


def _check_state(store: Store, record_id: int, record: Record, keys: KeySet) -> Iterator[Damage]:
    try:
        state = replay(store.facts.load(record_id), keys)
    except CorruptStoreError:
        return  # the verdicts or totals are reported already
    columns = state_columns(state)
    expected = columns._replace(outline=state.outline, citing=())
    if store.states.columns(record_id) != expected:
        why = "the stored state does not follow from the facts"
        yield Damage("state", record_id, record_id, record.pith_number, why)
    if store.citations.citing(record_id) != columns.citing:
        why = "the citation index does not match the state"
        yield Damage("citation", record_id, record_id, record.pith_number, why)
