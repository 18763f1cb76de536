"""Inclusion proofs: a file that proves that a state is in the tree of a root (RFC 6962)."""

from __future__ import annotations

from typing import NamedTuple

from mirror.core.record import Record, is_pith_number, suffix_of
from mirror.core.rules import MERGE_VERSION
from mirror.core.shape import ObjectReader, read_object
from mirror.core.transparency import merkle
from mirror.core.transparency.merkle import EMPTY, FANOUT, Siblings
from mirror.core.values import Object, decode
from mirror.engine.states.root import read_root
from mirror.store import Store, damaged

__all__ = ["InclusionProof", "make_proof", "parse_proof"]

_TYPE, _VERSION = "pith_mirror_inclusion_proof", "1.0"
_SHAPE = "proof.shape"
_HINT = "`mirror prove ID` writes such a file"
_DIGITS = "0123456789abcdef"


class InclusionProof(NamedTuple):
    """A parsed proof; nothing in it is verified but its shape."""

    pith_number: str
    leaf: merkle.Leaf
    steps: list[Siblings]
    root: bytes
    """The root that the proof claims to lead to, raw."""
    key_set_digest: str
    """Key set digest (K3) claimed by the mirror that made the proof; not proven."""
    merge_version: str
    """Version of the merge claimed by that mirror; not proven."""

    def leads_to(self, root: bytes) -> bool:
        """Whether the state is in the tree of this root."""
        return merkle.root_from_path(self.leaf, self.steps) == root


def make_proof(store: Store, record_id: int) -> Object:
    """Return the proof for a record's state; call within a snapshot.

    Raises:
        StoreError: `store.behind` if the tree is out of date.
        CorruptStoreError: `store.damaged`
    """
    root, record = read_root(store), store.records.get(record_id)
    leaf, steps = _leaf_and_path(store, record)
    if merkle.root_from_path(leaf, steps) != bytes.fromhex(root.root):
        raise damaged("the tree is not that of the states", record.pith_number)
    return {
        "proof_type": _TYPE,
        "proof_version": _VERSION,
        "pith_number": record.pith_number,
        "canonical_sha256": record.canonical_sha256,
        "core_digest": leaf[1].hex(),
        "merge_version": MERGE_VERSION,
        "key_set_digest": root.key_set_digest,
        "root": root.root,
        "path": [_step_value(siblings) for siblings in steps],
    }


def _leaf_and_path(store: Store, record: Record) -> tuple[merkle.Leaf, list[Siblings]]:
    """Return a record's leaf, and the children of every node above it."""
    leaves = {one.record: one[:2] for one in store.state_tree.leaves(record.canonical_sha256)}
    if record.digest not in leaves:
        raise damaged("its state is missing in the tree", record.pith_number)
    return leaves[record.digest], store.state_tree.path(record.digest)


def _step_value(siblings: Siblings) -> Object:
    """Return the children of a node by their digits, without empty ones."""
    return {
        digit: digest.hex()
        for digit, digest in zip(_DIGITS, siblings, strict=True)
        if digest != EMPTY
    }


def parse_proof(data: bytes) -> InclusionProof:
    """Parse a proof.

    Raises:
        FormatError: V1 codes, or `proof.shape`.
    """
    reader = read_object(decode(data), _SHAPE, hint=_HINT)
    kind = reader.value.get("proof_type"), reader.value.get("proof_version")
    if kind != (_TYPE, _VERSION):
        raise reader.fault(f"must be {_TYPE} {_VERSION}", "proof_type")
    record, number = reader.digest("canonical_sha256"), reader.text("pith_number")
    if not (is_pith_number(number) and number.endswith(suffix_of(record))):
        raise reader.fault("must be the Pith Number of canonical_sha256", "pith_number")
    return InclusionProof(
        pith_number=number,
        leaf=(record, reader.digest("core_digest")),
        steps=[_siblings(step) for step in reader.objects("path")],
        root=reader.digest("root"),
        key_set_digest=reader.digest("key_set_digest").hex(),
        merge_version=reader.text("merge_version"),
    )


def _siblings(step: ObjectReader) -> Siblings:
    if not set(step.value) <= set(_DIGITS):
        raise step.fault(f"must name at most {FANOUT} children by their digits")
    return tuple([step.digest(digit) if digit in step.value else EMPTY for digit in _DIGITS])
