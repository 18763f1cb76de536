"""Statements on an analysis copy: what they may do, how much, and what is said when they fail."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.engine.tables import query
from mirror.engine.tables.copy import update_copy
from mirror.engine.tables.query import Cell, CopyReader, Statement, open_copy
from mirror.engine.tables.schema import TABLES
from mirror.errors import MirrorError, QueryError, QueryLimitError, SourceError
from mirror.store import open_store
from tests.helpers import BUNDLES


def forever(select: str) -> str:
    """Return a statement on the endless table n."""
    return f"WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) {select}"  # noqa: S608


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the store of the demo bundle."""
    folder = tmp_path_factory.mktemp("query")
    with open_store(folder / "mirror.db") as store:
        add_keys(store, parse_key_set((BUNDLES / "demo-keys.json").read_bytes()))
        ingest(store, ReadRequest([str(BUNDLES / "demo.tar")], lambda _finding: None))
        return update_copy(store, folder / "tables.db").path


@pytest.fixture
def reader(copied: Path) -> Iterator[CopyReader]:
    """The open copy."""
    with open_copy(copied) as opened:
        yield opened


def refused(reader: CopyReader, sql: str, **limits: float) -> MirrorError:
    """Return the error of a statement, when it is run or its rows are read."""
    with pytest.raises(QueryError) as raised:
        for _ in reader.run(Statement(sql, **limits)):  # type: ignore[arg-type]
            pass
    return raised.value


def values(reader: CopyReader, sql: str, **parameters: str | int) -> list[tuple[Cell, ...]]:
    """Return all rows of a statement."""
    return list(reader.run(Statement(sql, parameters)))


# What is answered ------------------------------------------------------------------------------


def test_a_statement_gives_what_sqlite_gives(reader: CopyReader, copied: Path) -> None:
    """Joins, windows, JSON, full text, plans: the rows of a plain connection."""
    with closing(sqlite3.connect(copied)) as conn:
        for sql in (
            "SELECT * FROM records ORDER BY pith_number",
            "VALUES (1, 'a'), (NULL, x'00ff')",
            "SELECT signer_id, count(*) FROM events WHERE is_valid GROUP BY 1 ORDER BY 2, 1",
            "SELECT pith_number, value FROM records, json_each(categories) ORDER BY 1, 2",
            "SELECT snippet(texts_fts, 0, '[', ']', '…', 3) FROM texts_fts('lemma') ORDER BY rank",
            "SELECT row_number() OVER (ORDER BY pith_number), suffix FROM records",
            forever("SELECT x FROM n LIMIT 3"),
            "EXPLAIN QUERY PLAN SELECT * FROM records WHERE suffix = 'A'",
            "SELECT name FROM sqlite_schema ORDER BY name; -- with a comment after it",
        ):
            rows = list(reader.run(Statement(sql)))
            assert rows
            assert rows == conn.execute(sql).fetchall()


def test_columns_have_different_names(reader: CopyReader) -> None:
    rows = reader.run(Statement("SELECT 1 AS a, 2 AS b, 3 AS a, 4 AS a, 5 AS a_2"))
    assert rows.columns == ("a", "b", "a_3", "a_4", "a_2")


def test_parameters_are_data(reader: CopyReader) -> None:
    hostile = "'); DROP TABLE records; --"
    assert values(reader, "SELECT :a, :b", a=hostile, b=7) == [(hostile, 7)]
    assert "--param" in refused(reader, "SELECT :a").hint
    assert "--param" in refused(reader, "SELECT ?").hint


