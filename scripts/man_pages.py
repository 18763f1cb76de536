"""Manual pages of all commands, made from their help.

A page has every word of the help, in the sections that a reader of man(1) expects: examples and
exit codes get sections of their own, and each option's variable stands under ENVIRONMENT. Its
language is that of the macro package man(7). Version and date are those of the release.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

import mirror
from mirror.cli import main

__all__ = ["PAGES", "man_pages", "roff"]

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ROOT / "docs" / "man"

_WIDTH: Final = 78
"""Columns of a line of source; mandoc takes at most 80."""
_SPECIAL: Final = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
_CODE: Final = re.compile(r"`([^`]+)`|(?<![\w-])(--?[a-z][a-z-]*)")
"""What is printed in bold: quoted words of the command line, and options."""
_PLACEHOLDER: Final = re.compile(r"[A-Z][A-Z_]*(?:\.[a-z]+)?")


@dataclass(frozen=True)
class _Help:
    """The text of a help, by the sections of a page."""

    summary: str
    description: list[str] = field(default_factory=list)
    """Paragraphs; one that begins with a BS is printed line by line."""
    environment: str = ""
    exit_codes: Mapping[str, str] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


def man_pages() -> dict[str, bytes]:
    """Return the content of each page by its name, such as `mirror-keys-add.1`."""
    context = click.Context(main, info_name="mirror", **main.context_settings)
    exit_codes = _read_help(main).exit_codes
    return {
        f"{_page_name(one)}.1": _page(one, exit_codes).encode() for one in _with_all_below(context)
    }


def roff(text: str) -> str:
    """Return a text as roff prints it, without a macro in it."""
    return "".join(
        _SPECIAL.get(one, one if one.isascii() else rf"\[u{ord(one):04X}]") for one in text
    )


def _below(context: click.Context) -> Iterator[click.Context]:
    """Yield the commands of a group; none of another command."""
    if not isinstance(group := context.command, click.Group):
        return
    for name in group.list_commands(context):
        if (inner := group.get_command(context, name)) is not None:
            yield click.Context(inner, info_name=name, parent=context)


def _with_all_below(context: click.Context) -> Iterator[click.Context]:
    yield context
    for one in _below(context):
        yield from _with_all_below(one)


def _page_name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


# Help ----------------------------------------------------------------------------------------


def _read_help(command: click.Command) -> _Help:
    """Sort the paragraphs of a help by their first word."""
    first, *paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    environment, exit_codes, examples = "", dict[str, str](), list[str]()
    description = [first]
    for one in paragraphs:
        head, _, rest = one.partition("\n" if one.startswith("\b") else " ")
        lines = rest.splitlines()
        if head == "\b" and lines[0] in {"Example:", "Examples:"}:
            examples += textwrap.dedent("\n".join(lines[1:])).splitlines()
        elif one.startswith("Exit codes: "):
            exit_codes = _read_exit_codes(one.removeprefix("Exit codes: "))
        elif one.startswith("Environment: "):
            environment = one.removeprefix("Environment: ")
        else:
            description.append(one)
    return _Help(first, description, environment, exit_codes, examples)


def _read_exit_codes(text: str) -> dict[str, str]:
    """Read a text such as `0 all is well; 1 it is not`, by code."""
    items = re.split(r"; (?=\d+ )", " ".join(text.split()).removesuffix("."))
    return dict(item.split(" ", 1) for item in items)


# Sections ------------------------------------------------------------------------------------


def _page(context: click.Context, exit_codes: Mapping[str, str]) -> str:
    command, text = context.command, _read_help(context.command)
    sections = {
        "NAME": _filled(_name(context, text.summary)),
        "SYNOPSIS": _filled(f"\\fB{roff(context.command_path)}\\fR {_usage(context)}"),
        "DESCRIPTION": list(_description(text.description)),
        "OPTIONS": [line for one in command.get_params(context) for line in _option(context, one)],
        "COMMANDS": list(_commands(context)),
        "ENVIRONMENT": list(_environment(context, text.environment)),
        "EXIT STATUS": list(_exit_status({**exit_codes, **text.exit_codes})),
        "EXAMPLES": _as_written(text.examples) if text.examples else [],
        "SEE ALSO": list(_see_also(context)),
    }
    lines = [_title(context)]
    for name, content in sections.items():
        if content:
            lines += [f".SH {name}", *content]
    return "\n".join([*lines, ""])


def _title(context: click.Context) -> str:
    changes = (ROOT / "CHANGELOG.md").read_text()
    version = mirror.__version__
    date = re.search(rf"^## \[{re.escape(version)}\] - (.+)$", changes, re.MULTILINE)
    name = roff(_page_name(context).upper())
    return f'.TH {name} 1 "{date[1] if date else ""}" "mirror {version}" "User Commands"'


def _name(context: click.Context, summary: str) -> str:
    line = " ".join(summary.split()).removesuffix(".")
    return rf"{roff(_page_name(context))} \- {roff(line[0].lower() + line[1:]).replace('`', '')}"


def _usage(context: click.Context) -> str:
    words = " ".join(context.command.collect_usage_pieces(context))
    return _PLACEHOLDER.sub(lambda found: rf"\fI{found[0]}\fR", roff(words))


def _description(paragraphs: Sequence[str]) -> Iterator[str]:
    for number, one in enumerate(paragraphs):
        if number:
            yield ".PP"
        if one.startswith("\b"):
            yield from _as_written(one.splitlines()[1:])
        else:
            yield from _filled(_prose(one))


def _option(context: click.Context, option: click.Parameter) -> Iterator[str]:
    record = option.get_help_record(context)
    if record is None or not isinstance(option, click.Option):
        return
    extra = option.get_help_extra(context)
    details = [
        f"default: {extra['default']}" if "default" in extra else "",
        extra.get("range", ""),
        extra.get("required", ""),
    ]
    notes = "; ".join(filter(None, details))
    yield from _item(_spelled(record[0]), _prose(option.help or ""))
    if notes:
        yield from (".br", f"[{roff(notes)}]")


def _spelled(names: str) -> str:
    """Return `-o, --option VALUE` with its names in bold."""
    return re.sub(r"(?<!\S)(\\-\S*?)(,?)(?!\S)", r"\\fB\1\\fR\2", roff(names))


def _commands(context: click.Context) -> Iterator[str]:
    for one in _below(context):
        yield from _item(_reference(_page_name(one)), _prose(_read_help(one.command).summary))


def _environment(context: click.Context, text: str) -> Iterator[str]:
    if text:
        yield from (*_filled(_prose(text[0].upper() + text[1:])), ".PP")
    options = [one for one in context.command.params if isinstance(one, click.Option)]
    variables = {one.envvar: one.opts[0] for one in options if isinstance(one.envvar, str)}
    if variables:
        width = max(map(len, variables))
        yield "An option that is not given is taken from its variable:"
        yield from _as_written([f"{name:{width}}  {one}" for name, one in variables.items()])


def _exit_status(exit_codes: Mapping[str, str]) -> Iterator[str]:
    for code, meaning in sorted(exit_codes.items(), key=lambda one: int(one[0])):
        yield from _item(rf"\fB{code}\fR", _prose(f"{meaning[0].upper()}{meaning[1:]}."))


def _see_also(context: click.Context) -> Iterator[str]:
    """List the commands above this one, and those that its help names."""
    known = {_page_name(one) for one in _with_all_below(context.find_root())}
    words = _page_name(context).split("-")
    above = ["-".join(words[:count]) for count in range(1, len(words))]
    named = re.findall(r"`(mirror(?: [a-z-]+)+)", context.command.help or "")
    pages = [*above, *(_longest(one.split(), known) for one in named)]
    own = _page_name(context)
    references = [_reference(one) for one in dict.fromkeys(pages) if one in known and one != own]
    yield from (f"{one}," for one in references[:-1])
    yield from references[-1:]


def _longest(words: Sequence[str], known: set[str]) -> str:
    """Return the page of the command that words begin with."""
    names = ("-".join(words[:count]) for count in range(len(words), 0, -1))
    return next(name for name in names if name in known)


# roff ----------------------------------------------------------------------------------------


def _reference(name: str) -> str:
    return rf"\fB{roff(name)}\fR(1)"


def _prose(text: str) -> str:
    """Return a paragraph, with options and quoted commands in bold."""
    parts = re.split(_CODE, " ".join(text.split()))
    found = [roff(parts[0])]
    for quoted, option, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found.append(rf"\fB{roff(quoted or option)}\fR{roff(after)}")
    return "".join(found)


def _filled(text: str) -> list[str]:
    """Break a paragraph into lines of which none is a macro."""
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line.startswith((".", "'")) else line for line in lines]


def _item(tag: str, text: str) -> list[str]:
    return [".TP", tag, *_filled(text)]


def _as_written(lines: Sequence[str]) -> list[str]:
    """Return lines that are printed as they are, in a font of one width."""
    protected = [f"\\&{line}" if line.startswith((".", "'")) else line for line in map(roff, lines)]
    return [".RS 4", ".EX", *protected, ".EE", ".RE"]
