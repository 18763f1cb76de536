"""Figures: every number against a slow count from states and facts, and copies that are no use."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.events.types import EVENT_TYPES, REVOCATION
from mirror.core.keys import parse_key_set
from mirror.core.merge import by_id
from mirror.core.shape import text_member
from mirror.core.state_view import StateView, parse_state
from mirror.core.values import Object, sha256
from mirror.engine.acknowledge import AcknowledgeOptions, acknowledge
from mirror.engine.figures import queries
from mirror.engine.figures.completeness import CONDITIONS
from mirror.engine.figures.numbers import Figures, NamedCounts, RankedCounts
from mirror.engine.figures.periods import PeriodCounts, count_periods
from mirror.engine.figures.reading import CopyFault, UnreadableCopyError, read_figures
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_text
from mirror.engine.states.trust import add_keys
from mirror.engine.tables.copy import update_copy
from mirror.store import Store, UpstreamStatementRow, open_store
from mirror.store.findings import FindingFilter
from mirror.store.whole_records import WholeRecord, whole_records
from tests.builders import (
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    payload_of,
    revocation,
    sign_event_again,
    to_json,
)
from tests.helpers import BUNDLES, keys_of
from tests.web.past_store import clock, keep_title

REGISTRY, AUTHOR = Signer("registry"), Signer("author")
PROVED = make_bundle(make_record(arxiv_id="2401.00001", submitted_at="2005-01-02T03:04:05Z"))[
    "pith_number"
]


def merge(store: Store, path: Path, *bundles: Object) -> None:
    """Merge bundles by way of a file."""
    path.write_bytes(b"".join(to_json(one) + b"\n" for one in bundles))
    ingest(store, ReadRequest([str(path)], lambda _finding: None))


def _bundles(number: int) -> Iterator[Object]:
    """Bundles on one record: each type, retired, repeated and refused events."""
    record = make_record(
        arxiv_id=f"24{number:02}.00001", submitted_at=f"{2004 + number}-01-02T03:04:05Z"
    )
    kinds = [one for one in EVENT_TYPES if one != REVOCATION]
    events = [
        make_event(
            record,
            REGISTRY,
            kind,
            payload_of(kind, record, REGISTRY),
            created_at=f"2026-0{step % 4 + 1}-0{number % 9 + 1}T12:00:00Z",
        )
        for step, kind in enumerate(kinds)
    ]
    yield make_bundle(record, events[:5], receipts=[make_receipt(record, REGISTRY)])
    claims = [
        make_event(record, AUTHOR, "author_claimed", author_claim(), created_at=one)
        for one in ("2026-06-01T12:00:00Z", "2026-06-02T12:00:00Z", "2026-06-03T12:00:00+00:00")
    ]
    back = make_event(record, AUTHOR, REVOCATION, revocation(claims[2]["event_id"]))
    broken = {**claims[0], "created_at": "never"}
    again = [] if number else [sign_event_again(claims[0], AUTHOR)]
    yield make_bundle(record, [*events[4:], *claims, *again, back, "junk", broken])


class Counted(NamedTuple):
    """A store with an analysis copy, its facts and states, and the figures of the copy."""

    store: Store
    copy: Path
    figures: Figures
    records: list[WholeRecord]
    states: list[StateView]

    def valid(self) -> Iterator[tuple[ValidEvent, str | None, StateView]]:
        """Yield each valid event (M1) with its known time, and the state of its record."""
        keys = self.store.trust_log.ever_trusted()
        for whole, state in zip(self.records, self.states, strict=True):
            known: dict[bytes, str | None] = {}
            events: list[ValidEvent] = []
            for arrival in whole.arrivals:
                for one in arrival.row.with_verdicts(arrival.contents, keys).events:
                    if isinstance(one, ValidEvent):
                        known[one.digest] = arrival.stored_at
                        events.append(one)
            for one in by_id(events).values():
                yield one, known[one.digest], state

    def refused(self) -> Iterator[tuple[InvalidEvent, str | None]]:
        """Yield each refused event with its known time."""
        keys = self.store.trust_log.ever_trusted()
        for whole in self.records:
            for arrival in whole.arrivals:
                for one in arrival.row.with_verdicts(arrival.contents, keys).events:
                    if isinstance(one, InvalidEvent):
                        yield one, arrival.stored_at


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    """Demo bundles and made-up ones, stored at several known times, with what is known beside."""
    folder = tmp_path_factory.mktemp("figures")
    with open_store(folder / "mirror.db") as store, clock() as put:
        put("2025-11-05T12:00:00Z")
        add_keys(store, parse_key_set((BUNDLES / "demo-keys.json").read_bytes()))
        add_keys(store, keys_of(REGISTRY, AUTHOR))
        ingest(store, ReadRequest([str(BUNDLES / "demo.tar")], lambda _finding: None))
        for number in range(4):
            put(f"2026-0{number + 1}-05T12:00:00Z")
            for step, one in enumerate(_bundles(number)):
                merge(store, folder / f"{step * number}.jsonl", one)
        keep_title(store)
        known = FindingFilter(code="event.shape")
        acknowledge(store, AcknowledgeOptions("Ada", "known", known, is_any_chosen=True))
        for name in (store.records.get(1).pith_number, "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"):
            row = UpstreamStatementRow(
                "https://up.example", name, "state", sha256(b"{}"), "", b"{}"
            )
            with store.transaction():
                store.upstream_history.append(row._replace(first_read_at="2026-01-01T00:00:00Z"))
        update_copy(store, folder / "copy.db")
        ids = [*store.records.in_number_order()]
        records = [*whole_records(store.connection, ids)]
        states = [parse_state(current_text(store, one)) for one in ids]
        figures = read_figures(folder / "copy.db")
        yield Counted(store, folder / "copy.db", figures, records, states)


def _shown(counts: PeriodCounts) -> dict[tuple[str, str], int]:
    """Return the numbers by row and name of the period."""
    return {
        (row, counts.name(period)): number
        for row, numbers in counts.rows.items()
        for period, number in numbers.items()
    }


def _ranked(expected: dict[str, tuple[int, int]], most: int = queries.MOST_NAMES) -> RankedCounts:
    """Return the ranks of numbers, by sorting all of them."""
    rows = sorted(expected.items(), key=lambda one: (-sum(one[1]), one[0]))
    left = rows[most:]
    sums = tuple(sum(counts[at] for _, counts in left) for at in (0, 1))
    return RankedCounts(tuple(NamedCounts(*one) for one in rows[:most]), len(left), sums)


# Every number ----------------------------------------------------------------------------------


def test_records_by_year_and_category(counted: Counted) -> None:
    """Each record once in its year; once in each of its categories."""
    years = Counter(("records", one.record.pith_number[5:9]) for one in counted.records)
    assert _shown(counted.figures.years) == years
    categories: dict[str, list[int]] = {}
    for one in counted.records:
        for name in {*one.record.categories}:
            is_primary = name == one.record.metadata["primary_cat"]
            categories.setdefault(name, [0, 0])[0 if is_primary else 1] += 1
    expected = {name: (first, second) for name, (first, second) in categories.items()}
    assert counted.figures.categories == _ranked(expected)
    assert counted.figures.records == len(counted.records)


def test_events_over_two_times(counted: Counted) -> None:
    """Valid events by what they claim and by when they were stored; refused ones only by that."""
    claimed: Counter[tuple[str, str]] = Counter()
    known: Counter[tuple[str, str]] = Counter()
    characters = {"year": 4, "month": 7, "day": 10}[counted.figures.claimed.unit]
    for event, stored_at, _ in counted.valid():
        kind = event.event_type if event.event_type in EVENT_TYPES else "other_events"
        claimed[kind, str(event.statement["created_at"])[:characters]] += 1
        known[kind, str(stored_at)[:7]] += 1
    known.update(("refused", str(stored_at)[:7]) for _, stored_at in counted.refused())
    assert counted.figures.known.unit == "month"
    assert _shown(counted.figures.claimed) == claimed
    assert _shown(counted.figures.known) == known
    invalid = sum(one.count("invalid_event_count") for one in counted.states)
    assert counted.figures.known.total("refused") == invalid > 0
    assert {row for row, _ in claimed} == {*EVENT_TYPES, "other_events"}


def test_findings_and_signers(counted: Counted) -> None:
    """Findings of the states and of receipts; signers of valid events, in force or retired."""
    codes = Counter(one.code for one, _ in counted.refused())
    codes["equivocation"] = sum(one.count("equivocation_count") for one in counted.states)
    keys = counted.store.trust_log.ever_trusted()
    for whole in counted.records:
        for arrival in whole.arrivals:
            verdicts = arrival.row.with_verdicts(arrival.contents, keys).receipts
            codes.update(code for one in verdicts if (code := getattr(one, "code", "")))
    shape = codes.pop("event.shape")
    assert shape > 0
    expected = {code: (count, 0) for code, count in codes.items() if count}
    assert counted.figures.findings == _ranked({**expected, "event.shape": (0, shape)})

    signers: dict[str, list[int]] = {}
    for event, _, state in counted.valid():
        retired = {one.event_id for one in state.retired_events}
        signers.setdefault(event.authority[0], [0, 0])[event.event_id in retired] += 1
    assert counted.figures.signers == _ranked(
        {name: (first, second) for name, (first, second) in signers.items()}
    )
    named = [one for one, _ in counted.refused() if _signer(one.value)]
    assert counted.figures.refused_with_signer == len(named) > 0


def _signer(value: Any) -> object:
    signer = value.get("signer") if isinstance(value, dict) else None
    return signer.get("signer_id") if isinstance(signer, dict) else None


def test_most_cited_records(counted: Counted) -> None:
    """By signed citations in force in the states."""
    expected = sorted(
        (-len(one.citations), one.pith_number, len({entry.signer_id for entry in one.citations}))
        for one in counted.states
        if one.citations
    )
    assert expected == [
        (-one.citations, one.pith_number, one.signers) for one in counted.figures.cited
    ]
    assert counted.figures.cited_records == len(expected)
    assert counted.figures.citations == -sum(count for count, _, _ in expected)
    titles = {one.pith_number: (_title(one), "claimed") for one in counted.states if _title(one)}
    titles[PROVED] = ("On mirrors", "proved")
    for found in counted.figures.cited:
        assert (found.title, found.title_status) == titles.get(found.pith_number, ("", ""))
    assert PROVED in {one.pith_number for one in counted.figures.cited}


def _title(state: StateView) -> str:
    """Return the title in the last graph snapshot of a state."""
    if not state.graph_snapshots:
        return ""
    return text_member(state.graph_snapshots[-1].graph.get("paper"), "title")


def test_completeness(counted: Counted) -> None:
    """Each condition, counted by hand."""
    states = counted.states

    def having(name: str) -> int:
        return sum(bool(one.entries(name)) for one in states)

    claimed = sum(bool(_title(one)) and one.pith_number != PROVED for one in states)
    sources = [{one.source for one in whole.arrivals} for whole in counted.records]
    expected = {
        "verified receipt": sum(one.receipt is not None for one in states),
        "title proved": 1,
        "title claimed only": claimed,
        "no title": len(states) - claimed - 1,
        "graph snapshot": having("graph_snapshots"),
        "time-stamp": having("timestamps"),
        "time-stamp checked here": 0,
        "stored copy": having("storage_attestations"),
        "stored copy found": 0,
        "author claim": having("author_claims"),
        "compared with upstream": 1,
        "one source only": sum(len(one) == 1 for one in sources),
        "no valid event": sum(one.count("valid_event_count") == 0 for one in states),
        "refused events": sum(one.count("invalid_event_count") > 0 for one in states),
        "equivocations": sum(one.count("equivocation_count") > 0 for one in states),
    }
    assert counted.figures.completeness == expected
    assert [*counted.figures.completeness] == [one.name for one in CONDITIONS]
    assert 0 < expected["one source only"] < len(states)


def test_others_are_counted(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without a row of their own are together in the numbers of the others."""
    monkeypatch.setattr(
        queries, "_RANKED", queries._RANKED.replace(f"LIMIT {queries.MOST_NAMES}", "LIMIT 1")
    )
    for name in ("categories", "findings", "signers"):
        few = getattr(read_figures(counted.copy), name)
        every = getattr(counted.figures, name)
        expected = {one.name: one.counts for one in every.rows}
        assert few == _ranked(expected, 1)
        assert few.total == every.total


