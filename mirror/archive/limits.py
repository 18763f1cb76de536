"""Limits on the input of this mirror; they never change the result of a merge (B4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from mirror.core.bundle import BundleLimits
from mirror.core.profile import Profile

__all__ = ["ReadLimits"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Limits on input; what exceeds one is refused with the code given with it."""

    member_bytes: int = 16 * MIB
    """Bytes of a file in an archive or folder that should be a bundle: `limit.size`."""
    segment_bytes: int = 64 * MIB
    """Compressed bytes of a segment in a packed bag: `limit.size`."""
    bundle_bytes: int = 16 * MIB
    """Bytes of one bundle in a file of its own, uncompressed: `limit.size`."""
    line_bytes: int = 16 * MIB
    """Bytes of one line of JSON Lines, uncompressed: `limit.size`."""
    header_bytes: int = MIB
    """Bytes of the extended headers (pax, GNU) of one member of a tar; reading stops there:
    `limit.size`."""
    members: int = 50_000_000
    """Members of an archive, bundles of a segment, lines of a file, or files of a folder:
    `limit.count`."""
    values: int = 2_000_000
    """Values in one bundle, by a fast count that is never too low: `limit.count`."""
    events: int = 100_000
    """Items of `events` in one bundle: `limit.count`."""
    invalid: int = 1000
    """Items of `events`, `receipts` or `source_aliases` in one bundle that have an invalid shape,
    if most items of the list have: `limit.count`."""
    kept_invalid: int = 1000
    """For one record in a store: events of invalid shape, receipts, and alias times, counted
    separately: `limit.count`."""
    depth: int = 64
    """Nested arrays and objects in one bundle, at most what V1 allows: `limit.count`."""
    ratio: int = 300
    """Decompressed bytes for one compressed byte, after the first 64 MiB: `limit.ratio`."""
    expanded_bytes: int = 1024 * 1024 * MIB
    """Decompressed bytes of one compressed source: `limit.ratio`."""
    record_bytes: int = 16 * 1024
    """Canonical bytes of the record of a bundle: `limit.size`."""
    receipt_bytes: int = 8 * 1024
    """Canonical bytes of an item of `receipts` in one bundle: `limit.size`."""
    bundle_s: float = 60.0
    """Seconds that verifying one bundle may take: `limit.time`."""

    def for_bundles(self, profiles: Sequence[Profile] | None = None) -> BundleLimits:
        """Return the limits on the content of one bundle.

        Args:
            profiles: Trusted profiles, which define the shape of an event; None for no limit on
                items of invalid shape.
        """
        return BundleLimits(
            items=self.events,
            depth=self.depth,
            invalid=None if profiles is None else self.invalid,
            record_bytes=self.record_bytes,
            receipt_bytes=self.receipt_bytes,
            profiles=profiles or (),
        )
