"""Outside judges of the tables: other programs read them, and find what slow counts find.

SQLite, DuckDB and pandas answer the questions of `docs/tables.md`; Datasette serves the copy.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import sqlite_utils

from mirror.engine.tables.schema import TABLES
from tests.engine.tables import analysis_page, plain_counts
from tests.engine.tables.analysis_page import Question, questions, run
from tests.engine.tables.plain_counts import Plain, Rows

QUESTIONS = questions()
SETUP = analysis_page.steps(analysis_page.PAGE.read_text("utf-8"))[:4]
"""The commands that make the copy of the page."""


class Registry(NamedTuple):
    """The store and the copies of the page, in the working folder."""

    shown: list[str]
    """Output of the commands that made them."""
    plain: Plain


@pytest.fixture(scope="module", autouse=True)
def tracebacks_off() -> Iterator[None]:
    """Datasette turns tracebacks of SQLite's callbacks on, for the whole process."""
    yield
    sqlite3.enable_callback_tracebacks(False)  # noqa: FBT003


def _json_lines(command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(command).encode().splitlines()]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run the commands of the page that come before the questions, in one folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        Path("bundles").symlink_to(analysis_page.ROOT / "bundles")
        shown = [run(command) for command, _ in SETUP]
        sources = re.findall(r"bundles/\S+?\.(?:tar|json)(?= )", SETUP[0][0].split("--keys")[0])
        verify = f"mirror verify {' '.join(sources)} --keys bundles/demo-keys.json --json"
        upstreams = re.findall(r"bundles/\S+\.jsonl", SETUP[1][0] + " " + SETUP[2][0])
        yield Registry(
            shown,
            Plain(
                _json_lines("mirror show --all --json"),
                _json_lines("mirror show --all --bundle"),
                _json_lines(verify),
                sources,
                upstreams,
            ),
        )