def test_an_empty_store_has_empty_figures(tmp_path: Path) -> None:
    with open_store(tmp_path / "mirror.db") as store:
        update_copy(store, tmp_path / "copy.db")
    figures = read_figures(tmp_path / "copy.db")
    assert (figures.records, figures.citations, figures.cited) == (0, 0, ())
    assert (figures.categories, figures.findings, figures.signers) == (RankedCounts(),) * 3
    for counts in (figures.years, figures.claimed, figures.known):
        assert (counts.periods, counts.first > counts.last) == ([], True)
    assert {*figures.completeness.values()} == {0}


# Periods ---------------------------------------------------------------------------------------


def test_periods_fit_what_they_span() -> None:
    """Days within two months, months within four years, else years."""

    def by_day(first: str, last: str) -> list[tuple[str, str | None, int]]:
        assert (first, last) == ("2026-01", "2026-02")
        return [("a", "2026-01-31", 2), ("a", "2026-02-01", 1)]

    days = count_periods([("a", "2026-01", 2), ("a", "2026-02", 1)], ("a",), by_day)
    assert _shown(days) == {("a", "2026-01-31"): 2, ("a", "2026-02-01"): 1}
    assert days.last - days.first == 1
    months = count_periods([("a", "2023-01", 2), ("a", "2026-12", 1)], ("a",), by_day)
    assert _shown(months) == {("a", "2023-01"): 2, ("a", "2026-12"): 1}
    assert months.last - months.first == 47
    years = count_periods([("a", "2023-01", 2), ("a", "2027-01", 1)], ("a",), by_day)
    assert _shown(years) == {("a", "2023"): 2, ("a", "2027"): 1}


