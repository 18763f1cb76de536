"""Proofs of OpenTimestamps: real ones, ones to a chain of our own, and hostile ones."""

from __future__ import annotations

import builtins
import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from opentimestamps.core.op import OpHexlify, OpKECCAK256, OpReverse, OpRIPEMD160, OpSHA1

from mirror.core.block_header import block_hash, display_hash
from mirror.core.values import sha256
from mirror.engine.anchors.headers import HeaderChain, add_headers
from mirror.engine.anchors.opentimestamps import check_proof
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.anchors.timestamp_files import MAX_PROOF_BYTES
from mirror.store import Store, open_store
from tests.chains import chain, header, roots
from tests.proofs import (
    CALENDAR,
    MAGIC,
    attestation_bytes,
    in_block,
    path,
    promised,
    raw,
    stamp,
    unknown,
)
from tests.shared import shared

DIGEST = sha256(b"a record")
HEIGHT = 500
PROOF, (ROOT,) = stamp(DIGEST, (path(), in_block(HEIGHT)))


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store(None) as opened:
        yield opened


def _add(store: Store, headers: list[bytes], height: int) -> None:
    with store.transaction():
        add_headers(store, io.BytesIO(b"".join(headers)), height)


def _check(store: Store, proof: bytes, digest: bytes = DIGEST) -> AnchorResult:
    return check_proof(proof, digest, HeaderChain(store))


def _attestations(result: AnchorResult) -> list[Any]:
    listed: Any = result.details["attestations"]
    return [*listed]


def _statuses(result: AnchorResult) -> list[Any]:
    return [one["status"] for one in _attestations(result)]


# A chain of our own --------------------------------------------------------------------------


def test_a_proof_to_a_block_of_the_operators_chain(store: Store) -> None:
    """The answer names the block, its time, the work on it, and what the chain cost."""
    made = chain([*roots(2), ROOT, *roots(3, 5)])
    _add(store, made, HEIGHT - 2)
    result = _check(store, PROOF)
    assert (result.status, result.at) == (AnchorStatus.ANCHORED, "2026-05-28T20:46:40Z")
    (attestation,) = _attestations(result)
    assert attestation["block"] == {
        "hash": display_hash(block_hash(made[2])),
        "time": "2026-05-28T20:46:40Z",
        "difficulty": (
            "difficulty 4.657e-10, about 2 hashes for a block: such a chain costs nothing to make"
        ),
        "headers_after": 3,
        "work_after": "6",
    }
    assert "3 linked headers follow it, of about 6 hashes" in result.reason


def test_without_the_header_and_with_another_one(store: Store) -> None:
    missing = _check(store, PROOF)
    assert (missing.status, missing.at) == (AnchorStatus.NO_HEADER, None)
    assert "mirror headers add" in missing.reason
    _add(store, chain(roots(1)), HEIGHT)
    wrong = _check(store, PROOF)
    assert (wrong.status, wrong.at) == (AnchorStatus.WRONG_BLOCK, None)
    assert display_hash(ROOT) in wrong.reason


def test_a_message_that_is_no_root_is_in_no_block(store: Store) -> None:
    """Its end has another length than 32 bytes."""
    _add(store, chain([ROOT]), HEIGHT)
    proof, _ = stamp(DIGEST, ([*path(), OpSHA1()], in_block(HEIGHT)))
    assert _check(store, proof).status == AnchorStatus.WRONG_BLOCK


@pytest.mark.parametrize(
    ("attestations", "best"),
    [
        ((in_block(HEIGHT), promised(), unknown()), AnchorStatus.ANCHORED),
        ((in_block(7), in_block(HEIGHT)), AnchorStatus.ANCHORED),
        ((in_block(7), in_block(HEIGHT + 1), promised()), AnchorStatus.NO_HEADER),
        ((in_block(HEIGHT + 1), promised(), unknown()), AnchorStatus.WRONG_BLOCK),
        ((promised(), unknown()), AnchorStatus.PENDING),
        ((unknown(),), AnchorStatus.AUTHORITY_UNKNOWN),
    ],
)
def test_the_best_attestation_counts_and_all_are_listed(
    store: Store, attestations: tuple[Any, ...], best: AnchorStatus
) -> None:
    """A promise, which anybody can write, does not hide that a block contradicts the proof."""
    _add(store, chain([ROOT, *roots(1)]), HEIGHT)
    proof, _ = stamp(DIGEST, *((path(), one) for one in attestations))
    result = _check(store, proof)
    assert result.status == best == _statuses(result)[0]
    assert len(_statuses(result)) == result.details["attestation_count"] == len(attestations)
    assert result == _check(store, proof)


