"""Citations in both directions: by any name, only while in force, whatever changes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from mirror.core.record import Record
from mirror.core.state_view import parse_state
from mirror.core.values import Object
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.search.citations import MAX_WORKS, RecordCitations, citations_of
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.engine.states.current import current_text
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import Store, open_store
from tests.builders import (
    Signer,
    citation,
    make_bundle,
    make_event,
    make_record,
    revocation,
    snapshot,
    to_json,
)
from tests.helpers import keys_of

ALICE, BOB = Signer("alice"), Signer("bob")
ONE, TWO = make_record(arxiv_id="2401.00001"), make_record(arxiv_id="2401.00002")
NUMBER_ONE, NUMBER_TWO = (Record(one).pith_number for one in (ONE, TWO))


def cited(record: Any, citing: str, signer: Signer = ALICE, at: str = "01", **said: Any) -> Any:
    """A signed citation of a record, of an hour."""
    payload = citation(citing, **said)
    return make_event(record, signer, "citation_signed", payload, f"2026-01-01T{at}:00:00Z")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that trusts Alice and Bob."""
    with open_store(tmp_path / "mirror.db") as opened:
        add_keys(opened, keys_of(ALICE, BOB))
        yield opened


def merge(store: Store, *bundles: Any) -> None:
    """Merge bundles as a command does."""
    source = cast("Path", store.path).with_name("source.jsonl")
    source.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(source)], lambda _report: None))


def citations(store: Store, record: Any, **options: Any) -> RecordCitations:
    """The citations of a record now."""
    record_id = store.records.find(Record(record).digest)
    assert record_id is not None
    state = parse_state(current_text(store, record_id))
    return citations_of(store, record_id, state, **options)


def works(store: Store, citing: Any) -> list[str]:
    """The Pith Numbers of the records that a record cites; all others cite nothing."""
    found = citations(store, citing).cites
    assert found.count == len(found.listed)
    return [work.name for work in found.listed]


