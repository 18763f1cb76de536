"""All commands of the program, each imported."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mirror.cli import main

__all__ = ["COMMANDS", "GROUPS", "walk"]


def walk(
    command: click.Command = main, *path: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the words that name a command, and the command; groups and the program among them."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, *path, name)


COMMANDS = {" ".join(path): one for path, one in walk() if not isinstance(one, click.Group)}
"""The commands that are no groups, by name, such as `keys add`."""

GROUPS = {" ".join(path): one for path, one in walk() if isinstance(one, click.Group)}
"""The groups by name; the program itself has the empty name."""
