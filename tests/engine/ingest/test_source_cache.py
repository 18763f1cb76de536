"""Reading the same file again: what came of it is told again, and nothing else may differ."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.archive import ReadLimits, Source, write_bag, write_segments
from mirror.cli import exit_codes
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack
from mirror.engine.atomic_file import OutputFile
from mirror.engine.export.bag import ExportOptions, export_bag
from mirror.engine.findings import Finding, ReadRequest, Summary
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest import source_cache
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.engine.states.rebuild import rebuild
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import InsertCounts, Store, open_store
from tests.archive.tar_builders import END, bag_files, below, bundle_text, entry, plain_tar
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES
from tests.helpers import ids_in, keys_of

AUTHOR, OTHER = Signer("author"), Signer("other")
KEYS = keys_of(AUTHOR)
RECORDS = [make_record(f"Paper {number}", arxiv_id=f"2401.{number:05}") for number in range(4)]


def event(record: Object, name: str = "someone") -> Object:
    """A valid event."""
    return make_event(record, AUTHOR, "author_claimed", author_claim(claimant_id=name))


def lines(*bundles: Any) -> bytes:
    """JSON Lines."""
    return b"\n".join(to_json(bundle) for bundle in bundles)


FOUR = lines(*(make_bundle(record, [event(record)]) for record in RECORDS))


class Run:
    """What one merge came to."""

    def __init__(self, store: Store, sources: Sequence[Path | str], limits: ReadLimits) -> None:
        self.read: list[str] = []
        """The source of every member that was read; of what is remembered, nothing is."""
        self.reports: list[Finding] = []
        job = ReadRequest(
            [str(source) for source in sources],
            self.reports.append,
            lambda source: self.read.append(source.name),
            limits,
        )
        self.summary: Summary = ingest(store, job)
        self.states = [state.text for state in store.states.seen_states()]

    @property
    def figures(self) -> Summary:
        """The figures, but for what was new."""
        return replace(self.summary, new=InsertCounts())

    @property
    def told(self) -> list[tuple[str, str | None, str, str, str]]:
        """The findings, but for the name of their source."""
        return [
            (one.member, one.pith_number, one.code, one.where, one.message) for one in self.reports
        ]


class Mirror:
    """A store in a file, which is opened for each merge anew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def merge(
        self, *sources: Path | str, limits: ReadLimits | None = None, keys: KeySet = KEYS
    ) -> Run:
        """Merge files, having added keys to those that are trusted."""
        with open_store(self.path) as store:
            add_keys(store, keys)
            return Run(store, sources, limits or ReadLimits())

    def content(self) -> list[bytes]:
        """All facts, as exported, and all states."""
        out = self.path.with_suffix(".tar")
        with open_store(self.path, read_only=True) as store:
            export_bag(store, OutputFile(out, force=True), ExportOptions())
            return [out.read_bytes(), *(store.states.text(one) for one in ids_in(store))]


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A store that is not there yet."""
    return Mirror(tmp_path / "mirror.db")


def write(folder: Path, content: bytes, name: str = "source") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content)
    return path


def assert_same(first: Run, again: Run) -> None:
    """Assert that a merge reported the same as another, of the same records, and added nothing."""
    assert first.told == again.told
    assert first.figures == again.figures
    assert exit_codes.of_summary(first.summary) == exit_codes.of_summary(again.summary)
    assert first.states == again.states
    assert InsertCounts() == again.summary.new


def arxiv_id(state: bytes) -> str:
    """The id of the record that a state is of."""
    found: str = json.loads(state)["current"]["canonical_record"]["source"]["id"]
    return found


# What is told again --------------------------------------------------------------------------

FAULTY = make_bundle(
    RECORDS[1],
    [event(RECORDS[1]), 1, "junk", {**event(RECORDS[1]), "event_id": "sha256:" + "0" * 64}],
    [make_receipt(RECORDS[1], AUTHOR), None, {"kind": "pith_receipt"}],
    [{"alias_kind": "doi"}, 5],
    short_pith_number="pith:AAAAAAAA",
    source={},
)
BAG = bag_files({"a/bundle.json": bundle_text(1), "b/bundle.json": to_json(FAULTY)})


def packed_bag() -> bytes:
    """A bag of segments."""
    out = io.BytesIO()
    write_bag(out, lambda: write_segments([pack(make_bundle(RECORDS[0])), b"\xc0", pack(FAULTY)]))
    return out.getvalue()


SOURCES: dict[str, bytes] = {
    "lines without a fault": FOUR,
    "one bundle": to_json(FAULTY),
    "lines with faults": b"\n".join([bundle_text(1), b"{", to_json(FAULTY), b"[]", bundle_text(2)]),
    "one record in many lines": lines(
        *(make_bundle(RECORDS[0], [event(RECORDS[0], str(number)), number]) for number in range(9))
    ),
    "the same line again": lines(FAULTY, FAULTY),
    "gzip": gzip.compress(lines(FAULTY), mtime=0),
    "gzip that is cut": gzip.compress(FOUR, mtime=0)[:-20],
    "no bundle": b"nothing of the kind",
    "nothing": b"",
    "bag": plain_tar(below("bag", BAG)),
    "packed bag": packed_bag(),
    "bag with a flipped member": plain_tar(
        below("bag", {**BAG, "data/a/bundle.json": bundle_text(3)})
    ),
    "tar with odd members": entry("../bundle.json", bundle_text(1))
    + entry("link/bundle.json", b"", b"2")
    + entry("a/bundle.json", bundle_text(1))
    + entry("a/bundle.json", bundle_text(2))
    + END,
    "tar that is cut": plain_tar(below("bag", BAG))[:-1024],
    "tar of nothing": END,
}


@pytest.mark.parametrize("content", SOURCES.values(), ids=SOURCES)
def test_a_cached_file_gives_the_same_findings_and_figures(
    mirror: Mirror, tmp_path: Path, content: bytes
) -> None:
    """Findings and refusals in their order, figures, exit code, records; and it is not read."""
    path = write(tmp_path, content)
    first = mirror.merge(path)
    assert {str(path)} == {*first.read}
    for _ in range(2):
        again = mirror.merge(path)
        assert_same(first, again)
        assert first.reports == again.reports
        assert [] == again.read


def test_the_sources_have_every_refusal_and_finding(tmp_path: Path) -> None:
    """Each code of what a file may be refused for, and each finding, is among them."""
    paths = [write(tmp_path, content, f"{at}") for at, content in enumerate(SOURCES.values())]
    run = Mirror(tmp_path / "mirror.db").merge(*paths)
    assert {
        *("archive.empty", "archive.fixity", "archive.member", "archive.truncated"),
        *("bundle.alias", "bundle.shape", "bundle.short", "bundle.source", "json.syntax"),
        *("event.id", "event.shape", "receipt.shape"),
    } <= {report.code for report in run.reports}


@pytest.mark.parametrize("name", ["demo.tar", "pith.tar"])
def test_the_sample_bags_are_read_once(mirror: Mirror, name: str) -> None:
    """Bundles of real records and of made-up ones, most of them found fault with for their keys."""
    first = mirror.merge(BUNDLES / name)
    again = mirror.merge(BUNDLES / name)
    assert_same(first, again)
    assert ([], True) == (again.read, first.summary.records > 5)


def test_a_file_is_known_by_its_content(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under another name, in another folder, through a link; the findings bear the name at hand."""
    path = write(tmp_path, SOURCES["lines with faults"])
    first = mirror.merge(path)
    (tmp_path / "folder").mkdir()
    copy = shutil.copy(path, tmp_path / "folder" / "bundle.tar.gz")
    link = tmp_path / "link"
    link.symlink_to(path)
    monkeypatch.chdir(tmp_path / "folder")
    for other in (copy, link, Path("bundle.tar.gz"), Path("../source")):
        again = mirror.merge(other)
        assert_same(first, again)
        assert ([], {str(other)}) == (again.read, {report.source for report in again.reports})


