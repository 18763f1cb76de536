"""Checkpoints: a mirror's statement about all its states, as the text of a signed note.

    <origin>                       the signer: a name such as mirror.example.org/pith
    <size>                         records, in decimal
    <root>                         of the tree over all states, 32 bytes in base64
    key-set <64 digits>            the digest of the key set (K3)
    merge-version <name>           the version of the merge
    events-valid <count>
    events-invalid <count>
    time <YYYY-MM-DDTHH:MM:SSZ>    when, as the signer claims

The first three lines are those of any transparency log's checkpoint, so that programs for logs can
read them. The five lines after them are a mirror's extension: all in this order, or none. Further
lines are of other programs: they are kept and shown, and have no meaning here. Each value has one
form: a text that `format_checkpoint` would not write is refused.

The tree is the map of `mirror.core.transparency.merkle`, not the append-only list of RFC 6962: a
record keeps its place while its state changes. So there are no proofs of consistency. Instead, the
facts of a mirror only grow (`describe_fork`, `describe_rollback`).

Source: https://c2sp.org/tlog-checkpoint; K3, M12, V5.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mirror.core.values import DIGEST_PATTERN, MAX_INTEGER, decode_base64, instant
from mirror.errors import FormatError

__all__ = [
    "Checkpoint",
    "MirrorExtension",
    "describe_fork",
    "describe_rollback",
    "format_checkpoint",
    "parse_checkpoint",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorExtension:
    """The extension lines of a mirror."""

    key_set_digest: str
    """K3, hexadecimal."""
    merge_version: str
    events_valid: int
    events_invalid: int
    time: str
    """V5, in whole seconds and with `Z`, so that times compare as strings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint; read by `parse_checkpoint`."""

    origin: str
    size: int
    """Number of records: the leaves of the tree."""
    root: bytes
    """32 raw bytes."""
    particulars: MirrorExtension | None = None
    """None in the checkpoints of other programs."""
    others: tuple[str, ...] = ()
    """Extension lines of other programs."""

    @property
    def basis(self) -> tuple[str, str] | None:
        """Key set digest and merge version of the root (K3); None without the extension."""
        said = self.particulars
        return None if said is None else (said.key_set_digest, said.merge_version)

    @property
    def time(self) -> str | None:
        """The time that the signer claims; None without the extension."""
        return None if self.particulars is None else self.particulars.time

    @property
    def events_valid(self) -> int | None:
        """The count of valid events; None without the extension."""
        return None if self.particulars is None else self.particulars.events_valid


# Reading -------------------------------------------------------------------------------------

_LINE = re.compile(r"[^\x00-\x1f]+")
_DIGEST = re.compile(DIGEST_PATTERN)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_WORD = re.compile(r"[!-~]{1,100}")
_TIME_LENGTH = len("2026-01-01T12:00:00Z")


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a note as a checkpoint.

    Raises:
        FormatError: `checkpoint.shape`, `checkpoint.size`, `checkpoint.root` or
            `checkpoint.extension`, with the line.
    """
    lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or not all(map(_LINE.fullmatch, lines)) or len(lines) < 3:
        message = "a checkpoint is three or more lines, and none of them is empty"
        raise FormatError("checkpoint.shape", message)
    origin, size, root, *extensions = lines
    leaves, digest = _parse_size(size), _parse_root(root)
    particulars, others = _parse_extensions(extensions)
    return Checkpoint(
        origin=origin, size=leaves, root=digest, particulars=particulars, others=others
    )


