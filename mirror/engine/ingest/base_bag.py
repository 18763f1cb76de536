"""Identity of the bags that are read: the digest of the manifest, and that of the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mirror.archive import Bag
from mirror.core.values import is_digest
from mirror.engine.findings import Finding

__all__ = ["BASE", "BASE_HOLDS", "BaseBag", "complete_bags", "missing_base"]

BASE = "Pith-Base-Manifest-SHA256"
"""Label in `bag-info.txt`: SHA-256 of the manifest of the bag that an increment is based on."""
BASE_HOLDS = "Pith-Base-Description"
"""Label in `bag-info.txt`: the `External-Description` of that bag."""


class BaseBag(NamedTuple):
    """Identity of a source as a bag, and of the bag that it is based on."""

    manifest: str = ""
    """SHA-256 of the manifest; empty if the source is not a bag or was not read completely."""
    base: str = ""
    """SHA-256 of the manifest of the base; empty if the bag is not an increment."""
    base_holds: str = ""
    """Description of the base."""
    is_whole: bool = True
    """Whether the limits of this mirror left out nothing of it."""

    def with_manifest(self, bag: Bag) -> BaseBag:
        """Return the identity of a bag that was read completely."""
        base, holds = bag.info.get(BASE, ""), bag.info.get(BASE_HOLDS, "")
        return BaseBag(bag.manifest_sha256, base, holds, self.is_whole)

    def after_refusal(self, finding: Finding) -> BaseBag:
        """Return the identity after a refusal: not whole if others may accept the member."""
        return self._replace(is_whole=False) if finding.code.startswith("limit.") else self


def complete_bags(
    bags: Mapping[str, BaseBag], has_bag: Callable[[bytes], bool]
) -> tuple[list[str], list[str]]:
    """Find the complete bags, and the increments without their base.

    Args:
        bags: The sources of a run, by name.
        has_bag: Whether the store holds all of a bag, named by the digest of its manifest.

    Returns:
        The sources that are bags of which the store now holds everything, each after its base;
        and the increments whose base is missing.
    """
    complete: dict[str, str] = {}

    def lacks_base(bag: BaseBag) -> bool:
        if not bag.base or bag.base in complete.values():
            return False
        return not (is_digest(bag.base) and has_bag(bytes.fromhex(bag.base)))

    left = {source: one for source, one in bags.items() if one.manifest and one.is_whole}
    while ready := [source for source, one in left.items() if not lacks_base(one)]:
        complete |= {source: left.pop(source).manifest for source in ready}
    return list(complete), [source for source, one in bags.items() if lacks_base(one)]


def missing_base(source: str, bag: BaseBag) -> Finding:
    """Return the finding that the base of an increment was not merged."""
    holds = bag.base_holds or "without a description"
    message = (
        f"it is an increment of the bag whose manifest-sha256.txt hashes to {bag.base}"
        f" ({holds}), which was not merged here"
    )
    return Finding(source, "bag-info.txt", None, "archive.base", "", message)
