"""Proofs of OpenTimestamps: from a digest to the Merkle root of a Bitcoin block.

A proof is a detached time-stamp file: a digest and a tree of operations on it, whose leaves are
attestations. An attestation of Bitcoin names a height, and holds if the header of that height has
the Merkle root to which the operations lead. One of a calendar is a promise, and proves nothing.
The library `opentimestamps` parses; it is loaded only when a proof is checked. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from mirror.core.block_header import (
    MAX_HEIGHT,
    block_hash,
    difficulty_words,
    display_hash,
    parse_header,
    work,
)
from mirror.core.values import Object
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.anchors.timestamp_files import MISSING_HINT, ProofError, read_file

__all__ = ["BITCOIN", "CALENDAR", "Attestation", "attestations_of", "check_proof"]

_MAX_LISTED = 50
"""Attestations that a result lists."""

BITCOIN = bytes.fromhex("0588960d73d71901")
"""Tag of an attestation of Bitcoin."""
CALENDAR = bytes.fromhex("83dfe30d2ef90c8e")
"""Tag of the promise of a calendar."""


class Attestation(NamedTuple):
    """An attestation, and the message that it is about."""

    tag: bytes
    message: bytes
    height: int
    """The height that an attestation of Bitcoin names; else 0."""
    calendar: str
    """The URI in the promise of a calendar; else empty."""


class _Proof(NamedTuple):
    """A parsed proof."""

    algorithm: str
    digest: bytes
    attestations: list[Attestation]


class BlockHeaderSource(Protocol):
    """Block headers: those of a store (`HeaderChain`), or others."""

    def header(self, height: int) -> bytes | None:
        """Return the header of a height, 80 bytes; None without one."""

    def after(self, height: int) -> tuple[int, int]:
        """Return how many linked headers follow one, and their work in hashes."""


def heights_in(proof: bytes) -> set[int]:
    """Return the heights of the blocks to which a proof leads; none if it cannot be read."""
    try:
        found = _parse(proof).attestations
    except (ImportError, OSError, NotImplementedError, ProofError):
        return set()
    return {one.height for one in found if one.tag == BITCOIN}


def check_proof(proof: bytes, digest: bytes, headers: BlockHeaderSource) -> AnchorResult:
    """Check a proof of OpenTimestamps.

    Args:
        proof: A detached time-stamp file.
        digest: The SHA-256 that it must be about, 32 bytes.
        headers: The block headers of the operator.
    """
    try:
        found = _parse(proof)
    except (ImportError, OSError) as error:
        reason = f"the library opentimestamps cannot be loaded ({error}): {MISSING_HINT}"
        return AnchorResult(AnchorStatus.NOT_CHECKED, reason)
    except NotImplementedError as error:
        return AnchorResult(AnchorStatus.NOT_CHECKED, str(error))
    except ProofError as error:
        return AnchorResult(AnchorStatus.MALFORMED, str(error))
    if found.algorithm != "sha256" or found.digest != digest:
        reason = (
            f"the proof is about the {found.algorithm} {found.digest.hex()}, not about the SHA-256 "
            f"of the record, {digest.hex()}"
        )
        return AnchorResult(AnchorStatus.NOT_THIS_DIGEST, reason)
    return _best([_judge(one, headers) for one in found.attestations])


# Parsing -------------------------------------------------------------------------------------


def _parse(proof: bytes) -> _Proof:
    """Parse a proof; raises as `read_file`."""
    file = read_file(proof)
    attestations = sorted({*attestations_of(file.timestamp)})
    return _Proof(file.file_hash_op.TAG_NAME, file.file_digest, attestations)


def attestations_of(timestamp: Any) -> Iterator[Attestation]:
    """Yield the attestations of a `Timestamp`, a tree of operations.

    Raises:
        ProofError: If one names a height that no block has.
    """
    ahead = [timestamp]
    while ahead:
        node = ahead.pop()
        for one in node.attestations:
            height = one.height if one.TAG == BITCOIN else 0
            if height > MAX_HEIGHT:
                raise ProofError("an attestation names a height that no block has")
            yield Attestation(one.TAG, node.msg, height, getattr(one, "uri", ""))
        ahead.extend(node.ops.values())


# Judging -------------------------------------------------------------------------------------

_ORDER = (
    AnchorStatus.ANCHORED,
    AnchorStatus.NO_HEADER,
    AnchorStatus.WRONG_BLOCK,
    AnchorStatus.PENDING,
    AnchorStatus.AUTHORITY_UNKNOWN,
)
"""The best first. A promise, which anybody can write, does not hide a contradiction."""


def _best(results: list[AnchorResult]) -> AnchorResult:
    """Return the best result, of several blocks the earliest; all are in its details."""
    results = sorted(results, key=lambda one: (_ORDER.index(one.status), one.at or ""))
    best = results[0]
    listed: Object = {
        "attestations": [
            {"status": one.status.value, **one.details} for one in results[:_MAX_LISTED]
        ],
        "attestation_count": len(results),
    }
    return AnchorResult(best.status, best.reason, best.at, listed)


def _judge(attestation: Attestation, headers: BlockHeaderSource) -> AnchorResult:
    if attestation.tag == BITCOIN:
        return _judge_block(attestation, headers)
    if attestation.tag == CALENDAR:
        reason = f"the calendar {attestation.calendar} promised an attestation; complete the proof"
        details: Object = {"kind": "calendar", "calendar": attestation.calendar}
        return AnchorResult(AnchorStatus.PENDING, reason, None, details)
    tag = attestation.tag.hex()
    reason = f"an attestation of a kind that is not checked here, {tag}"
    return AnchorResult(AnchorStatus.AUTHORITY_UNKNOWN, reason, None, {"kind": "other", "tag": tag})


def _judge_block(attestation: Attestation, headers: BlockHeaderSource) -> AnchorResult:
    height, root = attestation.height, display_hash(attestation.message)
    details: Object = {"kind": "bitcoin", "height": height, "merkle_root": root}
    data = headers.header(height)
    if data is None:
        reason = (
            f"the proof leads to the Merkle root {root} of block {height:,}, whose header is not "
            "here: `mirror headers add FILE` adds it"
        )
        return AnchorResult(AnchorStatus.NO_HEADER, reason, None, details)
    header = parse_header(data)
    if header.merkle_root != attestation.message:
        held = display_hash(header.merkle_root)
        reason = f"the proof leads to the Merkle root {root}, but block {height:,} here has {held}"
        return AnchorResult(AnchorStatus.WRONG_BLOCK, reason, None, details)
    block = _block(data, height, headers)
    reason = (
        f"block {height:,} of {header.time_text} has the Merkle root to which the proof leads; "
        f"{block['headers_after']:,} linked headers follow it, of about "
        f"{int(str(block['work_after'])):.4g} hashes; the block has {block['difficulty']}"
    )
    details = {**details, "block": block}
    return AnchorResult(AnchorStatus.ANCHORED, reason, header.time_text, details)


def _block(data: bytes, height: int, headers: BlockHeaderSource) -> dict[str, Any]:
    """Return what a header says about its block; work is a string of decimal digits."""
    header, (after, hashes) = parse_header(data), headers.after(height)
    return {
        "hash": display_hash(block_hash(data)),
        "time": header.time_text,
        "difficulty": difficulty_words(work(header.bits)),
        "headers_after": after,
        "work_after": str(hashes),
    }
