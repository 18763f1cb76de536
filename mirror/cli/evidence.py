"""`mirror evidence`: one file that proves itself, and the check of such a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mirror.cli import exit_codes, options
from mirror.cli.output import echo, print_json, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.core.escaping import escape_name, escape_terminal
from mirror.core.transparency.signed_note import parse_verifier
from mirror.engine.atomic_file import OutputFile
from mirror.engine.evidence.check import CheckedEvidence, check_evidence
from mirror.engine.evidence.document import make_evidence
from mirror.engine.identifiers import look_up
from mirror.engine.states.root import update_root
from mirror.errors import LimitError
from mirror.store import open_store
from mirror.web.pages.evidence_file import document_in, evidence_page, is_unchanged

__all__ = ["evidence"]

_MOST_BYTES = 64 << 20
"""Bytes of a file: a record may have many events."""


@click.command()
@click.argument("identifier", metavar="[ID", required=False)
@click.argument("out", type=OutputPath(), metavar="OUT.html]", required=False)
@options.db
@options.jobs
@click.option(
    "--verifier",
    type=options.TextOrFile(),
    metavar="KEY",
    help="Public key of this mirror, for its checkpoint; @FILE reads it.",
)
@click.option(
    "--check",
    "file",
    type=options.InputFile(),
    metavar="FILE",
    help="Check an evidence file; no store is needed.",
)
@options.as_json
@writes
def evidence(
    identifier: str | None,
    out: OutputFile | None,
    *,
    db: Path,
    verifier: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Write a file that proves what is known of a record; check one.

    The file is a web page that needs no network. It holds the bundle, the key set, the state, the
    inclusion proof, the last checkpoint if it is of the current root, block headers for its
    time-stamps, and upstream's statements; and a program that checks them and says whom to trust.

    \b
    Examples:
      mirror evidence 1705.09786 evidence.html
      mirror evidence 1705.09786 evidence.html --verifier @mirror.pub
      mirror evidence --check evidence.html
    """
    if file is not None:
        if identifier is not None:
            raise click.UsageError("give ID and OUT.html, or --check FILE")
        _check(file, as_json=as_json)
    if identifier is None or out is None:
        raise click.UsageError("give ID and OUT.html, or --check FILE")
    known = None if verifier is None else parse_verifier(options.read_text(verifier).strip())
    with open_store(db, must_exist=True) as store:
        update_root(store)
        with store.snapshot():
            document = make_evidence(store, look_up(store.records, identifier), known)
    page = evidence_page(document)
    _require_checkable(page, str(document["pith_number"]))
    with out.open() as written:
        written.write(page)
    if as_json:
        print_json({"file": str(out.path), "bytes": len(page), "evidence": document})
    else:
        path = escape_name(str(out.path))
        say(f"evidence of {document['pith_number']} written to {path}: {len(page):,} bytes")
        say("open it in a browser, or check it with `mirror evidence --check FILE`")


def _require_checkable(page: bytes, pith_number: str) -> None:
    """Refuse to write a file that `--check` would not read.

    Raises:
        LimitError: `limit.size`
    """
    if len(page) > _MOST_BYTES:
        message = f"its evidence has {len(page):,} bytes, and --check reads {_MOST_BYTES:,}"
        hint = "`mirror export` and `mirror prove` write the same facts without this limit"
        raise LimitError("limit.size", message, where=pith_number, hint=hint)


def _check(path: Path, *, as_json: bool) -> None:
    """Print the results of all checks of a file, and exit."""
    page = options.read_input(path, _MOST_BYTES)
    checked, unchanged = check_evidence(document_in(page)), is_unchanged(page)
    if as_json:
        print_json({**checked.to_value(), "page_is_unchanged": unchanged})
    else:
        _print(checked, unchanged=unchanged)
    sys.exit(exit_codes.OK if checked.holds and unchanged else exit_codes.FOUND)


def _print(checked: CheckedEvidence, *, unchanged: bool) -> None:
    echo(escape_terminal(checked.pith_number))
    for one in checked.checks:
        echo(escape_terminal(f"{one.status.value:12} {one.name}: {one.words}"))
    same = "as this version of mirror makes it from the document"
    echo(f"{'holds' if unchanged else 'fails':12} page: {'' if unchanged else 'not '}{same}")
    echo("whom you must still trust:")
    for trusted in dict.fromkeys(checked.trusts):
        echo(escape_terminal(f"  {trusted}"))
