"""`mirror checkpoint`: signing what this store says, and watching what others say over time.

A root that is published binds its mirror only if it can be shown later who said it, of what, and
when. So it is signed, together with the key set and the merge that it follows from; and whoever
reads such a note keeps it, and holds every later one of the same origin against it.

What a note says is taken for its origin's word only as far as the keys go that a person named. Two
notes are held against each other only if keys of one name, both of them named, signed both: so
nobody can sign a note in another's origin, and have that other found out as a forger.
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
"""How far ahead of our clock a note may be dated, as for events (B5)."""

_Rule: TypeAlias = Callable[[Checkpoint, Checkpoint], str | None]
"""Says how the checkpoint at hand contradicts one that is kept, or nothing."""


@dataclass(frozen=True, slots=True)
class CheckpointFinding:
    """Something about a note that a person should know."""

    code: str
    """`checkpoint.fork`, `checkpoint.rollback`, `checkpoint.future`, `checkpoint.unsigned` or
    `note.signature`."""
    message: str
    evidence: str = ""
    """The kept note that contradicts the one that was read; empty where none has a part in it."""


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """What reading a note came to."""

    note: str
    """As it was read."""
    checkpoint: Checkpoint | None
    """None if no known key stands behind the note: what it says is not looked at then."""
    signed_by: tuple[Verifier, ...]
    """The known keys that signed it."""
    is_new: bool
    """Whether it was not kept before. What no known key stands behind is not kept."""
    findings: tuple[CheckpointFinding, ...]


# Ours ----------------------------------------------------------------------------------------


def make_checkpoint(store: Store, signer: Signer, now: datetime, origin: str = "") -> str:
    """Sign what the store says now, keep that, and return the note.

    The root is brought up to date first. Nothing is signed that contradicts what was signed here
    before in this origin: whoever watches would have to take that for a fork or a rollback.

    Args:
        store: The store.
        signer: The key.
        now: What the clock says, with a time zone; whole seconds of it are signed.
        origin: In whose name; empty for the key's name.

    Raises:
        CheckpointConflictError: `checkpoint.fork` or `checkpoint.rollback`.
        FormatError: `checkpoint.origin` if nothing may be named so.
        StoreError: `store.behind` if somebody merges at this moment.
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
        "nothing was signed; run the command again in a second; if it says so again, the store is "
        "not what it was: run `mirror check`"
    ),
    "checkpoint.rollback": (
        "nothing was signed; set the clock right, or merge again what the store has lost; if that "
        "is gone for good, say so in public, and go on under another --origin"
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
    """Return the note that was signed here last, or None.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    kept = store.checkpoints.last_own()
    return None if kept is None else kept.note


# Anybody's -----------------------------------------------------------------------------------


def keep_checkpoint(
    store: Store,
    data: bytes,
    verifiers: Collection[Verifier],
    now: datetime,
    *,
    is_old: bool = False,
) -> CheckpointResult:
    """Verify a note, keep it, and hold it against what its origin said before.

    Two checkpoints of one origin are a fork (`checkpoint.fork`) if they cannot both be true: see
    `core.checkpoint.fork`. Another root under another key set is none: a state follows from whom
    one trusts as much as from the facts (K3), so it is compared only under one key set digest and
    one merge version. A checkpoint that says less than one that was read before, or is dated
    before it, is a rollback (`checkpoint.rollback`): whoever gives out an old note now hides what
    came since. One that is said to be old is held against the others in the order of their dates.

    Whatever is found, a note that a known key signed is kept: it is the evidence.

    Args:
        store: Where it is kept.
        data: The note, from anybody.
        verifiers: The keys that may speak. Keep old ones among them: a kept note that none of them
            signed is held against nothing.
        now: What the clock says, with a time zone.
        is_old: Whether the note is a piece of history, and not its origin's last word.

    Raises:
        FormatError: Codes of `note.*` and `checkpoint.*`, if it is no checkpoint at all.
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
            checkpoint, others, rules, lambda one: _said_by(one, names, verifiers)
        )
        findings = (*found, *_dated_ahead(checkpoint, now))
        is_new = store.checkpoints.insert(checkpoint, text, time_text(now), is_own=False)
    return CheckpointResult(text, checkpoint, signed_by, is_new, findings)


def _in_order(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return how the later of two checkpoints takes something back, if they are dated."""
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
    counts: Callable[[StoredCheckpoint], bool] = lambda _other: True,
) -> Iterator[CheckpointFinding]:
    """Yield a finding for each rule that is broken, with the last note that shows it.

    Args:
        checkpoint: The one at hand.
        others: Of the same origin, the one that was kept first before the others.
        rules: By code.
        counts: Whether one of them is to be held against it; asked only where it would tell.
    """
    for code, rule in rules.items():
        for other in reversed(list(others)):
            why = rule(checkpoint, other.checkpoint)
            if why is not None and counts(other):
                yield CheckpointFinding(code, why, other.note)
                break


def _said_by(kept: StoredCheckpoint, names: Collection[str], verifiers: Iterable[Verifier]) -> bool:
    """Whether a known key of one of these names signed a note that was kept."""
    note = parse_note(kept.note.encode())
    try:
        verify_note(note, [one for one in verifiers if one.name in names])
    except UntrustedNoteError:
        return False
    return True


def _dated_ahead(checkpoint: Checkpoint, now: datetime) -> Iterator[CheckpointFinding]:
    at, limit = instant(checkpoint.time), instant(time_text(now + _AHEAD))
    if at is not None and limit is not None and at > limit:
        why = f"dated {checkpoint.time}, more than a day ahead of our clock"
        yield CheckpointFinding("checkpoint.future", why)


# Keys ----------------------------------------------------------------------------------------


def write_new_key(file: OutputFile, name: str) -> Verifier:
    """Make a key for checkpoints, and write its private half to a file that only we may read.

    Args:
        file: The file; another private key is never replaced.
        name: What the key goes by, and what it signs is said to be from.

    Returns:
        The public half, to be handed on.

    Raises:
        FormatError: `note.name`
        OutputError: As `OutputFile.open`.
    """
    signer = make_signer(name, os.urandom(32))
    with file.open(private=True) as opened:
        opened.write(f"{signer.text}\n".encode())
    return signer.verifier
