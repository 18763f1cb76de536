"""Which record a paper is: digests that fit or do not, copies that went wrong, whole dumps."""

from __future__ import annotations

import gzip
import io
import itertools
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.search.find import find
from mirror.engine.search.identify import IdentifyResult, identify
from mirror.engine.search.index import update_index
from mirror.engine.search.metadata_check import (
    MalformedLine,
    MetadataCheck,
    check_metadata,
    keep_metadata,
    open_metadata,
)
from mirror.engine.states.check import CheckScope, check_and_repair
from mirror.engine.states.trust import add_keys
from mirror.errors import CorruptStoreError, SourceError
from mirror.store import Damage, Store, open_store
from tests import oracle
from tests.builders import Signer, make_bundle, make_receipt, make_record, to_json
from tests.cli.conftest import BUNDLES
from tests.helpers import keys_of
from tests.shared import lines

REGISTRY = Signer("registry")
TITLE, ABSTRACT = "On mirrors", "What a mirror shows is the other way round."
PLAIN = "An efficient well-known 'reconstruction' of \"flows\" -- part 2"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the registry's records, indexed."""
    path = tmp_path_factory.mktemp("real") / "mirror.db"
    with open_store(path) as store:
        ingest(store, ReadRequest([str(BUNDLES / "pith.tar")], lambda _report: None))
        update_index(store)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that trusts a registry."""
    with open_store(tmp_path / "mirror.db") as opened:
        add_keys(opened, keys_of(REGISTRY))
        yield opened


def _merge(store: Store, folder: Path, *records: Any, signed: bool = False) -> None:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    bundles = [
        make_bundle(one, receipts=[make_receipt(one, REGISTRY)] if signed else None)
        for one in records
    ]
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))
    update_index(store)


def _numbers(known: IdentifyResult) -> list[str]:
    return [one.record.pith_number for one in known.candidates]


# One paper -----------------------------------------------------------------------------------


def test_real_papers_are_identified(real: Path) -> None:
    """By title, by abstract, by both, within their arXiv id: R5 holds for all of them."""
    papers = lines("real/signed_records.jsonl")
    with open_store(real, read_only=True) as store:
        for paper in papers:
            title, abstract = paper["title"], paper["abstract"]
            arxiv_id = paper["canonical_record"]["source"]["id"]
            for texts in ((title, None), (None, abstract), (title, abstract)):
                for among in (None, arxiv_id):
                    known = identify(store, texts[0], texts[1], among)
                    (candidate,) = known.candidates
                    assert (True, True) == (known.is_found, candidate.matches)
                    assert paper["pith_number"] == candidate.record.pith_number
                    assert candidate.record.has_verified_receipt


def test_a_title_alone_is_enough(real: Path) -> None:
    """As given, whatever its case and white space."""
    title = " GOSAM applications \u00a0for automated\n\tNLO\u2003calculations "
    with open_store(real, read_only=True) as store:
        (candidate,) = identify(store, title, None).candidates
    assert candidate.title is not None
    assert ("1309.3741", True, "as given") == (
        candidate.record.arxiv_id,
        candidate.title.matches,
        candidate.title.variant,
    )
    assert not candidate.title.is_confirmed  # \u00a0 is not ASCII
    assert candidate.abstract is None


def test_differences_are_reported_for_each_text(store: Store, tmp_path: Path) -> None:
    """A record with the title of one and the abstract of another paper matches neither."""
    one, two = make_record(TITLE, "one"), make_record("two", ABSTRACT, "2401.00002")
    _merge(store, tmp_path, one, two)
    known = identify(store, TITLE, ABSTRACT)
    assert not known.is_found
    said = {
        candidate.record.arxiv_id: [
            one is not None and one.matches for one in (candidate.title, candidate.abstract)
        ]
        for candidate in known.candidates
    }
    assert {"2401.00001": [True, False], "2401.00002": [False, True]} == said
    assert [False] == [one.matches for one in identify(store, "x", None, "2401.00002").candidates]
    assert [] == identify(store, TITLE, None, "2401.00003").candidates
    assert [] == identify(store, "nobody has this", None).candidates


def test_matches_come_first_and_verified_records_before_others(
    store: Store, tmp_path: Path
) -> None:
    """However many somebody merges that nobody vouches for."""
    _merge(store, tmp_path, *(make_record(version=version) for version in range(1, 30)))
    signed = make_record(abstract="another", version=31), make_record(version=32)
    _merge(store, tmp_path, *signed, signed=True)
    for known in (identify(store, TITLE, ABSTRACT), identify(store, TITLE, ABSTRACT, "2401.00001")):
        assert (True, True, 20) == (known.is_found, known.has_more, len(known.candidates))
        first = known.candidates[0]
        assert (32, True) == (first.record.version, first.record.has_verified_receipt)
    by_title = identify(store, TITLE, None).candidates
    assert [True, True, False] == [one.record.has_verified_receipt for one in by_title][:3]


def test_only_records_of_arxiv_have_an_arxiv_id(store: Store, tmp_path: Path) -> None:
    """A record of another kind may use the same id for something else."""
    _merge(store, tmp_path, make_record(kind="report"))
    assert [] == identify(store, TITLE, None, "2401.00001").candidates
    (candidate,) = identify(store, TITLE, None).candidates
    assert candidate.record.arxiv_id is None


def test_records_that_are_not_indexed_are_counted(store: Store, tmp_path: Path) -> None:
    """Without an id, the index is all that is asked."""
    path = tmp_path / "bundle.json"
    path.write_bytes(to_json(make_bundle(make_record())))
    ingest(store, ReadRequest([str(path)], lambda _report: None))
    assert (False, 1) == (identify(store, TITLE, None).is_found, store.search_index.unindexed())
    assert 1 == identify(store, TITLE, None).unindexed
    known = identify(store, TITLE, None, "2401.00001")
    assert (True, 0) == (known.is_found, known.unindexed)


COPIES = {
    "An efficient well-known 'reconstruction' of \"flows\" -- part 2": "as given",
    "an  EFFICIENT\nwell-known 'reconstruction' of\r\n\"flows\" --\tpart 2 ": "as given",
    "An efficient well-known 'reconstruc-\ntion' of \"flows\" -- part 2": "none kept",
    "An efficient well-known 'reconstruc- tion' of \"flows\" -- part 2": "none kept",
    "An efficient well-\nknown 'reconstruction' of \"flows\" -- part 2": "all kept",
    "An effi-\ncient well-\n  known 'recon-\r\nstruction' of \"flows\" -- part 2": "some kept",
    "An eﬃcient well-known 'reconstruction' of \"ﬂows\" -- part 2": "ligatures spelled out",
    "An efficient well-known ‘reconstruction’ of “flows” -- part 2": "curly quotes made straight",
    "An efficient well-known 'reconstruction' of ``flows'' -- part 2": "LaTeX quotes made straight",
    "An~efficient well-known 'reconstruction' of~\"flows\" -- part~2": "~ made a space",
    "An efficient well-known 'reconstruction' of \"flows\" – part 2": "dashes as in LaTeX",
    "An effi\u00adcient well-known\u200b 'reconstruction' of \"flows\" -- part 2": "invisible",
    "An eﬃ-\ncient well-known ‘recon-\nstruction’ of~“flows” – part 2": "ligatures spelled out",
    "An ef-\nfi-\ncient well-\nknown 're-\ncon-\nstruc-\ntion' of \"flows\" -- part 2": "some kept",
}
"""Copies of `PLAIN`, and a part of what is said of how each matched."""


@pytest.mark.parametrize("copy", COPIES, ids=map(str, range(len(COPIES))))
def test_an_altered_copy_is_identified_with_its_variant(
    copy: str, store: Store, tmp_path: Path
) -> None:
    """From PDF or LaTeX; what is undone is named, and a digest that fits leaves no doubt."""
    _merge(store, tmp_path, make_record(PLAIN))
    for known in (identify(store, copy, None), identify(store, copy, None, "2401.00001")):
        (candidate,) = known.candidates
        assert candidate.title is not None
        assert candidate.title.matches
        assert COPIES[copy] in candidate.title.variant
        assert candidate.title.is_confirmed


@pytest.mark.parametrize(
    "text", ["An efficient well known 'reconstruction' of \"flows\" -- part 2", "efficient", ""]
)
def test_a_similar_text_is_not_identified(text: str, store: Store, tmp_path: Path) -> None:
    """There is no likeness between digests."""
    _merge(store, tmp_path, make_record(PLAIN))
    assert [] == identify(store, text, None).candidates


def test_text_that_is_not_ascii_is_unconfirmed(store: Store, tmp_path: Path) -> None:
    """R5 was never seen to hold for it, whether it matches or not."""
    _merge(store, tmp_path, make_record("Über Spiegel", "Größe"))
    (candidate,) = identify(store, "über  SPIEGEL", "Grösse").candidates
    assert candidate.title is not None
    assert candidate.abstract is not None
    assert (True, False) == (candidate.title.matches, candidate.title.is_confirmed)
    assert (False, False) == (candidate.abstract.matches, candidate.abstract.is_confirmed)
    decomposed = identify(store, "U\u0308ber Spiegel", None).candidates
    assert ["accents composed"] == [one.title and one.title.variant for one in decomposed]


@pytest.mark.parametrize(
    "text",
    ["\x00", "a\ud800", "\udcff", "'" * 10_000, "a-\n" * 6_000, "ﬁ~“–``\u00ade\u0301-\n" * 100,
     "a" * 2_000_000, '"', "%", "\u202e"],
    ids=range(10),
)  # fmt: skip
def test_hostile_text_is_only_text(text: str, real: Path) -> None:
    """It matches nothing, soon."""
    with open_store(real, read_only=True) as store:
        for known in (identify(store, text, text), identify(store, None, text, text)):
            assert not known.is_found


# A whole dump --------------------------------------------------------------------------------


def _paper(
    arxiv_id: str, title: str = TITLE, abstract: str = ABSTRACT, versions: Any = None
) -> bytes:
    value = {"id": arxiv_id, "title": title, "abstract": abstract, "license": None}
    if versions is not None:
        value["versions"] = versions
    return orjson.dumps(value) + b"\n"


def _v(*numbers: int) -> list[dict[str, str]]:
    return [{"version": f"v{number}", "created": "x"} for number in numbers]


def _check(store: Store, text: bytes) -> list[tuple[Any, ...]]:
    return [
        (one.number,) if isinstance(one, MalformedLine) else (one.status, one.version)
        for one in check_metadata(store, io.BytesIO(text))
    ]


def test_real_papers_match_line_by_line(real: Path) -> None:
    """As arXiv's own dump prints them, with their line breaks."""
    papers = lines("real/signed_records.jsonl")
    text = b"".join(
        _paper(
            paper["canonical_record"]["source"]["id"],
            paper["title"].replace(" ", "\n  ", 1),
            f"  {paper['abstract']}\n",
        )
        for paper in papers
    )
    with open_store(real, read_only=True) as store:
        found = list(check_metadata(store, io.BytesIO(text)))
    assert ["match"] * len(papers) == [
        one.status for one in found if isinstance(one, MetadataCheck)
    ]
    assert [paper["pith_number"] for paper in papers] == [
        one.pith_number for one in found if isinstance(one, MetadataCheck)
    ]


