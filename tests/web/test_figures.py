"""The page of figures: its numbers, its notes, and copies that are missing, wrong or in use."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from mirror.engine.figures.numbers import CitedRecord, Figures, NamedCounts, RankedCounts
from mirror.engine.figures.periods import PeriodCounts
from mirror.engine.figures.reading import CopyFault, read_figures
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.tables.copy import beside, update_copy
from mirror.store import open_store
from mirror.web import figures_reader
from mirror.web.figures_reader import FiguresReader
from mirror.web.pages.charts import bar_chart, share, short_name, time_chart
from mirror.web.pages.environment import environment
from mirror.web.pages.figures import figures_file
from mirror.web.pages.handlers import Pages
from mirror.web.signposts import RecordAddresses
from mirror.web.store_reader import StoreReader
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import Serve, run_mirror
from tests.web.markup import Page

HOSTILE = "</text></svg><script>owned()</script>\u202e\u0000'\"&" + "W" * 1000


def merge(path: Path, *arxiv_ids: str) -> None:
    """Merge records without events into a store."""
    bundles = [to_json(make_bundle(make_record(arxiv_id=one))) for one in arxiv_ids]
    lines = path.with_name("lines.jsonl")
    lines.write_bytes(b"\n".join(bundles))
    with open_store(path) as store:
        ingest(store, ReadRequest([str(lines)], lambda _finding: None))


def make_copy(path: Path) -> Path:
    """Make or update the analysis copy beside a store; its path."""
    with open_store(path) as store:
        return update_copy(store, beside(path)).path


def _addresses(_request: Request, suffix: str) -> RecordAddresses:
    return RecordAddresses("http://mirror.example", "https://pith.science", suffix)


class Shown:
    """The page of figures of a store, without a server."""

    def __init__(self, path: Path) -> None:
        self.reader = StoreReader(path)
        self.pages = Pages(self.reader, "A mirror", _addresses)

    def page(self) -> Page:
        """The page as it is now."""
        answer = self.pages.figures(Request({"type": "http"}))
        page = Page(answer.body.decode())
        assert (answer.status, page.faults) == (200, [])
        return page


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    """The page of a store of one record, without a copy."""
    merge(tmp_path / "mirror.db", "2401.00001")
    shown = Shown(tmp_path / "mirror.db")
    yield shown
    shown.reader.close()


def words(page: Page) -> str:
    """The text of a page with single spaces."""
    return " ".join(page.text.split())


# The page --------------------------------------------------------------------------------------


def numbers_of(page: Page) -> list[str]:
    """The texts of all cells of numbers, in order."""
    return [
        text
        for text, within in page.places
        if {"td", "number"} <= within and re.fullmatch(r"[0-9].*", text)
    ]


def test_the_page_and_the_file_have_the_same_numbers(
    site: str, store_path: Path, tmp_path: Path
) -> None:
    """Both are drawn from the copy; the file has no link to a page that it does not have."""
    answer = httpx.get(f"{site}/figures", headers={"Accept": "text/html"})
    page = Page(answer.text)
    shutil.copy(store_path, tmp_path / "mirror.db")
    out = tmp_path / "figures.html"
    assert run_mirror("figures", out, "--db", tmp_path / "mirror.db") == 0
    file = Page(out.read_text())
    assert numbers_of(page) == numbers_of(file) != []
    assert [one.attributes for one in file.all("a")] == []
    assert (file.all("script"), file.all("link"), file.all("img")) == ([], [], [])
    links = [one.attributes["href"] for one in page.all("a")]
    assert "/findings?code=equivocation" in links
    assert "Nothing was stored here since." in words(page)
    assert httpx.head(f"{site}/figures").headers["etag"] == answer.headers["etag"]


def test_each_figure_has_words_and_a_table(site: str) -> None:
    """A role, a title, a description; headings of rows and columns; a caption."""
    page = Page(httpx.get(f"{site}/figures").text)
    figures = [one for one in page.all("svg") if one.attributes.get("role") == "img"]
    tables = page.all("table")
    assert len(figures) == len(tables) == len(page.all("caption")) == 8
    ids = {*page.values("id")}
    for one in figures:
        assert {*one.attributes["aria-labelledby"].split()} <= ids
    assert {one.attributes.get("scope") for one in page.all("th")} == {"row", "col"}
    said = words(page)
    assert "Claimed time is what the signer of an event wrote into it" in said
    assert "Known time is when this mirror stored an event" in said


def test_the_page_says_what_the_store_has_since(shown: Shown) -> None:
    path = shown.reader.pool.path
    make_copy(path)
    assert "Nothing was stored here since." in words(shown.page())
    merge(path, "2401.00002", "2401.00003")
    said = words(shown.page())
    assert "Since then 2 bundles arrived. To bring the figures up to date" in said
    assert "mirror figures figures.html" in said
    assert run_mirror("keys", "remove", "pith-v1-2026-05", "--db", path) == 0
    assert "2 bundles arrived, and what is trusted here changed." in words(shown.page())
    make_copy(path)
    assert "Nothing was stored here since." in words(shown.page())


def test_a_copy_is_counted_once(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again only when its file changed, or was replaced by another."""
    read: list[Path] = []

    def count(path: Path, *arguments: object) -> Figures:
        read.append(path)
        return read_figures(path)

    monkeypatch.setattr(figures_reader, "read_figures", count)
    path = shown.reader.pool.path
    copy = make_copy(path)
    for expected in (1, 1):
        shown.page()
        assert len(read) == expected
    merge(path, "2401.00002")
    make_copy(path)
    assert "2 records" in words(shown.page())
    replaced = copy.with_name("replaced.db")
    shutil.copy(copy, replaced)
    replaced.replace(copy)
    shown.page()
    assert len(read) == 3