def test_cached_and_new_sources_are_merged_in_one_run(mirror: Mirror, tmp_path: Path) -> None:
    """Figures, records and states are those of all sources together."""
    old = write(tmp_path, lines(FAULTY), "old")
    new = write(tmp_path, FOUR, "new")
    mirror.merge(old)
    run = mirror.merge(old, new)
    assert {str(new)} == {*run.read}
    fresh = Mirror(tmp_path / "fresh.db").merge(old, new)
    assert (fresh.figures, fresh.told, fresh.states) == (run.figures, run.told, run.states)
    assert 3 == run.summary.new.records


def test_the_states_of_a_cached_file_are_the_current_ones(mirror: Mirror, tmp_path: Path) -> None:
    """Facts that came from elsewhere meanwhile are in the states of a file's records."""
    path = write(tmp_path, lines(make_bundle(RECORDS[0], [event(RECORDS[0])])))
    more = write(tmp_path, lines(*(make_bundle(one, [event(one, "x")]) for one in RECORDS)), "more")
    mirror.merge(path)
    union = mirror.merge(more).states
    again = mirror.merge(path)
    assert ([], 1) == (again.read, len(again.states))
    assert again.states[0] in union
    assert b'"valid_event_count":2' in again.states[0]


@pytest.mark.parametrize("places", [[0], [3], [0, 2], [1, 3], [0, 1, 3], [3, 0, 2, 1]], ids=str)
def test_only_the_records_of_a_file_are_merged_again(
    mirror: Mirror, tmp_path: Path, places: list[int]
) -> None:
    """Others may stand between them in the store."""
    mirror.merge(write(tmp_path, FOUR))
    path = write(tmp_path, lines(*(make_bundle(RECORDS[place]) for place in places)), "some")
    first = mirror.merge(path)
    again = mirror.merge(path)
    assert_same(first, again)
    assert ([], len(places)) == (again.read, again.summary.records)
    assert {RECORDS[place]["source"]["id"] for place in places} == {
        arxiv_id(state) for state in again.states
    }