def test_every_line_gets_its_status(store: Store, tmp_path: Path) -> None:
    """And the version of the record that it was held against."""
    _merge(store, tmp_path, make_record(version=2), make_record("T", "A", "2401.00002"))
    text = b"".join(
        [
            _paper("2401.00001"),
            _paper("2401.00001", "another"),
            _paper("2401.00001", TITLE, "another"),
            _paper("2401.00001", "another", "another"),
            _paper("2401.00009"),
            _paper("2401.00002", "t", "a"),
            b'{"id":"2401.00002","title":"t"}\n{"id":"2401.00002","title":null,"abstract":"b"}\n',
        ]
    )
    expected = [("match", 2), ("title_differs", 2), ("abstract_differs", 2), ("both_differ", 2),
                ("missing", None), ("match", 1), ("match", 1), ("abstract_differs", 1)]  # fmt: skip
    assert expected == _check(store, text)


def test_the_version_of_the_line_is_asked_for(store: Store, tmp_path: Path) -> None:
    """Else the highest there is."""
    records = [make_record(f"title {version}", version=version) for version in (1, 2, 4)]
    _merge(store, tmp_path, *records, make_record("title 4", kind="report", version=9))
    for versions, expected in (
        (_v(1), ("match", 1)),
        (_v(1, 2), ("title_differs", 2)),
        (_v(2, 1), ("title_differs", 2)),
        (_v(1, 2, 3), ("title_differs", 4)),
        (None, ("title_differs", 4)),
        ([], ("title_differs", 4)),
        ([{"version": "1"}, 7, {}, {"version": 1}], ("title_differs", 4)),
        ("v1", ("title_differs", 4)),
    ):
        assert [expected] == _check(store, _paper("2401.00001", "title 1", versions=versions))


