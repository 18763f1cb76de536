"""Stored results of the checks of the claims in a state, of all kinds together.

They follow from what this mirror asked or was given, not from the facts, so they are shown beside a
state and are no part of it.
"""

from __future__ import annotations

from mirror.core.state_view import StateView
from mirror.core.values import Object
from mirror.core.verification_status import CheckedClaims
from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.anchors.time_stamps import ANCHOR_FLAG, time_stamps_in
from mirror.engine.anchors.update import (
    CONTRADICTIONS,
    anchor_words,
    anchors_of,
    count_anchored,
    stored_anchors,
)
from mirror.engine.storage.attestations import (
    STORAGE_FLAG,
    answer_words,
    count_present,
    last_answers,
)
from mirror.store import Store

__all__ = ["anchors_in", "checked_claims"]

_NOT_YET = "not checked yet: run `mirror anchors`"
_DECIDED = CONTRADICTIONS | {AnchorStatus.ANCHORED}


def checked_claims(store: Store, state: StateView, *, may_check: bool = False) -> CheckedClaims:
    """Return the results of checks of the claims in force in a state.

    Args:
        store: The store.
        state: The state.
        may_check: Check time-stamps without a stored result; nothing is stored.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    answers = last_answers(store, state)
    anchors = anchors_in(store, state, may_check=may_check)
    checked = {event_id: value for event_id, value in anchors.items() if value is not None}
    return CheckedClaims(
        {STORAGE_FLAG: count_present(answers), ANCHOR_FLAG: count_anchored(checked.values())},
        {
            **{event_id: answer_words(check) for event_id, check in answers.items()},
            **dict.fromkeys(anchors, _NOT_YET),
            **{event_id: anchor_words(value) for event_id, value in checked.items()},
        },
        frozenset(
            event_id
            for event_id, value in anchors.items()
            if value is None or value["status"] not in _DECIDED
        ),
    )


def anchors_in(
    store: Store, state: StateView, *, may_check: bool = False
) -> dict[str, Object | None]:
    """Return the results for the time-stamps in force in a state, by event id, in M2 order.

    None stands for one that is not checked yet. Arguments and errors as `checked_claims`.
    """
    time_stamps = time_stamps_in(state)
    record_id = store.records.numbered(state.pith_number) if time_stamps else None
    if record_id is None:
        return {}
    if may_check:
        return {**anchors_of(store, record_id, store.records.get(record_id), time_stamps)}
    stored = stored_anchors(store, record_id)
    return {one.event_id: stored.get(one.event_id) for one in time_stamps}