def test_of_two_blocks_the_earlier_counts(store: Store) -> None:
    proof, ends = stamp(DIGEST, (path("1"), in_block(HEIGHT)), (path("2"), in_block(HEIGHT + 1)))
    first = header(bytes(32), ends[0], 2_000)
    _add(store, [first, header(block_hash(first), ends[1], 1_000)], HEIGHT)  # miners' clocks differ
    assert _check(store, proof).at == "1970-01-01T00:16:40Z"


def test_a_pending_attestation_names_its_calendar(store: Store) -> None:
    proof, _ = stamp(DIGEST, (path(), promised()))
    result = _check(store, proof)
    assert result.to_value()["attestations"] == [
        {"status": "pending", "kind": "calendar", "calendar": CALENDAR}
    ]
    assert CALENDAR in result.reason


@pytest.mark.parametrize("op", [OpHexlify(), OpReverse(), OpKECCAK256(), OpRIPEMD160()])
def test_every_operation_is_applied(store: Store, op: Any) -> None:
    """Also one that the library warns of; a system without RIPEMD-160 says so."""
    proof, (end,) = stamp(DIGEST, ([op, *path()], in_block(HEIGHT)))
    _add(store, chain([end]), HEIGHT)
    assert _check(store, proof).status == AnchorStatus.ANCHORED


def test_a_proof_of_another_digest_is_refused(store: Store) -> None:
    other = _check(store, PROOF, sha256(b"another record"))
    assert other.status == AnchorStatus.NOT_THIS_DIGEST
    assert DIGEST.hex() in other.reason
    sha1 = MAGIC + b"\x01\x02" + DIGEST[:20] + attestation_bytes(promised())
    assert _check(store, sha1).status == AnchorStatus.NOT_THIS_DIGEST


