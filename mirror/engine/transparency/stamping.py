"""Time-stamps for checkpoints: sends digests to calendars of OpenTimestamps, and keeps the proofs.

A calendar gets the SHA-256 of a random number after the digest of the signed note, so that it
learns nothing about the note. It answers with a promise, and after some hours with a proof that
leads to a block of Bitcoin. Its answers are not trusted: they are parsed within limits, they are
only added to what is stored, and only a block header of the operator makes a proof of them.

Only calendars that the operator named are asked, whatever address an answer names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from mirror.core.values import Object, time_text
from mirror.engine.anchors.headers import HeaderChain
from mirror.engine.anchors.opentimestamps import (
    BITCOIN,
    CALENDAR,
    attestations_of,
    check_proof,
)
from mirror.engine.anchors.result import AnchorResult
from mirror.engine.anchors.timestamp_files import (
    MISSING_HINT,
    ProofError,
    read_file,
    read_timestamp,
    write_file,
)
from mirror.errors import LookUpError, MirrorError, UpstreamError
from mirror.net import CalendarClient
from mirror.store import CheckpointProof, Store, StoredCheckpoint, damaged

__all__ = [
    "CalendarResult",
    "StampReport",
    "choose_checkpoint",
    "parse_answer",
    "proof_result",
    "require_library",
    "require_proof",
    "stamp",
    "upgrade",
]

_NONCE_BYTES = 16
_MAX_ATTESTATIONS = 10
"""Attestations in one answer of a calendar."""

_UNUSABLE = (ProofError, NotImplementedError)
"""Raised for bytes that are no proof, or one that cannot be computed here."""


class CalendarResult(NamedTuple):
    """Result of asking one calendar."""

    calendar: str
    status: Literal["promised", "completed", "pending", "not_asked", "failed"]
    code: str = ""
    """Why, if it failed or was not asked."""
    message: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the calendar answered, well or badly."""
        return not self.code.startswith("upstream.")

    def to_value(self) -> Object:
        """Return the result as a JSON object."""
        return {**self._asdict()}


@dataclass(frozen=True, slots=True)
class StampReport:
    """Result of asking calendars for one checkpoint."""

    checkpoint: StoredCheckpoint
    results: list[CalendarResult]
    anchor: AnchorResult | None
    """The result of checking the stored proof now; None without one."""

    def to_value(self) -> Object:
        """Return the report as a JSON object."""
        return {
            "checkpoint": self.checkpoint.number,
            "digest": self.checkpoint.digest.hex(),
            "calendars": [one.to_value() for one in self.results],
            "proof": None if self.anchor is None else self.anchor.to_value(),
        }


# Choosing ------------------------------------------------------------------------------------


def require_library() -> None:
    """Check that the library for proofs is installed.

    Raises:
        MirrorError: `timestamps.missing`
    """
    try:
        import opentimestamps.core.timestamp  # noqa: F401, PLC0415 - an extra
    except (ImportError, OSError) as error:
        message = f"the library opentimestamps cannot be loaded: {error}"
        raise MirrorError("timestamps.missing", message, hint=MISSING_HINT) from error


def choose_checkpoint(store: Store, number: int | None) -> StoredCheckpoint:
    """Return the checkpoint of a number; the last one that this mirror signed if it is None.

    Raises:
        LookUpError: `checkpoint.none` or `checkpoint.unknown`.
        CorruptStoreError: `store.damaged`
    """
    if number is None:
        found = store.checkpoints.last_own()
        if found is None:
            hint = "`mirror checkpoint sign --key FILE` makes one"
            message = "this mirror has signed no checkpoint"
            raise LookUpError("checkpoint.none", message, hint=hint)
        return found
    found = store.checkpoints.numbered(number)
    if found is None:
        hint = "`mirror checkpoint list` shows the numbers"
        raise LookUpError("checkpoint.unknown", f"no checkpoint has the number {number}", hint=hint)
    return found


