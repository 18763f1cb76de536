"""Time-stamps of checkpoints, with calendars of our own: real servers, honest and hostile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from opentimestamps.core.notary import (
    BitcoinBlockHeaderAttestation,
    PendingAttestation,
    UnknownAttestation,
)
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256
from opentimestamps.core.serialize import BytesDeserializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp

from mirror.core.transparency.signed_note import make_signer
from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.anchors.timestamp_files import MAX_PROOF_BYTES
from mirror.engine.transparency.checkpoints import make_checkpoint
from mirror.engine.transparency.stamping import (
    StampReport,
    choose_checkpoint,
    proof_result,
    require_proof,
    stamp,
    upgrade,
)
from mirror.errors import LookUpError
from mirror.net import CalendarClient, Client, ClientConfig
from mirror.store import Store, StoredCheckpoint, open_store
from tests.calendars import Calendar, running, to_bytes
from tests.chains import chain, roots

SIGNER = make_signer("ours.example/pith", bytes(32))


class _Desk:
    """A store with a checkpoint, two calendars, and a client."""

    def __init__(self, store: Store, client: Client, first: Calendar, second: Calendar) -> None:
        self.store, self.client, self.first, self.second = store, client, first, second
        make_checkpoint(store, SIGNER, datetime(2026, 1, 1, tzinfo=UTC))

    @property
    def checkpoint(self) -> StoredCheckpoint:
        return choose_checkpoint(self.store, None)

    def connect(self, url: str) -> CalendarClient:
        return CalendarClient(self.client, url)

    def stamp(self, *calendars: Calendar) -> StampReport:
        clients = [self.connect(one.url) for one in calendars or (self.first, self.second)]
        return stamp(self.store, self.checkpoint, clients)

    def upgrade(self, *urls: str) -> StampReport:
        return upgrade(self.store, self.checkpoint, [*map(self.connect, urls)], self.connect)

    def add_headers(self, height: int, root: bytes) -> None:
        """Store a header of this height with this Merkle root, and one after it."""
        with self.store.transaction():
            made = chain([root, *roots(1)])
            self.store.block_headers.add(list(enumerate(made, height)))

    def proofs(self) -> list[bytes]:
        query = "SELECT proof FROM checkpoint_proof ORDER BY id"
        return [proof for (proof,) in self.store.connection.execute(query)]


@pytest.fixture
def desk() -> Iterator[_Desk]:
    """Two honest calendars."""
    config = ClientConfig(allow_private=True, retries=0, requests_per_second=0, read_seconds=5)
    with ExitStack() as stack:
        first, second = stack.enter_context(running()), stack.enter_context(running())
        store, client = stack.enter_context(open_store(None)), stack.enter_context(Client(config))
        yield _Desk(store, client, first, second)


def _said(report: StampReport) -> list[tuple[str, str]]:
    return [(one.status, one.code) for one in report.results]


# Honest calendars ----------------------------------------------------------------------------


def test_a_checkpoint_is_stamped_completed_and_checked(desk: _Desk) -> None:
    """From a promise to a block whose header the operator gave."""
    report = desk.stamp()
    assert _said(report) == [("promised", ""), ("promised", "")]
    assert report.anchor is not None
    assert report.anchor.status == AnchorStatus.PENDING
    desk.first.height, desk.second.height = 7, 9
    report = desk.upgrade()
    assert _said(report) == [("completed", ""), ("completed", "")]
    assert report.anchor is not None
    assert report.anchor.status == AnchorStatus.NO_HEADER
    desk.add_headers(7, desk.first.root(desk.first.commitments[0]))
    anchor = proof_result(desk.store, desk.checkpoint.digest)
    assert anchor is not None
    assert (AnchorStatus.ANCHORED, "2026-05-28T20:26:40Z") == (anchor.status, anchor.at)
    asked = [*desk.first.asked]
    assert _said(desk.upgrade()) == []
    assert desk.first.asked == asked


def test_a_calendar_receives_only_a_blinded_digest(desk: _Desk) -> None:
    """It gets 32 bytes that change each time, and the same as the other calendar."""
    desk.stamp()
    desk.stamp()
    sent = desk.first.digests
    assert ([32, 32], 2) == ([len(one) for one in sent], len({*sent}))
    assert sent == desk.second.digests
    assert desk.checkpoint.digest not in sent


def test_the_file_is_one_for_other_clients(desk: _Desk) -> None:
    """It is about the SHA-256 of the note as it was signed."""
    desk.stamp()
    proof = require_proof(desk.store, desk.checkpoint).proof
    found = DetachedTimestampFile.deserialize(BytesDeserializationContext(proof))
    assert found.file_digest == hashlib.sha256(desk.checkpoint.note.encode()).digest()
    uris = {attestation.uri for _, attestation in found.timestamp.all_attestations()}
    assert uris == {desk.first.url, desk.second.url}


def test_an_incomplete_time_stamp_is_pending(desk: _Desk) -> None:
    """The calendar's words are passed on, and no new version is stored."""
    desk.stamp(desk.first)
    report = desk.upgrade()
    assert report.results[0].message == "Pending confirmation in Bitcoin blockchain"
    assert (["pending"], 1) == ([one.status for one in report.results], len(desk.proofs()))


