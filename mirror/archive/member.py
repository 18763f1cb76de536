"""Members of a container, refused members, and the names that are selected (C3, C5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeGuard, TypeVar

from mirror.archive.formats import MAGIC_BYTES, format_of
from mirror.archive.limits import ReadLimits
from mirror.core.escaping import NAME_CHARACTERS, escape_name

__all__ = [
    "BUNDLES",
    "OTHER_FILES",
    "PASSED_OVER",
    "STATES",
    "Bag",
    "Member",
    "MemberFilter",
    "MemberOrBag",
    "RefusedMember",
    "apple_double_owner",
    "drop_invalid_bag",
    "file_or_refusal",
    "is_refusal",
    "member_or_refusal",
    "refuse_name",
]

PASSED_OVER = "archive.passed_over"
"""Code of files of other names that may contain bundles (C3)."""
OTHER_FILES = "archive.other_files"
"""Code of all other files of other names (C3)."""


class Member(NamedTuple):
    """A candidate bundle."""

    name: str
    """Location in the source: the name of a member, `line 7`, or empty for the whole source."""
    data: bytes
    is_packed: bool = False
    """Whether `data` is MessagePack (C4), not JSON."""


@dataclass(frozen=True, slots=True)
class RefusedMember:
    """A part of a source that was not read, and the reason."""

    name: str
    code: str
    """`archive.…`, `limit.…`, or `source.unreadable` for a part of a folder."""
    message: str

    @property
    def is_passed_over(self) -> bool:
        """Whether these are only files of other names (C3)."""
        return self.code in {PASSED_OVER, OTHER_FILES}


@dataclass(frozen=True, slots=True)
class Bag:
    """A valid bag that is the whole source; yielded after its members."""

    manifest_sha256: str
    """SHA-256 of its `manifest-sha256.txt`, in hexadecimal; identifies the bag by its payload."""
    info: dict[str, str]
    """Labels and values of its `bag-info.txt`; the last value of a repeated label."""

    @property
    def is_increment(self) -> bool:
        """Whether it names a base bag; an increment may have an empty payload."""
        return any(label.startswith("Pith-Base-") for label in self.info)


MemberOrBag: TypeAlias = Member | RefusedMember | Bag


_Item = TypeVar("_Item")


def is_refusal(item: object) -> TypeGuard[RefusedMember]:
    """Whether an item refuses something that should have been read."""
    return isinstance(item, RefusedMember) and not item.is_passed_over


def drop_invalid_bag(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield all items, but a bag only if nothing was refused before it (C5)."""
    is_valid = True
    for item in items:
        if isinstance(item, RefusedMember):
            is_valid = is_valid and item.is_passed_over
            yield item
        elif is_valid or not isinstance(item, Bag):
            yield item


def member_or_refusal(name: str, data: bytes, limits: ReadLimits) -> Member | RefusedMember:
    """Return a member, or a refusal if it has more values than `limits` allow (B4).

    Separators are counted, also those within strings: this is fast and never too low.
    """
    if len(data) <= limits.values:
        return Member(name, data)  # each value takes at least one byte
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > limits.values:
        return RefusedMember(
            name, "limit.count", f"some {values} values, more than {limits.values}"
        )
    return Member(name, data)


def file_or_refusal(name: str, data: bytes, limits: ReadLimits) -> Member | RefusedMember:
    """Return a file of an archive or folder as a member, or a refusal.

    Refuses what `member_or_refusal` refuses, and files whose first bytes show another format.
    """
    found = format_of(data[:MAGIC_BYTES])
    if found is None:
        return member_or_refusal(name, data, limits)
    return RefusedMember(name, "archive.format", f"it is {found}, which is not read here")


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Selects the members of a container by name."""

    file_name: str
    """Name of a member, or its ending after a dot (C3)."""
    is_in_segments: bool
    """Whether members of packed segments are selected, too (C4)."""

    def is_name(self, name: str) -> bool:
        """Whether a member or file of this name is selected."""
        last = name.rpartition("/")[2]
        return last == self.file_name or last.endswith(f".{self.file_name}")


BUNDLES = MemberFilter("bundle.json", is_in_segments=True)
STATES = MemberFilter("state.json", is_in_segments=False)
"""States of an upstream (C2): compared, never merged."""


def apple_double_owner(path: str) -> str | None:
    """Return the path of the file that an AppleDouble file (`._*`) describes, or None."""
    folder, slash, last = path.rpartition("/")
    if not last.startswith("._") or len(last) == len("._"):
        return None
    return f"{folder}{slash}{last[len('._') :]}"


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def refuse_name(name: str) -> RefusedMember | None:
    """Return a refusal of a member because of its name, or None (B4, C5)."""
    if len(name) > NAME_CHARACTERS:  # first: the other checks read all of it
        message = f"its name is longer than {NAME_CHARACTERS} characters"
        return RefusedMember(escape_name(name), "limit.size", message)
    reason = _fault_of(name)
    return None if reason is None else RefusedMember(escape_name(name), "archive.member", reason)


def _fault_of(name: str) -> str | None:
    if not (name.isascii() and name.isprintable()):
        if _SURROGATE.search(name):
            return "its name is not UTF-8"
        if _CONTROL.search(name):
            return "its name contains control characters"
    if name.startswith("/"):
        return "its name is absolute"
    if ".." in name and ".." in name.split("/"):
        return "its name leaves the archive with '..'"
    return None
