"""Signs checkpoints of a store, and checks checkpoints of others against earlier ones.

A checkpoint is a signed note (C2SP) on the root of all states, the key set and the merge version.
Because it is signed, its origin cannot deny it later. Every checkpoint that is read is stored, and
later checkpoints of the same origin are compared with it. Two checkpoints of one origin that cannot
both be true are a *fork*: the origin shows different states to different readers (equivocation).
A checkpoint that has less than an earlier one is a *rollback*.

Only the keys that a person named are trusted to sign for an origin. Two notes are compared only if
trusted keys of one name signed both. So nobody can sign a note in the name of another origin to
make that origin look like a forger.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from mirror.core.transparency.checkpoint import (
    Checkpoint,
    MirrorExtension,
    describe_fork,
    describe_rollback,
    format_checkpoint,
    parse_checkpoint,
)
from mirror.core.transparency.signed_note import (
    Signer,
    Verifier,
    is_key_name,
    make_signer,
    parse_note,
    sign_note,
    verify_note,
)
from mirror.core.values import instant, time_text
from mirror.engine.atomic_file import OutputFile
from mirror.engine.states.root import read_root, update_root
from mirror.errors import CheckpointConflictError, FormatError, UntrustedNoteError
from mirror.store import Store, StoredCheckpoint

__all__ = [
    "CheckpointFinding",
    "CheckpointResult",
    "keep_checkpoint",
    "last_own_checkpoint",
    "make_checkpoint",
    "write_new_key",
]

_AHEAD = timedelta(days=1)
"""How far in the future a note may be dated, as for events (B5)."""

_Rule: TypeAlias = Callable[[Checkpoint, Checkpoint], str | None]
"""Returns how a checkpoint contradicts a stored one, or None."""


@dataclass(frozen=True, slots=True)
class CheckpointFinding:
    """A problem of a note."""

    code: str
    """`checkpoint.fork`, `checkpoint.rollback`, `checkpoint.future`, `checkpoint.unsigned` or
    `note.signature`."""
    message: str
    evidence: str = ""
    """The stored note that contradicts the note; empty if the problem is in the note alone."""


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """Result of checking a note."""

    note: str
    """The note as it was read."""
    checkpoint: Checkpoint | None
    """None if no trusted key signed the note; its text is not parsed then."""
    signed_by: tuple[Verifier, ...]
    """The trusted keys that signed it."""
    is_new: bool
    """Whether it was not stored before. A note that no trusted key signed is not stored."""
    findings: tuple[CheckpointFinding, ...]


# Own checkpoints -----------------------------------------------------------------------------


def make_checkpoint(store: Store, signer: Signer, now: datetime, origin: str = "") -> str:
    """Sign a checkpoint of the current states, store it, and return the note.

    The root is updated first. A checkpoint that contradicts an earlier one of this origin is not
    signed, because every reader would report a fork or a rollback.

    Args:
        store: The store.
        signer: The key.
        now: The current time, with a time zone; it is signed in whole seconds.
        origin: The origin; empty for the name of the key.

    Raises:
        CheckpointConflictError: `checkpoint.fork` or `checkpoint.rollback`.
        FormatError: `checkpoint.origin` if the origin is invalid.
        StoreError: `store.behind` if another process merges at this moment.
        CorruptStoreError: `store.damaged`
    """
    origin = origin or signer.name
    if not is_key_name(origin):
        raise FormatError("checkpoint.origin", "an origin has no spaces and no plus")
    update_root(store)
    with store.transaction():
        checkpoint = _current(store, origin, now)
        own = [one for one in store.checkpoints.of(origin) if one.is_own]
        for finding in _contradictions(checkpoint, own, _NEW):
            raise CheckpointConflictError(finding.code, finding.message, hint=_HINTS[finding.code])
        note = sign_note(format_checkpoint(checkpoint), [signer]).decode()
        store.checkpoints.insert(checkpoint, note, time_text(now), is_own=True)
    return note


_HINTS = {
    "checkpoint.fork": (
        "nothing was signed; run the command again in a second; if the error persists, the store "
        "was changed: run `mirror check`"
    ),
    "checkpoint.rollback": (
        "nothing was signed; correct the clock, or merge again the bundles that the store has "
        "lost; if they are lost for good, announce it, and continue with another --origin"
    ),
}


def _current(store: Store, origin: str, now: datetime) -> Checkpoint:
    root = read_root(store)
    particulars = MirrorExtension(
        key_set_digest=root.key_set_digest,
        merge_version=root.merge_version,
        events_valid=root.events_valid,
        events_invalid=root.events_invalid,
        time=time_text(now),
    )
    return Checkpoint(
        origin=origin,
        size=root.records,
        root=bytes.fromhex(root.root),
        particulars=particulars,
    )


def last_own_checkpoint(store: Store) -> str | None:
    """Return the last note that this store signed, or None.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    stored = store.checkpoints.last_own()
    return None if stored is None else stored.note


