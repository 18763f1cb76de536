"""Proofs of OpenTimestamps: from a digest to the Merkle root of a Bitcoin block.

A proof is a detached time-stamp file: a digest and a tree of operations on it, whose leaves are
attestations. An attestation of Bitcoin names a height, and holds if the header of that height has
the Merkle root to which the operations lead. One of a calendar is a promise, and proves nothing.
The library `opentimestamps` parses; it is loaded only when a proof is checked. Nothing is fetched.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from mirror.core.block_header import (
    MAX_HEIGHT,
    block_hash,
    difficulty_words,
    display_hash,
    parse_header,
    work,
)
from mirror.core.values import Object
from mirror.engine.anchors.headers import HeaderChain
from mirror.engine.anchors.result import AnchorResult, AnchorStatus

__all__ = ["MAX_PROOF_BYTES", "MISSING_HINT", "check_proof"]

MAX_PROOF_BYTES = 1 << 16
"""Bytes of a proof; one of several calendars has about 10,000."""
_MAX_READS = 8_000
"""Reads of the parser, which bounds the operations: each takes at least one."""
_MAX_LISTED = 50
"""Attestations that a result lists."""

MISSING_HINT = "install the extra `timestamps`: pip install 'pith-mirror[timestamps]'"

_BITCOIN = bytes.fromhex("0588960d73d71901")
_CALENDAR = bytes.fromhex("83dfe30d2ef90c8e")


class ProofError(ValueError):
    """The bytes are no proof, or exceed a limit."""


class _Attestation(NamedTuple):
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
    attestations: list[_Attestation]


def check_proof(proof: bytes, digest: bytes, headers: HeaderChain) -> AnchorResult:
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


class _BoundedReader(io.BytesIO):
    """A proof of which a parser may read only so often."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise ProofError("the proof has too many operations")
        return super().read(size)


def _parse(proof: bytes) -> _Proof:
    """Parse a proof.

    Raises:
        ProofError: If it is malformed or exceeds a limit.
        ImportError: If the library is not installed.
        NotImplementedError: If a hash function is missing here.
    """
    from opentimestamps.core.serialize import (  # noqa: PLC0415 - an extra, and slow to load
        DeserializationError,
        StreamDeserializationContext,
    )
    from opentimestamps.core.timestamp import DetachedTimestampFile  # noqa: PLC0415

    if len(proof) > MAX_PROOF_BYTES:
        raise ProofError(f"the proof has more than {MAX_PROOF_BYTES:,} bytes")
    context = StreamDeserializationContext(_BoundedReader(proof))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of an operation
            file = DetachedTimestampFile.deserialize(context)
    except (DeserializationError, RecursionError, ValueError) as error:
        if str(error).startswith("unsupported hash type"):
            raise NotImplementedError(f"this system has no such hash function: {error}") from error
        raise ProofError(f"not a proof of OpenTimestamps: {str(error)[:200]}") from error
    attestations = sorted({*_attestations(file.timestamp)})
    return _Proof(file.file_hash_op.TAG_NAME, file.file_digest, attestations)


def _attestations(timestamp: Any) -> Iterator[_Attestation]:
    """Yield the attestations of a tree of operations."""
    ahead = [timestamp]
    while ahead:
        node = ahead.pop()
        for one in node.attestations:
            height = one.height if one.TAG == _BITCOIN else 0
            if height > MAX_HEIGHT:
                raise ProofError("an attestation names a height that no block has")
            yield _Attestation(one.TAG, node.msg, height, getattr(one, "uri", ""))
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


def _judge(attestation: _Attestation, headers: HeaderChain) -> AnchorResult:
    if attestation.tag == _BITCOIN:
        return _judge_block(attestation, headers)
    if attestation.tag == _CALENDAR:
        reason = f"the calendar {attestation.calendar} promised an attestation; complete the proof"
        details: Object = {"kind": "calendar", "calendar": attestation.calendar}
        return AnchorResult(AnchorStatus.PENDING, reason, None, details)
    tag = attestation.tag.hex()
    reason = f"an attestation of a kind that is not checked here, {tag}"
    return AnchorResult(AnchorStatus.AUTHORITY_UNKNOWN, reason, None, {"kind": "other", "tag": tag})


def _judge_block(attestation: _Attestation, headers: HeaderChain) -> AnchorResult:
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


def _block(data: bytes, height: int, headers: HeaderChain) -> dict[str, Any]:
    """Return what a header says about its block; work is a string of decimal digits."""
    header, (after, hashes) = parse_header(data), headers.after(height)
    return {
        "hash": display_hash(block_hash(data)),
        "time": header.time_text,
        "difficulty": difficulty_words(work(header.bits)),
        "headers_after": after,
        "work_after": str(hashes),
    }
