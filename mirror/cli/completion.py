"""`mirror completion`, and the completion of words that its scripts ask the program for."""

from __future__ import annotations

import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from mirror.cli.commands import SUBCOMMANDS
from mirror.cli.output import echo

__all__ = ["complete_names", "completion", "register_shells"]

_BREAKS = re.compile("\0([=:]+)(?:\0|$)")
"""A word that bash makes of each `=` and `:`, between the words that it parts."""


_FISH = """\
function %(complete_func)s
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
            COMP_CWORD=(commandline -t) %(prog_name)s)
        set -l parts (string split --max 1 "," $line)
        set -l option (string match --regex -- "^-[^=]*=" (commandline -t))
        switch $parts[1]
            case dir
                string replace --regex -- "^" "$option" (__fish_complete_directories $parts[2])
            case file
                string replace --regex -- "^" "$option" (__fish_complete_path $parts[2])
            case plain
                echo $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the script that completes commands in a shell.

    The shell then completes commands, options, choices and files after TAB. The script asks
    `mirror` for them, so it need not be printed again for another version.

    \b
    Examples:
      eval "$(mirror completion bash)"        in ~/.bashrc
      eval "$(mirror completion zsh)"         in ~/.zshrc, after compinit
      mirror completion fish | source         in ~/.config/fish/config.fish
    """
    script = _CLASSES[shell](ctx.find_root().command, {}, "mirror", "_MIRROR_COMPLETE").source()
    echo(script.rstrip("\n"))


def complete_names(table: dict[str, str], incomplete: str) -> list[CompletionItem]:
    """Return the commands of a table that begin with a text, with their lines."""
    return [
        CompletionItem(name, help=line)
        for name, line in sorted(table.items())
        if name.startswith(incomplete)
    ]


def register_shells() -> None:
    """Have click complete words with the classes of this module."""
    for name, one in _CLASSES.items():
        add_completion_class(one, name)


class _Names(ShellComplete):
    """Completes the commands of a group without an import of them."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions of a word after other ones."""
        is_option = incomplete.startswith("-")
        if len(args) == 1 and args[0] in SUBCOMMANDS and not is_option:
            return complete_names(SUBCOMMANDS[args[0]], incomplete)
        return super().get_completions(args, incomplete)


class _Bash(_Names, BashComplete):
    """Completes words of bash, which parts them at `=` and `:`."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that one, whole."""
        args, incomplete = super().get_completion_args()
        *args, incomplete = _BREAKS.sub(r"\1", "\0".join([*args, incomplete])).split("\0")
        return args, incomplete


class _WholeWords(_Names):
    """Completes words of a shell that replaces `--option=value` as a whole."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions of a word after other ones."""
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if not (option.startswith("-") and equals):
            return found
        return [
            CompletionItem(f"{option}={one.value}", help=one.help) if one.type == "plain" else one
            for one in found
        ]


class _Zsh(_WholeWords, ZshComplete):
    """Completes words of zsh."""

    def source(self) -> str:
        """Return the script, which leaves `--option=` aside where it completes a path."""
        return super().source().replace("_path_files", "compset -P '-*='; _path_files")


class _Fish(_WholeWords, FishComplete):
    """Completes words of fish, with a script of our own: that of click cuts help at a comma."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script."""
        words = (item.help or "").split()
        return f"{item.type},{item.value}" + (f"\t{' '.join(words)}" if words else "")


_CLASSES: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}
