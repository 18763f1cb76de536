"""`mirror keys new`: the mirror's own key, with which it signs checkpoints."""

from __future__ import annotations

import click

from mirror.cli import options
from mirror.cli.output import print_json, say
from mirror.cli.output_paths import OutputPath, writes
from mirror.engine.atomic_file import OutputFile
from mirror.engine.transparency.checkpoints import write_new_key

__all__ = ["new_key"]


@click.command("new")
@click.argument("file", type=OutputPath(), metavar="FILE")
@click.option("--name", required=True, help="Name of the key, such as mirror.example.org/pith.")
@options.as_json
@writes
def new_key(file: OutputFile, *, name: str, as_json: bool) -> None:
    """Make the mirror's own key for `mirror checkpoint sign`.

    The private key is written to FILE, which only you may read; keep a copy in a safe place. The
    public key is printed: give it to those who will watch this mirror. The key signs checkpoints
    and nothing else, so it does not belong in a key set.

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
