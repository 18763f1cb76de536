"""Checks evidence of one record with nothing but the document.

The same checks, in the same order, are in `verifier/evidence.js`, which runs in the file itself.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mirror.core.block_header import HEADER_BYTES, proven_hash
from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.merge import State, merge_bundles
from mirror.core.record import Record
from mirror.core.shape import (
    ObjectReader,
    integer_member,
    object_member,
    objects_member,
    read_object,
    text_member,
)
from mirror.core.state_view import parse_state
from mirror.core.transparency.checkpoint import parse_checkpoint
from mirror.core.transparency.signed_note import parse_note, parse_verifier, verify_note
from mirror.core.values import Object, Value, canonical, decode, decode_base64, hexdigest, sha256
from mirror.engine.anchors.opentimestamps import check_proof
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.anchors.time_stamps import OPENTIMESTAMPS, RFC3161, TimeStamp, time_stamps_in
from mirror.engine.evidence.document import EVIDENCE_TYPE, EVIDENCE_VERSION
from mirror.engine.transparency.inclusion_proof import InclusionProof, parse_proof
from mirror.errors import FormatError, MirrorError, UntrustedNoteError

if TYPE_CHECKING:
    from mirror.engine.anchors.authorities import Authority

__all__ = ["CheckedEvidence", "EvidenceCheck", "EvidenceStatus", "check_evidence"]

_SHAPE = "evidence.shape"
_HINT = "`mirror evidence ID OUT.html` writes such a file"


class EvidenceStatus(StrEnum):
    """Answers that a check gives."""

    HOLDS = "holds"
    """Computed here, and found to be so."""
    FAILS = "fails"
    """Computed here, and found to be otherwise."""
    CLAIMED = "claimed"
    """Somebody says so; nothing here proves it."""
    NOT_CHECKED = "not checked"
    """This program cannot check it, or something that it needs is not in the file."""


HOLDS, FAILS = EvidenceStatus.HOLDS, EvidenceStatus.FAILS
CLAIMED, NOT_CHECKED = EvidenceStatus.CLAIMED, EvidenceStatus.NOT_CHECKED


class EvidenceCheck(NamedTuple):
    """One check."""

    name: str
    """Its name: the same in every language."""
    status: EvidenceStatus
    words: str
    """The result in one sentence."""


@dataclass(slots=True)
class CheckedEvidence:
    """Results of the checks, and whom a reader must still trust."""

    pith_number: str
    checks: list[EvidenceCheck] = field(default_factory=list)
    trusts: list[str] = field(default_factory=list)
    """The keys, headers and authorities on which the results rest, in words."""

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return all(one.status is not FAILS for one in self.checks)

    def to_value(self) -> Object:
        """Return the results as a JSON object."""
        checks: list[Value] = [
            {"name": one.name, "status": one.status.value, "words": one.words}
            for one in self.checks
        ]
        trusts: list[Value] = [*dict.fromkeys(self.trusts)]
        return {
            "pith_number": self.pith_number,
            "holds": self.holds,
            "checks": checks,
            "trusts": trusts,
        }

    def add(self, name: str, status: EvidenceStatus, words: str) -> None:
        """Add a check."""
        self.checks.append(EvidenceCheck(name, status, words))

    def compare(self, name: str, what: str, found: str, expected: str) -> None:
        """Add a comparison of two texts."""
        if found == expected:
            self.add(name, HOLDS, f"{what}: {found}")
        else:
            self.add(name, FAILS, f"{what}: computed {found}, but the file has {expected}")


class _VerifiedFacts(NamedTuple):
    """The facts in the document, verified, and the state that they give."""

    keys: KeySet
    bundle: VerifiedBundle
    state: State


class _Headers:
    """The block headers in the document."""

    def __init__(self, reader: ObjectReader) -> None:
        self._headers = {
            one.integer("height"): _header_of(one) for one in reader.objects("headers")
        }

    def header(self, height: int) -> bytes | None:
        """Return the header of a height if it has the work that it names; else None."""
        header = self._headers.get(height)
        return header if header is not None and proven_hash(header) is not None else None

    def after(self, _height: int) -> tuple[int, int]:
        return 0, 0  # a file has single headers, with nothing linked to them


_HEADER = re.compile(f"[0-9a-f]{{{2 * HEADER_BYTES}}}")


def _header_of(reader: ObjectReader) -> bytes:
    text = reader.text("header")
    if _HEADER.fullmatch(text) is None:
        raise reader.fault("must be the 80 bytes of a block header in hexadecimal", "header")
    return bytes.fromhex(text)


def check_evidence(data: bytes) -> CheckedEvidence:
    """Check an evidence document.

    Args:
        data: The document, JSON.

    Raises:
        FormatError: A code of V1, or `evidence.shape` if it is not such a document.
    """
    reader = read_object(decode(data), _SHAPE, hint=_HINT)
    kind = reader.value.get("evidence_type"), reader.value.get("evidence_version")
    if kind != (EVIDENCE_TYPE, EVIDENCE_VERSION):
        raise reader.fault(f"must be {EVIDENCE_TYPE} {EVIDENCE_VERSION}", "evidence_type")
    checked = CheckedEvidence(reader.text("pith_number"))
    headers = _Headers(reader)
    facts = _check_facts(checked, reader)
    if facts is not None:
        proof = _check_inclusion(checked, reader, facts)
        _check_checkpoint(checked, reader, proof, facts, headers)
        _check_time_stamps(checked, reader, facts, headers)
    _list_statements(checked, reader)
    return checked


# Facts and state -------------------------------------------------------------------------------


def _check_facts(checked: CheckedEvidence, reader: ObjectReader) -> _VerifiedFacts | None:
    """Verify the bundle under the key set, and merge it; None if one of them cannot be read."""
    try:
        keys = parse_key_set(reader.text("key_set").encode(), built_in=False)
        bundle = verify_bundle(parse_bundle(reader.text("bundle").encode()), keys)
    except MirrorError as error:
        checked.add("readable", FAILS, f"bundle or key set cannot be read: {error}")
        return None
    record = bundle.record
    checked.compare(
        "record", "Pith Number of the record (R3)", record.pith_number, checked.pith_number
    )
    _check_verdicts(checked, bundle, keys)
    state = merge_bundles([bundle], keys)
    if state.text == reader.text("state").encode():
        checked.add("state", HOLDS, f"the merge gives the state {state.digest} (M12)")
    else:
        words = f"the merge gives the state {state.digest}, which is not the one in the file"
        checked.add("state", FAILS, words)
    return _VerifiedFacts(keys, bundle, state)


def _check_verdicts(checked: CheckedEvidence, bundle: VerifiedBundle, keys: KeySet) -> None:
    """Add the verdicts on receipts and events, and the keys on which they rest."""
    receipts = Counter(one.code or "" for one in bundle.receipts)
    valid = [one for one in bundle.events if isinstance(one, ValidEvent)]
    invalid = Counter(one.code for one in bundle.events if isinstance(one, InvalidEvent))
    for name, passed, refused in (
        ("receipts", receipts.pop("", 0), receipts),
        ("events", len(valid), invalid),
    ):
        if passed:
            words = f"{passed:,} signed by keys of the key set"
            checked.add(name, HOLDS, words)
        if refused:
            listed = ", ".join(f"{count:,} {code}" for code, count in sorted(refused.items()))
            checked.add(f"refused {name}", CLAIMED, f"not verified, so not counted: {listed}")
    used = {one.key_id for one in valid}
    used |= {one.key_id for one in bundle.receipts if one.code is None}
    for key_id in sorted(used):
        if (key := keys.get(key_id)) is not None:
            checked.trusts.append(f"key {key.key_id} of {key.signer_id}: {key.public_key_hex}")


# The tree and its checkpoint -------------------------------------------------------------------


def _check_inclusion(
    checked: CheckedEvidence, reader: ObjectReader, facts: _VerifiedFacts
) -> InclusionProof | None:
    """Check that the state is in the tree of the root."""
    try:
        proof = parse_proof(canonical(reader.object("inclusion_proof").value))
    except FormatError as error:
        checked.add("inclusion", FAILS, f"the inclusion proof cannot be read: {error}")
        return None
    leaf = facts.bundle.record.digest, facts.state.raw_core_digest
    if proof.leaf != leaf or not proof.leads_to(proof.root):
        words = f"the proof does not lead from this state to the root {proof.root.hex()}"
        checked.add("inclusion", FAILS, words)
        return None
    words = f"the state is in the tree of the root {proof.root.hex()} (RFC 6962)"
    checked.add("inclusion", HOLDS, words)
    checked.compare(
        "key set", "digest of the key set (K3)", facts.keys.digest, proof.key_set_digest
    )
    return proof


def _check_checkpoint(
    checked: CheckedEvidence,
    reader: ObjectReader,
    proof: InclusionProof | None,
    facts: _VerifiedFacts,
    headers: _Headers,
) -> None:
    """Check the signed note on the root, and its time-stamp."""
    if reader.value.get("checkpoint") is None:
        checked.add("checkpoint", NOT_CHECKED, "the file has no checkpoint of this root")
        return
    found = reader.object("checkpoint")
    note = found.text("note")
    try:
        checkpoint = parse_checkpoint(parse_note(note.encode()).text)
    except FormatError as error:
        checked.add("checkpoint", FAILS, f"the checkpoint cannot be read: {error}")
        return
    root = "" if proof is None else proof.root.hex()
    checked.compare("checkpoint root", "root in the checkpoint", checkpoint.root.hex(), root)
    if checkpoint.basis is not None:
        named = checkpoint.basis[0]
        checked.compare("checkpoint key set", "key set of the checkpoint", named, facts.keys.digest)
    _check_note(checked, note, found.value.get("verifier"))
    if checkpoint.time is not None:
        checked.add("checkpoint time", CLAIMED, f"its signer dates it {checkpoint.time}")
    _check_note_time(checked, headers, note, found.value.get("time_stamp_b64"))


def _check_note(checked: CheckedEvidence, note: str, verifier: Value) -> None:
    if not isinstance(verifier, str):
        words = "the file has no public key for it: get it from the mirror, by another way"
        checked.add("checkpoint signature", NOT_CHECKED, words)
        return
    try:
        verify_note(parse_note(note.encode()), [parse_verifier(verifier)])
    except (FormatError, UntrustedNoteError) as error:
        checked.add("checkpoint signature", FAILS, f"{error.message}")
        return
    checked.add("checkpoint signature", HOLDS, f"signed by {verifier}")
    checked.trusts.append(f"public key of the mirror: {verifier}")


def _check_note_time(
    checked: CheckedEvidence, headers: _Headers, note: str, proof_b64: Value
) -> None:
    if proof_b64 is None:
        return
    proof = decode_base64(proof_b64) or b""
    result = check_proof(proof, sha256(note.encode()), headers)
    _add_result(checked, "checkpoint time-stamp", result)


# Time-stamps of the record ---------------------------------------------------------------------


def _check_time_stamps(
    checked: CheckedEvidence, reader: ObjectReader, facts: _VerifiedFacts, headers: _Headers
) -> None:
    found = time_stamps_in(parse_state(facts.state.text))
    authorities = _authorities(reader) if any(one.method == RFC3161 for one in found) else []
    for one in found:
        result = _result(facts.bundle.record, one, headers, authorities)
        _add_result(checked, f"time-stamp {one.event_id}", result)


def _result(
    record: Record, one: TimeStamp, headers: _Headers, authorities: list[Authority]
) -> AnchorResult:
    if one.method == OPENTIMESTAMPS:
        return check_proof(one.proof, record.digest, headers)
    if one.method == RFC3161:
        from mirror.engine.anchors.rfc3161 import check_token  # noqa: PLC0415 - a slow library

        return check_token(one.proof, canonical(record.value), authorities)
    return AnchorResult(AnchorStatus.NOT_CHECKED, "no program here checks this method")


def _authorities(reader: ObjectReader) -> list[Authority]:
    """Return the authorities in the document, named with the digests of their roots.

    The names are chosen by those who made the document.
    """
    from mirror.engine.anchors.authorities import parse_authority  # noqa: PLC0415 - as above

    found = [
        parse_authority(one.text("certificates").encode(), one.text("name"))
        for one in reader.objects("authorities")
    ]
    return [replace(one, name=f"{one.name}, {_roots_of(one)}") for one in found]


def _roots_of(authority: Authority) -> str:
    digests = [one.fingerprint_sha256 for one in authority.summaries() if one.role == "root"]
    return f"root certificate sha256 {' and '.join(digests)}"


_FAILED = frozenset(
    {AnchorStatus.NOT_THIS_DIGEST, AnchorStatus.MALFORMED, AnchorStatus.WRONG_BLOCK}
)


def _add_result(checked: CheckedEvidence, name: str, result: AnchorResult) -> None:
    """Add the result of checking a proof of time, and what it rests on."""
    if result.status is AnchorStatus.ANCHORED:
        words, rests_on = _time_words(result)
        checked.add(name, HOLDS, words)
        checked.trusts.append(rests_on)
    elif result.status in _FAILED:
        checked.add(name, FAILS, result.words)
    else:
        checked.add(name, NOT_CHECKED, result.words)


def _time_words(result: AnchorResult) -> tuple[str, str]:
    """Return the time that a proof shows, and the block or authority on which it rests.

    A header is taken as the file has it, so both say how little work it may show.
    """
    best = next(iter(objects_member(result.details, "attestations")), None)
    if best is None:
        authority = f"time-stamp authority {text_member(result.details, 'authority')}"
        return f"existed by {result.at}, says the {authority}", authority
    block = object_member(best, "block")
    work = text_member(block, "difficulty")
    named = f"block {integer_member(best, 'height'):,}"
    return (
        f"existed by {result.at}, the time in the header of {named} of {work}",
        f"{named} as one of Bitcoin: {text_member(block, 'hash')}, of {work}",
    )


# Statements ------------------------------------------------------------------------------------


def _list_statements(checked: CheckedEvidence, reader: ObjectReader) -> None:
    """Add what upstreams said, which proves nothing, and whether it is this state or bundle."""
    own = {name: _digest(reader.text(name)) for name in ("state", "bundle")}
    for one in reader.objects("upstream"):
        kind, upstream, at = one.text("kind"), one.text("upstream"), one.text("first_read_at")
        digest = _digest(one.text("text"))
        is_same = digest is not None and digest == own.get(kind)
        same = "the same" if is_same else "another"
        words = f"{upstream} gave {same} {kind}, first read by this mirror at {at}"
        checked.add(f"upstream {kind}", CLAIMED, words)
    checked.add(
        "made",
        CLAIMED,
        f"this file says that it was made at {reader.text('made_at')}",
    )


def _digest(text: str) -> str | None:
    """Return the digest of a JSON text; None if it is none."""
    try:
        return hexdigest(canonical(decode(text.encode())))
    except FormatError:
        return None