def test_a_store_that_was_rebuilt_remembers(mirror: Mirror, tmp_path: Path) -> None:
    """No fact was lost, and none is looked for."""
    path = write(tmp_path, FOUR)
    first = mirror.merge(path)
    with open_store(mirror.path) as store:
        assert [] == rebuild(store)
    assert 0 == exit_codes.of_check(check(mirror.path, CheckScope(), lambda _damage: None))
    again = mirror.merge(path)
    assert_same(first, again)
    assert [] == again.read


# What is read again --------------------------------------------------------------------------


def assert_read(run: Run, path: Path | str) -> None:
    """Assert that a source was read, and not taken from the cache."""
    assert str(path) in run.read


def test_a_file_is_read_again_under_other_keys(mirror: Mirror, tmp_path: Path) -> None:
    """A verdict is under a key set: with one key more, all is verified again."""
    path = write(tmp_path, FOUR)
    nobody = mirror.merge(path, keys=KeySet([]))
    assert ["event.key_unknown"] * 4 == [report.code for report in nobody.reports]
    trusting = mirror.merge(path)
    assert_read(trusting, path)
    assert (4, []) == (trusting.summary.events_valid, trusting.reports)
    more = mirror.merge(path, keys=keys_of(OTHER))
    assert_read(more, path)
    with open_store(mirror.path) as store:
        remove_keys(store, [OTHER.key_id])
    assert_same(trusting, again := mirror.merge(path, keys=KeySet([])))
    assert [] == again.read
    with open_store(mirror.path) as store:
        remove_keys(store, [AUTHOR.key_id])
    assert_same(nobody, again := mirror.merge(path, keys=KeySet([])))
    assert [] == again.read


FIELDS = {
    "member_bytes": 9_999_999,
    "segment_bytes": 9_999_999,
    "bundle_bytes": 9_999_999,
    "line_bytes": 9_999_999,
    "header_bytes": 99_999,
    "members": 3,
    "values": 9,
    "events": 2,
    "invalid": 1001,
    "kept_invalid": 1001,
    "receipt_bytes": 9_999,
    "record_bytes": 9_999,
    "depth": 3,
    "ratio": 2,
    "expanded_bytes": 10_000_000,
    "bundle_s": 61.5,
}


