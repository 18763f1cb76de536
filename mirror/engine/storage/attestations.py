"""Storage attestations in force, and the last answers of the archives that they name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mirror.core.state_view import StateView
from mirror.engine.batching import pages
from mirror.engine.states.current import state_with
from mirror.engine.storage.status import CaptureStatus
from mirror.store import StorageCheck, Store

__all__ = [
    "STORAGE_FLAG",
    "StorageAttestation",
    "answer_words",
    "attestations_in",
    "count_present",
    "last_answers",
    "read_attestations",
    "record_ids",
]

STORAGE_FLAG = "storage_verified"
"""The member of `verification_status` that the answers decide."""

_LIST = "storage_attestations"
_PAGE_RECORDS = 1000


class StorageAttestation(NamedTuple):
    """A storage attestation in force (E4): a signer claims that an archive has a capture."""

    pith_number: str
    event_id: str
    archive: str
    url: str
    captured_at: str


def attestations_in(state: StateView) -> list[StorageAttestation]:
    """Return the storage attestations in force in a state, in M2 order."""
    return [
        StorageAttestation(
            state.pith_number,
            event.event_id,
            event.text("archive"),
            event.text("url"),
            event.text("captured_at"),
        )
        for event in state.entries(_LIST)
    ]


def read_attestations(store: Store, record_id: int) -> list[StorageAttestation]:
    """Return the storage attestations in force of a record, in M2 order.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    state = state_with(store, record_id, _LIST)
    return [] if state is None else attestations_in(state)


def record_ids(store: Store) -> Iterator[int]:
    """Yield the ids of all records, ascending; no statement is open between two of them."""
    for page in pages(store.records.page, _PAGE_RECORDS, lambda row: row[0]):
        yield from (record_id for record_id, _, _ in page)


# Answers -------------------------------------------------------------------------------------


def last_answers(store: Store, state: StateView) -> dict[str, StorageCheck]:
    """Return the last answer on each capture that an attestation in force names, by event id.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    in_force = {event.event_id for event in state.entries(_LIST)}
    if not in_force:
        return {}
    found = store.storage_checks.last(state.pith_number)
    return {event_id: check for event_id, check in found.items() if event_id in in_force}


def count_present(answers: dict[str, StorageCheck]) -> int:
    """Return how many of the last answers are that the archive has the capture."""
    return sum(one.status == CaptureStatus.PRESENT for one in answers.values())


def answer_words(check: StorageCheck) -> str:
    """Return an answer and its time in words."""
    return f"asked at {check.at[:19]}Z: {check.status.replace('_', ' ')}. {check.message}"
