"""Proofs of OpenTimestamps for tests, made with the library or byte by byte."""

from __future__ import annotations

import warnings

from opentimestamps.core.notary import (
    BitcoinBlockHeaderAttestation,
    PendingAttestation,
    TimeAttestation,
    UnknownAttestation,
)
from opentimestamps.core.op import Op, OpAppend, OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp

CALENDAR = "https://calendar.example"
MAGIC = DetachedTimestampFile.HEADER_MAGIC
VERSION, SHA256 = b"\x01", b"\x08"


def stamp(digest: bytes, *branches: tuple[list[Op], TimeAttestation]) -> tuple[bytes, list[bytes]]:
    """A proof with a branch for each attestation; also the message at the end of each."""
    root, ends = Timestamp(digest), []
    for ops, attestation in branches:
        node = root
        with warnings.catch_warnings(action="ignore"):  # of an operation that may go
            for op in ops:
                node = node.ops.add(op)
        node.attestations.add(attestation)
        ends.append(node.msg)
    context = BytesSerializationContext()
    DetachedTimestampFile(OpSHA256(), root).serialize(context)
    return bytes(context.getbytes()), ends


def path(salt: str = "") -> list[Op]:
    """Operations that lead to a message of 32 bytes."""
    return [OpAppend(b"salt" + salt.encode()), OpSHA256()]


def in_block(height: int) -> TimeAttestation:
    """An attestation of Bitcoin."""
    return BitcoinBlockHeaderAttestation(height)


def promised(calendar: str = CALENDAR) -> TimeAttestation:
    """An attestation of a calendar."""
    return PendingAttestation(calendar)


def unknown() -> TimeAttestation:
    """An attestation of a kind that nobody knows."""
    return UnknownAttestation(b"\1\2\3\4\5\6\7\x08", b"x")


def raw(digest: bytes, tree: bytes) -> bytes:
    """A proof from the bytes of its tree."""
    return bytes(MAGIC + VERSION + SHA256 + digest + tree)


def attestation_bytes(attestation: TimeAttestation) -> bytes:
    """An attestation as it is written after its mark."""
    context = BytesSerializationContext()
    attestation.serialize(context)
    return b"\x00" + bytes(context.getbytes())