def test_every_limit_is_tested() -> None:
    """A new one is a new reason to read again."""
    assert {*FIELDS} == {*ReadLimits.__slots__}


def test_a_file_is_read_again_under_other_limits(mirror: Mirror, tmp_path: Path) -> None:
    """B4: what was refused may be taken now, and the other way round."""
    path = write(tmp_path, FOUR)
    mirror.merge(path)
    for name, limit in FIELDS.items():
        other = ReadLimits(**{name: limit})  # type: ignore[arg-type]
        run = mirror.merge(path, limits=other)
        assert_read(run, path)
        again = mirror.merge(path, limits=other)
        assert_same(run, again)
        assert [] == again.read, name


def test_a_bundle_refused_by_a_limit_is_merged_when_the_limit_is_raised(
    mirror: Mirror, tmp_path: Path
) -> None:
    """B4: refusals are remembered under their limits, and under no others."""
    path = write(tmp_path, FOUR)
    narrow = ReadLimits(events=5)
    assert {"limit.count"} == {report.code for report in mirror.merge(path, limits=narrow).reports}
    assert {"limit.count"} == {report.code for report in mirror.merge(path, limits=narrow).reports}
    wide = mirror.merge(path)
    assert (4, []) == (wide.summary.new.records, wide.reports)


@pytest.mark.parametrize("content", [FOUR, SOURCES["bag"], SOURCES["packed bag"]])
def test_a_changed_byte_is_read(mirror: Mirror, tmp_path: Path, content: bytes) -> None:
    """Wherever it is, also where nothing is made of it."""
    path = write(tmp_path, content)
    mirror.merge(path)
    for place in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert_read(mirror.merge(path), path)
    for changed in (content + b"\n", content[:-1]):
        path.write_bytes(changed)
        assert_read(mirror.merge(path), path)
    path.write_bytes(content)
    assert [] == mirror.merge(path).read