NAMES = [
    NUMBER_ONE, f"pith:{Record(ONE).suffix[:8]}", Record(ONE).suffix[:12].lower(), "2401.00001",
    "2401.00001v1", "arXiv:2401.00001", "10.48550/arXiv.2401.00001",
    "doi:10.48550/arxiv.2401.00001",
    "https://arxiv.org/abs/2401.00001v1", "https://doi.org/10.48550/arXiv.2401.00001",
    f"https://pith.science/pith/{Record(ONE).suffix}", Record(ONE).canonical_sha256,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_citation_reads_the_right_way_round_by_any_name(name: str, store: Store) -> None:
    """It stands on the record that is cited (E4); whoever `citing` names cites."""
    merge(store, make_bundle(ONE), make_bundle(TWO, [cited(TWO, name)]))
    one, two = citations(store, ONE), citations(store, TWO)
    assert [NUMBER_TWO] == [work.name for work in one.cites.listed]
    (event,) = one.cites.listed[0].events
    assert name == cast("Object", event["payload"])["citing"]
    assert (one.cites.count, one.cited_by.count, two.cites.count) == (1, 0, 0)
    (work,) = two.cited_by.listed
    assert (work.name, work.record_id) == (name, store.records.find(Record(ONE).digest))


def test_names_of_other_works_are_not_found(store: Store) -> None:
    """Another version, another year, no name at all."""
    others = ("2401.00001v2", f"pith:1999:{Record(ONE).suffix}", "", "x" * 2000, "2401.0000")
    events = [cited(TWO, name) for name in others]
    merge(store, make_bundle(ONE), make_bundle(TWO, events))
    assert works(store, ONE) == []
    assert citations(store, TWO).cited_by.count == len(others)


def test_a_name_of_several_records_is_marked_as_shared(store: Store) -> None:
    """An arXiv id without its version; with it, or by another citation, it is clear."""
    second = make_record(arxiv_id="2401.00001", version=2)
    merge(
        store, make_bundle(ONE), make_bundle(second), make_bundle(TWO, [cited(TWO, "2401.00001")])
    )
    for record in (ONE, second):
        (work,) = citations(store, record).cites.listed
        assert work.is_shared
    merge(store, make_bundle(TWO, [cited(TWO, "2401.00001v2", relationship="cites")]))
    assert [True, False] == [
        citations(store, record).cites.listed[0].is_shared for record in (ONE, second)
    ]


def test_a_work_that_cites_itself_does_so_once(store: Store) -> None:
    """Its own citation is among those on it; elsewhere there is none."""
    merge(store, make_bundle(ONE, [cited(ONE, NUMBER_ONE)]))
    assert works(store, ONE) == []
    assert citations(store, ONE).cited_by.count == 1


FIRST = cited(TWO, NUMBER_ONE)
ENDS: dict[str, Sequence[Any]] = {
    "withdrawn": [cited(TWO, NUMBER_ONE, at="02", status="withdrawn")],
    "revoked": [
        make_event(
            TWO, ALICE, "event_revoked", revocation(FIRST["event_id"]), "2026-01-02T00:00:00Z"
        )
    ],
}


@pytest.mark.parametrize("end", ENDS)
def test_a_citation_that_is_retired_does_not_count(end: str, store: Store) -> None:
    """Whenever that comes; another signer's stays."""
    merge(store, make_bundle(ONE), make_bundle(TWO, [FIRST]))
    merge(store, make_bundle(TWO, ENDS[end]))
    assert works(store, ONE) == []
    assert citations(store, TWO).cited_by.count == 0
    merge(store, make_bundle(TWO, [cited(TWO, "2401.00001", BOB)]))
    assert works(store, ONE) == [NUMBER_TWO]


def test_a_change_of_trust_changes_what_is_cited(store: Store) -> None:
    """What nobody trusted signed is no citation."""
    merge(store, make_bundle(ONE), make_bundle(TWO, [FIRST]))
    remove_keys(store, [ALICE.key_id])
    assert works(store, ONE) == []
    add_keys(store, keys_of(ALICE))
    assert works(store, ONE) == [NUMBER_TWO]
    assert citations(store, ONE, keys=keys_of(BOB)).cites.count == 0


def test_a_record_merged_after_its_citation_is_found(store: Store) -> None:
    """The citation was there before the work that cites."""
    merge(store, make_bundle(TWO, [FIRST]))
    merge(store, make_bundle(ONE))
    assert works(store, ONE) == [NUMBER_TWO]


def test_lists_are_bounded_and_counted(store: Store) -> None:
    """However many works there are."""
    many = [make_record(arxiv_id=f"2402.{number:05}") for number in range(MAX_WORKS + 2)]
    events = [cited(ONE, f"2402.{number:05}", relationship="cites") for number in range(len(many))]
    bundles = [make_bundle(one, [cited(one, NUMBER_ONE)]) for one in many]
    merge(store, make_bundle(ONE, events), *bundles)
    found = citations(store, ONE)
    for side in (found.cites, found.cited_by):
        assert (side.count, len(side.listed), side.more) == (len(many), MAX_WORKS, 2)


def test_references_of_a_snapshot_are_listed_separately(store: Store) -> None:
    """It is the word of who signed the snapshot."""
    listed = [{"arxiv_id": "2401.00002", "title": "Two"}, {"raw": "A book"}, {}, 7]
    graph = snapshot({"references": {"count": 9, "sample": listed}})
    merge(
        store, make_bundle(TWO), make_bundle(ONE, [make_event(ONE, BOB, "graph_snapshot", graph)])
    )
    found = citations(store, ONE)
    assert found.cites.count == 0
    names = [(work.name, work.title) for work in found.references.works.listed]
    assert names == [("2401.00002", "Two"), ("", "A book"), ("", "")]
    signer = cast("Object", cast("Object", found.references.snapshot)["signer"])
    assert signer["signer_id"] == BOB.signer_id
    assert citations(store, TWO).cited_by.count == 0


# The index -----------------------------------------------------------------------------------


def _index(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT * FROM citation ORDER BY 1, 2").fetchall()


def test_the_citation_index_follows_from_the_states(tmp_path: Path) -> None:
    """At once, one after the other, under keys that came later, rebuilt."""
    bundles = [make_bundle(ONE), make_bundle(TWO, [FIRST, cited(TWO, "arxiv:2401.00001", BOB)])]
    kept = []
    for name, calls in (("a", [bundles]), ("b", [bundles[1:], bundles[:1], bundles])):
        with open_store(tmp_path / f"{name}.db") as store:
            add_keys(store, keys_of(ALICE, BOB))
            for call in calls:
                merge(store, *call)
        kept.append([one for one, _ in _index(tmp_path / f"{name}.db")])
    with open_store(tmp_path / "c.db") as store:
        merge(store, *bundles)
        assert _index(tmp_path / "c.db") == []
        add_keys(store, keys_of(ALICE, BOB))
        kept.append([one for one, _ in _index(tmp_path / "c.db")])
        for judge in (True, False):
            rebuild(store, verify=judge)
            kept.append([one for one, _ in _index(tmp_path / "c.db")])
    names = [f"pith:{NUMBER_ONE[5:]}", "source:2401.00001", f"source:{NUMBER_ONE}"]
    assert kept == [names] * 5


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM citation",
        "INSERT INTO citation VALUES ('source:2401.00002', 1)",
        "INSERT INTO citation VALUES ('source:2401.00002', 99)",
        "UPDATE citation SET citing_name = citing_name || 'x'",
    ],
)
def test_a_wrong_citation_index_is_found_and_rebuilt(
    damage: str, store: Store, tmp_path: Path
) -> None:
    """By `check`, by `check --repair`, by `rebuild`."""
    merge(store, make_bundle(ONE), make_bundle(TWO, [FIRST]))
    path = tmp_path / "mirror.db"
    right = _index(path)
    for mend in (rebuild, lambda _: check_and_repair(path, CheckScope(), lambda _damage: None)):
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute(damage)
        found = check(path, CheckScope(), lambda _damage: None).damages
        assert {"citation"} == {one.table for one in found}
        mend(store)
        assert right == _index(path)
        assert check(path, CheckScope(), lambda _damage: None).damages == []


def test_a_damaged_record_does_not_hide_the_others(store: Store, tmp_path: Path) -> None:
    """It is counted."""
    three = make_record(arxiv_id="2401.00003")
    events = [make_bundle(one, [cited(one, NUMBER_ONE)]) for one in (TWO, three)]
    merge(store, make_bundle(ONE), *events)
    with closing(sqlite3.connect(tmp_path / "mirror.db", isolation_level=None)) as conn:
        conn.execute("UPDATE state SET outline = x'00' WHERE record_id = 2")
    found = citations(store, ONE).cites
    assert (found.count, len(found.listed), found.damaged, found.more) == (2, 1, 1, 0)