# What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM records",
        "INSERT INTO keys SELECT * FROM keys",
        "INSERT INTO texts_fts (texts_fts) VALUES ('rebuild')",
        "UPDATE records SET title = 'x' RETURNING title",
        "REPLACE INTO about VALUES ('root', '0')",
        "WITH x AS (SELECT 1) DELETE FROM records",
        "EXPLAIN DELETE FROM records",
        "DROP TABLE records",
        "UPDATE sqlite_schema SET sql = ''",
        "DELETE FROM sqlite_schema",
        "ALTER TABLE records RENAME TO other",
        "CREATE TABLE other (x)",
        "CREATE TEMP TABLE other (x)",
        "CREATE TEMP VIEW other AS SELECT 1",
        "CREATE TEMP TRIGGER other AFTER INSERT ON keys BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, texts_fts, row)",
        "CREATE INDEX other ON records (title)",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'other.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT other",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = WAL",
        "PRAGMA application_id = 7",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA table_info(records)",
        "PRAGMA database_list",
        "PRAGMA integrity_check",
        "PRAGMA data_version = 7",
        "EXPLAIN PRAGMA user_version",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('records')",
        "SELECT load_extension('/tmp/other.so')",
        "SELECT LOAD_EXTENSION('/tmp/other.so', 'main')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('simple', x'4141414141414141')",
        "SELECT (SELECT load_extension('x') FROM records) FROM keys WHERE 0",
    ],
)
def test_nothing_but_reading_is_done(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Writes, files, other databases, settings, code: refused, and the copy stays as it is."""
    before, folder = copied.read_bytes(), sorted(copied.parent.iterdir())
    monkeypatch.chdir(tmp_path)
    with open_copy(copied) as reader:
        error = refused(reader, sql)
        is_unknown = error.code == "query.sql" and re.match(
            "no such|cannot VACUUM|table sqlite_master may not be mod", error.message
        )
        assert error.code == "query.denied" or is_unknown
        assert values(reader, "SELECT count(*) FROM records") == [(8,)]
    assert (before, folder) == (copied.read_bytes(), sorted(copied.parent.iterdir()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sql", ["SELECT readfile('/etc/passwd')", "SELECT writefile('x', 'y')"])
def test_files_are_out_of_reach(reader: CopyReader, sql: str) -> None:
    """The functions of the shell of SQLite do not exist here, and are refused where they do."""
    assert refused(reader, sql).code in {"query.denied", "query.sql"}


@pytest.mark.parametrize(
    "sql",
    [
        forever("SELECT count(*) FROM n"),
        forever("SELECT x FROM n WHERE x < 0"),
        forever("SELECT max(length(hex(x))) FROM n"),
        "SELECT count(*) FROM events a, events b, events c, events d, events e, events f",
        "SELECT 1 FROM events a, events b, events c, events d, events e WHERE a.reason = 'none'",
    ],
)
def test_work_without_an_end_is_stopped(reader: CopyReader, sql: str) -> None:
    error = refused(reader, sql, time_limit_s=0.02)
    assert isinstance(error, QueryLimitError)
    assert "--time-limit" in error.hint
    assert values(reader, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        "SELECT hex(zeroblob(60000000))",
        "SELECT replace(hex(zeroblob(10000)), '0', hex(zeroblob(10000)))",
        "SELECT group_concat(hex(zeroblob(10000000)) || signer_id) FROM keys",
        f"SELECT '{'x' * (1 << 20)}'",
        f"SELECT 1 -- {'x' * (1 << 20)}",
    ],
    ids=lambda sql: sql[:60],
)
def test_a_value_that_is_too_large_is_refused(reader: CopyReader, sql: str) -> None:
    assert refused(reader, sql).code == "query.limit"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {'(' * 5000}1{')' * 5000}",
        f"SELECT 1{' + 1' * 5000}",
        f"SELECT {'NOT ' * 5000}1",
        f"SELECT {', '.join('1' * 600)}",
        f"SELECT 1{' UNION ALL SELECT 1' * 100}",
        f"SELECT max({', '.join('1' * 120)})",
        f"SELECT 1 FROM {', '.join(f'keys k{number}' for number in range(70))}",  # noqa: S608
        "SELECT 'x' LIKE replace(hex(zeroblob(10000)), '0', '%')",
    ],
    ids=lambda sql: sql[:30],
)
def test_a_statement_that_is_too_deep_or_wide_is_refused(reader: CopyReader, sql: str) -> None:
    assert refused(reader, sql).code == "query.sql"


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "SELECT 1; DELETE FROM records", "SELECT 1; PRAGMA user_version"]
)
def test_several_statements_are_refused(reader: CopyReader, sql: str) -> None:
    """Before the first is run."""
    error = refused(reader, sql)
    assert (error.code, "each statement on its own" in error.hint) == ("query.sql", True)


@pytest.mark.parametrize(
    ("sql", "where", "hint"),
    [
        ("SELECT *\n  FORM records", "line 2, column 3", "dictionary"),
        ("SELECT 1 FROM record", "line 1, column 15", "did you mean records,"),
        ("SELECT 1 FROM quark", "line 1, column 15", "tables: records, "),
        ("SELECT titel FROM records", "line 1, column 8", "title (records, "),
        ("SELECT title FROM keys", "line 1, column 8", "title (records, "),
        ("SELECT r.zzz FROM records r", "line 1, column 8", "dictionary"),
        ("SELECT 'x", "line 1, column 8", "dictionary"),
        ("SELECT nothing(1)", "line 1, column 8", "dictionary"),
        ("SELECT nope + nope FROM records", "", "dictionary"),
        ("SELECT (", "", "dictionary"),
        ("", "", "SELECT * FROM dictionary"),
        ("-- nothing", "", "SELECT * FROM dictionary"),
        ("SELECT '\0'", "", "dictionary"),
        ("SELECT '\ud800'", "", "dictionary"),
        ("SELECT CAST(x'ff' AS TEXT)", "", "hex()"),
    ],
)
def test_an_error_has_its_place_and_a_hint(
    reader: CopyReader, sql: str, where: str, hint: str
) -> None:
    error = refused(reader, sql)
    assert (error.code, error.where, hint in error.hint) == ("query.sql", where, True), error.hint


# A copy that others change ---------------------------------------------------------------------


def test_a_copy_that_is_replaced_is_read_to_its_end(copied: Path, tmp_path: Path) -> None:
    path = tmp_path / "tables.db"
    path.write_bytes(copied.read_bytes())
    with open_copy(path) as reader:
        rows = reader.run(Statement("SELECT pith_number FROM records"))
        next(rows)
        (tmp_path / "other.db").write_bytes(b"other")
        (tmp_path / "other.db").replace(path)
        assert len(list(rows)) == 7
    with pytest.raises(SourceError, match=r"tables\.absent"), open_copy(path):
        pass


def test_a_copy_that_is_locked_is_waited_for(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tables.db"
    path.write_bytes(copied.read_bytes())
    monkeypatch.setattr("mirror.engine.tables.origin._BUSY_S", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match=r"tables\.busy"), open_copy(path):
            pass
        writer.execute("ROLLBACK")
    with open_copy(path) as reader:
        assert values(reader, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("cut", [100, 5000, 100_000, 300_000])
def test_a_damaged_copy_is_named(copied: Path, tmp_path: Path, cut: int) -> None:
    """Wherever it is damaged: the rows that cannot be read are an error of the copy."""
    path, content = tmp_path / "tables.db", bytearray(copied.read_bytes())
    content[cut:] = bytes(len(content) - cut)
    path.write_bytes(content)

    def read_all() -> None:
        with open_copy(path) as reader:
            for table in TABLES:
                values(reader, f"SELECT * FROM {table.name}")  # noqa: S608

    with pytest.raises(SourceError, match=r"tables\.damaged"):
        read_all()


def test_a_copy_of_another_version_is_refused(copied: Path, tmp_path: Path) -> None:
    path = tmp_path / "tables.db"
    path.write_bytes(copied.read_bytes())
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("UPDATE about SET value = '0' WHERE name = 'format'")
    with pytest.raises(SourceError, match=r"tables\.version"), open_copy(path):
        pass


def test_an_interruption_ends_a_statement(
    reader: CopyReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives while SQLite works, in the progress handler; it is no error of the SQL."""
    is_over, calls = query.QueryRows._is_over, []

    def interrupted(rows: query.QueryRows) -> bool:
        calls.append(rows)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return is_over(rows)

    monkeypatch.setattr(query.QueryRows, "_is_over", interrupted)
    with pytest.raises(KeyboardInterrupt):
        values(reader, forever("SELECT count(*) FROM n"))