def test_a_record_with_a_verified_receipt_decides(store: Store, tmp_path: Path) -> None:
    """A record that anybody merged can neither hide what was signed, nor speak against it."""
    _merge(store, tmp_path, make_record("signed", version=1), signed=True)
    _merge(store, tmp_path, make_record(version=1), make_record(version=2))
    assert [("match", 1)] == _check(store, _paper("2401.00001", "signed", versions=_v(1, 2)))
    assert [("title_differs", 1)] == _check(store, _paper("2401.00001", versions=_v(1, 2)))


@pytest.mark.parametrize("signed", [True, False])
def test_two_records_of_one_version_are_ambiguous(
    signed: bool,  # noqa: FBT001
    store: Store,
    tmp_path: Path,
) -> None:
    """Nothing says which of them is meant."""
    _merge(store, tmp_path, make_record(), make_record("another"), signed=signed)
    (found,) = check_metadata(store, io.BytesIO(_paper("2401.00001")))
    assert isinstance(found, MetadataCheck)
    assert ("ambiguous", None, 1) == (found.status, found.pith_number, found.version)
    assert found.is_mismatch


BAD = [
    b"", b"{", b"[]", b'"x"', b"null", b"{}", b'{"id":5,"title":"a","abstract":"b"}', b"\xff",
    b'{"id":"","title":"a","abstract":"b"}', b'{"id":"a"}', b"[" * 100_000,
    b'{"id":"a","title":"a","abstract":5}',
    b'{"id":"a","id":"b","title":"a","abstract":"b"}', b"\xef\xbb\xbf{}", b"\x00",
    b'{"id":"a","title":null,"abstract":null}', b'{"id":"a","title":"\\ud800","abstract":"b"}',
]  # fmt: skip