def test_a_file_is_read_again_under_other_rules(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of the program that judges otherwise judges anew."""
    path = write(tmp_path, FOUR)
    mirror.merge(path)
    monkeypatch.setattr(source_cache, "RULES", "other")
    assert_read(mirror.merge(path), path)


def test_another_store_reads_the_file_again(mirror: Mirror, tmp_path: Path) -> None:
    """What one store remembers is in that store."""
    path = write(tmp_path, FOUR)
    first = mirror.merge(path)
    other = Mirror(tmp_path / "other.db").merge(path)
    assert_read(other, path)
    assert (first.states, first.summary) == (other.states, other.summary)


def test_standard_input_is_read_each_time(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is a file, and where a file of the name `-` is remembered."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, SOURCES["lines with faults"], "-")
    first = mirror.merge(path)
    assert [] == mirror.merge(path).read
    for _ in range(2):
        with path.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            run = mirror.merge("-")
        assert_same(first, run)
        assert_read(run, "-")


def test_a_folder_is_read_each_time(mirror: Mirror, tmp_path: Path) -> None:
    """Nothing says beforehand whether it changed."""
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", bundle_text(1), "bundle.json")
    first = mirror.merge(tmp_path / "folder")
    again = mirror.merge(tmp_path / "folder")
    assert_same(first, again)
    assert_read(again, tmp_path / "folder")


def test_a_pipe_is_read_each_time(mirror: Mirror, tmp_path: Path) -> None:
    """To hash it would be to use it up."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    runs = []
    for _ in range(2):
        writer = threading.Thread(target=path.write_bytes, args=(bundle_text(1),), daemon=True)
        writer.start()
        runs.append(mirror.merge(path))
        writer.join()
    assert_same(*runs)
    assert_read(runs[1], path)


def test_a_store_in_memory_reads_each_time(tmp_path: Path) -> None:
    """It is gone after its run, so there is nothing to remember it for."""
    path = write(tmp_path, FOUR)
    with open_store(None) as store:
        add_keys(store, KEYS)
        first = Run(store, [path], ReadLimits())
        again = Run(store, [path], ReadLimits())
    assert_same(first, again)
    assert_read(again, path)


def test_a_missing_source_is_looked_for_each_time(mirror: Mirror, tmp_path: Path) -> None:
    """`source.unreadable` is about the machine; the file is read when it comes."""
    path = tmp_path / "source"
    for _ in range(2):
        run = mirror.merge(path)
        assert (3, ["source.unreadable"]) == (
            exit_codes.of_summary(run.summary),
            [report.code for report in run.reports],
        )
    write(tmp_path, FOUR)
    assert 4 == mirror.merge(path).summary.new.records


def test_a_file_with_a_future_event_is_read_each_time(mirror: Mirror, tmp_path: Path) -> None:
    """B5: an event that is in the future today is none some day."""
    far = make_event(RECORDS[0], AUTHOR, "author_claimed", author_claim(), "9999-01-01T00:00:00Z")
    path = write(tmp_path, lines(make_bundle(RECORDS[0], [far]), FAULTY))
    first = mirror.merge(path)
    assert "event.future" in [report.code for report in first.reports]
    again = mirror.merge(path)
    assert_same(first, again)
    assert_read(again, path)


@pytest.mark.usefixtures("python_engine")  # the native engine is done before it looks
def test_a_bundle_that_exceeds_its_time_is_tried_each_time(mirror: Mirror, tmp_path: Path) -> None:
    """B4: the machine may be faster tomorrow."""
    path = write(tmp_path, FOUR)
    limits = ReadLimits(bundle_s=1e-9)
    for _ in range(2):
        run = mirror.merge(path, limits=limits)
        assert ["limit.time"] * 4 == [report.code for report in run.reports]
        assert_read(run, path)


@pytest.mark.parametrize(("count", "is_kept"), [(4, True), (5, False)])
def test_more_findings_than_the_limit_are_not_cached(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, *, is_kept: bool
) -> None:
    """Up to a number they are; one more, and the file is read again, to tell the same."""
    monkeypatch.setattr(source_cache, "MAX_FINDINGS", 4)
    for at, content in enumerate(
        [
            lines(make_bundle(RECORDS[0], [*range(count)])),
            lines(*(make_bundle(RECORDS[0], [number]) for number in range(count))),
            b"\n".join([bundle_text(1), *[b"{"] * count]),
        ]
    ):
        path = write(tmp_path, content, str(at))
        first = mirror.merge(path)
        assert count == len(first.reports)
        again = mirror.merge(path)
        assert_same(first, again)
        assert is_kept == ([] == again.read)


# What went wrong meanwhile -------------------------------------------------------------------


@pytest.mark.parametrize("source", ["lines with faults", "bag", "packed bag"])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE arrival SET content = x'00'",
        "UPDATE arrival SET content = x'00' WHERE id = 2",
        "UPDATE record SET value = x'00' WHERE id = 1",
        "DELETE FROM arrival WHERE id = 1",
    ],
)
def test_facts_lost_to_damage_are_merged_again_after_a_repair(
    mirror: Mirror, tmp_path: Path, source: str, damage: str
) -> None:
    """After `check --repair`, the same file is read, and brings all that it held."""
    path = write(tmp_path, SOURCES[source])
    first = mirror.merge(path)
    whole = sorted(mirror.content())
    with open_store(mirror.path) as store, store.transaction():
        store.connection.execute(damage)
    report = check_and_repair(
        mirror.path, CheckScope(), lambda _damage: None, lambda _records: None
    )
    assert report.is_repaired
    assert whole != sorted(mirror.content())
    again = mirror.merge(path)
    assert_read(again, path)
    assert (first.told, first.figures, first.states) == (again.told, again.figures, again.states)
    assert whole == sorted(mirror.content())
    assert [] == mirror.merge(path).read