def test_later_stamps_are_added(desk: _Desk) -> None:
    """A version has all that the one before had."""
    desk.stamp(desk.first)
    desk.stamp(desk.second)
    assert len(desk.proofs()) == 2
    desk.first.height = desk.second.height = 7
    assert _said(desk.upgrade()) == [("completed", ""), ("completed", "")]


def test_checkpoints_are_chosen_by_number(desk: _Desk) -> None:
    """Any that is stored; the last own one if none is given."""
    make_checkpoint(desk.store, SIGNER, datetime(2026, 1, 2, tzinfo=UTC))
    assert [1, 2, 2] == [choose_checkpoint(desk.store, n).number for n in (1, 2, None)]
    for number, code in ((3, "checkpoint.unknown"), (0, "checkpoint.unknown")):
        with pytest.raises(LookUpError) as caught:
            choose_checkpoint(desk.store, number)
        assert caught.value.code == code
    with pytest.raises(LookUpError) as caught:
        desk.upgrade()
    assert caught.value.code == "checkpoint.no_proof"
    with open_store(None) as empty, pytest.raises(LookUpError) as caught:
        choose_checkpoint(empty, None)
    assert caught.value.code == "checkpoint.none"


# Calendars that fail -------------------------------------------------------------------------


def test_a_calendar_that_fails_does_not_stop_the_others(desk: _Desk) -> None:
    """Its reason is told, and the other's promise is kept."""
    desk.first.status, desk.first.says = 500, b""
    assert _said(desk.stamp()) == [("failed", "upstream.status"), ("promised", "")]
    desk.second.height = 7
    assert _said(desk.upgrade()) == [("completed", "")]


def test_an_address_that_was_not_given_is_not_requested(desk: _Desk) -> None:
    """A calendar may promise in the name of another; only the operator decides who is asked."""
    desk.first.promises_as = desk.second.url
    desk.stamp(desk.first)
    assert _said(desk.upgrade()) == [("not_asked", "calendar.not_named")]
    assert desk.second.asked == []
    assert _said(desk.upgrade(f"{desk.second.url}/")) == [("pending", "")]
    assert _said(desk.upgrade()) == [("pending", "")]


def _deep(depth: int, message: bytes) -> bytes:
    node = root = Timestamp(message)
    for _ in range(depth):
        node = node.ops.add(OpSHA256())
    node.attestations.add(PendingAttestation("https://a.example"))
    return to_bytes(root)


def _many(count: int) -> bytes:
    root = Timestamp(bytes(32))
    for number in range(count):
        root.attestations.add(PendingAttestation(f"https://a.example/{number}"))
    return to_bytes(root)


def _attested(attestation: object) -> bytes:
    root = Timestamp(bytes(32))
    root.attestations.add(attestation)
    return to_bytes(root)


HOSTILE = {
    "nothing": b"",
    "a page": b"<html>",
    "deep": _deep(300, bytes(32)),
    "an endless fork": b"\xff" * 9_000,
    "trailing bytes": _attested(PendingAttestation("https://a.example")) + b"\x00",
    "truncated": _attested(PendingAttestation("https://a.example"))[:-3],
    "a height beyond all": _attested(BitcoinBlockHeaderAttestation(1 << 62)),
    "neither promise nor block": _attested(UnknownAttestation(b"\1" * 8, b"")),
    "many promises": _many(11),
    "growing": (b"\xf2\xff\x1f" + bytes(4095)) * 2,
}


@pytest.mark.parametrize("says", HOSTILE.values(), ids=HOSTILE)
def test_an_invalid_answer_is_reported_and_changes_nothing(desk: _Desk, says: bytes) -> None:
    """Neither as a promise, nor as a proof later; what was stored is what it was."""
    desk.stamp(desk.second)
    kept = desk.proofs()
    desk.first.says = desk.second.says = says
    assert _said(desk.stamp(desk.first)) == [("failed", "calendar.shape")]
    assert _said(desk.upgrade()) == [("failed", "calendar.shape")]
    assert desk.proofs() == kept
    desk.second.says, desk.second.height = None, 7
    assert _said(desk.upgrade()) == [("completed", "")]


def test_an_answer_that_is_too_long_is_refused(desk: _Desk) -> None:
    """By the client, before it is parsed."""
    desk.first.says = bytes(10_001)
    assert _said(desk.stamp(desk.first)) == [("failed", "upstream.size")]
    assert desk.proofs() == []


def test_a_proof_that_would_grow_too_large_is_refused(desk: _Desk) -> None:
    """What is stored can always be read again."""
    root = Timestamp(bytes(32))
    node = root.ops.add(OpAppend(bytes(4000))).ops.add(OpSHA256())
    node.ops.add(OpPrepend(bytes(4000))).attestations.add(PendingAttestation("https://a.example"))
    desk.first.says = to_bytes(root)
    said = [_said(desk.stamp(desk.first)) for _ in range(9)]
    assert said == [[("promised", "")]] * 8 + [[("failed", "calendar.size")]]
    assert max(map(len, desk.proofs())) <= MAX_PROOF_BYTES


def test_a_false_block_proves_nothing(desk: _Desk) -> None:
    """A calendar may name any block: its header decides."""
    desk.stamp(desk.first)
    desk.first.height = 7
    desk.upgrade()
    desk.add_headers(7, hashlib.sha256(b"another root").digest())
    anchor = proof_result(desk.store, desk.checkpoint.digest)
    assert anchor is not None
    assert (AnchorStatus.WRONG_BLOCK, None) == (anchor.status, anchor.at)
