"""`mirror prove`: a small file that shows that a state is in a tree, by nothing but its root."""

from __future__ import annotations

from typing import NamedTuple

from mirror.core.merge import MERGE_VERSION
from mirror.core.record import Record, is_pith_number, suffix_of
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import EMPTY, FANOUT, Siblings
from mirror.core.values import Object, Value, decode, is_digest
from mirror.engine.states.root import read_root
from mirror.errors import FormatError
from mirror.store import Store, damaged

__all__ = ["InclusionProof", "make_proof", "parse_proof"]

_TYPE, _VERSION = "pith_mirror_inclusion_proof", "1.0"
_DIGITS = "0123456789abcdef"


class InclusionProof(NamedTuple):
    """What a proof says."""

    pith_number: str
    leaf: merkle.Leaf
    steps: list[Siblings]
    root: bytes
    """That it claims to lead to, raw."""
    key_set_digest: str
    """Of whom the mirror trusted that made it (K3): it says so, and nothing proves it."""
    merge_version: str
    """By which the state was made: no more is that proved."""

    def leads_to(self, root: bytes) -> bool:
        """Whether the state is in the tree of this root."""
        return merkle.root_from_path(self.leaf, self.steps) == root


def make_proof(store: Store, record_id: int) -> Object:
    """Return the proof for a record's state; call within a snapshot.

    Raises:
        StoreError: `store.behind` if the tree lags behind the facts.
        CorruptStoreError: `store.damaged`
    """
    about, record = read_root(store), store.records.get(record_id)
    leaf, steps = _way_to(store, record)
    if merkle.root_from_path(leaf, steps) != bytes.fromhex(about.root):
        raise damaged("the tree is not that of the states", record.pith_number)
    return {
        "proof_type": _TYPE,
        "proof_version": _VERSION,
        "pith_number": record.pith_number,
        "canonical_sha256": record.canonical_sha256,
        "core_digest": leaf[1].hex(),
        "merge_version": MERGE_VERSION,
        "key_set_digest": about.key_set_digest,
        "root": about.root,
        "path": [_step_value(siblings) for siblings in steps],
    }


def _way_to(store: Store, record: Record) -> tuple[merkle.Leaf, list[Siblings]]:
    """Return a record's leaf, and the children of every node above it."""
    leaves = {one.record: one[:2] for one in store.state_tree.leaves(record.canonical_sha256)}
    if record.digest not in leaves:
        raise damaged("its state is not there", record.pith_number)
    return leaves[record.digest], store.state_tree.path(record.digest)


def _step_value(siblings: Siblings) -> Object:
    """Return the children of a node by their digit; those that are empty are left out."""
    return {
        digit: digest.hex()
        for digit, digest in zip(_DIGITS, siblings, strict=True)
        if digest != EMPTY
    }


def parse_proof(data: bytes) -> InclusionProof:
    """Read a proof.

    Raises:
        FormatError: V1 codes, or `proof.shape`.
    """
    value = decode(data)
    if not isinstance(value, dict):
        raise _fault("", "it is not an object")
    if value.get("proof_type") != _TYPE or value.get("proof_version") != _VERSION:
        raise _fault("/proof_type", f"it is no {_TYPE} {_VERSION}")
    path = value.get("path")
    if not isinstance(path, list):
        raise _fault("/path", "it is not a list")
    record = _digest(value, "canonical_sha256")
    number = _text(value, "pith_number")
    if not (is_pith_number(number) and number.endswith(suffix_of(record))):
        raise _fault("/pith_number", "it is not the number of canonical_sha256")
    return InclusionProof(
        pith_number=number,
        leaf=(record, _digest(value, "core_digest")),
        steps=[_siblings(step, index) for index, step in enumerate(path)],
        root=_digest(value, "root"),
        key_set_digest=_digest(value, "key_set_digest").hex(),
        merge_version=_text(value, "merge_version"),
    )


def _siblings(step: Value, index: int) -> Siblings:
    place = f"/path/{index}"
    if not isinstance(step, dict) or not set(step) <= set(_DIGITS):
        raise _fault(place, f"it does not name {FANOUT} children by their digits at most")
    return tuple([_digest(step, digit, place) if digit in step else EMPTY for digit in _DIGITS])


def _text(holder: Object, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise _fault(f"/{name}", "it is not a string")
    return value


def _digest(holder: Object, name: str, where: str = "") -> bytes:
    value = holder.get(name)
    if not is_digest(value):
        raise _fault(f"{where}/{name}", "it is not a digest")
    return bytes.fromhex(value)


def _fault(where: str, message: str) -> FormatError:
    hint = "`mirror prove ID` writes such a file"
    return FormatError("proof.shape", message, where=where, hint=hint)
