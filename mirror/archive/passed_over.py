"""Files of other names, which are passed over, counted and told of (C3)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mirror.archive.member import BUNDLES, STATES, Refused, shown

__all__ = ["PassedOver"]

_NAMED = 5
"""Names that are told; the rest are counted."""


class PassedOver:
    """The files that a folder, or an archive that is no bag, holds beside what is looked for."""

    def __init__(self) -> None:
        self._count = 0
        self._names: list[str] = []

    def take(self, path: str) -> None:
        """Count a file, unless it is one that the protocol knows to stand beside bundles (C2)."""
        is_known = BUNDLES.is_name(path) or STATES.is_name(path)
        if is_known or posixpath.basename(path) == "pith-mirrors.json":
            return
        self._count += 1
        if len(self._names) < _NAMED:
            self._names.append(shown(path))

    def refusals(self) -> Iterator[Refused]:
        """Yield what there is to tell, if anything was passed over."""
        if self._count:
            more = ", …" if self._count > _NAMED else ""
            files = "1 file" if self._count == 1 else f"{self._count:,} files"
            message = f"{files} of other names passed over: {', '.join(self._names)}{more}"
            yield Refused("", "archive.passed_over", message)
