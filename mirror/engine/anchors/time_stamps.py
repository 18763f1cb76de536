"""Time-stamps in force (`timestamp_anchored`), and the check of each by its method."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mirror.core.record import Record
from mirror.core.state_view import StateView
from mirror.core.values import canonical, decode_base64
from mirror.engine.anchors.headers import HeaderChain
from mirror.engine.anchors.opentimestamps import check_proof
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.states.current import state_with
from mirror.store import Store

if TYPE_CHECKING:
    from mirror.engine.anchors.authorities import Authority

__all__ = [
    "ANCHOR_FLAG",
    "OPENTIMESTAMPS",
    "RFC3161",
    "TimeStamp",
    "TimeStampChecker",
    "read_time_stamps",
    "time_stamps_in",
]

ANCHOR_FLAG = "externally_anchored"
"""The member of `verification_status` that the results decide."""
OPENTIMESTAMPS, RFC3161 = "opentimestamps", "rfc3161"
"""The methods (E4) that are checked."""

_LIST = "timestamps"


class TimeStamp(NamedTuple):
    """A time-stamp in force: a signer claims that a proof is about the record."""

    event_id: str
    method: str
    proof: bytes


def time_stamps_in(state: StateView) -> list[TimeStamp]:
    """Return the time-stamps in force in a state, in M2 order."""
    return [
        TimeStamp(one.event_id, one.text("method"), decode_base64(one.payload["proof_b64"]) or b"")
        for one in state.entries(_LIST)
    ]


def read_time_stamps(store: Store, record_id: int) -> list[TimeStamp]:
    """Return the time-stamps in force of a record, in M2 order.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = state_with(store, record_id, _LIST)
    return [] if state is None else time_stamps_in(state)


class TimeStampChecker:
    """Checks time-stamps against the headers and authorities of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _headers(self) -> HeaderChain:
        return HeaderChain(self._store)

    @cached_property
    def _authorities(self) -> list[Authority]:
        # Late: certificates are slow to load, and most records have no token.
        from mirror.engine.anchors.authorities import trusted_authorities  # noqa: PLC0415

        return trusted_authorities(self._store)

    def check(self, record: Record, time_stamp: TimeStamp) -> AnchorResult:
        """Check the time-stamp of a record.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        if time_stamp.method == OPENTIMESTAMPS:
            digest = bytes.fromhex(record.canonical_sha256)
            return check_proof(time_stamp.proof, digest, self._headers)
        if time_stamp.method == RFC3161:
            from mirror.engine.anchors.rfc3161 import check_token  # noqa: PLC0415 - as above

            return check_token(time_stamp.proof, canonical(record.value), self._authorities)
        return AnchorResult(AnchorStatus.NOT_CHECKED, "no program here checks this method")
