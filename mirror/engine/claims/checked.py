"""Stored results of the checks of the claims in a state, of all kinds together.

They follow from what this mirror asked or was given, not from the facts, so they are shown beside a
state and are no part of it.
"""

from __future__ import annotations

from mirror.core.state_view import StateView
from mirror.core.verification_status import CheckedClaims
from mirror.engine.storage.attestations import (
    STORAGE_FLAG,
    answer_words,
    count_present,
    last_answers,
)
from mirror.store import Store

__all__ = ["checked_claims"]


def checked_claims(store: Store, state: StateView) -> CheckedClaims:
    """Return the stored results of checks of the claims in force in a state.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    answers = last_answers(store, state)
    return CheckedClaims(
        {STORAGE_FLAG: count_present(answers)},
        {event_id: answer_words(check) for event_id, check in answers.items()},
    )
