"""`mirror prove`: write or check an inclusion proof of a state."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from mirror.cli import exit_codes, options
from mirror.cli.output import print_json, print_table, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.engine.atomic_file import OutputFile
from mirror.engine.identifiers import look_up
from mirror.engine.states.root import update_root
from mirror.engine.transparency.inclusion_proof import InclusionProof, make_proof, parse_proof
from mirror.store import open_store

__all__ = ["prove"]


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@options.db
@options.jobs
@click.option(
    "--check",
    "proof_file",
    type=options.SmallFile(),
    metavar="FILE",
    help="Check a proof in FILE, or - for standard input; no store is needed.",
)
@click.option("--root", "root_text", metavar="HEX", help="Expected root of the proof.")
@click.option(
    "--out", type=OutputPath(), metavar="FILE", help="Write the proof to FILE, not to stdout."
)
@options.as_json
@writes
def prove(
    identifier: str | None,
    *,
    db: Path,
    proof_file: Path | None,
    root_text: str | None,
    out: OutputFile | None,
    as_json: bool,
) -> None:
    """Write or check a proof that a record's state is in the tree.

    The proof is printed as JSON; with --json, as one line. It shows, together with the root alone,
    that a state with this core digest is in the tree of that root (inclusion proof, RFC 6962).

    \b
    Examples:
      mirror prove 1705.09786 --out proof.json
      mirror prove --check proof.json --root 0c1f…
    """
    if (identifier is None) == (proof_file is None):
        raise click.UsageError("give an ID, or --check FILE")
    if proof_file is None and root_text is not None:
        raise click.UsageError("--root needs --check")
    if proof_file is not None and out is not None:
        raise click.UsageError("--check writes no proof: omit --out")
    if proof_file is not None:
        _check(proof_file, root_text, as_json=as_json)
    with open_store(db, must_exist=True) as store:
        update_root(store)
        with store.snapshot():
            proof = make_proof(store, look_up(store.records, identifier or ""))
    if out is not None:
        with out.open() as file:
            file.write(orjson.dumps(proof, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        say(f"proof written to {out.path}")
    if as_json:
        print_json(proof)
    elif out is None:
        click.echo(orjson.dumps(proof, option=orjson.OPT_INDENT_2))


def _check(path: Path, root_text: str | None, *, as_json: bool) -> None:
    """Print whether a proof leads to a root, and exit."""
    proof = parse_proof(options.read_input(path))
    wanted = proof.root if root_text is None else _root(root_text)
    holds = proof.leads_to(wanted)
    if as_json:
        print_json({"pith_number": proof.pith_number, "root": wanted.hex(), "holds": holds})
    else:
        _print_check(proof, wanted, holds=holds, is_own_root=root_text is None)
    sys.exit(exit_codes.OK if holds else exit_codes.FOUND)


def _root(text: str) -> bytes:
    try:
        root = bytes.fromhex(text.strip())
    except ValueError:
        root = b""
    if len(root) != 32:
        raise click.BadParameter("a root is 64 hexadecimal digits", param_hint="--root")
    return root


def _print_check(proof: InclusionProof, wanted: bytes, *, holds: bool, is_own_root: bool) -> None:
    if not holds:
        say(f"no: this does not show that {proof.pith_number} is in the tree of {wanted.hex()}")
        return
    print_table(
        {
            "record": proof.pith_number,
            "core digest": proof.leaf[1].hex(),
            "is in the tree of": wanted.hex(),
            "key set (claimed)": proof.key_set_digest,
            "merge version (claimed)": proof.merge_version,
        }
    )
    if is_own_root:
        say("this root is from the proof itself: compare it with one from another channel")
