"""`mirror checkpoint` and `mirror keys new`: signed checkpoints of this and other mirrors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from mirror.cli import options
from mirror.cli.checkpoint_stamp import stamp_checkpoint, upgrade_proof, write_proof
from mirror.cli.exit_codes import FOUND, OK
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.core.limits import MAX_KEYS, require_at_most
from mirror.core.transparency.checkpoint import Checkpoint
from mirror.core.transparency.signed_note import Verifier, parse_signer, parse_verifier
from mirror.core.values import Object, sha256
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.atomic_file import OutputFile
from mirror.engine.transparency.checkpoints import (
    CheckpointFinding,
    CheckpointResult,
    keep_checkpoint,
    make_checkpoint,
)
from mirror.engine.transparency.stamping import proof_result
from mirror.store import StoredCheckpoint, open_store

__all__ = ["checkpoint"]


@click.group()
def checkpoint() -> None:
    """Sign the root of all states; verify that of other mirrors.

    A checkpoint is a signed note (C2SP) of the root of all states, the key set and the time.
    """


checkpoint.add_command(stamp_checkpoint)
checkpoint.add_command(upgrade_proof)
checkpoint.add_command(write_proof)


@checkpoint.command()
@options.db
@options.jobs
@click.option(
    "--key",
    type=options.SmallFile(),
    required=True,
    metavar="FILE",
    help="Private key to sign with.",
)
@click.option("--origin", default="", help="Origin of the checkpoint; the key's name if not given.")
@click.option(
    "--out", type=OutputPath(), metavar="FILE", help="Write the signed note to FILE, not to stdout."
)
@options.as_json
@writes
def sign(db: Path, *, key: Path, origin: str, out: OutputFile | None, as_json: bool) -> None:
    """Sign the root of all states, and store the checkpoint.

    \b
    Example:
      mirror checkpoint sign --key mirror.key
    """
    text = options.read_input(key).decode("utf-8", "replace")
    with options.locate_errors(key):
        signer = parse_signer(text.removesuffix("\n"))
    with open_store(db, must_exist=True) as store:
        note = make_checkpoint(store, signer, datetime.now(UTC), origin)
        stored = store.checkpoints.last_own()
    if out is not None:
        with out.open() as file:
            file.write(note.encode())
        say(f"signed by {signer.name}: {out.path}")
    if as_json and stored is not None:
        print_json(_stored_value(stored, None))
    elif out is None:
        click.echo(note.encode(), nl=False)


_FALSE_PROOFS = frozenset({
    AnchorStatus.MALFORMED, AnchorStatus.NOT_THIS_DIGEST, AnchorStatus.WRONG_BLOCK
})  # fmt: skip
"""Results of a time-stamp that contradict it."""


@checkpoint.command()
@click.argument("file", type=options.SmallFile(), metavar="FILE|-")
@options.db
@click.option(
    "--verifier",
    "verifiers",
    type=options.TextOrFile(),
    multiple=True,
    required=True,
    metavar="KEY|@FILE",
    help="Public key of a trusted signer, or a file of them; may be given again.",
)
@click.option("--historical", is_flag=True, help="Accept a date before that of later checkpoints.")
@options.as_json
@click.pass_context
def verify(
    ctx: click.Context,
    file: Path,
    *,
    db: Path,
    verifiers: tuple[str, ...],
    historical: bool,
    as_json: bool,
) -> None:
    """Verify and store a checkpoint of another mirror.

    It is compared with all checkpoints of its origin that are stored, and its time-stamp, if there
    is one, with the block headers.

    \b
    Example:
      curl -s https://mirror.example.org/mirror/checkpoint |
        mirror checkpoint verify - --verifier @partners.txt

    Exit codes: 0 a trusted key signed it, and nothing contradicts it; 1 no trusted key signed it,
    it contradicts another one (a fork), it withdraws something (a rollback), or its time-stamp is
    false.
    """
    known = [one for text in verifiers for one in _read_verifiers(text)]
    if not known:
        raise click.UsageError("--verifier names no public key")
    data = options.read_input(file)
    with open_store(db) as store, options.locate_errors(file):
        result = keep_checkpoint(store, data, known, datetime.now(UTC), is_old=historical)
        anchor = proof_result(store, sha256(result.note.encode()))
    _print_result(result, anchor, as_json=as_json)
    is_false = anchor is not None and anchor.status in _FALSE_PROOFS
    ctx.exit(FOUND if result.findings or is_false else OK)


def _read_verifiers(text: str) -> Iterator[Verifier]:
    """Yield a public key, or those of `@FILE`: one a line, `#` for a comment."""
    if not text.startswith("@"):
        yield parse_verifier(text)
        return
    path = Path(text[1:])
    lines = [
        (number, line.strip())
        for number, line in enumerate(options.read_text(text).split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ]
    require_at_most(len(lines), MAX_KEYS, "keys", str(path))
    for number, line in lines:
        with options.locate_errors(path, f"line {number}"):
            yield parse_verifier(line)


@checkpoint.command("list")
@options.db
@options.as_json
def list_checkpoints(*, db: Path, as_json: bool) -> None:
    """List all stored checkpoints.

    \b
    Example:
      mirror checkpoint list --json
    """
    count = 0
    with open_store(db, read_only=True) as store, store.snapshot():
        for stored in store.checkpoints.all():
            count += 1
            anchor = proof_result(store, stored.digest)
            if as_json:
                print_json(_stored_value(stored, anchor))
            else:
                print_table(_stored_rows(stored, anchor))
                click.echo()
    if not as_json:
        click.echo(plural(count, "checkpoint"))


# Output --------------------------------------------------------------------------------------


def _print_result(kept: CheckpointResult, anchor: AnchorResult | None, *, as_json: bool) -> None:
    if as_json:
        print_json({**_result_value(kept), "proof": _proof_value(anchor)})
        return
    if kept.checkpoint is not None:
        rows = _rows(kept.checkpoint)
        rows["signed by"] = [verifier.text for verifier in kept.signed_by]
        rows["kept"] = "new" if kept.is_new else "it was stored before"
        rows.update(_proof_rows(anchor))
        print_table(rows)
    for finding in kept.findings:
        _print_finding(finding)


def _print_finding(finding: CheckpointFinding) -> None:
    say(f"{finding.code}: {finding.message}")
    if finding.evidence:
        say("the stored note that it contradicts:")
        for line in finding.evidence.removesuffix("\n").split("\n"):
            say(f"    {line}")


def _rows(one: Checkpoint) -> dict[str, str | list[str]]:
    """Return the members of a checkpoint for `print_table`."""
    rows: dict[str, str | list[str]] = {
        "origin": one.origin,
        "records": f"{one.size:,}",
        "root": one.root.hex(),
    }
    said = one.particulars
    if said is not None:
        rows["key set"] = said.key_set_digest
        rows["merge"] = said.merge_version
        rows["events"] = f"{said.events_valid:,} valid, {said.events_invalid:,} invalid"
        rows["time"] = f"{said.time}, as its signer claims"
    if one.others:
        rows["other lines"] = list(one.others)
    return rows


def _stored_rows(
    stored: StoredCheckpoint, anchor: AnchorResult | None
) -> dict[str, str | list[str]]:
    signed_here = ", signed here" if stored.is_own else ""
    rows = {"number": str(stored.number), **_rows(stored.checkpoint)}
    return {**rows, "kept": f"{stored.read_at}{signed_here}", **_proof_rows(anchor)}


def _proof_rows(anchor: AnchorResult | None) -> dict[str, str | list[str]]:
    return {} if anchor is None else {"time-stamp": anchor.words}


def _proof_value(anchor: AnchorResult | None) -> Object | None:
    return None if anchor is None else anchor.to_value()


def _value(one: Checkpoint | None) -> Object:
    """Return the members of a checkpoint for JSON; null for members that are absent."""
    said = None if one is None else one.particulars
    return {
        "origin": None if one is None else one.origin,
        "size": None if one is None else one.size,
        "root": None if one is None else one.root.hex(),
        "key_set_digest": None if said is None else said.key_set_digest,
        "merge_version": None if said is None else said.merge_version,
        "events_valid": None if said is None else said.events_valid,
        "events_invalid": None if said is None else said.events_invalid,
        "time": None if said is None else said.time,
        "others": [] if one is None else list(one.others),
    }


def _stored_value(kept: StoredCheckpoint, anchor: AnchorResult | None) -> Object:
    return {
        "number": kept.number,
        **_value(kept.checkpoint),
        "read_at": kept.read_at,
        "own": kept.is_own,
        "note": kept.note,
        "proof": _proof_value(anchor),
    }


def _result_value(kept: CheckpointResult) -> Object:
    return {
        **_value(kept.checkpoint),
        "signed_by": [verifier.text for verifier in kept.signed_by],
        "new": kept.is_new,
        "note": kept.note,
        "findings": [
            {"code": one.code, "message": one.message, "evidence": one.evidence}
            for one in kept.findings
        ],
    }
