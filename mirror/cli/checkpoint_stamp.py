"""`mirror checkpoint stamp`, `upgrade` and `proof`: time-stamps of OpenTimestamps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click

from mirror.cli import network_options, options
from mirror.cli.exit_codes import FOUND, OK, UPSTREAM
from mirror.cli.output import print_json, print_table, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.engine.atomic_file import OutputFile
from mirror.engine.transparency.stamping import (
    CalendarResult,
    StampReport,
    choose_checkpoint,
    require_library,
    require_proof,
    stamp,
    upgrade,
)
from mirror.net import CalendarClient, Client, ClientConfig
from mirror.store import open_store

__all__ = ["stamp_checkpoint", "upgrade_proof", "write_proof"]

_Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Number(click.types.StringParamType):
    """The type of a parameter that is `last` or the number of a checkpoint."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number, or None for `last`."""
        if value is None or value == "last":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail("give `last`, or a number of `mirror checkpoint list`", param, ctx)


_checkpoint: _Decorator = click.option(
    "--checkpoint",
    "number",
    type=_Number(),
    default="last",
    show_default=True,
    metavar="NUMBER",
    help="Number of the checkpoint in `list`; last: the last one that this mirror signed.",
)


def _calendars(text: str, *, required: bool) -> _Decorator:
    return click.option(
        "--calendar",
        "urls",
        type=options.Text(),
        multiple=True,
        required=required,
        metavar="URL",
        help=text,
    )


def _connected(client: Client, urls: Iterable[str]) -> list[CalendarClient]:
    """Return the calendars of some addresses, each once."""
    return [*{one.url: one for one in (CalendarClient(client, url) for url in urls)}.values()]


@click.command("stamp")
@_calendars("Calendar to ask; may be given again.", required=True)
@_checkpoint
@options.db
@options.as_json
@network_options.client_config
@click.pass_context
def stamp_checkpoint(
    ctx: click.Context,
    urls: tuple[str, ...],
    *,
    number: int | None,
    db: Path,
    as_json: bool,
    client_config: ClientConfig,
) -> None:
    """Send the digest of a checkpoint to OpenTimestamps calendars.

    Their promises of a proof are stored. The calendars learn the SHA-256 of the signed note with a
    random number, and nothing else. Some hours later, `mirror checkpoint upgrade` gets the proofs.

    Exit codes: 0 every calendar promised a proof; 1 a calendar failed; 5 none could be reached.

    \b
    Example:
      mirror checkpoint stamp --calendar https://calendar.example.org
    """
    require_library()
    with open_store(db, must_exist=True) as store, Client(client_config) as client:
        clients = _connected(client, urls)
        report = stamp(store, choose_checkpoint(store, number), clients)
    _print_report(report, as_json=as_json)
    ctx.exit(_exit_code(report, "promised"))


@click.command("upgrade")
@_calendars("Another calendar that may be asked; may be given again.", required=False)
@_checkpoint
@options.db
@options.as_json
@network_options.client_config
@click.pass_context
def upgrade_proof(
    ctx: click.Context,
    urls: tuple[str, ...],
    *,
    number: int | None,
    db: Path,
    as_json: bool,
    client_config: ClientConfig,
) -> None:
    """Ask calendars for the proofs that they promised.

    Only calendars that you named with `stamp` or here are asked.

    Exit codes: 0 every promise was kept; 1 one is pending or failed; 5 no calendar could be
    reached.

    \b
    Example:
      mirror checkpoint upgrade
    """
    require_library()
    with open_store(db, must_exist=True) as store, Client(client_config) as client:
        connect = partial(CalendarClient, client)
        named = _connected(client, urls)
        report = upgrade(store, choose_checkpoint(store, number), named, connect)
    _print_report(report, as_json=as_json)
    ctx.exit(_exit_code(report, "completed"))


@click.command("proof")
@click.argument("out", type=OutputPath(), metavar="OUT.ots")
@_checkpoint
@options.db
@writes
def write_proof(out: OutputFile, *, number: int | None, db: Path) -> None:
    """Write the time-stamp of a checkpoint to a file.

    Any OpenTimestamps client reads the file. It is about the signed note, as `mirror checkpoint
    sign --out FILE` wrote it.

    \b
    Example:
      mirror checkpoint proof note.txt.ots
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        stored = require_proof(store, choose_checkpoint(store, number))
    with out.open() as file:
        file.write(stored.proof)
    say(f"written: {out.path}")


# Output --------------------------------------------------------------------------------------


def _print_report(report: StampReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_value())
        return
    rows: dict[str, str | list[str]] = {"checkpoint": str(report.checkpoint.number)}
    rows["calendars"] = [_words(one) for one in report.results] or ["no promise is left to keep"]
    if report.anchor is not None:
        rows["time-stamp"] = report.anchor.words
    print_table(rows)


def _words(one: CalendarResult) -> str:
    words = f"{one.calendar}: {one.status.replace('_', ' ')}"
    return ", ".join(filter(None, (words, one.code, one.message)))


def _exit_code(report: StampReport, done: str) -> int:
    if all(one.status == done for one in report.results):
        return OK
    return FOUND if any(one.is_reached for one in report.results) else UPSTREAM
