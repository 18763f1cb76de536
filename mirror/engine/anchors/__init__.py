"""Time-stamp proofs, checked offline: OpenTimestamps and RFC 3161."""
