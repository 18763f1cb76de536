"""`mirror storage`: whether archives still have the captures that storage attestations name."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from mirror.cli import exit_codes, network_options, options
from mirror.cli.output import plural, print_json, print_table, print_text
from mirror.cli.progress import show_progress
from mirror.core.escaping import escape_terminal
from mirror.engine.identifiers import look_up
from mirror.engine.storage.attestations import read_attestations, record_ids
from mirror.engine.storage.check import (
    CaptureResult,
    StorageCheckOptions,
    StorageSummary,
    check_storage,
)
from mirror.engine.storage.status import CaptureStatus
from mirror.net import Client, ClientConfig
from mirror.store import StorageCheck, open_store

__all__ = ["storage"]


@click.group()
def storage() -> None:
    """Ask archives whether they still have attested captures.

    A storage attestation (`storage_attested`) is a signer's word that an archive has a capture. The
    answers of the archives are stored with their times and shown beside the attestations; they are
    no part of a state.
    """


@storage.command("check")
@click.argument("identifier", metavar="[ID]", required=False)
@options.db
@click.option(
    "--older-than",
    type=options.Count(0),
    metavar="DAYS",
    help="Ask only where the last answer is older, or where there is none.",
)
@options.as_json
@network_options.client_config
def check_captures(
    identifier: str | None,
    *,
    db: Path,
    older_than: int | None,
    as_json: bool,
    client_config: ClientConfig,
) -> None:
    """Ask for each attested capture, and store the answers.

    The attestations in force of one record, or of all, name the captures. This sends requests to
    the archives, and is the only command that does. A capture is there if the response has its time
    in Memento-Datetime (RFC 7089); nothing of it is downloaded. Rerun the command with --older-than
    to resume an interrupted run.

    \b
    present          the archive has this capture
    present_undated  a page is there, but not said to be of that time
    other_capture    it answers with a capture of another time
    gone, refused    it answers 404 or 410, or another 4xx
    failed           it answers with an error
    unreachable      it does not answer
    not_allowed      its address may not be requested
    not_asked        it did not answer 3 times in a row in this run

    \b
    Examples:
      mirror storage check 1705.09786
      mirror storage check --older-than 30 --contact mailto:me@a.example

    Exit codes: 0 all present; 1 any is not; 5 no archive answered.
    """
    with (
        Client(client_config) as client,
        open_store(db, must_exist=True) as store,
        show_progress("asked for") as progress,
    ):
        if identifier is None:
            chosen = record_ids(store)
        else:
            record_id = look_up(store.records, identifier)
            read_attestations(store, record_id)  # the one record must not be damaged
            chosen = iter([record_id])
        progress.expect(store.records.count() if identifier is None else 1)
        summary = check_storage(
            store,
            chosen,
            client,
            StorageCheckOptions(
                older_than=None if older_than is None else _days(older_than),
                on_result=_print_result_json if as_json else _print_result,
                progress=progress.advance,
            ),
        )
    _print_summary(summary, client.requests, as_json=as_json)
    sys.exit(exit_codes.of_storage_check(summary))


def _days(number: int) -> timedelta:
    """Return a duration; the longest one possible for a number that is too large."""
    return timedelta(days=min(number, 500_000))


@storage.command("list")
@click.argument("identifier", metavar="[ID]", required=False)
@options.db
@options.as_json
def list_answers(identifier: str | None, *, db: Path, as_json: bool) -> None:
    """List the stored answers of archives, the oldest first.

    On the captures of one record, or of all; also on those whose attestation is not in force any
    more.

    \b
    Examples:
      mirror storage list 1705.09786
      mirror storage list --json
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        number = None
        if identifier is not None:
            number = store.records.get(look_up(store.records, identifier)).pith_number
        for check in store.storage_checks.all(number):
            if as_json:
                print_json(check._asdict())
            else:
                _print_check(check)


# Output --------------------------------------------------------------------------------------


def _print_result(result: CaptureResult) -> None:
    if result.is_asked or result.check.status != CaptureStatus.PRESENT:
        _print_check(result.check)


def _print_check(check: StorageCheck) -> None:
    at = f"{check.at[:19]}Z " if check.at else ""
    print_text(escape_terminal(f"{at}{check.status} {check.pith_number} {check.url}"))
    if check.status != CaptureStatus.PRESENT or check.redirected_to:
        print_text(escape_terminal(check.message), 2)


def _print_result_json(result: CaptureResult) -> None:
    attestation = result.attestation
    claimed = {"archive": attestation.archive, "captured_at": attestation.captured_at}
    print_json({**result.check._asdict(), **claimed, "is_asked": result.is_asked})


def _print_summary(summary: StorageSummary, requests: int, *, as_json: bool) -> None:
    if as_json:
        counts: dict[str, Any] = {one.value: summary.statuses[one] for one in CaptureStatus}
        others = {"asked": summary.asked, "recent": summary.recent, "damaged": summary.damaged}
        print_json({"summary": {**counts, **others, "requests": requests}})
        return
    rows: dict[str, str | list[str]] = {
        status.replace("_", " "): plural(summary.statuses[status], "capture")
        for status in CaptureStatus
        if summary.statuses[status]
    }
    if summary.recent:
        rows["not asked again"] = f"{plural(summary.recent, 'capture')}, of these"
    if summary.damaged:
        rows["damaged"] = f"{plural(summary.damaged, 'record')}, left out: see `mirror check`"
    if not rows:
        rows["captures"] = "none: no storage attestation is in force"
    print_table({**rows, "requests": f"{requests:,}"})