def test_counting_does_not_block_other_pages(
    shown: Shown, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a thread of its own, however many ask for it."""
    path = shown.reader.pool.path
    make_copy(path)
    started, may_end = threading.Event(), threading.Event()

    def count(path: Path, *_: object) -> Figures:
        started.set()
        assert may_end.wait(60)
        return read_figures(path)

    monkeypatch.setattr(figures_reader, "read_figures", count)
    url = serve(path)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(httpx.get, f"{url}/figures", timeout=60) for _ in range(8)]
        assert started.wait(60)
        others = [httpx.get(f"{url}/{one}", timeout=60).status_code for one in ("", "findings")]
        assert not any(one.done() for one in asked)
        may_end.set()
        assert {one.result().status_code for one in asked} == {200}
    assert others == [200, 200]


# No figures ------------------------------------------------------------------------------------


def test_without_a_copy_the_page_says_what_to_run(shown: Shown) -> None:
    said = words(shown.page())
    assert "nobody has made the analysis copy of this store yet" in said
    assert "mirror figures figures.html --db STORE" in said
    assert not beside(shown.reader.pool.path).exists()


def test_a_file_that_is_no_copy_of_the_store(shown: Shown, tmp_path: Path) -> None:
    """Text, a damaged copy, the copy of another store, a folder."""
    copy = make_copy(shown.reader.pool.path)
    whole = copy.read_bytes()
    for content, expected in (
        (b"text", "is not an analysis copy of this store"),
        (whole[:9000], "the analysis copy is damaged"),
    ):
        copy.write_bytes(content)
        assert expected in words(shown.page())
    other = tmp_path / "other"
    other.mkdir()
    merge(other / "mirror.db", "2401.00009")
    shutil.copy(make_copy(other / "mirror.db"), copy)
    assert "is not an analysis copy of this store" in words(shown.page())
    copy.unlink()
    copy.mkdir()
    assert "is not an analysis copy of this store" in words(shown.page())


def test_a_copy_that_is_being_written(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.engine.figures.reading._BUSY_MS", 0)
    copy = make_copy(shown.reader.pool.path)
    with closing(sqlite3.connect(copy, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        assert "the analysis copy is being written" in words(shown.page())
    assert "1 record" in words(shown.page())


def test_slow_queries_are_not_tried_at_once(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file is not counted again for a minute."""
    make_copy(shown.reader.pool.path)
    monkeypatch.setattr("mirror.engine.figures.reading._STEPS", 1)
    monkeypatch.setattr(figures_reader, "MOST_S", 0.0)
    reader = FiguresReader(shown.reader)
    assert reader.read().fault == CopyFault.SLOW
    monkeypatch.setattr(figures_reader, "MOST_S", 60.0)
    assert reader.read().fault == CopyFault.SLOW
    monkeypatch.setattr(figures_reader, "_AGAIN_S", 0.0)
    assert reader.read().fault is None


# Odd stores and odd strings ----------------------------------------------------------------------


def test_an_empty_store_and_one_record(shown: Shown, tmp_path: Path) -> None:
    """No division by nothing, no axis without a period; `1 record` and not `1 records`."""
    with open_store(tmp_path / "empty.db"):
        pass
    make_copy(tmp_path / "empty.db")
    empty = Shown(tmp_path / "empty.db")
    said = words(empty.page())
    empty.reader.close()
    assert "as of an empty store" in said
    assert "No records are held here yet." in said
    make_copy(shown.reader.pool.path)
    said = words(shown.page())
    assert "1 record, by the year in the Pith Number" in said
    assert "No valid events are held here." in said
    assert "no valid event 1 (100 %)" in said


def hostile_figures(copy: Path) -> Figures:
    """Figures with hostile strings in every place that takes a string."""
    figures = read_figures(copy)
    ranked = RankedCounts((NamedCounts(HOSTILE, (3, 2)), NamedCounts("", (1, 0))), 2, (5, 0))
    names = {"categories": ranked, "findings": ranked, "signers": ranked}
    cited = (CitedRecord(HOSTILE, HOSTILE, "claimed", 10**12, 1),)
    kept = {one: getattr(figures, one) for one in figures.__slots__ if one not in names}
    return Figures(**{**kept, **names, "cited": cited, "cited_records": 1, "citations": 1})


def test_hostile_strings_are_text(shown: Shown) -> None:
    """Escaped, shortened, without hidden characters: no element, no script, no long line."""
    figures = hostile_figures(make_copy(shown.reader.pool.path))
    text = figures_file(figures, environment()).decode()
    page = Page(text)
    assert page.faults == []
    assert page.all("script") == []
    assert "\u202e" not in text
    assert "\x00" not in text
    assert max(len(one) for one, _ in page.places if "W" * 20 in one) < 1300
    assert "1,000,000,000,000" in text


@pytest.mark.parametrize("name", [HOSTILE, "漢" * 100, "M" * 40, "a\u0301" * 40, "x" * 33])
def test_a_name_fits_beside_its_bar(name: str) -> None:
    """Its beginning and its end are shown."""
    shown = short_name(name)
    assert len(shown) <= 32
    assert "…" in shown
    assert shown[0] == name[0]


def test_only_exact_shares_are_0_and_100_percent() -> None:
    """0 % and 100 % are exact."""
    shares = [share(count, 1000) for count in (0, 1, 10, 996, 1000)]
    assert shares == ["0 (0 %)", "1 (under 1 %)", "10 (1 %)", "996 (over 99 %)", "1,000 (100 %)"]
    assert share(0, 0) == "0"


# Charts ------------------------------------------------------------------------------------------


def test_bars_are_to_scale() -> None:
    """Lengths are in the proportions of the numbers, and what is not zero can be seen."""
    rows = [NamedCounts("a", (600, 400)), NamedCounts("b", (0, 500)), NamedCounts("c", (0, 0))]
    others = NamedCounts("9 others", (7000, 0))
    first, second, third, last = bar_chart(rows, str, others=others).bars
    widths = [one.width for bar in (first, second) for one in bar.segments]
    assert [round(one / widths[2], 2) for one in widths] == [1.2, 0.8, 1.0]
    assert (third.segments, last.segments, last.number) == ([], [], "7000 together (no bar)")
    tiny = bar_chart([NamedCounts("a", (10**9,)), NamedCounts("b", (1,))], str).bars[1]
    assert tiny.segments[0].width > 1


def test_columns_are_placed_and_scaled_by_their_values() -> None:
    """Periods without numbers keep their place; each row has its own scale."""
    counts = PeriodCounts("year", 2001, 2010, {"a": {2001: 10, 2010: 5}, "b": {2004: 1}})
    chart = time_chart(counts, str.upper)
    columns = [
        [(float(x), float(height)) for x, height in re.findall(r"M([\d.]+) [\d.]+v-([\d.]+)", path)]
        for path in (one.path for one in chart.lanes)
    ]
    (first, last), (other,) = columns
    assert first[1] == 2 * last[1] == other[1]
    assert round((other[0] - first[0]) / (last[0] - first[0]), 2) == round(3 / 9, 2)
    assert [one.label for one in chart.ticks] == [f"{year}" for year in range(2001, 2011)]
    assert [one.lane.label for one in chart.lanes] == ["A", "B"]
    alone = time_chart(PeriodCounts("year", 2001, 2002, {"a": {2001: 7, 2002: 23}}), str)
    assert [one.label for one in alone.lanes[0].levels] == ["10", "20", "30"]
    assert [one.label for one in alone.ticks] == ["2001", "2002"]
