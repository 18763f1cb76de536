"""`mirror list`: the records of the store, a line each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson

from mirror.cli import options, time_options
from mirror.cli.output import say
from mirror.cli.row_output import print_json_rows, print_lines, print_table_rows
from mirror.cli.tables_beside import no_refresh, opened_tables, time_limit
from mirror.core.events.types import EVENT_TYPES
from mirror.core.point_in_time import PointInTime
from mirror.engine.tables.query import QueryRows
from mirror.engine.tables.record_filter import RecordFilter

__all__ = ["list"]

_FOR_PEOPLE = """
    substr(suffix, 1, 8) AS record,
    coalesce(arxiv_id, source_id) || 'v' || source_version AS source,
    year, primary_category AS category, iif(receipt_key_id IS NULL, 'no', 'yes') AS receipt,
    events_valid AS valid, events_invalid AS invalid,
    coalesce(title_status, 'none') AS "title is", coalesce(title, '') AS title
"""


@click.command()
@options.db
@options.jobs
@click.option("--category", metavar="NAME", help="Only records of this category, such as math.AG.")
@click.option("--year", type=options.Count(0), help="Only records submitted in this year.")
@click.option(
    "--license",
    "licence",
    metavar="TEXT",
    help="Only records with TEXT in their licence, such as by/4.0.",
)
@click.option("--signer", metavar="ID", help="Only records with an event in force by this signer.")
@click.option(
    "--has",
    "event_type",
    type=click.Choice([*EVENT_TYPES]),
    metavar="TYPE",
    help="Only records with an event in force of this type, such as citation_signed.",
)
@click.option(
    "--code", metavar="CODE", help="Only records with this finding, such as event.signature."
)
@click.option(
    "--receipt/--no-receipt", "has_receipt", default=None, help="Only with, or without, a receipt."
)
@click.option(
    "--since",
    "since",
    type=time_options.PointInTimeType(),
    metavar="TIME",
    help="Known time: only records of which something was stored after TIME.",
)
@click.option("--where", metavar="SQL", help="Only records for which this expression is true.")
@click.option("--limit", type=options.Count(0), help="Most records to list; all if not given.")
@time_limit
@no_refresh
@click.option("--ids", "as_ids", is_flag=True, help="Print only Pith Numbers.")
@options.as_json
def list(  # noqa: A001 - the name of the command
    *,
    db: Path,
    category: str | None,
    year: int | None,
    licence: str | None,
    signer: str | None,
    event_type: str | None,
    code: str | None,
    has_receipt: bool | None,
    since: PointInTime | None,
    where: str | None,
    limit: int | None,
    time_limit_s: float,
    no_refresh: bool,
    as_ids: bool,
    as_json: bool,
) -> None:
    """List the records of the store, ascending by Pith Number.

    A record must have all properties that are given. They are read in the tables that `mirror
    query` uses; --where takes an expression over the columns of `records`, which the table
    `dictionary` describes. A title is proved if its digest is in the record, claimed if only a
    graph snapshot has it.

    \b
    Examples:
      mirror list --category math.AG --year 2026
      mirror list --has citation_signed --no-receipt --json
      mirror list --where "events_invalid > 10 AND title LIKE '%lemma%'"
      mirror list --since 2026-06-30 --ids | mirror show - --json
    """
    if as_ids and as_json:
        raise click.UsageError("give --ids or --json")
    known_after = None if since is None else since.text
    chosen = RecordFilter(
        category, year, licence, signer, event_type, code, has_receipt, known_after, where
    )
    columns = "pith_number" if as_ids else "*" if as_json else _FOR_PEOPLE
    with opened_tables(db, no_refresh=no_refresh) as tables:
        rows = tables.run(chosen.statement(columns, time_limit_s))
        _print(rows, limit, as_ids=as_ids, as_json=as_json)
        has_more = limit is not None and next(rows, None) is not None
    if has_more:
        say("… and more records; a higher --limit lists them")


def _print(rows: QueryRows, limit: int | None, *, as_ids: bool, as_json: bool) -> None:
    shown = itertools.islice(rows, limit)
    if as_ids:
        print_lines(str(number) for (number,) in shown)
    elif as_json:
        print_json_rows(rows.columns, _with_arrays(rows.columns, shown))
    else:
        print_table_rows(rows.columns, shown)


def _with_arrays(names: tuple[str, ...], rows: Iterable[Any]) -> Iterator[Any]:
    """Yield rows whose categories are an array of JSON, and not its text."""
    at = names.index("categories")
    for row in rows:
        yield (*row[:at], orjson.Fragment(row[at]), *row[at + 1 :])
