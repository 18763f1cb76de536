"""`mirror compare --upstream`: our states against upstream's, record by record.

What upstream says is kept with its digest and the time, so that what it takes back later is seen
(`core.rollback`). It is evidence: nothing of it is ever merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, cast

from mirror.core.compare import Cause, Comparison, Here, compare
from mirror.core.event import ValidEvent
from mirror.core.rollback import rollbacks
from mirror.core.values import Object, decode, sha256
from mirror.engine.lookup import find_all, look_up
from mirror.engine.replay import current_text
from mirror.engine.root import bring_root_up_to_date
from mirror.engine.upstream import Answer, Said, Unreadable, Upstream, Wish
from mirror.errors import LookUpError, UpstreamError
from mirror.net import Client
from mirror.store import ClaimRow, Store

__all__ = [
    "Errand",
    "Finding",
    "Rollback",
    "Tally",
    "compare_with",
    "here_of",
    "history",
    "retired_here",
]

_MANY, _FEW = 200, 10
"""Comparisons of one transaction: where answers come from a disk, and over the network."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Upstream took back what it said before."""

    pith_number: str
    upstream: str
    kind: str
    causes: list[Cause]
    before: ClaimRow
    after: ClaimRow

    def to_value(self) -> Object:
        """Return the finding as it is printed."""
        return {
            "pith_number": self.pith_number,
            "status": "rollback",
            "upstream": self.upstream,
            "kind": self.kind,
            "cause": self.causes[0].text,
            "causes": [{"code": cause.code, "text": cause.text} for cause in self.causes],
            "before": {"sha256": self.before.digest.hex(), "at": self.before.first_at},
            "after": {"sha256": self.after.digest.hex(), "at": self.after.first_at},
        }


Finding: TypeAlias = Comparison | Rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What to compare, and whom to tell."""

    upstream: Upstream
    names: tuple[str, ...] = ()
    """Ids of records; none means all, on both sides."""
    called: str = ""
    """Under what name to keep what upstream says; empty for its address or path."""
    remember: bool = True
    """Whether to keep it."""
    tell: Callable[[Finding], None] = lambda _finding: None
    progress: Callable[[int], None] = lambda _count: None

    @property
    def remembered_as(self) -> str:
        """Under what name what upstream says is kept."""
        return self.called or self.upstream.place.rstrip("/")


@dataclass(slots=True)
class Tally:
    """What a run came to."""

    statuses: Counter[str] = field(default_factory=Counter)
    rollbacks: int = 0
    requests: int = 0

    def take(self, finding: Finding) -> None:
        """Count a finding."""
        if isinstance(finding, Rollback):
            self.rollbacks += 1
        else:
            self.statuses[finding.status] += 1

    @property
    def exit_code(self) -> int:
        """0 if all is the same, 1 if anything else, 5 if nothing of upstream could be read."""
        if set(self.statuses) == {"unreadable"}:
            return UPSTREAM_UNREADABLE
        is_same = set(self.statuses) <= {"match", "match_known"}
        return 0 if is_same and not self.rollbacks else 1


UPSTREAM_UNREADABLE = 5


def compare_with(store: Store, errand: Errand, client: Client) -> Tally:
    """Compare the records of a store, or some of them, with what upstream says.

    Args:
        store: The store; states that lag behind are made first, where it can be written.
        errand: What to compare.
        client: For an upstream that is an address.

    Raises:
        UpstreamError: If upstream cannot be read; what was found before was told.
        LookUpError: If an id names several records.
        CorruptStoreError: `store.damaged`
    """
    if errand.remember:
        bring_root_up_to_date(store)
    run = _Run(store, errand)
    tally = Tally()
    size = _FEW if errand.upstream.is_address else _MANY
    for batch in _batches(run.answers(client), size):
        with store.transaction() if errand.remember else store.snapshot():
            findings = [finding for answer in batch for finding in run.settle(answer)]
        for finding in findings:
            tally.take(finding)
            errand.tell(finding)
        errand.progress(len(batch))
    for comparison in run.missing_upstream():
        tally.take(comparison)
        errand.tell(comparison)
    tally.requests = client.requests
    return tally


def _batches(answers: Iterator[Answer], size: int) -> Iterator[list[Answer]]:
    """Yield answers by the batch; if asking fails, first those that came before."""
    batch: list[Answer] = []
    try:
        for answer in answers:
            batch.append(answer)
            if len(batch) == size:
                yield batch
                batch = []
    except UpstreamError:
        yield batch
        raise
    yield batch


class _Wanted(NamedTuple):
    """A record that was asked for by a person."""

    wish: Wish
    record_id: int | None


class _Run:
    """One comparison of a store with upstream."""

    def __init__(self, store: Store, errand: Errand) -> None:
        self._store = store
        self._errand = errand
        self._upstream = errand.upstream
        self._at = datetime.now(UTC).isoformat(timespec="seconds")
        self._wanted = [self._want(name) for name in errand.names]
        self._seen: set[int] = set()
        self._unreadable: set[str] = set()

    def _want(self, name: str) -> _Wanted:
        found = find_all(self._store.records, name)
        if not found:
            return _Wanted(Wish(name.strip(), ""), None)
        record = self._store.records.get(look_up(self._store.records, name))
        return _Wanted(Wish(record.suffix, record.pith_number), found[0])

    def answers(self, client: Client) -> Iterator[Answer]:
        """Yield what upstream says of the records that are compared."""
        if self._upstream.is_address:
            return self._upstream.answers(client, self._wishes())
        if not self._wanted:
            return self._upstream.members()
        wished = {one.wish.pith_number or one.wish.name for one in self._wanted}
        return (one for one in self._upstream.members() if _speaks_of(one, wished))

    def _wishes(self) -> Iterable[Wish]:
        if self._wanted:
            return [one.wish for one in self._wanted]
        return (Wish(suffix, number) for _, suffix, number in self._all_records())

    def _all_records(self) -> Iterator[tuple[int, str, str]]:
        after = 0
        while page := self._store.records.page(after, _MANY):
            yield from page
            after = page[-1][0]

    # One answer ------------------------------------------------------------------------------

    def settle(self, answer: Answer) -> Iterator[Finding]:
        """Yield what comes of an answer."""
        if isinstance(answer, Unreadable):
            yield self._of_nothing(answer)
            return
        yield self._compare(answer)
        if self._errand.remember:
            yield from self._remember(answer)

    def _of_nothing(self, answer: Unreadable) -> Comparison:
        status = "missing_upstream" if answer.is_missing else "unreadable"
        self._unreadable.add(answer.pith_number)
        cause = Cause(answer.code, f"{answer.where}: {answer.message}")
        return Comparison(pith_number=answer.pith_number, status=status, causes=(cause,))

    def _compare(self, answer: Said) -> Comparison:
        number = answer.pith_number
        record_id = self._store.records.numbered(number)
        if record_id is None:
            cause = Cause("record.missing_here", f"no bundle of {number} was merged here")
            return Comparison(pith_number=number, status="missing_here", causes=(cause,))
        self._seen.add(record_id)
        if self._store.derived.current_digest(record_id) == answer.digest:
            return Comparison(pith_number=number, status="match")
        return compare(here_of(self._store, record_id), answer.state)

    # Memory ----------------------------------------------------------------------------------

    def _remember(self, answer: Said) -> Iterator[Rollback]:
        name, kind, number = self._errand.remembered_as, self._upstream.kind, answer.pith_number
        digest = sha256(answer.text) if self._upstream.bundles else answer.digest
        before = self._store.claims.last(name, number, kind)
        if before is not None and before.digest == digest:
            return
        after = ClaimRow(name, number, kind, digest, self._at, answer.text)
        self._store.claims.note(after)
        if before is not None:
            yield from _rollback(before, after, self._retired(number))

    def _retired(self, number: str) -> set[str]:
        record_id = self._store.records.numbered(number)
        return set() if record_id is None else retired_here(self._store, record_id)

    # What upstream did not speak of ----------------------------------------------------------

    def missing_upstream(self) -> Iterator[Comparison]:
        """Yield the records that should have been told of, and were not."""
        for record_id, name, number in self._expected():
            if record_id in self._seen or number in self._unreadable:
                continue
            if record_id is None and self._upstream.is_address:
                continue
            where = "upstream" if record_id is not None else "either side"
            cause = Cause("record.missing_upstream", f"{number or name} is not known on {where}")
            yield Comparison(pith_number=number or name, status="missing_upstream", causes=(cause,))

    def _expected(self) -> Iterator[tuple[int | None, str, str]]:
        if self._wanted:
            yield from ((one.record_id, *one.wish) for one in self._wanted)
        else:
            yield from self._all_records()


def here_of(store: Store, record_id: int) -> Here:
    """Return our side of a record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = decode(current_text(store, record_id).rstrip())
    events = store.facts.load(record_id).events
    valid = frozenset(one.event_id for one in events if isinstance(one, ValidEvent))
    refused = {
        str(one.value["event_id"]): one.code
        for one in events
        if not isinstance(one, ValidEvent)
        # Of these two, what the event calls itself is not what it is.
        and one.code not in {"event.shape", "event.id"}
        and isinstance(one.value, dict)
    }
    return Here(state=cast("Object", state), valid=valid, refused=refused)