def test_without_the_library_the_answer_says_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("opentimestamps"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    result = _check(store, PROOF)
    assert result.status == AnchorStatus.NOT_CHECKED
    assert "pith-mirror[timestamps]" in result.reason


# Hostile proofs ------------------------------------------------------------------------------

_END = attestation_bytes(promised())
_HEIGHT_TAG = b"\x00" + bytes.fromhex("0588960d73d71901")

HOSTILE = {
    "empty": b"",
    "wrong magic": b"x" + PROOF[1:],
    "only the magic": MAGIC,
    "cut off": PROOF[:-1],
    "trailing bytes": PROOF + b"x",
    "another version": MAGIC + b"\x02" + PROOF[len(MAGIC) + 1 :],
    "endless version": MAGIC + b"\x80" * 60_000,
    "endless length": raw(DIGEST, b"\xf0" + b"\xff" * 60_000),
    "unknown operation": raw(DIGEST, b"\x99"),
    "no attestation": raw(DIGEST, b"\x08"),
    "deep": raw(DIGEST, b"\x08" * 60_000 + _END),
    "just too deep": raw(DIGEST, b"\x08" * 256 + _END),
    "wide": raw(DIGEST, b"\xff\x08" * 30_000 + _END),
    "many attestations": raw(DIGEST, (b"\xff" + _END) * 1_700 + _END),
    "doubling": raw(DIGEST, b"\xf3" * 20 + _END),
    "a long argument": raw(DIGEST, b"\xf0\x81\x20" + b"x" * 4097 + _END),
    "an empty argument": raw(DIGEST, b"\xf0\x00" + _END),
    "a long message, often": raw(
        DIGEST, b"\xf0\xe0\x1f" + b"x" * 4064 + b"\xff" + b"\xf2" * 250 + _END * 100
    ),
    "endless height": raw(DIGEST, _HEIGHT_TAG + b"\xff\x3f" + b"\xff" * 8190 + b"\x7f"),
    "a height of no block": raw(DIGEST, _HEIGHT_TAG + b"\x05\x80\x80\x80\x80\x10"),
    "bytes after a height": raw(DIGEST, _HEIGHT_TAG + b"\x02\x01\x01"),
    "a calendar with other characters": raw(
        DIGEST, b"\x00" + bytes.fromhex("83dfe30d2ef90c8e") + b"\x05\x04ht\x1bp"
    ),
    "a huge attestation": raw(DIGEST, b"\x00" + b"12345678" + b"\x81\x40" + b"x" * 8193),
    "huge": PROOF + b"x" * (100 << 20),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_proof_is_malformed_in_little_memory(store: Store, name: str) -> None:
    """Each ends with the same word, and says why in a short sentence."""
    check_proof(PROOF, DIGEST, HeaderChain(store))  # load the library first
    tracemalloc.start()
    try:
        result = _check(store, HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert result.status == AnchorStatus.MALFORMED
    assert 10 < len(result.reason) < 300


def test_large_proofs_below_the_limits_are_read(store: Store) -> None:
    """The longest chain of operations, and many attestations, of which some are listed."""
    deep = raw(DIGEST, b"\x08" * 255 + _END)
    assert _check(store, deep).status == AnchorStatus.PENDING
    many = [(path(str(number)), promised(f"{CALENDAR}/{number}")) for number in range(500)]
    proof, _ = stamp(DIGEST, *many)
    assert 20_000 < len(proof) < MAX_PROOF_BYTES
    result = _check(store, proof)
    assert (len(_statuses(result)), result.details["attestation_count"]) == (50, 500)


# Real proofs ---------------------------------------------------------------------------------


def _real(name: str) -> tuple[bytes, bytes]:
    """A real proof, and the digest of the file that it is about."""
    folder = shared("corpora/opentimestamps")
    return (folder / f"{name}.ots").read_bytes(), sha256((folder / name).read_bytes())


def test_hello_world_leads_to_the_root_of_block_358391(store: Store) -> None:
    """Its header is not here; a chain with this root at this height, made here, anchors it."""
    proof, digest = _real("hello-world.txt")
    result = _check(store, proof, digest)
    assert result.status == AnchorStatus.NO_HEADER
    (attestation,) = _attestations(result)
    assert attestation["height"] == 358391
    root = bytes.fromhex(attestation["merkle_root"])[::-1]
    _add(store, chain([*roots(1), root, *roots(2, 3)]), 358390)
    result = _check(store, proof, digest)
    assert result.status == AnchorStatus.ANCHORED
    assert "such a chain costs nothing to make" in result.reason
    assert _check(store, *_real("bad-stamp.txt")).status == AnchorStatus.WRONG_BLOCK
    for at, byte in enumerate(proof):  # no changed bit anchors anything
        changed = proof[:at] + bytes([byte ^ 1]) + proof[at + 1 :]
        doubles = byte in b"\xf0\xf1"  # Bitcoin joins the last of an odd number with itself
        assert doubles or _check(store, changed, digest).status != AnchorStatus.ANCHORED


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("bad-stamp.txt", AnchorStatus.NO_HEADER),
        ("empty", AnchorStatus.NO_HEADER),
        ("incomplete.txt", AnchorStatus.PENDING),
        ("known-and-unknown-notary.txt", AnchorStatus.PENDING),
        ("merkle1.txt", AnchorStatus.PENDING),
        ("merkle2.txt", AnchorStatus.PENDING),
        ("unknown-notary.txt", AnchorStatus.AUTHORITY_UNKNOWN),
    ],
)
def test_real_proofs(store: Store, name: str, status: AnchorStatus) -> None:
    assert _check(store, *_real(name)).status == status


def test_real_files_that_are_no_proofs(store: Store) -> None:
    files = sorted(shared("corpora/opentimestamps/invalid").glob("*.ots"))
    assert len(files) == 3
    for file in files:
        assert _check(store, file.read_bytes()).status == AnchorStatus.MALFORMED, file