def test_a_distant_year_does_not_compress_the_axis() -> None:
    """A claimed year of 0001 or 9999 is counted at the ends, and so is what has no date."""
    dated = [
        ("b", "0001-01", 1),
        ("a", "1991-08", 5),
        ("a", "2026-05", 7),
        ("b", "9999-12", 2),
        ("a", None, 3),
    ]
    counts = count_periods(dated, ("a", "b", "c"), lambda *_: [])
    assert (counts.name(counts.first), counts.name(counts.last)) == ("1991", "2026")
    assert (counts.before, counts.after, counts.undated) == ({"b": 1}, {"b": 2}, {"a": 3})
    assert [(one, counts.total(one)) for one in counts.rows] == [("a", 15), ("b", 3)]


# Copies that are no use ------------------------------------------------------------------------


def fault_of(path: Path, most_s: float | None = None, *, is_cancelled: bool = False) -> CopyFault:
    """Return why a copy has no figures."""
    with pytest.raises(UnreadableCopyError) as caught:
        read_figures(path, most_s, lambda: is_cancelled)
    return caught.value.fault


def _changed(counted: Counted, path: Path, *statements: str) -> Path:
    path.write_bytes(counted.copy.read_bytes())
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for one in statements:
            conn.execute(one)
    return path


def test_a_file_that_is_no_copy_is_reported(counted: Counted, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    assert fault_of(path) == CopyFault.ABSENT
    path.write_bytes(b"text")
    assert fault_of(path) == CopyFault.FOREIGN
    path.write_bytes(counted.copy.read_bytes()[:5000])
    assert fault_of(path) == CopyFault.DAMAGED
    path.unlink()
    path.mkdir()
    assert fault_of(path) == CopyFault.FOREIGN


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE about SET value = '0' WHERE name = 'format'", CopyFault.OUTDATED),
        ("DROP TABLE records", CopyFault.DAMAGED),
        ("UPDATE about SET value = 'x' WHERE name = 'last_arrival'", CopyFault.DAMAGED),
        ("UPDATE arrivals SET known_at = 'no time'; ", CopyFault.DAMAGED),
        ("UPDATE events SET known_at = 'no time'", CopyFault.DAMAGED),
    ],
)
def test_a_copy_that_no_run_wrote(
    counted: Counted, tmp_path: Path, statement: str, fault: CopyFault
) -> None:
    path = _changed(counted, tmp_path / "copy.db", statement)
    if "arrivals" in statement:  # no figure reads it
        assert read_figures(path) == counted.figures
    else:
        assert fault_of(path) == fault


def test_queries_are_bounded(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, and by whoever waits for them."""
    monkeypatch.setattr("mirror.engine.figures.reading._STEPS", 1)
    assert fault_of(counted.copy, 0.0) == CopyFault.SLOW
    assert fault_of(counted.copy, is_cancelled=True) == CopyFault.CANCELLED


def test_a_copy_that_is_being_written(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.engine.figures.reading._BUSY_MS", 0)
    path = _changed(counted, tmp_path / "copy.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        assert fault_of(path) == CopyFault.LOCKED
        conn.execute("ROLLBACK")
    assert read_figures(path) == counted.figures


def test_reading_writes_nothing(counted: Counted) -> None:
    """Neither the copy nor a file beside it."""
    before = counted.copy.read_bytes(), sorted(counted.copy.parent.iterdir())
    read_figures(counted.copy)
    assert before == (counted.copy.read_bytes(), sorted(counted.copy.parent.iterdir()))