def require_proof(store: Store, checkpoint: StoredCheckpoint) -> CheckpointProof:
    """Return the proof of a checkpoint.

    Raises:
        LookUpError: `checkpoint.no_proof`
        CorruptStoreError: `store.damaged`
    """
    found = store.checkpoint_proofs.last(checkpoint.digest)
    if found is None:
        hint = "`mirror checkpoint stamp --calendar URL` begins one"
        message = f"checkpoint {checkpoint.number} has no time-stamp"
        raise LookUpError("checkpoint.no_proof", message, hint=hint)
    return found


def proof_result(store: Store, digest: bytes) -> AnchorResult | None:
    """Return what the stored proof of a checkpoint shows; None without one.

    Args:
        store: The store, with the block headers.
        digest: The SHA-256 of the signed note, raw.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    stored = store.checkpoint_proofs.last(digest)
    return None if stored is None else check_proof(stored.proof, digest, HeaderChain(store))


# Asking --------------------------------------------------------------------------------------


def stamp(
    store: Store,
    checkpoint: StoredCheckpoint,
    calendars: Collection[CalendarClient],
    nonce: Callable[[int], bytes] = os.urandom,
) -> StampReport:
    """Send the digest of a checkpoint to calendars, and add their answers to its proof.

    A calendar that fails does not stop the others.

    Args:
        store: The store.
        checkpoint: The checkpoint.
        calendars: The calendars that the operator named.
        nonce: Returns random bytes.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    salt = nonce(_NONCE_BYTES)
    asked = [_submit(calendar, checkpoint.digest, salt) for calendar in calendars]
    return _keep(store, checkpoint, asked, [one.result.calendar for one in asked if one.proof])


def upgrade(
    store: Store,
    checkpoint: StoredCheckpoint,
    calendars: Collection[CalendarClient],
    connect: Callable[[str], CalendarClient],
) -> StampReport:
    """Ask the calendars that made promises about a checkpoint for the proofs.

    Args:
        store: The store.
        checkpoint: The checkpoint, which has a proof.
        calendars: Calendars that may be asked, beside those that were named before.
        connect: Returns the client of an address.

    Raises:
        LookUpError: `checkpoint.no_proof`
        CorruptStoreError: `store.damaged`
    """
    stored = require_proof(store, checkpoint)
    clients = {one.url: one for one in [*map(connect, stored.calendars), *calendars]}
    asked = [
        _complete(clients.get(promise.calendar.rstrip("/")), promise, stored)
        for promise in _promises(_read_stored(stored))
    ]
    return _keep(store, checkpoint, asked, [one.url for one in calendars])


class _Promise(NamedTuple):
    """The promise of a calendar in a proof that leads to no block from there yet."""

    commitment: bytes
    calendar: str


class _Asked(NamedTuple):
    """The result of asking a calendar, and the checkpoint's proof with its answer."""

    result: CalendarResult
    proof: bytes = b""
    """Empty without an answer that can be used."""


def _submit(calendar: CalendarClient, digest: bytes, salt: bytes) -> _Asked:
    from opentimestamps.core.op import OpAppend, OpSHA256  # noqa: PLC0415
    from opentimestamps.core.timestamp import Timestamp  # noqa: PLC0415

    root = Timestamp(digest)
    node = root.ops.add(OpAppend(salt)).ops.add(OpSHA256())
    try:
        node.merge(parse_answer(calendar.submit(node.msg), node.msg))
        return _Asked(CalendarResult(calendar.url, "promised"), write_file(root))
    except UpstreamError as error:
        return _Asked(_failed(calendar.url, error.code, error.message))
    except _UNUSABLE as error:
        return _Asked(_failed(calendar.url, "calendar.shape", f"its answer: {error}"))


def _complete(
    calendar: CalendarClient | None, promise: _Promise, stored: CheckpointProof
) -> _Asked:
    if calendar is None:
        message = f"you did not name it; --calendar {promise.calendar} allows to ask it"
        return _Asked(CalendarResult(promise.calendar, "not_asked", "calendar.not_named", message))
    try:
        answer = calendar.get_proof(promise.commitment)
        if answer.proof is None:
            return _Asked(CalendarResult(calendar.url, "pending", message=answer.message))
        found = parse_answer(answer.proof, promise.commitment)
        return _Asked(_completed(calendar.url, found), _with_answer(stored, found))
    except UpstreamError as error:
        return _Asked(_failed(calendar.url, error.code, error.message))
    except _UNUSABLE as error:
        return _Asked(_failed(calendar.url, "calendar.shape", f"its answer: {error}"))


