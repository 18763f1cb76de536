"""Files of other names, which are passed over, counted and named (C3)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mirror.archive.member import BUNDLES, OTHER_FILES, PASSED_OVER, STATES, RefusedMember
from mirror.core.escaping import escape_name

__all__ = ["PassedOver"]

_NAMED = 5
"""Number of names in a message; the rest are counted."""
_POSSIBLE_CONTAINERS = (
    ".json", ".jsonl", ".ndjson", ".tar", ".tgz", ".gz", ".zst", ".zip", ".bz2", ".xz", ".7z",
)  # fmt: skip


class PassedOver:
    """Counts of the files in a folder or an archive (not in a bag) that are not read."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys((PASSED_OVER, OTHER_FILES), 0)
        self._names: dict[str, list[str]] = {code: [] for code in self._counts}

    def count(self, path: str) -> None:
        """Count a file, unless the protocol expects one of this name beside bundles (C2)."""
        is_known = BUNDLES.is_name(path) or STATES.is_name(path)
        if is_known or posixpath.basename(path) == "pith-mirrors.json":
            return
        code = PASSED_OVER if path.lower().endswith(_POSSIBLE_CONTAINERS) else OTHER_FILES
        self._counts[code] += 1
        if len(self._names[code]) < _NAMED:
            self._names[code].append(escape_name(path))

    def refusals(self) -> Iterator[RefusedMember]:
        """Yield one finding for each code under which files were counted."""
        for code, count in self._counts.items():
            if count:
                more = ", …" if count > _NAMED else ""
                files = "1 file" if count == 1 else f"{count:,} files"
                names = ", ".join(self._names[code])
                yield RefusedMember("", code, f"{files} of other names passed over: {names}{more}")
