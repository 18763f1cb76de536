"""What reading a container gives, and which names in it are looked for (C3, C5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mirror.archive.formats import NAMED_BY_BYTES, format_of
from mirror.archive.limits import ReadLimits
from mirror.core.escaping import NAME_CHARACTERS

__all__ = [
    "BUNDLES",
    "STATES",
    "Bag",
    "Member",
    "MemberFilter",
    "MemberOrBag",
    "RefusedMember",
    "check_name",
    "file_or_refusal",
    "is_name_too_long",
    "member_or_refusal",
    "owner_of_apple_double",
]


class Member(NamedTuple):
    """One thing that should be a bundle."""

    name: str
    """Its place in the source: a member's name, `line 7`, or empty for the source itself."""
    data: bytes
    is_packed: bool = False
    """Whether `data` is MessagePack (C4), not JSON."""


@dataclass(frozen=True, slots=True)
class RefusedMember:
    """One thing in a source that was not read."""

    name: str
    code: str
    """`archive.…`, `limit.…`, or `source.unreadable` for a part of a folder."""
    message: str

    @property
    def is_fault(self) -> bool:
        """Whether it should have been read; files of other names are passed over (C3)."""
        return self.code not in {"archive.passed_over", "archive.other_files"}


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


MemberOrBag: TypeAlias = Member | RefusedMember | Bag


def member_or_refusal(name: str, data: bytes, limits: ReadLimits) -> Member | RefusedMember:
    """Return a member, or why it holds more values than this mirror takes into memory (B4).

    What separates values is counted, within strings too: that is quick, and never too low.
    """
    if len(data) <= limits.values:
        return Member(name, data)  # a value takes a byte
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > limits.values:
        return RefusedMember(
            name, "limit.count", f"some {values} values, more than {limits.values}"
        )
    return Member(name, data)


def file_or_refusal(name: str, data: bytes, limits: ReadLimits) -> Member | RefusedMember:
    """Return a file of an archive or folder as a member, or why it is refused.

    Besides `member_or_refusal`: what its first bytes show to be of another format.
    """
    found = format_of(data[:NAMED_BY_BYTES])
    if found is None:
        return member_or_refusal(name, data, limits)
    return RefusedMember(name, "archive.format", f"it is {found}, which is not read here")


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """What to look for in a container."""

    file_name: str
    """The name of a member, or how it ends behind a dot (C3)."""
    is_in_segments: bool
    """Whether packed segments hold it, too (C4)."""

    def is_name(self, name: str) -> bool:
        """Whether a member or file of this name is one."""
        last = name.rpartition("/")[2]
        return last == self.file_name or last.endswith(f".{self.file_name}")


BUNDLES = MemberFilter("bundle.json", is_in_segments=True)
STATES = MemberFilter("state.json", is_in_segments=False)
"""What upstream claims (C2): compared, and never merged."""


def owner_of_apple_double(path: str) -> str | None:
    """Return the path of the file that a Mac's `._*` would belong to, or None for other names."""
    folder, slash, last = path.rpartition("/")
    if not last.startswith("._") or len(last) == len("._"):
        return None
    return f"{folder}{slash}{last[len('._') :]}"


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_name_too_long(name: str) -> bool:
    """Whether a name is longer than this mirror looks at (B4); ask it before all else."""
    return len(name) > NAME_CHARACTERS


def check_name(name: str) -> str | None:
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