@pytest.mark.parametrize("line", BAD[1:], ids=range(len(BAD) - 1))
def test_a_bad_line_is_named_and_the_others_count(
    line: bytes, store: Store, tmp_path: Path
) -> None:
    """By its number, blank lines included; where it stands does not matter."""
    _merge(store, tmp_path, make_record())
    paper = _paper("2401.00001")
    assert [(1,), ("match", 1)] == _check(store, line + b"\n\n" + paper)
    assert [("match", 1), (3,), ("match", 1)] == _check(store, paper + b"\n" + line + b"\n" + paper)
    assert [("match", 1), (2,)] == _check(store, paper + line)


def test_an_overlong_line_is_left_out(store: Store, tmp_path: Path) -> None:
    """It is not even held in memory."""
    _merge(store, tmp_path, make_record())
    text = b"x" * 40_000_000 + b"\n" + _paper("2401.00001")
    assert [(1,), ("match", 1)] == _check(store, text)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_dump_may_be_compressed(pack: Any, store: Store, tmp_path: Path) -> None:
    """What it is, is known by its content; what is cut off is a bad line, and the rest counts."""
    _merge(store, tmp_path, make_record())
    noise = "".join(map(chr, itertools.islice(itertools.cycle(range(32, 20_000, 7)), 20_000)))
    text = _paper("2401.00001") + _paper("2401.00009", noise) + _paper("2401.00001")
    path = tmp_path / "dump"
    path.write_bytes(pack(text))
    with open_metadata(str(path)) as file:
        found = [one for one in check_metadata(store, file) if isinstance(one, MetadataCheck)]
    assert ["match", "missing", "match"] == [one.status for one in found]
    path.write_bytes(pack(text)[:-20])
    with open_metadata(str(path)) as file:
        *_, last = check_metadata(store, file)
    assert isinstance(last, MalformedLine)
    path.write_bytes(pack(text) + b"more")
    with open_metadata(str(path)) as file:
        *_, last = check_metadata(store, file)
    assert isinstance(last, MalformedLine)


