"""`docs/tables.md`: its dictionary and its answers, as they should be.

Write both into the page with `python -m tests.engine.tables.analysis_page`, after a change of the
tables or of a question.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from mirror.cli import main
from mirror.engine.tables.schema import TABLES
from mirror.engine.tables.table import Table

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "tables.md"

_REDIRECTIONS = {">/dev/null", "2>/dev/null"}
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_DICTIONARY = re.compile(r"(?<=<!-- dictionary -->\n).*?(?=<!-- end -->)", re.DOTALL)
_QUESTION = re.compile(r"^### (\d+)\. (.+)\n(?:.*\n)*?\$ mirror query (.+)$", re.MULTILINE)


class Question(NamedTuple):
    """A question of the page."""

    number: int
    words: str
    sql: str


def questions() -> list[Question]:
    """Return the questions of the page."""
    found = _QUESTION.findall(PAGE.read_text("utf-8"))
    return [Question(int(number), words, shlex.split(line)[0]) for number, words, line in found]


def steps(text: str) -> list[tuple[str, str]]:
    """Return the commands of a page, each with the output that it shows."""
    return [step for block in _BLOCK.findall(text) for step in _STEP.findall(block)]


def run(command: str) -> str:
    """Run a command of the page in this process, in the working folder; return its output.

    Raises:
        RuntimeError: If it fails.
    """
    words = shlex.split(command)
    arguments = [one for one in words[1:] if one not in _REDIRECTIONS]
    result = CliRunner().invoke(main, arguments)
    if words[0] != "mirror" or result.exit_code not in {0, 1}:
        raise RuntimeError(f"{command}: {result.output}") from result.exception
    return "" if ">/dev/null" in words else result.stdout


def dictionary() -> str:
    """Return the dictionary of all tables in Markdown."""
    return "".join(map(_section, TABLES))


def _section(table: Table) -> str:
    lines = [
        f"\n### {table.name}\n\n{_upper(table.meaning)}. Key: {', '.join(table.primary_key)}.\n"
    ]
    lines += ["\n| column | type | meaning |\n| --- | --- | --- |\n"]
    for one in table.all_columns:
        kind = one.type.lower() if one.is_required else f"{one.type.lower()} or NULL"
        refers = f" → `{one.references}`" if one.references else ""
        meaning = one.meaning.replace("|", "\\|")
        lines.append(f"| `{one.name}` | {kind} | {meaning}{refers} |\n")
    return "".join(lines)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def updated(text: str) -> str:
    """Return the page with its dictionary and answers as they are now; run in an empty folder."""
    text = _DICTIONARY.sub(lambda _: f"{dictionary()}\n", text)
    return _BLOCK.sub(lambda block: f"```console\n{_STEP.sub(_answered, block[1])}```", text)


def _answered(step: re.Match[str]) -> str:
    return f"$ {step[1]}\n{run(step[1])}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("bundles").symlink_to(ROOT / "bundles")
        PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")
