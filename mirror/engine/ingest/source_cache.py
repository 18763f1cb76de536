"""Never reading the same file twice: what a whole source came to, kept by what it came from.

A source that was read to its end, under some keys, limits and rules, brings nothing new if it is
read again under the same; so the second time it is only hashed, and what was found in it is told
again. Verdicts on single facts are remembered apart from this (`Facts.held`); this saves the
reading, too.
"""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from mirror.archive import ReadLimits
from mirror.core.keys import KeySet
from mirror.core.merge import RULES
from mirror.core.msgpack_values import pack, unpack
from mirror.core.values import Value, sha256
from mirror.engine.export.base import BaseBag
from mirror.engine.findings import UNREAD_CODES, Finding

__all__ = ["MAX_REPORTS", "CacheKey", "SourceResult", "key_of"]

MAX_REPORTS = 10_000
"""Findings in a source up to which it is worth remembering."""
_TRANSIENT = UNREAD_CODES | {"event.future", "limit.time"}
"""Codes that rest on the hour or the machine, and may not come again."""


def key_of(name: str, keys: KeySet, limits: ReadLimits) -> CacheKey | None:
    """Return what names the reading of a source; None if it is no plain file."""
    path = Path(name)
    try:
        found = path.stat()
        if name == "-" or not stat.S_ISREG(found.st_mode):
            return None
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None  # reading it will say why
    digest = sha256(pack([content, RULES, keys.digest, repr(limits)]))
    return CacheKey(digest, path, _version(found))


class CacheKey(NamedTuple):
    """What names the reading of a source."""

    digest: bytes
    """Of all that its outcome follows from."""
    path: Path
    version: tuple[int, ...]
    """Of the file when it was hashed."""

    def is_current(self) -> bool:
        """Whether the file is still the one that was hashed."""
        try:
            return _version(self.path.stat()) == self.version
        except OSError:
            return False


def _version(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class SourceResult:
    """What one source came to."""

    bundles: int = 0
    events_valid: int = 0
    receipts_verified: int = 0
    reports: list[Finding] = field(default_factory=list)
    record_ids: array[int] = field(default_factory=lambda: array("q"))
    footing: BaseBag = field(default_factory=BaseBag)
    """Which bag it is, and which one it rests on."""

    @property
    def is_memorable(self) -> bool:
        """Whether reading it again would come to the same, and it is short enough to keep."""
        return len(self.reports) <= MAX_REPORTS and all(
            report.code not in _TRANSIENT for report in self.reports
        )

    def to_bytes(self) -> bytes:
        """Return it as a store keeps it."""
        reports = [[*_members(report)] for report in self.reports]
        ranges = [[first, last] for first, last in _ranges(self.record_ids)]
        counts: list[Value] = [self.bundles, self.events_valid, self.receipts_verified]
        footing: list[Value] = [*astuple(self.footing)]
        return pack([*counts, cast("Value", reports), cast("Value", ranges), footing])

    @classmethod
    def from_bytes(cls, data: bytes, source: str) -> tuple[SourceResult, list[tuple[int, int]]]:
        """Return what was kept of a source, and the ranges of ids of its records."""
        *counts, reports, ranges, footing = cast("list[Any]", unpack(data))
        bundles, valid, receipts = counts
        reading = cls(bundles, valid, receipts, [Finding(source, *one) for one in reports])
        reading.footing = BaseBag(*footing)
        return reading, [(first, last) for first, last in ranges]


def _members(report: Finding) -> Iterable[Value]:
    place = (report.member, report.pith_number)
    return (*place, report.code, report.where, report.message, report.digest)


def _ranges(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return the runs of successive numbers."""
    found: list[tuple[int, int]] = []
    for one in sorted(set(ids)):
        if found and found[-1][1] == one - 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found
