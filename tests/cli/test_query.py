"""`mirror query` and `mirror list`: what they print, and how they end."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirror.cli import main, row_output, tables_beside
from mirror.engine.tables.copy import beside
from tests.builders import (
    Signer,
    challenge,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, Terminal
from tests.store.test_readonly import WITHOUT_RIGHTS

HOSTILE = '=1+1,"q"\r\nnext\x1b[31m\u202e \x00end'


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bag, with its tables beside it."""
    db = tmp_path_factory.mktemp("template") / "mirror.db"
    for words in (
        ["merge", BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json"],
        ["query", "SELECT 1"],
    ):
        assert 0 == CliRunner().invoke(main, [*map(str, words), "--db", str(db)]).exit_code
    return db


@pytest.fixture
def demo(template: Path, tmp_path: Path, mirror: Mirror) -> Mirror:
    """`mirror`, in a folder with a copy of that store and its tables."""
    shutil.copy(template, tmp_path)
    shutil.copy(beside(template), tmp_path)
    return mirror


# The tables beside the store -------------------------------------------------------------------


def test_the_tables_are_made_and_kept_up_to_date(mirror: Mirror, tmp_path: Path) -> None:
    """An update is reported once, on stderr."""
    (tmp_path / "one.json").write_bytes(to_json(make_bundle(make_record(), [])))
    (tmp_path / "two.json").write_bytes(
        to_json(make_bundle(make_record(arxiv_id="2401.00009"), []))
    )
    said = []
    for sources in (["one.json"], ["one.json"], ["two.json"]):
        mirror("merge", *sources)
        ran = mirror("query", "SELECT count(*) AS n FROM records", "--json")
        said.append((ran.lines[0]["n"], ran.stderr))
    assert said == [
        (1, "mirror.tables.db: tables of 1 record written\n"),
        (1, ""),
        (2, "mirror.tables.db: 1 changed record written again\n"),
    ]


def test_without_a_refresh_the_tables_are_of_an_earlier_time(demo: Mirror, tmp_path: Path) -> None:
    """Their root and known time are printed; the store itself is not needed."""
    root = demo("root", "--json").lines[0]["root"]
    (tmp_path / "more.json").write_bytes(to_json(make_bundle(make_record(), [])))
    demo("merge", "more.json")
    sql = (
        "SELECT count(*) AS n, (SELECT value FROM about WHERE name = 'known_by') AS t FROM records"
    )
    ran = demo("query", sql, "--json", "--no-refresh")
    assert ran.lines[0]["n"] == 8
    assert ran.stderr == f"tables of known by {ran.lines[0]['t']}, root {root}\n"
    Path("mirror.db").unlink()
    assert demo("list", "--ids", "--no-refresh").stdout.count(b"\n") == 8
    Path("mirror.tables.db").unlink()
    ran = demo("query", sql, "--no-refresh")
    assert (3, True) == (ran.exit_code, "tables.absent" in ran.stderr)


def test_another_file_of_that_name_is_not_touched(demo: Mirror) -> None:
    for content, code in ((b"precious", "output.exists"), (Path("mirror.db"), "output.refused")):
        path = Path("mirror.tables.db")
        path.unlink()
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        before = path.read_bytes()
        ran = demo("query", "SELECT 1")
        assert (3, True) == (ran.exit_code, f"{code} at mirror.tables.db" in ran.stderr)
        assert path.read_bytes() == before


def test_the_tables_of_another_store_are_refused(demo: Mirror, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(to_json(make_bundle(make_record(), [])))
    Path("mirror.db").unlink()
    demo("merge", "one.json")
    ran = demo("query", "SELECT 1")
    assert (3, True) == (ran.exit_code, "copy of another store" in ran.stderr), ran


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root")
def test_a_folder_that_may_only_be_read_is_named(template: Path, tmp_path: Path) -> None:
    """And what is there can still be read."""
    folder = tmp_path / "ro"
    folder.mkdir()
    for path in (template, beside(template)):
        shutil.copy(path, folder)
        (folder / path.name).chmod(0o444)
    folder.chmod(0o555)
    found = []
    for more in ([], ["--no-refresh"]):
        command = [sys.executable, "-m", "mirror", "query", "SELECT 7", "--csv", *more]
        done = subprocess.run(
            [*WITHOUT_RIGHTS, *command], cwd=folder, capture_output=True, text=True, check=False
        )
        found.append((done.returncode, done.stdout, done.stderr))
    assert found[0][:2] == (4, "")
    assert "--no-refresh" in found[0][2]
    assert found[1][:2] == (0, "7\n7\n")


# What is printed -------------------------------------------------------------------------------

VALUES = "SELECT :h AS h, NULL AS n, 7 AS i, '' AS e, x'00ff' AS b, 9e999 AS f, 1 AS i"


def test_json_has_the_values_as_they_are(demo: Mirror) -> None:
    """NULL is null, an integer one, a name occurs once."""
    (line,) = demo("query", VALUES, "--param", f"h={HOSTILE}", "--json").lines
    assert line == {
        "h": HOSTILE, "n": None, "i": 7, "e": "", "b": "00ff", "f": "inf", "i_2": 1,
    }  # fmt: skip


def test_csv_is_read_by_another_program(demo: Mirror) -> None:
    """RFC 4180: quoted where it must be, CRLF; no value is altered, not even for a spreadsheet."""
    ran = demo("query", VALUES, "--param", f"h={HOSTILE}", "--csv")
    rows = list(csv.reader(io.StringIO(ran.stdout.decode(), newline=""), strict=True))
    assert rows == [
        ["h", "n", "i", "e", "b", "f", "i_2"],
        [HOSTILE, "", "7", "", "00ff", "inf", "1"],
    ]
    assert ran.stdout.startswith(b"h,n,i,e,b,f,i_2\r\n")
    assert ran.stdout.endswith(b',,7,"",00ff,inf,1\r\n')


def test_a_single_column_has_no_empty_line_in_csv(demo: Mirror) -> None:
    ran = demo("query", "VALUES (NULL), (''), ('a')", "--csv")
    assert ran.stdout == b'column1\r\n""\r\n""\r\na\r\n'


def test_a_table_shows_controls_by_their_code(demo: Mirror) -> None:
    ran = demo("query", VALUES, "--param", f"h={HOSTILE}")
    heading, line = ran.stdout.decode().splitlines()
    assert heading.split() == ["h", "n", "i", "e", "b", "f", "i_2"]
    shown = r'=1+1,"q"\r\nnext\x1b[31m\u202e \x00end'
    assert line.split() == [*shown.split(), "NULL", "7", "00ff", "inf", "1"]


def test_a_table_ends_after_200_rows_and_says_so(demo: Mirror) -> None:
    """Exit 1; with --limit, exit 0."""
    sql = "SELECT a.value FROM json_each('[1,2,3,4,5,6,7,8,9,0]') a, events LIMIT 300"
    ran = demo("query", sql)
    assert (1, 201, True) == (ran.exit_code, ran.stdout.count(b"\n"), "more rows" in ran.stderr)
    ran = demo("query", sql, "--limit", 5)
    assert (0, 6, True) == (ran.exit_code, ran.stdout.count(b"\n"), "more rows" in ran.stderr)
    for more in (["--limit", 300], ["--csv"], ["--json"]):
        ran = demo("query", sql, *more)
        assert (0, ran.stdout.count(b"\n") >= 300, "") == (ran.exit_code, True, ran.stderr)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_statement_with_endless_rows_is_read_as_far_as_it_is_printed(
    demo: Mirror, form: list[str]
) -> None:
    """So memory does not grow with the rows."""
    sql = "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    ran = demo("query", sql, *form, "--limit", 1000)
    assert (0, True) == (ran.exit_code, b"1000" in ran.stdout)


def test_rows_are_printed_as_they_come(demo: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows before an error stand on stdout, and the exit code says that some are missing."""
    monkeypatch.setattr(row_output, "_BLOCK_BYTES", 10)
    sql = "SELECT iif(key < 5, key, hex(zeroblob(60000000))) AS k FROM json_each('[0,1,2,3,4,5]')"
    for form in ("--json", "--csv"):
        ran = demo("query", sql, form)
        assert (1, True) == (ran.exit_code, "error: query.limit: " in ran.stderr)
        assert b"3" in ran.stdout


def test_a_terminal_gets_cells_that_fit(demo: Mirror, terminal: Terminal) -> None:
    """Wide columns are shortened, with a note; too many of them become lines of their own."""
    assert demo("status").exit_code == 0
    sql = (
        "SELECT pith_number, canonical_sha256, '漢字かな交じり文' || state_digest AS d FROM records"
    )
    lines = terminal("query", sql, "--limit", "2").lines
    assert "\x1b[1mpith_number" in lines[0]
    assert lines[1].count("…") == 3
    assert any("6 values shortened" in line for line in lines)
    shown = [line for line in lines if line and "\x1b" not in line]
    assert max(map(row_output._cell_width, shown)) <= 80
    lines = terminal("query", "SELECT * FROM records", "--limit", "1").lines
    assert [line for line in lines if line.startswith("suffix ")] == [
        "suffix              EI5HAOZQLTRXHSO6XXITW2U5X6"
    ]
    lines = terminal("query", "SELECT char(27) || '[2J'", "--csv").lines
    assert not any("\x1b[2J" in line for line in lines)


# How it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["SELECT * FORM records"], 2, "query.sql at line 1, column 10"),
        (["DELETE FROM records"], 2, "query.denied"),
        (["SELECT 1; SELECT 2"], 2, "each statement on its own"),
        (["SELECT 1", "--csv", "--json"], 2, "--csv or --json"),
        (["SELECT :a", "--param", "a"], 2, "NAME=VALUE"),
        (["SELECT :a", "--param", "b=1"], 2, "--param NAME=VALUE"),
        (["SELECT count(*) FROM events a, events b, events c, events d, events e",
          "--time-limit", "0.01s"], 1, "query.limit"),
        (["@absent.sql"], 3, "source.unreadable"),
    ],
)  # fmt: skip
def test_an_error_has_a_code_and_a_hint(
    demo: Mirror, arguments: list[str], code: int, said: str
) -> None:
    ran = demo("query", *arguments)
    assert (code, True, b"") == (ran.exit_code, said in ran.stderr, ran.stdout), ran.stderr


def test_a_statement_may_come_from_a_file(demo: Mirror) -> None:
    Path("report.sql").write_text("-- the records\nSELECT count(*) FROM records;\n")
    for name, stdin in (("@report.sql", None), ("-", Path("report.sql").read_bytes())):
        assert demo("query", name, stdin=stdin).stdout == b"count(*)\n       8\n"


def test_a_statement_that_cannot_be_interrupted_ends_the_process(
    demo: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One search in a large value is one step of SQLite, which would take hours."""
    monkeypatch.setattr(tables_beside, "_WATCH_S", 0.01)
    monkeypatch.setattr(tables_beside, "_GRACE_S", 0.01)
    sql = "SELECT instr(zeroblob(60000000), zeroblob(20000000) || x'01')"
    pid = os.fork()
    if not pid:
        os.dup2(os.open(tmp_path / "said", os.O_CREAT | os.O_WRONLY), 2)
        sys.stderr = os.fdopen(2, "w")
        main(["query", sql, "--time-limit", "0.01s"])
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert "query.limit" in (tmp_path / "said").read_text()
    assert demo("status").exit_code == 0


def test_two_processes_that_refresh_both_answer(
    template: Path, program: Path, tmp_path: Path
) -> None:
    shutil.copy(template, tmp_path)
    sql = "SELECT count(*) FROM events"
    command = [str(program), "query", sql, "--csv"]
    running = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    assert [one.communicate()[0] for one in running] == [b"count(*)\r\n81\r\n"] * 2
    assert [one.returncode for one in running] == [0, 0]


# Lists -----------------------------------------------------------------------------------------


def numbers(mirror: Mirror, *arguments: object) -> list[str]:
    """Return the suffixes' beginnings that `mirror list` prints."""
    ran = mirror("list", "--ids", *arguments)
    assert ran.exit_code == 0, ran.stderr
    return [line[10:18] for line in ran.stdout.decode().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "sql"),
    [
        ([], "1"),
        (["--category", "cs.DL"],
         "pith_number IN (SELECT pith_number FROM record_categories WHERE category = 'cs.DL')"),
        (["--year", 2025], "year = 2025"),
        (["--license", "assumed"], "license LIKE '%assumed%'"),
        (["--receipt"], "receipt_key_id IS NOT NULL"),
        (["--no-receipt"], "receipt_key_id IS NULL"),
        (["--has", "citation_signed"], "citations_in_force > 0"),
        (["--signer", "library.example", "--year", 1999], "suffix LIKE 'EI5HAOZQ%'"),
        (["--where", "title LIKE '%snails%' -- a comment"], "title LIKE '%snails%'"),
        (["--where", "year = 2025 OR year = 1999", "--no-receipt"], "0"),
        (["--since", "2001-01-01"], "1"),
        (["--since", "2999-01-01"], "0"),
        (["--code", "event.signature"], "0"),
        (["--code", "equivocation"], "equivocations > 0"),
        (["--category", "' OR 1 --"], "0"),
    ],
)  # fmt: skip
def test_a_list_has_the_records_with_all_properties(
    demo: Mirror, arguments: list[object], sql: str
) -> None:
    with closing(sqlite3.connect("mirror.tables.db")) as conn:
        query = f"SELECT substr(suffix, 1, 8) FROM records WHERE {sql} ORDER BY pith_number"  # noqa: S608
        assert numbers(demo, *arguments) == [one for (one,) in conn.execute(query)]


def test_a_list_in_json_has_every_column(demo: Mirror) -> None:
    first, second = demo("list", "--json", "--limit", 2).lines
    assert (first["categories"], first["title_status"]) == (["hep-th"], "claimed")
    assert first["pith_number"] < second["pith_number"]
    state = demo("show", first["pith_number"], "--json").lines[0]
    assert first["events_valid"] == state["valid_event_count"]


def test_a_list_for_people_has_one_line_for_each(mirror: Mirror, tmp_path: Path) -> None:
    """Whatever a title holds."""
    signer, record = Signer("author"), make_record(arxiv_id="2401.00001\n2401.00002")
    event = make_event(record, signer, "challenge_filed", challenge())
    (tmp_path / "keys.json").write_bytes(key_set_file(signer))
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(record, [event])))
    mirror("merge", "bundle.json", "--keys", "keys.json")
    heading, line = mirror("list").stdout.decode().splitlines()
    names = "record source year category receipt valid invalid title is title"
    assert heading.split() == names.split()
    assert r"2401.00001\n2401.00002v" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "titel = 1"], "columns like it: title"),
        (["--where", "1) UNION SELECT load_extension('x') -- ("], "query."),
        (["--where", "(DELETE FROM records)"], "query.sql"),
        (["--has", "citations"], "citation_signed"),
        (["--ids", "--json"], "--ids or --json"),
    ],
)
def test_a_list_with_invalid_conditions_is_an_error(
    demo: Mirror, arguments: list[str], said: str
) -> None:
    ran = demo("list", *arguments)
    assert (2, True, b"") == (ran.exit_code, said in ran.stderr, ran.stdout), ran.stderr


