"""What reading a container gives, and which names in it are looked for (C3, C5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mirror.archive.limits import Limits

__all__ = [
    "BUNDLES",
    "STATES",
    "Bag",
    "Item",
    "Member",
    "Refused",
    "Wanted",
    "fault_of_name",
    "member_or_refusal",
    "shown",
]


class Member(NamedTuple):
    """One thing that should be a bundle."""

    name: str
    """Its place in the source: a member's name, `line 7`, or empty for the source itself."""
    data: bytes
    is_packed: bool = False
    """Whether `data` is MessagePack (C4), not JSON."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing in a source that was not read."""

    name: str
    code: str
    """`archive.member`, `archive.fixity`, `archive.truncated` or `limit.…`."""
    message: str


@dataclass(frozen=True, slots=True)
class Bag:
    """The bag that an archive is; comes after all that is in it, if that is just what it lists."""

    manifest_sha256: str
    """Of its `manifest-sha256.txt`: what names a bag by all that is in it."""
    info: dict[str, str]
    """Labels and values of its `bag-info.txt`; of a repeated label the last."""

    @property
    def is_increment(self) -> bool:
        """Whether it names a base; then it may hold nothing, and say so."""
        return any(label.startswith("Pith-Base-") for label in self.info)


Item: TypeAlias = Member | Refused | Bag


def member_or_refusal(name: str, data: bytes, limits: Limits) -> Member | Refused:
    """Return a member, or why it holds more values than this mirror takes into memory (B4).

    What separates values is counted, within strings too: that is quick, and never too low.
    """
    if len(data) <= limits.values:
        return Member(name, data)  # a value takes a byte
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > limits.values:
        return Refused(name, "limit.count", f"some {values} values, more than {limits.values}")
    return Member(name, data)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for in a container."""

    file_name: str
    """The name of a member, or how it ends behind a dot (C3)."""
    is_in_segments: bool
    """Whether packed segments hold it, too (C4)."""

    def is_name(self, name: str) -> bool:
        """Whether a member or file of this name is one."""
        last = name.rpartition("/")[2]
        return last == self.file_name or last.endswith(f".{self.file_name}")


BUNDLES = Wanted("bundle.json", is_in_segments=True)
STATES = Wanted("state.json", is_in_segments=False)
"""What upstream claims (C2): compared, and never merged."""


def shown(name: str) -> str:
    """Return a name as any text can carry it: bytes that are not UTF-8 are spelled out."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def fault_of_name(name: str) -> str | None:
    """Return what is wrong with a member's name, or None (C5)."""
    if _SURROGATE.search(name):
        return "its name is not UTF-8"
    if _CONTROL.search(name):
        return "its name holds control characters"
    if name.startswith("/"):
        return "its name is absolute"
    if ".." in name.split("/"):
        return "its name climbs out with '..'"
    return None