@pytest.mark.parametrize("name", ["absent", ".", "", "a\x00b"])
def test_an_unreadable_dump_is_reported(name: str) -> None:
    """As any source does."""
    with pytest.raises(SourceError, match=r"source\.unreadable"), open_metadata(name):
        pass


# Keeping -------------------------------------------------------------------------------------


def _keep(store: Store, text: bytes) -> list[tuple[str, ...]]:
    found = keep_metadata(store, io.BytesIO(text), "dump.jsonl")
    return [
        tuple(kept.text for kept in one.kept) for one in found if isinstance(one, MetadataCheck)
    ]


def test_proved_texts_are_stored_once(store: Store, tmp_path: Path) -> None:
    """With the name of the dump and the time; a text that differs is not."""
    record = make_record()
    _merge(store, tmp_path, record)
    text = _paper("2401.00001", " ON\n mirrors", "another") + _paper("2401.00001") * 2
    assert [("ON mirrors",), (ABSTRACT,), ()] == _keep(store, text + b"x\n")
    number = oracle.pith_number_of(record)
    kept = store.paper_texts.of(number)
    assert kept.title is not None
    assert kept.abstract is not None
    assert (number, "title", "ON mirrors", "dump.jsonl") == kept.title[:-1]
    assert ("abstract", ABSTRACT, 2) == (kept.abstract.kind, kept.abstract.text, kept.last_id)
    assert store.version_at(kept.title.read_at) == store.version()
    assert {"abstract": 1, "title": 1} == store.paper_texts.counts()


def test_every_record_with_the_digest_gets_the_text(store: Store, tmp_path: Path) -> None:
    """Other versions too, and those without a receipt; a record of another kind is none of them."""
    records = [make_record(version=1), make_record(version=2), make_record("another", version=3)]
    _merge(store, tmp_path, *records, make_record(kind="report"))
    (kept,) = _keep(store, _paper("2401.00001"))
    assert {TITLE: 2, ABSTRACT: 3} == Counter(kept)
    numbers = list(map(oracle.pith_number_of, records))
    found = store.paper_texts.many([*numbers, "pith:2024:ABSENT"])
    assert {*numbers} == found.keys()
    assert [True, True, False] == [found[one].title is not None for one in numbers]
    assert (5, sorted(numbers)) == (store.paper_texts.last_id(), store.paper_texts.changed_since(0))
    assert 1 == len(store.paper_texts.changed_since(4))


