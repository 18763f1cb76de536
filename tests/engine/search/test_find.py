"""Searching: what is found and what is not, and an index that is the same however it was made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.search import index as index_module
from mirror.engine.search.find import find
from mirror.engine.search.index import update_index
from mirror.engine.search.results import SearchResult
from mirror.engine.states.check import CheckScope, check_and_repair
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.errors import CorruptStoreError
from mirror.store import Store, open_store
from mirror.store.arrival_codec import decompress
from tests import oracle
from tests.builders import (
    Signer,
    author_claim,
    challenge,
    citation,
    created,
    integrity,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    replication,
    revocation,
    snapshot,
    storage,
    timestamp,
    to_json,
)
from tests.cli.conftest import BUNDLES
from tests.helpers import keys_of

DEMO, PITH = BUNDLES / "demo.tar", BUNDLES / "pith.tar"
KEYS = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
REGISTRY, AUTHOR = Signer("registry"), Signer("author")


def _merge(store: Store, folder: Path, *bundles: Any) -> None:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both sample bags, indexed."""
    path = tmp_path_factory.mktemp("samples") / "mirror.db"
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, ReadRequest([str(DEMO), str(PITH)], lambda _report: None))
        update_index(store)
    return path


@pytest.fixture
def sample_store(samples: Path) -> Iterator[Store]:
    """The same, open as a server opens it."""
    with open_store(samples, read_only=True) as store, store.snapshot():
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that trusts both signers."""
    with open_store(tmp_path / "mirror.db") as opened:
        add_keys(opened, keys_of(REGISTRY, AUTHOR))
        yield opened


def _numbers(found: SearchResult) -> list[str]:
    return [hit.record.pith_number for hit in found.hits]


def _ways(found: SearchResult) -> list[str]:
    return [hit.matched_by for hit in found.hits]


# What is found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["1611.08522", "arXiv:1611.08522v2", "10.48550/arxiv.1611.08522", "pith:XAVCN2MA",
     "XAVCN2MAGIRO", "https://arxiv.org/abs/1611.08522",
     "b82a26e9803222ef61177b8919813e264ca0e3a3ad27b3c5b5ac9b640fcd5558"],
)  # fmt: skip
def test_a_name_is_found_first(name: str, sample_store: Store) -> None:
    """Whatever `show` takes for a name."""
    hit, *_ = find(sample_store, name).hits
    assert ("1611.08522", 2, True) == (
        hit.record.arxiv_id,
        hit.record.version,
        hit.record.has_verified_receipt,
    )
    assert hit.matched_by == "id"


def test_a_title_is_found_by_its_digest(sample_store: Store) -> None:
    """R5: case and white space do not matter; no event needs to say the title."""
    title = " gosam  APPLICATIONS for automated\nNLO calculations"
    (hit,) = find(sample_store, title).hits
    assert ("1309.3741", "title hash") == (hit.record.arxiv_id, hit.matched_by)


def test_words_are_found_in_any_order(sample_store: Store) -> None:
    """All of them must be there; the record whose title holds them is the best."""
    found = find(sample_store, "bookkeeping holographic")
    assert {"text"} == set(_ways(found))
    first = found.hits[0]
    assert first.title is not None
    assert first.title.text == "Boundary terms in a toy model of holographic bookkeeping"
    assert "holographic" in first.excerpt[1::2]
    assert [] == find(sample_store, "bookkeeping holographic zebra").hits


def test_phrases_and_beginnings_are_understood(sample_store: Store) -> None:
    """`"..."` keeps words together, `*` ends a beginning; accents do not matter."""
    assert 1 == len(find(sample_store, '"Lemma 2 lacks"').hits)
    assert [] == find(sample_store, '"2 Lemma lacks"').hits
    assert [] == find(sample_store, "holograp").hits
    assert 3 == len(find(sample_store, "holograp*").hits)
    assert 3 == len(find(sample_store, '"toy model of holo"*').hits)
    assert 1 == len(find(sample_store, "UBER große").hits)


def test_further_results_are_announced(sample_store: Store) -> None:
    """The limit cuts, and does not hide that it did."""
    found = find(sample_store, "hep-th", 2)
    assert (2, True, 0) == (len(found.hits), found.has_more, found.unindexed)
    everything = find(sample_store, "hep-th", 1000)
    assert _numbers(found) == _numbers(everything)[:2]
    assert not everything.has_more


def test_all_records_of_a_name_are_listed_and_verified_ones_first(
    store: Store, tmp_path: Path
) -> None:
    """Anybody can merge versions of an arXiv id; the one that a trusted key signed leads."""
    records = [make_record(version=version) for version in range(1, 13)]
    bundles = [make_bundle(record) for record in records]
    signed = make_record("Another", version=7)
    bundles.append(make_bundle(signed, receipts=[make_receipt(signed, REGISTRY)]))
    _merge(store, tmp_path, *bundles)
    update_index(store)
    found = find(store, "2401.00001")
    assert (13, {"id"}) == (len(found.hits), set(_ways(found)))
    assert oracle.pith_number_of(signed) == _numbers(found)[0]
    assert [True, *[False] * 12] == [hit.record.has_verified_receipt for hit in found.hits]
    titled = find(store, "On Mirrors", 20)
    assert ["title hash"] * 12 == _ways(titled)


def _events(record: Any) -> dict[str, Any]:
    """An event of each kind, by a word that only it says."""
    graph = {
        "paper": {"title": "A zyxtitle", "authors_text": "Zyxauthor", "headline": "zyxheadline"},
        "claims": {"items": [{"text": "zyxclaim holds", "snapshot_sha256": "a" * 64}]},
        "references": {"sample": [{"title": "zyxreference"}]},
    }
    made = {
        "zyxtitle": ("graph_snapshot", snapshot(graph)),
        "zyxcalendar": ("timestamp_anchored", timestamp(record, calendar="https://zyxcalendar/")),
        "zyxarchive": ("storage_attested", storage("zyxarchive.org")),
        "zyxclaimant": ("author_claimed", author_claim("https://zyxclaimant/1")),
        "zyxciting": ("citation_signed", citation("arxiv:zyxciting")),
        "zyxreplication": ("replication_recorded", replication("https://zyxreplication/1")),
        "zyxfinding": ("pith.integrity.v1", integrity(finding_type="zyxfinding")),
        "zyxnote": ("challenge_filed", challenge(note="zyxnote: no.")),
        "zyxother": ("other.type", {"free": ["zyxother"]}),
    }
    events = {word: make_event(record, AUTHOR, *event) for word, event in made.items()}
    gone = make_event(record, AUTHOR, "challenge_filed", challenge("second", note="zyxgone"))
    revoked = revocation(gone["event_id"], "zyxreason")
    nothing = revocation("sha256:" + "0" * 64, "zyxidle")
    return {
        **events,
        "zyxgone": gone,
        "zyxreason": make_event(record, AUTHOR, "event_revoked", revoked),
        "zyxidle": make_event(record, AUTHOR, "event_revoked", nothing),
        "zyxstranger": make_event(record, Signer("x"), "other.type", {"free": "zyxstranger"}),
    }


def test_texts_of_valid_events_are_found(store: Store, tmp_path: Path) -> None:
    """Of every type; not what was revoked, what revokes nothing, or what did not pass."""
    record = make_record()
    _merge(store, tmp_path, make_bundle(record, list(_events(record).values())))
    update_index(store)
    words = [*_events(record), "zyxauthor", "zyxheadline", "zyxclaim", "zyxreference"]
    hidden = {word for word in words if not find(store, word).hits}
    assert {"zyxgone", "zyxidle", "zyxstranger"} == hidden
    title = find(store, "zyxnote").hits[0].title
    assert title is not None
    assert ("A zyxtitle", True, False) == (title.text, title.is_claim, title.is_proved)
    assert 1 == len(find(store, "math.HO").hits)


@pytest.mark.parametrize("word", ["a" * 64, "c2VjcmV0IHByb29mIG9mIHRpbWU=", "09", "ab*"])
def test_digests_and_signatures_are_not_indexed(word: str, store: Store, tmp_path: Path) -> None:
    """Hashes, base64, times and what is very short."""
    record = make_record(license="")
    payload = {
        "hash": "a" * 64,
        "event": "sha256:" + "a" * 64,
        "proof_b64": "c2VjcmV0IHByb29mIG9mIHRpbWU=",
        "key": "c2VjcmV0IHByb29mIG9mIHRpbWU" * 2,
        "at": "1909-09-09T09:09:09Z",
        "short": "ab",
    }
    event = make_event(record, AUTHOR, "other.type", payload)
    _merge(store, tmp_path, make_bundle(record, [event]))
    update_index(store)
    assert [] == [one for one in find(store, word).hits if one.matched_by == "text"]


def test_a_record_cannot_fill_the_index(store: Store, tmp_path: Path) -> None:
    """20,000 characters of it count."""
    record = make_record(license="license " * 1_800)
    payload = {"said": [f"word{number}" for number in range(10_000)]}
    graph = {"paper": {"title": "title " * 10_000}}
    events = [
        make_event(record, AUTHOR, "graph_snapshot", snapshot(graph)),
        make_event(record, AUTHOR, "other.type", payload),
    ]
    _merge(store, tmp_path, make_bundle(record, events))
    update_index(store)
    ((_, *columns),) = _contents(store)[0]
    assert sum(map(len, decompress(columns[-2]).decode("utf-8", "replace"))) < 20_100
    assert (1, 0) == (len(find(store, "word10").hits), len(find(store, "word9999").hits))


# Hostile queries -----------------------------------------------------------------------------

OPERATORS = r"""
" "" \""" "a a" * ** "* "*" *a a*b ^a -a +a a:b names:a {names}:a AND OR NOT NEAR(a,2) ( ) () ((a)
' ';-- \ % _ ? ?1 :a @a $a # , ; < > = | ~ ` ＂a＂ “a” « 𞤀 🜚 10.48550/arxiv. pith: https:// v1 1e999
"""
HOSTILE = [
    *OPERATORS.split(),
    *("a AND", "AND a", "a NEAR b", "NEAR(a b, 2)", "{names title}: a", "'; DROP TABLE record;--"),
    *("\x00", "a\x00b", "\x02a\x03", "\u202ea\u202c", "\u00ad", "\ufeff", "\ud800", "\udcff"),
    *("e\u0301" * 5_000, "a" * 10_000, "a " * 5_000, '"a" ' * 2_500, "(" * 10_000, "/" * 10_000),
    *('"' * 9_999, "\n" * 10_000, "a/" * 5_000, " ", ""),
]


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_query_is_only_words(query: str, sample_store: Store) -> None:
    """No error, and nothing in it means anything but what it says."""
    found = find(sample_store, query, 5)
    assert len(found.hits) <= 5


@given(query=st.text(st.characters(codec=None), max_size=40))
def test_any_query_is_only_words(samples: Path, query: str) -> None:
    """Whatever Unicode has."""
    with open_store(samples, read_only=True) as store:
        find(store, query, 3)


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT", "NEAR"])
def test_an_operator_is_a_word(operator: str, sample_store: Store) -> None:
    """`holographic OR snails` looks for `or`, too."""
    assert [] == find(sample_store, f"holographic {operator} intertidal zebra").hits


def test_invisible_characters_in_a_word_are_ignored(store: Store, tmp_path: Path) -> None:
    """Soft hyphens, zero widths, ligatures and directions are undone, in text and query."""
    record = make_record()
    payload = {"text": "e\ufb03cient re\u00adcon\u200bstruction \u202eabove\u202c\x00below \x02x"}
    event = make_event(record, AUTHOR, "other.type", payload)
    _merge(store, tmp_path, make_bundle(record, [event]))
    update_index(store)
    for query in ("efficient", "reconstruction", "above", "below", "e\ufb03cient", "\u202eabove"):
        assert 1 == len(find(store, query).hits), query
    assert ("efficient reconstruction ", "above", " below x") == find(store, "above").hits[
        0
    ].excerpt


# An index that lags behind -------------------------------------------------------------------


def test_merging_does_not_write_the_index(store: Store, tmp_path: Path) -> None:
    """It is brought up to date by whoever searches."""
    _merge(store, tmp_path, make_bundle(make_record()))
    assert ([], []) == _contents(store)
    found = find(store, "math.HO")
    assert ([], 1) == (found.hits, found.unindexed)
    assert ["id"] == _ways(find(store, "2401.00001"))
    update_index(store)
    found = find(store, "math.HO")
    assert (["text"], 0) == (_ways(found), found.unindexed)


def test_outdated_texts_are_not_shown(store: Store, tmp_path: Path) -> None:
    """The index may lag behind a key that is not trusted any more; what is shown does not."""
    record = make_record()
    event = make_event(record, AUTHOR, "challenge_filed", challenge(note="zyxnote"))
    signed = make_event(record, REGISTRY, "record_created", created(record, REGISTRY))
    _merge(store, tmp_path, make_bundle(record, [event, signed]))
    update_index(store)
    assert [True] == [hit.record.has_verified_receipt for hit in find(store, "zyxnote").hits]
    remove_keys(store, [REGISTRY.key_id])
    assert [False] == [hit.record.has_verified_receipt for hit in find(store, "zyxnote").hits]
    remove_keys(store, [AUTHOR.key_id])
    assert ([], 1) == (find(store, "zyxnote").hits, find(store, "zyxnote").unindexed)
    update_index(store)
    assert ([], 0) == (find(store, "zyxnote").hits, find(store, "zyxnote").unindexed)
    add_keys(store, keys_of(AUTHOR))
    update_index(store)
    assert 1 == len(find(store, "zyxnote").hits)


@pytest.mark.parametrize("far_behind", [-1, 100_000])
def test_records_that_are_not_indexed_yet_are_counted_once(
    far_behind: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way arrivals are gone through; of the same rules or of others."""
    monkeypatch.setattr("mirror.store.search_index._FAR_BEHIND", far_behind)
    first, *others = (make_record(arxiv_id=f"2401.0000{number}") for number in range(4))
    _merge(store, tmp_path, make_bundle(first))
    update_index(store)
    _merge(store, tmp_path, *map(make_bundle, others), make_bundle(first, [1]))
    _merge(store, tmp_path, make_bundle(first, [2]))
    assert 4 == store.search_index.unindexed()
    with store.transaction():
        store.connection.execute("UPDATE index_version SET rules = 'others'")
    assert 4 == store.search_index.unindexed()
    update_index(store)
    assert (0, 4) == (store.search_index.unindexed(), len(_contents(store)[0]))


def test_an_interrupted_index_run_is_resumed(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chunk counts; what ends the run, the next one does the rest."""
    monkeypatch.setattr(index_module, "CHUNK_RECORDS", 20)
    with open_store(tmp_path / "new.db") as store:
        ingest(store, ReadRequest([str(PITH)], lambda _report: None))

        def stop(_records: int) -> None:
            raise KeyboardInterrupt

        left = []
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                update_index(store, stop)
            left.append(store.search_index.unindexed())
        count = store.records.count()
        assert [count - 20, count - 40, count - 60] == left
        done: list[int] = []
        update_index(store, done.append)
        assert (count - 60, 0) == (sum(done), store.search_index.unindexed())
        update_index(store, done.append)
        assert count - 60 == sum(done)


def test_many_records_are_read_in_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same index."""
    with open_store(tmp_path / "one.db") as one, open_store(None) as memory:
        for store in (one, memory):
            add_keys(store, KEYS)
            ingest(store, ReadRequest([str(DEMO), str(PITH)], lambda _report: None))
        update_index(memory)
        monkeypatch.setattr(index_module, "CHUNK_RECORDS", 10)
        update_index(one)
        assert _contents(memory) == _contents(one)


def test_a_record_that_waits_for_its_state_stays_queued(store: Store, tmp_path: Path) -> None:
    """It is counted as not indexed until it was merged."""
    _merge(store, tmp_path, make_bundle(make_record()), make_bundle(make_record(version=2)))
    with store.transaction():
        store.states.mark_all_for_verdicts()
    update_index(store)
    assert 2 == store.search_index.unindexed()
    rebuild(store)
    update_index(store)
    assert 0 == store.search_index.unindexed()


# The same index, however it came to be -------------------------------------------------------


def _contents(store: Store) -> tuple[list[Any], list[Any]]:
    """All that is in the index, with records named by their digests."""
    conn = store.connection
    conn.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.instance "
        "USING fts5vocab ('main', 'full_text', 'instance')"
    )
    names = dict(conn.execute("SELECT id, digest FROM record"))
    rows = conn.execute("SELECT * FROM index_entry").fetchall()
    words = conn.execute('SELECT doc, term, col, "offset" FROM instance').fetchall()
    return (
        sorted((names[record_id], *row) for record_id, *row in rows),
        sorted((names[doc], *word) for doc, *word in words),
    )


@cache
def _bundles() -> list[Any]:
    one, two, three = (make_record(arxiv_id=f"2401.0000{number}") for number in range(3))
    first = make_event(one, AUTHOR, "challenge_filed", challenge(note="first note"))
    later = make_event(
        one, AUTHOR, "challenge_filed", challenge(note="later note"), "2026-02-01T00:00:00Z"
    )
    gone = make_event(two, AUTHOR, "challenge_filed", challenge(note="gone note"))
    return [
        make_bundle(one),
        make_bundle(one, [first]),
        make_bundle(one, [later, "junk"]),
        make_bundle(one, [make_event(one, REGISTRY, "record_created", created(one, REGISTRY))]),
        make_bundle(two, [gone]),
        make_bundle(two, receipts=[make_receipt(two, REGISTRY)]),
        make_bundle(
            two,
            [make_event(two, AUTHOR, "event_revoked", revocation(gone["event_id"], "a reason"))],
        ),
        make_bundle(three, [make_event(three, REGISTRY, "other.type", {"text": "of the third"})]),
    ]


STEPS: list[Any] = [
    *_bundles(), *_bundles()[:3], "index", "index", "index", "rebuild",
    ("remove", REGISTRY), ("add", REGISTRY), ("remove", AUTHOR), ("add", AUTHOR),
]  # fmt: skip


@settings(max_examples=settings().max_examples // 3)
@given(st.permutations(STEPS))
def test_any_order_gives_the_index_that_one_run_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    """Merges, changes of trust, rebuilds and searches between them, as they come."""
    tmp_path = tmp_path_factory.mktemp("order")
    with open_store(tmp_path / "mirror.db") as store, open_store(None) as fresh:
        for step in steps:
            if step == "index":
                update_index(store)
            elif step == "rebuild":
                rebuild(store)
            elif isinstance(step, dict):
                _merge(store, tmp_path, step)
            elif step[0] == "add":
                add_keys(store, keys_of(step[1]))
            elif store.trust_log.key_set().get(step[1].key_id) is not None:
                remove_keys(store, [step[1].key_id])
        add_keys(fresh, store.trust_log.key_set())
        _merge(fresh, tmp_path, *_bundles())
        for one in (store, fresh):
            update_index(one)
        assert _contents(fresh) == _contents(store)
        for query in ("note", "first", "cs.DL", "reason"):
            assert find(fresh, query) == find(store, query)


# Damage --------------------------------------------------------------------------------------


def _break(path: Path, query: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        assert conn.execute(query).rowcount > 0


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A store of the demo, indexed, to be broken."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        add_keys(store, KEYS)
        ingest(store, ReadRequest([str(DEMO)], lambda _report: None))
        update_index(store)
    return path


BREAKS = {
    "words": "UPDATE full_text_data SET block = x'0102030405060708' WHERE id > 100",
    "averages": "UPDATE full_text_data SET block = x'' WHERE id = 1",
    "structure": "UPDATE full_text_data SET block = x'ffffffff' WHERE id = 10",
    "a size": "DELETE FROM full_text_docsize WHERE id = 3",
    "an entry": "DELETE FROM index_entry WHERE record_id = 3",
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_damaged_index_is_reported_and_rebuilt(name: str, broken: Path) -> None:
    """`check` finds it, `--repair` empties it, and the next search fills it."""
    with open_store(broken) as store:
        expected = find(store, "holographic")
    _break(broken, BREAKS[name])
    with open_store(broken) as store:
        try:
            hits = find(store, "holographic").hits
        except CorruptStoreError as error:
            hits = []
            assert error.code == "store.damaged"  # noqa: PT017 - it may also find less
    assert [hit for hit in hits if hit not in expected.hits] == []
    report = check_and_repair(broken, CheckScope(), lambda _damage: None)
    assert (["full_text"], True) == (
        [damage.table for damage in report.damages],
        report.is_repaired,
    )
    with open_store(broken) as store:
        update_index(store)
        assert expected == find(store, "holographic")


@pytest.mark.parametrize(
    "query",
    ["UPDATE index_entry SET texts = x'00'",
     "UPDATE index_entry SET has_verified_receipt = 1 - has_verified_receipt",
     "UPDATE index_entry SET title_digest = abstract_digest", "DELETE FROM index_version",
     "UPDATE index_entry SET texts = (SELECT texts FROM index_entry WHERE record_id = 1)"],
)  # fmt: skip
def test_a_damaged_index_shows_no_wrong_text(query: str, broken: Path) -> None:
    """It is a memory: what it says is held against the facts."""
    with open_store(broken) as store:
        expected = find(store, "holographic")
    _break(broken, query)
    with open_store(broken) as store:
        found = find(store, "holographic")
        assert expected.hits == found.hits
        remove_keys(store, [key.key_id for key in KEYS if key.key_id.startswith("demo-")])
        update_index(store)
        assert [] == find(store, "holographic").hits


def test_a_quarantined_record_is_not_found(broken: Path) -> None:
    """Its words go when the index follows, and a record in its place is found by its own."""
    with open_store(broken) as store:
        (hit,) = find(store, '"lemma 2 lacks"').hits
    _break(broken, "UPDATE record SET value = x'00' WHERE source_id = 'hep-th/9901234'")
    with open_store(broken) as store, pytest.raises(CorruptStoreError):
        find(store, '"lemma 2 lacks"')
    check_and_repair(broken, CheckScope(), lambda _damage: None)
    with open_store(broken) as store:
        assert [] == find(store, '"lemma 2 lacks"').hits
        update_index(store)
        assert (7, 0) == (len(_contents(store)[0]), store.search_index.unindexed())
        ingest(store, ReadRequest([str(DEMO)], lambda _report: None))
        update_index(store)
        assert [hit] == find(store, '"lemma 2 lacks"').hits


def test_a_damaged_record_does_not_stop_the_others(broken: Path) -> None:
    """It stays queued, and is counted."""
    with open_store(broken) as store, store.transaction():
        store.search_index.clear()
    _break(broken, "UPDATE arrival SET content = x'00' WHERE id = 3")
    with open_store(broken) as store:
        update_index(store)
        assert 1 == store.search_index.unindexed()
        assert 7 == len(_contents(store)[0])
