"""The table of codes: section 9 of the data rules (`docs/protocol.md`), read from that page.

A wheel contains the page; in a checkout it is in `docs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

__all__ = ["CodeExplanation", "advice_of", "codes", "title_of"]

_SECTION = re.compile(r"^## 9 Codes\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_GROUP = re.compile(r"\*\*(.+?)\.?\*\*")
_CELLS = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_CODE = re.compile(r"`([a-z]+(?:\.[a-z_0-9]+)?)`")


class CodeExplanation(NamedTuple):
    """A row of the table; a code may be in several groups."""

    code: str
    group: str
    """The heading of the group that contains the row."""
    meaning: str
    """Text with code in backticks, as in `advice`."""
    advice: str
    """Advice; may be empty."""

    @property
    def title(self) -> str:
        """The meaning as plain text."""
        return self.meaning.replace("`", "")


@cache
def codes() -> dict[str, tuple[CodeExplanation, ...]]:
    """Return the rows of the table by code, ascending."""
    found: dict[str, list[CodeExplanation]] = {}
    for row in _rows(_page()):
        found.setdefault(row.code, []).append(row)
    return {code: tuple(found[code]) for code in sorted(found)}


def title_of(code: str) -> str:
    """Return the meaning of a code, for the title of a problem document (RFC 9457)."""
    return codes()[code][0].title


def advice_of(code: str) -> str:
    """Return the advice on a code, as plain text."""
    return codes()[code][0].advice.replace("`", "")


def _page() -> str:
    packaged = files("mirror.web") / "protocol.md"
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).resolve().parents[3] / "docs" / "protocol.md").read_text("utf-8")


def _rows(page: str) -> Iterator[CodeExplanation]:
    section = _SECTION.search(page)
    group, columns = "", [""]
    for line in section[1].splitlines() if section else ():
        if heading := _GROUP.match(line):
            group = heading[1]
        elif line.startswith("| "):
            cells = [_text(cell) for cell in _CELLS.split(line)[1:-1]]
            if cells[0] == "code":
                columns = cells
            else:
                yield from _row(group, dict(zip(columns, cells, strict=True)))


def _row(group: str, cells: dict[str, str]) -> Iterator[CodeExplanation]:
    for code in _CODE.findall(cells["code"]):
        yield CodeExplanation(code, group, cells["what it means"], cells.get("what to do", ""))


def _text(cell: str) -> str:
    return _LINK.sub(r"\1", cell.replace(r"\|", "|")).replace("**", "").strip()