def test_a_misleading_text_is_not_stored(store: Store, tmp_path: Path) -> None:
    """Anybody can merge a record with the digest of it."""
    _merge(store, tmp_path, make_record("a\u202eb", "c"))
    (found,) = keep_metadata(store, io.BytesIO(_paper("2401.00001", "a\u202eb", "c")), "dump")
    assert isinstance(found, MetadataCheck)
    assert ("match", ("title",), ["abstract"]) == (
        found.status, found.refused, [one.kind for one in found.kept]
    )  # fmt: skip


def test_words_of_proved_texts_are_found(store: Store, tmp_path: Path) -> None:
    """The index learns of them, also after it was up to date."""
    _merge(store, tmp_path, make_record(), make_record("another", "text", "2401.00002"))
    assert ([], 0) == (find(store, "mirrors").hits, store.search_index.unindexed())
    _keep(store, _paper("2401.00001"))
    assert (1, False) == (store.search_index.unindexed(), store.search_index.is_current())
    update_index(store)
    assert (0, True) == (store.search_index.unindexed(), store.search_index.is_current())
    for words in ("mirrors", "way round"):
        (hit,) = find(store, words).hits
        assert hit.title is not None
        assert (TITLE, True, False) == (hit.title.text, hit.title.is_proved, hit.title.is_claim)
        assert hit.title.origin.startswith("proved by its digest, read from dump.jsonl on 2")
    _keep(store, _paper("2401.00001") + _paper("2401.00002", "another", "text"))
    assert 1 == store.search_index.unindexed()
    update_index(store)
    assert (1, 0) == (len(find(store, "another").hits), store.search_index.unindexed())


def test_a_stored_text_without_its_digest_is_damage(store: Store, tmp_path: Path) -> None:
    """Even with a right checksum; it goes to quarantine, and nothing shows or finds it any more."""
    _merge(store, tmp_path, make_record())
    _keep(store, _paper("2401.00001"))
    update_index(store)
    with store.transaction():
        (row,) = store.paper_texts.table.rows("WHERE kind = 'title'")
        store.paper_texts.table.add([[*row[:3], "Another", *row[4:]]], "REPLACE")
    with pytest.raises(CorruptStoreError, match="does not have the digest in its record"):
        find(store, "2401.00001")
    assert store.path is not None
    found: list[Damage] = []
    assert check_and_repair(store.path, CheckScope(), found.append).is_repaired
    assert [("paper_text", 1)] == [(one.table, one.row_id) for one in found]
    assert (1, None) == (store.search_index.unindexed(), find(store, "2401.00001").hits[0].title)
    update_index(store)
    assert (0, 1) == (len(find(store, "mirrors").hits), len(find(store, "round").hits))
    _keep(store, _paper("2401.00001"))
    assert not check_and_repair(store.path, CheckScope(), found.append).damages


def test_a_large_dump_takes_no_more_memory(store: Store, tmp_path: Path) -> None:
    """It is read line by line."""
    _merge(store, tmp_path, make_record())
    path = tmp_path / "dump.jsonl"
    with path.open("wb") as out:
        for number in range(2000):
            out.write(_paper(f"2401.{number:05}", TITLE, "abstract " * 200))
    with open_metadata(str(path)) as file:
        tracemalloc.start()
        try:
            count = sum(1 for _ in check_metadata(store, file))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 2000 == count
    assert peak < 2_000_000 < path.stat().st_size


def test_titles_in_the_samples_are_what_was_recorded(real: Path) -> None:
    """Every title that is known of a real record."""
    with (
        (BUNDLES / "facts" / "real.jsonl").open("rb") as file,
        open_store(real, read_only=True) as store,
    ):
        facts = [fact for fact in map(orjson.loads, file) if "title" in fact]
        for fact in facts:
            number = oracle.pith_number_of(fact["canonical_record"])
            assert [number] == _numbers(identify(store, fact["title"], None))
    assert facts