@pytest.fixture(scope="module")
def folder(registry: Registry) -> Path:
    """The same tables as Parquet."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    run("mirror tables registry --format parquet")
    return Path("registry")


def _answer(registry: Registry, question: Question) -> Rows:
    return plain_counts.ANSWERS[question.number - 1](registry.plain)


def _in_sqlite(query: str) -> Rows:
    with closing(sqlite3.connect("registry.db")) as conn:
        return conn.execute(query).fetchall()


# The page --------------------------------------------------------------------------------------


def test_the_answers_of_the_page_are_real(registry: Registry) -> None:
    """Each `$ command` prints what stands below it."""
    steps = analysis_page.steps(analysis_page.PAGE.read_text("utf-8"))
    assert registry.shown == [printed for _, printed in SETUP]
    assert len(steps) == len(SETUP) + len(QUESTIONS) + 1
    for command, printed in steps[len(SETUP) :]:
        assert run(command) == printed, command


def test_the_dictionary_of_the_page_is_that_of_the_tables(registry: Registry) -> None:
    """To write it again: `python -m tests.engine.tables.analysis_page`."""
    text = analysis_page.PAGE.read_text("utf-8")
    (written,) = analysis_page._DICTIONARY.findall(text)
    assert written == f"{analysis_page.dictionary()}\n"
    rows = _in_sqlite("SELECT table_name, column_name, meaning FROM dictionary")
    assert all(meaning in written for _, column, meaning in rows if column)
    assert {table for table, _, _ in rows} == {*re.findall(r"^### (\w+)$", written, re.MULTILINE)}


# The questions ---------------------------------------------------------------------------------


def test_there_are_twelve_questions() -> None:
    assert [one.number for one in QUESTIONS] == [*range(1, 13)]
    assert len(plain_counts.ANSWERS) == len(_PANDAS) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.words)
def test_sqlite_answers_as_a_slow_count(registry: Registry, question: Question) -> None:
    expected = _answer(registry, question)
    assert expected, "a question without an answer shows nothing"
    assert _in_sqlite(question.sql) == expected


_IN_DUCKDB = {
    "date('now', '-7 days')": "CAST(current_date - 7 AS TEXT)",
    "julianday(receipt_signed_at)": "epoch(receipt_signed_at::TIMESTAMP) / 86400",
    "julianday(submitted_at)": "epoch(submitted_at::TIMESTAMP) / 86400",
}
"""What the page says of DuckDB."""


@pytest.fixture(scope="module")
def duckdb(folder: Path) -> Iterator[Any]:
    """A connection of DuckDB with a view of each file."""
    module = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    with module.connect() as conn:
        for table in TABLES:
            path = folder / f"{table.name}.parquet"
            conn.execute(f"CREATE VIEW {table.name} AS FROM '{path}'")
        yield conn


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.words)
def test_duckdb_answers_as_a_slow_count(
    registry: Registry, duckdb: Any, question: Question
) -> None:
    query = question.sql
    for ours, theirs in _IN_DUCKDB.items():
        query = query.replace(ours, theirs)
    assert duckdb.execute(query).fetchall() == _answer(registry, question)


class Frames:
    """The tables as data frames of pandas."""

    def __init__(self, folder: Path) -> None:
        self.pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return self.pandas.read_parquet(self._folder / f"{name}.parquet")


def _rows(frame: Any) -> Rows:
    return [
        tuple(None if one != one else one for one in row)  # noqa: PLR0124 - not a number
        for row in frame.itertuples(index=False, name=None)
    ]


def _counted(frame: Any, names: list[str]) -> Any:
    return frame.groupby(names).size().reset_index(name="n")


def _first(frame: Any, names: list[str], *, descending: set[str], limit: int = 100) -> Rows:
    order = [name not in descending for name in names]
    return _rows(frame.sort_values(names, ascending=order).head(limit))


def _without_receipt(tables: Frames) -> Rows:
    years = tables.records.assign(none=lambda one: one.receipt_key_id.isna()).groupby("year")
    found = years.agg(n=("pith_number", "size"), none=("none", "sum")).reset_index()
    return _first(found, ["year"], descending={"year"}, limit=4)


def _most_cited(tables: Frames) -> Rows:
    names = ["cited_pith_number", "signer_id"]
    found = _counted(tables.citations.query("in_force == 1"), names)
    return _first(found, ["n", *names], descending={"n"}, limit=3)


def _signers(tables: Frames) -> Rows:
    valid = tables.events.query("is_valid == 1 and status != 'repeat'").groupby("signer_id")
    found = valid.agg(n=("id", "size"), records=("pith_number", "nunique")).reset_index()
    return _first(found, ["n", "signer_id"], descending={"n"})


def _retired(tables: Frames) -> Rows:
    names = ["event_type", "status"]
    found = _counted(tables.events.dropna(subset="retired_by"), names)
    return _first(found, ["n", *names], descending={"n"}, limit=5)


def _equivocations(tables: Frames) -> Rows:
    found = tables.equivocations.sort_values(["pith_number", "position"])
    return _rows(found[["pith_number", "signer_id", "event_type", "claimed_at"]])


def _arrived(tables: Frames) -> Rows:
    now = tables.pandas.Timestamp.now(tz="UTC")
    week = tables.arrivals.assign(at=lambda one: tables.pandas.to_datetime(one.known_at))
    week = week[week["at"] >= now - tables.pandas.Timedelta(days=7)].groupby("source")
    return _rows(week.agg(n=("id", "size"), events=("events", "sum")).reset_index())


def _references(tables: Frames) -> Rows:
    listed, held = tables.graph_references, tables.records[["pith_number", "arxiv_id"]]
    found = listed.merge(held, how="cross", suffixes=("", "_held"))
    is_named = found.pith_number_held == found.cited_pith_number
    found = found[is_named | (found.arxiv_id_held == found.arxiv_id)]
    return sorted(_rows(found[["pith_number", "pith_number_held"]]))


def _categories(tables: Frames) -> Rows:
    claims = tables.events.query("status == 'in force'").merge(
        tables.record_categories, on="pith_number"
    )
    return _first(_counted(claims, ["category"]), ["n", "category"], descending={"n"}, limit=5)


def _refused(tables: Frames) -> Rows:
    return _rows(_counted(tables.events.query("is_valid == 0"), ["code", "source"]))


def _licences(tables: Frames) -> Rows:
    found = _counted(tables.records, ["year", "license"])
    return _first(found, ["year", "n", "license"], descending={"year", "n"}, limit=5)


def _differs(tables: Frames) -> Rows:
    said = tables.upstream_statements.query("kind == 'state'").sort_values("id")
    last = said.groupby(["upstream", "pith_number"]).tail(1)
    found = last.merge(tables.records, on="pith_number").query("digest != state_digest")
    return sorted(_rows(found[["pith_number", "upstream"]]))


def _days(tables: Frames) -> Rows:
    records = tables.records.dropna(subset="receipt_key_id")
    times = {
        name: tables.pandas.to_datetime(records[name], format="ISO8601", utc=True)
        for name in ("receipt_signed_at", "submitted_at")
    }
    spent = times["receipt_signed_at"] - times["submitted_at"]
    keys = records.assign(days=spent / tables.pandas.Timedelta(days=1)).groupby("receipt_key_id")
    found = keys.agg(n=("pith_number", "size"), dated=("days", "count"), days=("days", "mean"))
    return _rows(found.round(1).reset_index())


_PANDAS: tuple[Callable[[Frames], Rows], ...] = (
    _without_receipt, _most_cited, _signers, _retired, _equivocations, _arrived, _references,
    _categories, _refused, _licences, _differs, _days,
)  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.words)
def test_pandas_answers_as_a_slow_count(
    registry: Registry, folder: Path, question: Question
) -> None:
    assert _PANDAS[question.number - 1](Frames(folder)) == _answer(registry, question)


# SQLite's own tools ----------------------------------------------------------------------------


def test_sqlite_utils_opens_the_copy(registry: Registry) -> None:
    """It finds keys, foreign keys and the full-text index."""
    with closing(sqlite3.connect("registry.db")) as conn:
        db = sqlite_utils.Database(conn)
        assert {one.name for one in TABLES} <= {*db.table_names()}
        assert db.table("records").pks == ["pith_number"]
        (arrival,) = [one for one in db.table("events").foreign_keys if one.column == "arrival"]
        assert (arrival.other_table, arrival.other_column) == ("arrivals", "id")
        assert db.table("texts").detect_fts() == "texts_fts"
        found = [one["kind"] for one in db.table("texts").search("holograph*")]
        assert found == ["title"]
        assert db.table("records").count == len(registry.plain.states)


def test_the_sqlite_shell_opens_the_copy(registry: Registry) -> None:
    program = shutil.which("sqlite3")
    if program is None:
        pytest.skip("the sqlite3 shell is not installed")
    command = [program, "-readonly", "registry.db", "SELECT count(*) FROM records"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(registry.plain.states)}\n"


# Datasette -------------------------------------------------------------------------------------

_NUMBER = "pith:1999:EI5HAOZQLTRXHSO6XXITW2U5X6"
_ROW = f"/registry/records/{_NUMBER.replace(':', '~3A')}"


@pytest.fixture(scope="module")
def datasette(registry: Registry) -> Iterator[httpx.Client]:
    """A real Datasette on 127.0.0.1 over the copy, with its metadata."""
    pytest.importorskip("datasette", reason="Datasette is not installed")
    Path("metadata.json").write_text(run("mirror tables registry.db --metadata"), "utf-8")
    served = ["registry.db", "--metadata", "metadata.json", "--host", "127.0.0.1", "--port", "0"]
    command = [sys.executable, "-m", "datasette", "serve", *served]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            url = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield client
        finally:
            process.terminate()


def _page(client: httpx.Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.text.split())


def _json(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.json()


def test_datasette_serves_a_row(registry: Registry, datasette: httpx.Client) -> None:
    """With the rows of other tables that refer to it."""
    (state,) = [one for one in registry.plain.states if one["pith_number"] == _NUMBER]
    page = _page(datasette, _ROW)
    assert _NUMBER in page
    rows = rf"<a[^>]*>\s*{state['event_count']} rows</a>\s*from pith_number in events"
    assert re.search(rows, page)
    (row,) = _json(datasette, f"{_ROW}.json?_shape=array")
    assert row["events_valid"] == state["valid_event_count"]


def test_datasette_counts_facets(registry: Registry, datasette: httpx.Client) -> None:
    found = Counter(
        one["current"]["canonical_record"]["metadata"]["license"] for one in registry.plain.states
    )
    path = "/registry/records.json?_facet=license&_facet_size=max"
    facets = _json(datasette, path)["facet_results"]["license"]["results"]
    assert {one["value"]: one["count"] for one in facets} == found
    page = _page(datasette, "/registry/records")
    years = Counter(one["pith_number"].split(":")[1] for one in registry.plain.states)
    for year, count in years.items():
        assert f">{year}</a> {count}</li>" in page


def test_datasette_searches_texts(registry: Registry, datasette: httpx.Client) -> None:
    """Found by itself, and each hit links to its record and event by a name."""
    notes = [
        event["payload"]["note"]
        for _, event in registry.plain.valid_events()
        if "lemma" in str(event["payload"].get("note")).lower()
    ]
    found = _json(datasette, "/registry/texts.json?_search=lemma&_shape=array")
    assert notes
    assert sorted(one["text"] for one in found) == sorted(notes)
    page = _page(datasette, "/registry/texts?_search=lemma")
    assert f"{len(notes)} rows" in page
    assert ">hep-th/9901234</a>" in page
    assert ">challenge_filed</a>" in page


def test_datasette_shows_the_metadata(datasette: httpx.Client) -> None:
    """Meanings, units, source and licence."""
    page = _page(datasette, "/registry/citations")
    for words in (
        "valid events of the type citation_signed",
        "citing work, as the signer names it",
        "Data license: each paper has its own",
        "Data source: the bundles listed in",
    ):
        assert words in page
    front = _page(datasette, "/registry")
    assert "Times are in UTC" in front
    assert "Nothing in these tables is a proof" in front


@pytest.mark.parametrize("path", ["/", "/registry", "/registry.json", "/registry/events.csv"])
def test_datasette_serves_its_other_pages(datasette: httpx.Client, path: str) -> None:
    assert _page(datasette, path)


def test_datasette_serves_every_table(registry: Registry, datasette: httpx.Client) -> None:
    for table in TABLES:
        (count,) = _in_sqlite(f"SELECT count(*) FROM {table.name}")  # noqa: S608
        found = _json(datasette, f"/registry/{table.name}.json?_size=1&_facet_size=1")
        assert (found["filtered_table_rows_count"],) == count


def test_datasette_serves_the_copy_as_immutable(registry: Registry) -> None:
    """As `datasette -i` does: in this process."""
    app = pytest.importorskip("datasette.app", reason="Datasette is not installed")

    async def ask() -> tuple[Any, Any]:
        served = app.Datasette(immutables=["registry.db"])
        await served.invoke_startup()
        rows = await served.client.get("/registry/records.json?_size=max&_shape=array")
        database = await served.client.get("/-/databases.json")
        served.get_database("registry").close()
        served.executor.shutdown()
        return rows.json(), database.json()

    rows, databases = asyncio.run(ask())
    numbers = [one["pith_number"] for one in registry.plain.states]
    assert [one["pith_number"] for one in rows] == numbers
    (database,) = [one for one in databases if one["name"] == "registry"]
    assert (database["is_mutable"], database["size"]) == (False, Path("registry.db").stat().st_size)