def _completed(calendar: str, found: Any) -> CalendarResult:
    if _has_block(found):
        return CalendarResult(calendar, "completed")
    return CalendarResult(calendar, "pending", message="its answer leads to no block yet")


def _failed(calendar: str, code: str, message: str) -> CalendarResult:
    return CalendarResult(calendar, "failed", code, message)


# Proofs --------------------------------------------------------------------------------------


def parse_answer(data: bytes, message: bytes) -> Any:
    """Return the `Timestamp` that a calendar sent.

    Args:
        data: The operations from the message, as the calendar sent them.
        message: The message.

    Raises:
        ProofError: If it is malformed, or promises and proves nothing.
        NotImplementedError: If a hash function is missing here.
    """
    found = read_timestamp(data, message)
    tags = [one.tag for one in attestations_of(found)]
    if len(tags) > _MAX_ATTESTATIONS:
        raise ProofError(f"it has more than {_MAX_ATTESTATIONS} attestations")
    if not {BITCOIN, CALENDAR} & {*tags}:
        raise ProofError("it has no promise and leads to no block")
    return found


def _read_stored(stored: CheckpointProof) -> Any:
    """Return the `Timestamp` of a stored proof."""
    try:
        return read_file(stored.proof).timestamp
    except _UNUSABLE as error:
        raise damaged(str(error), f"checkpoint_proof of {stored.digest.hex()}") from error


def _promises(timestamp: Any) -> list[_Promise]:
    """Return the promises below which no block is attested, each once."""
    return list(dict.fromkeys(
        _Promise(node.msg, attestation.uri)
        for node in _nodes(timestamp)
        if not _has_block(node)
        for attestation in sorted(node.attestations)
        if attestation.TAG == CALENDAR
    ))  # fmt: skip


def _nodes(timestamp: Any) -> Iterator[Any]:
    ahead = [timestamp]
    while ahead:
        node = ahead.pop()
        yield node
        ahead.extend(node.ops.values())


def _has_block(timestamp: Any) -> bool:
    return any(one.tag == BITCOIN for one in attestations_of(timestamp))


def _with_answer(stored: CheckpointProof, found: Any) -> bytes:
    """Return a stored proof with an answer, at each place of its message."""
    timestamp = _read_stored(stored)
    for node in [one for one in _nodes(timestamp) if one.msg == found.msg]:
        node.merge(found)
    return write_file(timestamp)


def _keep(
    store: Store,
    checkpoint: StoredCheckpoint,
    asked: list[_Asked],
    calendars: list[str],
) -> StampReport:
    """Add answers to the stored proof, as it is now, and return the report."""
    with store.transaction():
        before = store.checkpoint_proofs.last(checkpoint.digest)
        proof, named = (b"", ()) if before is None else (before.proof, before.calendars)
        results = []
        for result, answer in asked:
            try:
                proof = _union(proof, answer)
                results.append(result)
            except ProofError as error:
                message = f"with its answer, {error}"
                results.append(_failed(result.calendar, "calendar.size", message))
        row = CheckpointProof(
            checkpoint.digest,
            time_text(datetime.now(UTC)),
            tuple(dict.fromkeys((*named, *calendars))),
            proof,
        )
        if proof and (before is None or row._replace(at=before.at) != before):
            store.checkpoint_proofs.append(row)
    return StampReport(checkpoint, results, proof_result(store, checkpoint.digest))


def _union(one: bytes, other: bytes) -> bytes:
    """Return a proof with all that two proofs of one digest have."""
    if not one or not other:
        return one or other
    timestamp = read_file(one).timestamp
    timestamp.merge(read_file(other).timestamp)
    return write_file(timestamp)
