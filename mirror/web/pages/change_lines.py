"""Changes of a state as lines of a page, without words that nobody signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mirror.core.comparison.changes import StateChange

__all__ = ["ChangeLine", "change_lines"]

_ALIASES = "source_aliases"
"""The claimed times of aliases are signed by nobody, so they are only counted."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of a state, or the changes of all aliases."""

    kind: str
    """`came`, `gone` or `changed`."""
    member: str
    """The member of the state, as words."""
    words: str


def change_lines(changes: Iterable[StateChange]) -> Iterator[ChangeLine]:
    """Yield the lines of changes, those of the aliases last."""
    aliases = Counter[str]()
    for one in changes:
        if one.member == _ALIASES:
            aliases[one.kind] += 1
        else:
            yield ChangeLine(one.kind, one.member.replace("_", " "), one.words)
    for kind, count in aliases.items():
        yield ChangeLine(kind, "source aliases", f"{count:,}")
