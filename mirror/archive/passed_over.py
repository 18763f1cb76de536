"""Files of other names, which are passed over, counted and named (C3)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mirror.archive.member import BUNDLES, STATES, RefusedMember
from mirror.core.escaping import escape_name

__all__ = ["PassedOver"]

_NAMED = 5
"""Names that are given; the rest are counted."""
_MAY_HOLD_BUNDLES = (
    ".json", ".jsonl", ".ndjson", ".tar", ".tgz", ".gz", ".zst", ".zip", ".bz2", ".xz", ".7z",
)  # fmt: skip


class PassedOver:
    """The files that a folder, or an archive that is no bag, holds beside what is looked for."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(("archive.passed_over", "archive.other_files"), 0)
        self._names: dict[str, list[str]] = {code: [] for code in self._counts}

    def count(self, path: str) -> None:
        """Count a file, unless it is one that the protocol knows to stand beside bundles (C2)."""
        is_known = BUNDLES.is_name(path) or STATES.is_name(path)
        if is_known or posixpath.basename(path) == "pith-mirrors.json":
            return
        may_hold_bundles = path.lower().endswith(_MAY_HOLD_BUNDLES)
        code = "archive.passed_over" if may_hold_bundles else "archive.other_files"
        self._counts[code] += 1
        if len(self._names[code]) < _NAMED:
            self._names[code].append(escape_name(path))

    def refusals(self) -> Iterator[RefusedMember]:
        """Yield one finding for each code, if files were passed over."""
        for code, count in self._counts.items():
            if count:
                more = ", …" if count > _NAMED else ""
                files = "1 file" if count == 1 else f"{count:,} files"
                message = (
                    f"{files} of other names passed over: {', '.join(self._names[code])}{more}"
                )
                yield RefusedMember("", code, message)
