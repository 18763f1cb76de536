"""`mirror checkpoint` and `mirror keys new`: signing what a mirror says, and watching others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from click.core import ParameterSource

from mirror.cli import options
from mirror.cli.output import plural, print_json, print_table, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.core.limits import MAX_KEYS, require_at_most
from mirror.core.transparency.checkpoint import Checkpoint
from mirror.core.transparency.signed_note import Signer, Verifier, parse_signer, parse_verifier
from mirror.core.values import Object
from mirror.engine.atomic_file import OutputFile
from mirror.engine.transparency.checkpoints import (
    CheckpointFinding,
    CheckpointResult,
    keep_checkpoint,
    make_checkpoint,
    write_new_key,
)
from mirror.errors import FormatError
from mirror.store import StoredCheckpoint, open_store

__all__ = ["checkpoint", "new_key"]


@click.command("new")
@click.argument("file", type=OutputPath(), metavar="FILE")
@click.option("--name", required=True, help="What it goes by: like mirror.example.org/pith.")
@options.as_json
@writes
def new_key(file: OutputFile, *, name: str, as_json: bool) -> None:
    """Make a key of the mirror's own, for `mirror checkpoint`.

    The private key goes to FILE, which only you may read; keep it, and a copy in a safe place. The
    public key is printed: hand it to those who shall watch this mirror. It signs checkpoints and
    nothing else: it does not belong into a key set.

    \b
    Example:
      mirror keys new mirror.key --name mirror.example.org/pith
    """
    verifier = write_new_key(file, name)
    if as_json:
        print_json({"file": str(file.path), "name": verifier.name, "public_key": verifier.text})
        return
    say(f"the private key is in {file.path}; the public key is:")
    click.echo(verifier.text.encode())


@click.command()
@options.db
@options.jobs
@click.option("--key", type=options.SmallFile(), metavar="FILE", help="Sign with this private key.")
@click.option("--origin", default="", help="In whose name to sign; else the key's own.")
@click.option(
    "--out", type=OutputPath(), metavar="FILE", help="Write what is signed here, not to stdout."
)
@click.option(
    "--verify", type=options.SmallFile(), metavar="FILE|-", help="Read what another mirror signed."
)
@click.option(
    "--verifier",
    "verifiers",
    type=options.TextOrFile(),
    multiple=True,
    metavar="KEY|@FILE",
    help="A public key that may sign that, or a file of them; may be given again.",
)
@click.option(
    "--old",
    "is_old",
    is_flag=True,
    help="It is history: its date may be before that of others.",
)
@click.option(
    "--list",
    "is_list",
    is_flag=True,
    help="All checkpoints that were kept.",
)
@options.as_json
@click.pass_context
@writes
def checkpoint(
    ctx: click.Context,
    *,
    db: Path,
    key: Path | None,
    origin: str,
    out: OutputFile | None,
    verify: Path | None,
    verifiers: tuple[str, ...],
    is_old: bool,
    is_list: bool,
    as_json: bool,
) -> None:
    """Sign the root of all states; watch what other mirrors sign.

    With --key, the root, the key set that it follows from, and the time are signed and kept. With
    --verify, such a note is held against everything that its origin signed before; exit 1 if
    nobody known signed it, if it contradicts that (a fork), or if it takes something back (a
    rollback). See docs/checkpoints.md.

    \b
    Examples:
      mirror checkpoint --key mirror.key
      curl -s https://mirror.example.org/mirror/checkpoint |
        mirror checkpoint --verify - --verifier @partners.txt
      mirror checkpoint --list --json
    """
    work = _chosen(ctx, key=key is not None, verify=verify is not None, is_list=is_list)
    if work == "key" and key is not None:
        _make(db, key, origin, out, as_json=as_json)
    elif work == "verify" and verify is not None:
        kept = _read(db, verify, verifiers, is_old=is_old)
        _tell(kept, as_json=as_json)
        ctx.exit(1 if kept.findings else 0)
    else:
        _list(db, as_json=as_json)


def _chosen(ctx: click.Context, **options_given: bool) -> str:
    """Return which of several options says what to do; one typed beats one of the environment."""
    given = [name for name, is_given in options_given.items() if is_given]
    typed = [
        name for name in given if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
    ]
    chosen = typed or given
    if len(chosen) != 1:
        raise click.UsageError("give one of --key, --verify and --list")
    return chosen[0]


# Signing -------------------------------------------------------------------------------------


def _make(db: Path, key: Path, origin: str, out: OutputFile | None, *, as_json: bool) -> None:
    signer = _read_signer(key)
    with open_store(db, must_exist=True) as store:
        note = make_checkpoint(store, signer, datetime.now(UTC), origin)
        kept = store.checkpoints.last_own()
    if out is not None:
        with out.open() as file:
            file.write(note.encode())
        say(f"signed by {signer.name}: {out.path}")
    if as_json and kept is not None:
        print_json(_kept_value(kept))
    elif out is None:
        click.echo(note.encode(), nl=False)


def _read_signer(path: Path) -> Signer:
    text = options.read_file(path).decode("utf-8", "replace")
    try:
        return parse_signer(text.removesuffix("\n"))
    except FormatError as error:
        raise _at(error, str(path)) from error


# Reading -------------------------------------------------------------------------------------


def _read(db: Path, source: Path, verifiers: Iterable[str], *, is_old: bool) -> CheckpointResult:
    known = [one for text in verifiers for one in _read_verifiers(text)]
    if not known:
        raise click.UsageError("--verify needs a --verifier: whose signature is to count?")
    data = options.read_file(source)
    with open_store(db) as store:
        try:
            return keep_checkpoint(store, data, known, datetime.now(UTC), is_old=is_old)
        except FormatError as error:
            raise _at(error, "standard input" if str(source) == "-" else str(source)) from error


def _read_verifiers(text: str) -> list[Verifier]:
    """Return the public key that was given, or those of `@FILE`: one a line, `#` for a remark."""
    if not text.startswith("@"):
        return [parse_verifier(text)]
    content = options.read_file(Path(text[1:])).decode("utf-8", "replace")
    lines = [
        (number, line.strip())
        for number, line in enumerate(content.split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ]
    require_at_most(len(lines), MAX_KEYS, "keys", text[1:])
    found = []
    for number, line in lines:
        try:
            found.append(parse_verifier(line))
        except FormatError as error:
            raise _at(error, f"{text[1:]}: line {number}") from error
    return found


def _at(error: FormatError, place: str) -> FormatError:
    """Return the error with the file that it is in before its place."""
    where = f"{place}: {error.where}" if error.where else place
    return type(error)(error.code, error.message, where=where, hint=error.hint)


# Showing -------------------------------------------------------------------------------------


def _tell(kept: CheckpointResult, *, as_json: bool) -> None:
    if as_json:
        print_json(_told(kept))
        return
    if kept.checkpoint is not None:
        rows = _rows(kept.checkpoint)
        rows["signed by"] = [verifier.text for verifier in kept.signed_by]
        rows["kept"] = "new" if kept.is_new else "it was kept before"
        print_table(rows)
    for finding in kept.findings:
        _tell_finding(finding)


def _tell_finding(finding: CheckpointFinding) -> None:
    say(f"{finding.code}: {finding.message}")
    if finding.evidence:
        say("the note that was kept, which says otherwise:")
        for line in finding.evidence.removesuffix("\n").split("\n"):
            say(f"    {line}")


def _list(db: Path, *, as_json: bool) -> None:
    count = 0
    with open_store(db, read_only=True) as store, store.snapshot():
        for count, kept in enumerate(store.checkpoints.all(), 1):  # noqa: B007 - it is counted
            if as_json:
                print_json(_kept_value(kept))
            else:
                rows = _rows(kept.checkpoint)
                rows["kept"] = f"{kept.read_at}{', signed here' if kept.is_own else ''}"
                print_table(rows)
                click.echo()
    if not as_json:
        click.echo(plural(count, "checkpoint"))


def _rows(one: Checkpoint) -> dict[str, str | list[str]]:
    """Return what a checkpoint says, for `print_table`."""
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
        rows["also says"] = list(one.others)
    return rows


def _value(one: Checkpoint | None) -> Object:
    """Return what a checkpoint says, for JSON; null for what it does not say."""
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


def _kept_value(kept: StoredCheckpoint) -> Object:
    said = _value(kept.checkpoint)
    return {**said, "read_at": kept.read_at, "own": kept.is_own, "note": kept.note}


def _told(kept: CheckpointResult) -> Object:
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
