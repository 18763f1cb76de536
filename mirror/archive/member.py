"""What reading a container gives, and which names in it are looked for (C3, C5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from mirror.archive.limits import Limits

__all__ = [
    "Item",
    "Member",
    "Refused",
    "fault_of_name",
    "is_bundle_name",
    "member_or_refusal",
    "shown",
]


@dataclass(frozen=True, slots=True)
class Member:
    """One thing that should be a bundle."""

    name: str
    """Its place in the source: a member's name, `line 7`, or empty for the source itself."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing in a source that was not read."""

    name: str
    code: str
    """`archive.member`, `archive.fixity`, `archive.truncated` or `limit.…`."""
    message: str


Item: TypeAlias = Member | Refused


def member_or_refusal(name: str, data: bytes, limits: Limits) -> Item:
    """Return a member, or why it holds more values than this mirror takes into memory (B4).

    What separates values is counted, within strings too: that is quick, and never too low.
    """
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > limits.values:
        return Refused(name, "limit.count", f"some {values} values, more than {limits.values}")
    return Member(name, data)


def is_bundle_name(name: str) -> bool:
    """Whether a member or file of this name is taken for a bundle (C3)."""
    last = name.rpartition("/")[2]
    return last == "bundle.json" or last.endswith(".bundle.json")


def shown(name: str) -> str:
    """Return a name as any text can carry it: bytes that are not UTF-8 are spelled out."""
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