class _StopError(Exception):
    """What ends a run from outside."""


@pytest.mark.parametrize("stop_at", [1, 2, 5, 7])
def test_a_run_that_was_cut_off_is_not_remembered(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """The next one reads all, and ends where an undisturbed run ends."""
    monkeypatch.setattr(ingest_module, "TRANSACTION_BUNDLES", 2)
    path = write(tmp_path, lines(*(make_bundle(RECORDS[at % 4], [at]) for at in range(8))))
    told = 0

    def tell(_report: Finding) -> None:
        nonlocal told
        told += 1
        if told == stop_at:
            raise _StopError

    with open_store(mirror.path) as store:
        add_keys(store, KEYS)
        with pytest.raises(_StopError):
            ingest(store, ReadRequest([str(path)], tell))
    second = mirror.merge(path)
    assert_read(second, path)
    fresh = Mirror(tmp_path / "fresh.db")
    expected = fresh.merge(path)
    assert (expected.reports, expected.figures, expected.states) == (
        second.reports,
        second.figures,
        second.states,
    )
    assert fresh.content() == mirror.content()
    third = mirror.merge(path)
    assert_same(second, third)
    assert [] == third.read


def test_a_run_that_was_cut_off_between_two_sources_is_not_remembered(
    mirror: Mirror, tmp_path: Path
) -> None:
    """Nothing is taken for read before the whole run was done."""
    one, other = write(tmp_path, FOUR, "one"), write(tmp_path, lines(FAULTY), "other")

    def tell(report: Finding) -> None:
        if report.source == str(other):
            raise _StopError

    with open_store(mirror.path) as store:
        add_keys(store, KEYS)
        with pytest.raises(_StopError):
            ingest(store, ReadRequest([str(one), str(other)], tell))
    second = mirror.merge(one, other)
    expected = Mirror(tmp_path / "fresh.db").merge(one, other)
    assert (expected.reports, expected.figures, expected.states) == (
        second.reports,
        second.figures,
        second.states,
    )


def test_a_source_that_is_named_twice_is_reported_twice_each_time(
    mirror: Mirror, tmp_path: Path
) -> None:
    """Later as in the first run: once for each time it is named."""
    path = write(tmp_path, SOURCES["lines with faults"])
    twice = mirror.merge(path, path)
    once = Mirror(tmp_path / "fresh.db").merge(path)
    assert once.told * 2 == twice.told
    assert_same(once, mirror.merge(path))
    again = mirror.merge(path, path)
    assert_same(twice, again)


def test_a_file_that_changes_during_a_merge_is_known_by_the_content_that_was_read(
    mirror: Mirror, tmp_path: Path
) -> None:
    """It may be replaced while others are read; the old content is read when it is there again."""
    first = write(tmp_path, lines(make_bundle(RECORDS[0])), "first")
    path = write(tmp_path, lines(make_bundle(RECORDS[1])))

    def replace_the_other(source: Source) -> None:
        if source.name == str(first):
            path.write_bytes(lines(make_bundle(RECORDS[2])))

    with open_store(mirror.path) as store:
        job = ReadRequest([str(first), str(path)], lambda _report: None, replace_the_other)
        assert 2 == ingest(store, job).new.records
    path.write_bytes(lines(make_bundle(RECORDS[1])))
    run = mirror.merge(path, keys=KeySet([]))
    assert 1 == run.summary.new.records
    assert [RECORDS[1]["source"]["id"]] == [arxiv_id(state) for state in run.states]


def test_two_names_that_are_displayed_alike_are_two_sources(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not UTF-8, and the name that its escaped form spells."""
    monkeypatch.chdir(tmp_path)
    odd, plain = os.fsdecode(b"\xff.json"), "\\xff.json"
    Path(odd).write_bytes(lines(FAULTY))
    Path(plain).write_bytes(lines(make_bundle(RECORDS[0])))
    mirror.merge(odd, plain)
    again = mirror.merge(plain)
    assert ([], 1, 1) == (again.reports, again.summary.bundles_read, again.summary.records)