# All records, and some ---------------------------------------------------------------------------


def test_listed_records_are_shown(demo: Mirror) -> None:
    """`mirror list --ids | mirror show -` gives what `mirror show --all` gives."""
    ids = demo("list", "--ids").stdout
    for form in ("--json", "--bundle"):
        everything = demo("show", "--all", form)
        assert (0, 8) == (everything.exit_code, everything.stdout.count(b"\n"))
        assert demo("show", "-", form, stdin=ids).stdout == everything.stdout


def test_an_unknown_name_is_reported_and_the_others_are_shown(demo: Mirror) -> None:
    ran = demo("show", "-", "--json", stdin=b"\nnothing\n EI5HAOZQ \n\xff\n")
    assert (1, 1) == (ran.exit_code, ran.stdout.count(b"\n"))
    assert ran.stderr.count("error: lookup.unknown") == 2
    assert demo("show", "-", stdin=b"EI5HAOZQ").exit_code == 2
    ran = demo("show", "-", "--json", stdin=b"x" * 5000)
    assert (3, True) == (ran.exit_code, "limit.size" in ran.stderr)


def test_all_records_are_shown_as_they_were(demo: Mirror, tmp_path: Path) -> None:
    """Those that came later are left out, and the others have their state at that time."""
    before = demo("show", "--all", "--json").stdout
    known = demo("query", "SELECT value FROM about WHERE name = 'known_by'", "--json").lines[0]
    (tmp_path / "more.json").write_bytes(to_json(make_bundle(make_record(), [])))
    demo("merge", "more.json")
    assert demo("show", "--all", "--json").stdout.count(b"\n") == 9
    assert demo("show", "--all", "--json", "--at", known["value"]).stdout == before