def _is_count(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and int(text) <= MAX_INTEGER


def _parse_size(text: str) -> int:
    if not _is_count(text):
        message = "the size must be a number up to 2^53-1, without leading zeros"
        raise FormatError("checkpoint.size", message, where="line 2")
    return int(text)


def _parse_root(text: str) -> bytes:
    root = decode_base64(text)
    if root is None or len(root) != 32:
        message = "the root must be 32 bytes in base64"
        raise FormatError("checkpoint.root", message, where="line 3")
    return root


_EXTENSIONS: Mapping[str, Callable[[str], object]] = {
    "key-set": _DIGEST.fullmatch,
    "merge-version": _WORD.fullmatch,
    "events-valid": _is_count,
    "events-invalid": _is_count,
    "time": lambda text: len(text) == _TIME_LENGTH and instant(text) is not None,
}
"""The names of a mirror's extension lines in their order, and the checks of their values."""


def _parse_extensions(lines: Sequence[str]) -> tuple[MirrorExtension | None, tuple[str, ...]]:
    """Return a mirror's extension, and the lines of other programs."""
    names = [line.partition(" ")[0] for line in lines]
    if not _EXTENSIONS.keys() & names:
        return None, tuple(lines)
    count = len(_EXTENSIONS)
    if names[:count] != list(_EXTENSIONS) or _EXTENSIONS.keys() & names[count:]:
        message = f"a mirror's lines are, in this order and before others: {', '.join(_EXTENSIONS)}"
        raise FormatError("checkpoint.extension", message)
    values = [_parse_value(line, number) for number, line in enumerate(lines[:count], 4)]
    key_set_digest, merge_version, events_valid, events_invalid, time = values
    particulars = MirrorExtension(
        key_set_digest=key_set_digest,
        merge_version=merge_version,
        events_valid=int(events_valid),
        events_invalid=int(events_invalid),
        time=time,
    )
    return particulars, tuple(lines[count:])


def _parse_value(line: str, number: int) -> str:
    name, _, value = line.partition(" ")
    if not _EXTENSIONS[name](value):
        message = f"not a value of {name}"
        raise FormatError("checkpoint.extension", message, where=f"line {number}")
    return value


# Writing -------------------------------------------------------------------------------------


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint, which ends in a newline.

    Raises:
        FormatError: If `parse_checkpoint` would not return the same; its codes.
    """
    root = base64.b64encode(checkpoint.root).decode()
    lines = [checkpoint.origin, str(checkpoint.size), root]
    said = checkpoint.particulars
    if said is not None:
        values = (
            said.key_set_digest,
            said.merge_version,
            said.events_valid,
            said.events_invalid,
            said.time,
        )
        lines += [f"{name} {value}" for name, value in zip(_EXTENSIONS, values, strict=True)]
    text = "".join(f"{line}\n" for line in (*lines, *checkpoint.others))
    if parse_checkpoint(text) != checkpoint:
        raise FormatError("checkpoint.shape", "its text would be read as another checkpoint")
    return text


# Two checkpoints of one origin -----------------------------------------------------------------


def describe_fork(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return why one origin cannot honestly have signed both of two checkpoints, or None.

    A root follows from the facts, the key set and the merge. So under one key set digest and one
    merge version, there is one root at a time; and, since facts only grow, one for a number of
    records and a number of valid events. The number of records alone is not enough: an event about
    a known record changes the root and adds no record. Under another key set digest or merge
    version another root is no fork. A checkpoint without a mirror's extension is treated as that of
    a log, which has one root for each size.

    Args:
        one: A checkpoint.
        other: A checkpoint of the same origin, earlier or later.
    """
    if one.root == other.root:
        same = one.size == other.size
        return None if same else f"one root for {one.size} and for {other.size} records"
    if one.basis != other.basis:
        return None
    if one.time is not None and one.time == other.time:
        return f"two roots for one time, {one.time}"
    if (one.size, one.events_valid) != (other.size, other.events_valid):
        return None
    if one.events_valid is None:
        return f"two roots for one size, {one.size}"
    return f"two roots for the same {one.size} records and {one.events_valid} valid events"


def describe_rollback(new: Checkpoint, known: Checkpoint) -> str | None:
    """Return how a checkpoint contradicts a known one of its origin by showing less, or None.

    Facts only grow, so the number of records never falls, nor, under one key set digest and merge
    version, that of valid events. A signer that publishes a checkpoint of an earlier date than
    before hides later facts.

    Args:
        new: A checkpoint.
        known: A checkpoint of the same origin that was read before.
    """
    if new.time is not None and known.time is not None and new.time < known.time:
        return f"dated {new.time}, before {known.time} of one that was read earlier"
    if new.size < known.size:
        return f"{known.size} records, and then {new.size}"
    valid, before = new.events_valid or 0, known.events_valid or 0
    if new.basis == known.basis and valid < before:
        return f"{before} valid events, and then {valid}"
    return None
