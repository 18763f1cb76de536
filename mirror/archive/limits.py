"""What this mirror accepts: limits of its own, which never change what a merge gives (B4)."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on input; what exceeds one is refused with the code named there."""

    member_bytes: int = 64 * 1024 * 1024
    """Bytes of one bundle, uncompressed, whether a file, a member or a line: `limit.size`."""
    header_bytes: int = 1024 * 1024
    """Bytes of one extended header (pax, GNU) of a tar: `archive.member`."""