# Checkpoints of others -----------------------------------------------------------------------


def keep_checkpoint(
    store: Store,
    data: bytes,
    verifiers: Collection[Verifier],
    now: datetime,
    *,
    is_old: bool = False,
) -> CheckpointResult:
    """Verify a note, store it, and compare it with the earlier checkpoints of its origin.

    Two checkpoints that cannot both be true are a fork (`checkpoint.fork`, see `describe_fork`).
    Roots are compared only under the same key set digest and merge version, because a state depends
    on the trusted keys, too (K3). A checkpoint that has less than an earlier one, or an earlier
    date, is a rollback (`checkpoint.rollback`): an old note hides the changes since. A historical
    note is compared with the others in the order of their dates.

    A note that a trusted key signed is stored with any finding, because it is the evidence.

    Args:
        store: The store.
        data: The note; it may be from anybody.
        verifiers: The trusted keys. They should include former ones: a stored note that none of
            them signed is not compared.
        now: The current time, with a time zone.
        is_old: Whether the note is historical, and not the latest of its origin.

    Raises:
        FormatError: Codes of `note.*` and `checkpoint.*`, if it is not a checkpoint.
        CorruptStoreError: `store.damaged`
    """
    note = parse_note(data)
    text = data.decode()
    try:
        signed_by = verify_note(note, verifiers).signed_by
    except UntrustedNoteError as error:
        code = "checkpoint.unsigned" if error.code == "note.unsigned" else error.code
        return CheckpointResult(
            text, None, (), is_new=False, findings=(CheckpointFinding(code, error.message),)
        )
    checkpoint = parse_checkpoint(note.text)
    with store.transaction():
        names = {verifier.name for verifier in signed_by}
        others = [one for one in store.checkpoints.of(checkpoint.origin) if one.note != text]
        rules = _OLD if is_old else _NEW
        found = _contradictions(
            checkpoint, others, rules, lambda one: _is_signed(one, names, verifiers)
        )
        findings = (*found, *_dated_ahead(checkpoint, now))
        is_new = store.checkpoints.insert(checkpoint, text, time_text(now), is_own=False)
    return CheckpointResult(text, checkpoint, signed_by, is_new, findings)


def _in_order(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return how the later of two checkpoints has less than the earlier, if both are dated."""
    if one.time is None or other.time is None:
        return None
    return describe_rollback(other, one) if one.time < other.time else describe_rollback(one, other)


_NEW: dict[str, _Rule] = {
    "checkpoint.fork": describe_fork,
    "checkpoint.rollback": describe_rollback,
}
_OLD: dict[str, _Rule] = {"checkpoint.fork": describe_fork, "checkpoint.rollback": _in_order}


def _contradictions(
    checkpoint: Checkpoint,
    others: Collection[StoredCheckpoint],
    rules: dict[str, _Rule],
    is_comparable: Callable[[StoredCheckpoint], bool] = lambda _other: True,
) -> Iterator[CheckpointFinding]:
    """Yield a finding for each violated rule, with the last stored note that shows it.

    Args:
        checkpoint: The checkpoint to check.
        others: Stored checkpoints of the same origin, the oldest first.
        rules: The rules by code.
        is_comparable: Whether a stored checkpoint counts; called only if it violates a rule.
    """
    for code, rule in rules.items():
        for other in reversed(list(others)):
            why = rule(checkpoint, other.checkpoint)
            if why is not None and is_comparable(other):
                yield CheckpointFinding(code, why, other.note)
                break


def _is_signed(
    stored: StoredCheckpoint, names: Collection[str], verifiers: Iterable[Verifier]
) -> bool:
    """Whether a trusted key of one of these names signed a stored note."""
    note = parse_note(stored.note.encode())
    try:
        verify_note(note, [one for one in verifiers if one.name in names])
    except UntrustedNoteError:
        return False
    return True


def _dated_ahead(checkpoint: Checkpoint, now: datetime) -> Iterator[CheckpointFinding]:
    at, limit = instant(checkpoint.time), instant(time_text(now + _AHEAD))
    if at is not None and limit is not None and at > limit:
        why = f"dated {checkpoint.time}, more than a day in the future"
        yield CheckpointFinding("checkpoint.future", why)


# Keys ----------------------------------------------------------------------------------------


def write_new_key(file: OutputFile, name: str) -> Verifier:
    """Make a key for checkpoints, and write its private part to a file that only its owner reads.

    Args:
        file: The file; an existing private key is never replaced.
        name: The name of the key, and the default origin of its checkpoints.

    Returns:
        The public part.

    Raises:
        FormatError: `note.name`
        OutputError: As `OutputFile.open`.
    """
    signer = make_signer(name, os.urandom(32))
    with file.open(private=True) as opened:
        opened.write(f"{signer.text}\n".encode())
    return signer.verifier
