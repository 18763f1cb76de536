"""Evidence documents that somebody made to mislead, or to stop, the programs that check them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from mirror.core.values import sha256
from tests.builders import Object
from tests.evidence.samples import HEIGHT, NOTARY
from tests.proofs import attestation_bytes, in_block, promised, raw, unknown

_ABSENT = object()
_VALUES = (None, 5, -1.5, [5], {"a": None}, "\u2028", _ABSENT)
_PLACES: list[tuple[str | int, ...]] = [
    ("pith_number",), ("key_set",), ("bundle",), ("state",), ("inclusion_proof",), ("headers",),
    ("checkpoint",), ("upstream",), ("made_at",), ("inclusion_proof", "pith_number"),
    ("inclusion_proof", "path"), ("inclusion_proof", "path", 0), ("headers", 0, "height"),
    ("headers", 0, "header"), ("checkpoint", "note"), ("checkpoint", "verifier"),
    ("checkpoint", "time_stamp_b64"), ("upstream", 0, "kind"), ("upstream", 0, "text"),
]  # fmt: skip


def documents(evidence: Object) -> Iterator[Object]:
    """Yield documents with members of wrong types, notes, proofs and headers."""
    for place in _PLACES:
        yield from (_changed(evidence, place, value) for value in _VALUES)
    header = evidence["headers"][0]["header"]
    for text in (header[:-2], header.upper(), f" {header}", header + "00", "zz" * 80):
        yield _changed(evidence, ("headers", 0, "header"), text)
    number = f"pith:2024:{'A' * 26}"
    yield _changed(evidence, ("inclusion_proof", "pith_number"), number)
    said = {"upstream": "r", "kind": "other", "first_read_at": "t", "text": "null"}
    yield {**evidence, "upstream": [said, {**said, "kind": "state", "text": "{"}]}
    for note in _notes(evidence["checkpoint"]["note"]):
        yield _changed(evidence, ("checkpoint", "note"), note)
    for proof in _proofs(evidence):
        encoded = base64.b64encode(proof).decode()
        yield _changed(evidence, ("checkpoint", "time_stamp_b64"), encoded)


def _changed(evidence: Object, place: tuple[str | int, ...], value: Any) -> Object:
    document = deepcopy(evidence)
    inner: Any = document
    for name in place[:-1]:
        inner = inner[name]
    if value is _ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return document


def _signed(text: str) -> str:
    """A note of any text, by the key of the mirror."""
    signature = NOTARY.verifier.key_id + NOTARY.sign(text.encode())
    return f"{text}\n— {NOTARY.name} {base64.b64encode(signature).decode()}\n"


def _notes(note: str) -> Iterator[str]:
    lines = note.rpartition("\n\n")[0].split("\n")
    for character in ("\r", "\x00", "\x85", "\ufeff", "\n", " "):
        yield _signed("\n".join([lines[0] + character, *lines[1:], ""]))
        yield _signed("\n".join([*lines, character, ""]))
        yield f"{note}— a{character}b AAAAAAAAAAA=\n"
    yield _signed("\n".join([*lines[:4], *lines[5:], ""]))  # a line of the mirror is missing
    yield _signed("\n".join([*lines, lines[-1], ""]))
    for size in ("01", "-1", "9007199254740992", "1e3"):
        yield _signed("\n".join([lines[0], size, *lines[2:], ""]))
    yield note + "— a AAAAAAAAAAA=\n" * 99
    yield note + "— a AAAAAAAAAAA=\n" * 100
    yield _signed("\n".join([*lines, "x" * (1 << 18), ""]))
    last = note.rpartition("— ")[2]
    yield f"{note}— {last[:-9]}AAAAAA==\n"  # a second signature of the key, which is invalid


def _proofs(evidence: Object) -> Iterator[bytes]:
    good = base64.b64decode(evidence["checkpoint"]["time_stamp_b64"])
    digest = sha256(evidence["checkpoint"]["note"].encode())
    block = attestation_bytes(in_block(HEIGHT + 1))
    tree = good[len(raw(digest, b"")) :]
    for attestation in (promised(), unknown(), in_block(HEIGHT), in_block(1 << 33)):
        yield raw(digest, b"\xff" + attestation_bytes(attestation) + tree)
    for operation in (b"\xf2", b"\xf3", b"\x08", b"\xf0\x00", b"\x09"):
        yield raw(digest, operation + block)
    for operation in (b"\x02", b"\x67"):  # hashes that only one program makes
        yield raw(digest, b"\xff" + operation + attestation_bytes(promised()) + tree)
    yield from (raw(digest, b"\x08" * depth + block) for depth in (255, 256, 4000))
    yield from (raw(digest, (b"\xff" + block) * count + block) for count in (1000, 3000, 9000))
    yield raw(digest, b"\xff" + tree + b"\xf0\x04salt" + block)
    yield raw(
        digest, b"\xff" + tree + tree[: tree.index(b"\x08")] + b"\x08" + block[:9] + b"\x01\x05"
    )
    yield raw(digest, block[:9] + b"\x03\x80\x80\x00")  # the height 0, in three bytes
    yield raw(digest, block[:9] + b"\x02\x05\x05")
    yield good[: len(good) - len(tree) - 34] + b"\x81\x00" + good[len(good) - len(tree) - 33 :]
    yield good[: len(good) - len(tree) - 33] + b"\x02" + good[len(good) - len(tree) - 32 :]
    yield good + b"\x00"
