"""`mirror query`: one statement of SQL on the tables of the store."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import click

from mirror.cli import exit_codes, options
from mirror.cli.output import say
from mirror.cli.row_output import print_csv_rows, print_json_rows, print_table_rows
from mirror.cli.tables_beside import no_refresh, opened_tables, time_limit
from mirror.engine.tables.query import QueryRows, Statement

__all__ = ["query"]

_SHOWN = 200


class ParameterType(click.ParamType[tuple[str, "str | int"]]):
    """`NAME=VALUE`; a value that is written as an integer is one."""

    name = "parameter"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str | int]:
        """Return the name and the value."""
        name, equals, text = options.Text().convert(value, param, ctx).partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            self.fail("must be NAME=VALUE, for :NAME in the statement", param, ctx)
        return name, int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else text


@click.command()
@click.argument("sql", type=options.TextOrFile(), metavar="SQL|@FILE|-")
@options.db
@options.jobs
@click.option(
    "--param",
    "parameters",
    type=ParameterType(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of :NAME in the statement; repeatable.",
)
@click.option(
    "--limit",
    type=options.Count(0),
    help=f"Most rows to print; {_SHOWN} if not given, with --csv and --json all.",
)
@time_limit
@no_refresh
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV (RFC 4180) with a header.")
@options.as_json
def query(
    *,
    sql: str,
    db: Path,
    parameters: tuple[tuple[str, str | int], ...],
    limit: int | None,
    time_limit_s: float,
    no_refresh: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Run one SELECT on the tables of the store.

    The tables, which the table `dictionary` describes, are kept in a file beside the store,
    mirror.tables.db for mirror.db, which is made or brought up to date first. The statement can
    only read.

    Values are printed as they are stored. A spreadsheet may take a text that begins with = for a
    formula: import CSV as text. NULL is an empty field in CSV, and an empty text is "".

    \b
    Examples:
      mirror query "SELECT * FROM dictionary"
      mirror query "SELECT signer_id, count(*) FROM events GROUP BY 1"
      mirror query "SELECT * FROM records WHERE year = :y" --param y=2026
      mirror query "SELECT text FROM texts_fts('holographic')" --json
      mirror query @report.sql --csv > report.csv

    Exit codes: 0 every row was printed, or as many as --limit says; 1 rows are missing: more than
    200 without --limit, or a limit of time or size was reached; 2 the statement is wrong or would
    write.
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json")
    text = options.read_text(sql)
    with opened_tables(db, no_refresh=no_refresh) as tables:
        rows = tables.run(Statement(text, dict(parameters), time_limit_s))
        most = limit if limit is not None or as_csv or as_json else _SHOWN
        _print(rows, most, as_csv=as_csv, as_json=as_json)
        is_cut = most is not None and next(rows, None) is not None
    if is_cut:
        say("… and more rows; --limit, --csv and --json show them")
    sys.exit(exit_codes.FOUND if is_cut and limit is None else exit_codes.OK)


def _print(rows: QueryRows, most: int | None, *, as_csv: bool, as_json: bool) -> None:
    shown = itertools.islice(rows, most)
    if as_csv:
        print_csv_rows(rows.columns, shown)
    elif as_json:
        print_json_rows(rows.columns, shown)
    else:
        print_table_rows(rows.columns, shown)