def retired_here(store: Store, record_id: int) -> set[str]:
    """Return the ids of the events that are retired here: nobody need show them (M11).

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = cast("Object", decode(current_text(store, record_id).rstrip()))
    entries = cast("list[Object]", state["retired_events"])
    return {cast("str", entry["event_id"]) for entry in entries}


def _speaks_of(answer: Answer, wished: set[str]) -> bool:
    if isinstance(answer, Unreadable):
        return True  # who knows of what
    number = answer.pith_number
    return number in wished or number[-26:] in wished


def _rollback(before: ClaimRow, after: ClaimRow, retired: set[str]) -> Iterator[Rollback]:
    was, now = (cast("Object", decode(claim.text)) for claim in (before, after))
    if causes := rollbacks(was, now, retired if after.kind == "state" else ()):
        yield Rollback(after.pith_number, after.upstream, after.kind, causes, before, after)


def history(store: Store, name: str) -> list[tuple[ClaimRow, list[Cause]]]:
    """Return all that upstreams said of a record, each with what it took back then.

    Raises:
        LookUpError: `lookup.unknown` if nobody was ever asked about it.
    """
    found = find_all(store.records, name)
    number = store.records.get(found[0]).pith_number if len(found) == 1 else name.strip()
    rows = store.claims.history(number)
    if not rows:
        hint = "`mirror compare --upstream` keeps what upstream says"
        message = f"nothing that an upstream said of {name!r} is kept"
        raise LookUpError("lookup.unknown", message, hint=hint)
    retired = retired_here(store, found[0]) if len(found) == 1 else set()
    return [(row, _taken_back(rows, index, retired)) for index, row in enumerate(rows)]


def _taken_back(rows: list[ClaimRow], index: int, retired: set[str]) -> list[Cause]:
    after = rows[index]
    before = rows[index - 1] if index else None
    if before is None or before[:3] != after[:3]:
        return []
    return [cause for one in _rollback(before, after, retired) for cause in one.causes]
